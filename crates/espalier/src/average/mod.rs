//! Averages of a network over its training: exponential moving and equal ones.

mod batch_norm;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

pub use batch_norm::update_bn;

use crate::erase::AnyTensor;
use crate::error::Error;
use crate::frame::{Parametrized, Purpose};
use crate::tree::{self, Kind, Walk, follow_walk};

/// How much the newest network weighs.
#[derive(Clone)]
pub struct Average(Weight);

#[derive(Clone)]
enum Weight {
    Ema(f64),
    Swa,
    By(Arc<dyn Fn(u64) -> f64 + Send + Sync>),
}

impl Average {
    /// `average = decay * average + (1 - decay) * new`: `swa_utils.get_ema_avg_fn`.
    ///
    /// ```
    /// use espalier::average::Average;
    /// assert!(Average::ema(0.999).is_ok() && Average::ema(1.5).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Average`] if `decay` is outside 0 to 1.
    pub fn ema(decay: f64) -> Result<Self, Error> {
        if (0.0..=1.0).contains(&decay) {
            return Ok(Self(Weight::Ema(decay)));
        }
        Err(Error::Average { reason: format!("a decay lies in 0..=1, found {decay}") })
    }

    /// The mean of all networks so far, for stochastic weight averaging:
    /// `swa_utils.get_swa_avg_fn`.
    ///
    /// Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
    /// Generalization", 2018.
    pub fn swa() -> Self {
        Self(Weight::Swa)
    }

    /// `average + weight(n) * (new - average)`, where n networks have been averaged: 1, 2, ...
    ///
    /// ```
    /// use espalier::average::Average;
    /// // A moving average that forgets its beginning faster.
    /// let warmed = Average::by(|n| 1.0 - 0.999f64.min((1 + n) as f64 / (10 + n) as f64));
    /// ```
    pub fn by(weight: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self(Weight::By(Arc::new(weight)))
    }

    /// `kept * average + taken * new`.
    fn factors(&self, n: u64) -> Result<(f64, f64), Error> {
        let taken = match &self.0 {
            Weight::Ema(decay) => 1.0 - decay,
            Weight::Swa => 1.0 / (n as f64 + 1.0),
            Weight::By(weight) => weight(n),
        };
        if !taken.is_finite() {
            let reason = format!("the weight after {n} networks is a number, found {taken}");
            return Err(Error::Average { reason });
        }
        Ok((1.0 - taken, taken))
    }
}

impl fmt::Debug for Average {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Weight::Ema(decay) => write!(f, "Average::ema({decay})"),
            Weight::Swa => f.write_str("Average::swa()"),
            Weight::By(_) => f.write_str("Average::by(<function>)"),
        }
    }
}

/// A network that is the average of another one in training: `torch.optim.swa_utils.AveragedModel`.
///
/// What is averaged are the originals, as in PyTorch: of a constrained weight the value computed
/// from averaged originals, which keeps the constraint. Frozen parameters are averaged too. Buffers
/// are those of the network last seen, unless [`use_buffers`](Self::use_buffers).
///
/// It holds one copy of the network, which shares nothing with the trained one. To save it, save
/// [`model`](Self::model) like any network and [`n_averaged`](Self::n_averaged) beside it;
/// [`resume`](Self::resume) takes both.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::average::{Average, AveragedModel};
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(2, 1).with_bias(false).init(&device));
/// let mut average = AveragedModel::new(&net, Average::swa());
/// for value in [1.0, 2.0, 6.0] {
///     net.set("weight", Tensor::<2>::full([2, 1], value, &device))?; // stands for training
///     average.update(&net)?;
/// }
/// assert_eq!(average.n_averaged(), 3);
/// let evaluated = average.model().valid().effective();
/// assert_eq!(evaluated.weight.val().mean().into_scalar::<f32>(), 3.0);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AveragedModel<M: Module> {
    /// Absent only while an update works on it: as its one owner, in place.
    model: Option<Parametrized<M>>,
    average: Average,
    use_buffers: bool,
    n_averaged: u64,
}

impl<M: Module> AveragedModel<M> {
    /// An average over no network yet; until the first update the model is a copy of `net`.
    pub fn new(net: &Parametrized<M>, average: Average) -> Self {
        Self::resume(net.deep_copy(), average, 0)
    }

    /// The average that a saved one was: its network and the number averaged.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::Parametrized;
    /// use espalier::average::{Average, AveragedModel};
    /// let net = Parametrized::new(LinearConfig::new(2, 1).init(&Device::default().autodiff()));
    /// let average = AveragedModel::resume(net, Average::ema(0.99)?, 7);
    /// assert_eq!(average.n_averaged(), 7);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn resume(model: Parametrized<M>, average: Average, n_averaged: u64) -> Self {
        Self { model: Some(model), average, use_buffers: false, n_averaged }
    }

    /// Averages running statistics and other float buffers too. Masks and integers are copied.
    ///
    /// ```
    /// use burn::nn::BatchNormConfig;
    /// use burn::tensor::Device;
    /// use espalier::Parametrized;
    /// use espalier::average::{Average, AveragedModel};
    /// let net = Parametrized::new(BatchNormConfig::new(3).init(&Device::default().autodiff()));
    /// let average = AveragedModel::new(&net, Average::swa()).use_buffers();
    /// ```
    pub fn use_buffers(self) -> Self {
        Self { use_buffers: true, ..self }
    }

    /// Takes `net` into the average; the first time, copies it.
    ///
    /// # Errors
    ///
    /// [`Error::Average`] if `net` has other tensors than the one at the beginning, such as after a
    /// registration, or the weight is not finite. Nothing is changed then.
    pub fn update(&mut self, net: &Parametrized<M>) -> Result<(), Error> {
        // What is under a mask is averaged, too, however the mask is held.
        Purpose::File.during(|| self.take_in(net))
    }

    fn take_in(&mut self, net: &Parametrized<M>) -> Result<(), Error> {
        let first = self.n_averaged == 0;
        let factors = if first { (0.0, 1.0) } else { self.average.factors(self.n_averaged)? };
        let kinds = self.compare(net)?;
        let mut collect = Collect::default();
        net.visit(&mut collect);
        let mut blend = Blend {
            walk: Walk::default(),
            kinds,
            values: collect.values,
            factors: (!first).then_some(factors),
            use_buffers: self.use_buffers,
        };
        self.model = self.model.take().map(|model| model.map(&mut blend));
        self.n_averaged += 1;
        Ok(())
    }

    /// The kind of each tensor of both.
    fn compare(&self, net: &Parametrized<M>) -> Result<BTreeMap<String, Kind>, Error> {
        let (ours, theirs) = (tree::tensors(self.model()), tree::tensors(net));
        let all = |infos: &[tree::ParamInfo]| -> Vec<(String, Vec<usize>)> {
            infos.iter().map(|info| (info.path.clone(), info.shape.clone())).collect()
        };
        let (expected, found) = (all(&ours), all(&theirs));
        if expected == found {
            return Ok(ours.into_iter().map(|info| (info.path, info.kind)).collect());
        }
        let missing = expected.iter().find(|tensor| !found.contains(tensor));
        let other = found.iter().find(|tensor| !expected.contains(tensor));
        let named = |tensor: Option<&(String, Vec<usize>)>| match tensor {
            Some((path, shape)) => format!("`{path}` {shape:?}"),
            None => "nothing in its place".to_owned(),
        };
        let reason = format!(
            "the averaged network has {}, the one to take in has {}; make a new average after \
             registering, pruning or tying",
            named(missing),
            named(other)
        );
        Err(Error::Average { reason })
    }

    /// The averaged network, to evaluate ([`valid`](Module::valid)) or to save.
    pub fn model(&self) -> &Parametrized<M> {
        match &self.model {
            Some(model) => model,
            None => unreachable!("an update has ended"),
        }
    }

    /// The averaged network.
    pub fn into_model(self) -> Parametrized<M> {
        match self.model {
            Some(model) => model,
            None => unreachable!("an update has ended"),
        }
    }

    /// The number of networks averaged.
    pub fn n_averaged(&self) -> u64 {
        self.n_averaged
    }

    /// [`update_bn`] on the averaged network: its own running statistics, to be called at the end.
    ///
    /// # Errors
    ///
    /// As [`update_bn`].
    pub fn update_bn<B, T>(
        &mut self,
        batches: impl IntoIterator<Item = B>,
        forward: impl FnMut(&M, &B) -> Result<T, Error>,
    ) -> Result<usize, Error> {
        match &mut self.model {
            Some(model) => update_bn(model, batches, forward),
            None => unreachable!("an update has ended"),
        }
    }
}

/// The tensors of a network, untracked.
#[derive(Default)]
struct Collect {
    walk: Walk,
    values: Values,
}

#[derive(Default)]
struct Values {
    floats: BTreeMap<String, AnyTensor>,
    ints: BTreeMap<String, Box<dyn std::any::Any>>,
}

impl ModuleVisitor for Collect {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        self.values.floats.insert(self.walk.path(), value.into());
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        let value = param.val().without_autodiff();
        self.values.ints.insert(self.walk.path(), Box::new(value));
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        let value = param.val().without_autodiff();
        self.values.ints.insert(self.walk.path(), Box::new(value));
    }
}

/// Takes the tensors of one network into another.
struct Blend {
    walk: Walk,
    kinds: BTreeMap<String, Kind>,
    values: Values,
    /// Of the old value and the new one; nothing to copy.
    factors: Option<(f64, f64)>,
    use_buffers: bool,
}

impl ModuleMapper for Blend {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.walk.path();
        let Some(Ok(new)) = self.values.floats.remove(&path).map(AnyTensor::into_rank::<D>) else {
            // A tensor that a container lists twice.
            return param;
        };
        let averaged = self.kinds.get(&path) == Some(&Kind::Parameter) || self.use_buffers;
        let trained = param.is_require_grad();
        param.map(|old| {
            let (autodiff, device, dtype) = (old.is_autodiff(), old.device(), old.dtype());
            let new = if new.dtype() == dtype { new } else { new.cast(dtype) };
            // Devices compare without regard to autodiff.
            let new = if new.device() == device {
                new
            } else {
                new.to_device(&device).without_autodiff()
            };
            let value = match self.factors {
                Some((kept, taken)) if averaged => {
                    old.without_autodiff().mul_scalar(kept).add(new.mul_scalar(taken))
                }
                _ => new,
            };
            if autodiff { Tensor::from_inner(value).set_require_grad(trained) } else { value }
        })
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let path = self.walk.path();
        match self.values.ints.remove(&path).map(|new| new.downcast::<Tensor<D, Int>>()) {
            Some(Ok(new)) if self.kinds.contains_key(&path) => param.map(|old| {
                let autodiff = old.is_autodiff();
                let new = new.to_device(&old.device()).without_autodiff();
                if autodiff { Tensor::from_inner(new) } else { new }
            }),
            _ => param,
        }
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let path = self.walk.path();
        match self.values.ints.remove(&path).map(|new| new.downcast::<Tensor<D, Bool>>()) {
            Some(Ok(new)) => param.map(|old| {
                let autodiff = old.is_autodiff();
                let new = new.to_device(&old.device()).without_autodiff();
                if autodiff { Tensor::from_inner(new) } else { new }
            }),
            _ => param,
        }
    }
}

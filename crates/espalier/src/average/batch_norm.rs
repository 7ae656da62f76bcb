//! Running statistics computed anew.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

use crate::error::Error;
use crate::frame::Parametrized;
use crate::tree::{Walk, follow_walk};

/// Computes the running statistics of all batch norms anew, as means over `batches`:
/// `torch.optim.swa_utils.update_bn`.
///
/// For a network whose parameters did not come from training steps, such as an average. `forward`
/// runs the network on one batch, which must be on an autodiff device, where Burn's batch norms
/// work as in training. The first batch is run twice. Returns the number of batches.
///
/// Batch norms that are frozen, that `forward` does not reach, or whose momentum is 0 keep their
/// statistics. The variances are means of the biased variances of the batches, since that is what
/// Burn's batch norm keeps; PyTorch's are `n / (n - 1)` times those, n being the numbers a channel
/// has in a batch.
///
/// Each batch should reach the same layers, each once.
///
/// Only differences to the statistics before can be seen in a layer, of a momentum that no visit
/// tells: each batch is run with statistics of 0, which leaves momentum times those of the batch,
/// and the momentum is what is left of a very large number.
///
/// ```
/// use burn::nn::BatchNormConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::average::update_bn;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(BatchNormConfig::new(1).init(&device));
/// let batches = [[[1.0], [3.0]], [[5.0], [9.0]]].map(|x| Tensor::<2>::from_floats(x, &device));
/// update_bn(&mut net, batches, |norm, x| Ok(norm.forward(x.clone())))?;
/// assert_eq!(net.template().running_mean.value().into_scalar::<f32>(), 4.5);
/// assert_eq!(net.template().running_var.value().into_scalar::<f32>(), 2.5);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Average`] if there are batch norms and no batch, or none of them saw a batch in
/// training; what `forward` returns. Nothing is changed then.
pub fn update_bn<M: Module, B, T>(
    net: &mut Parametrized<M>,
    batches: impl IntoIterator<Item = B>,
    mut forward: impl FnMut(&M, &B) -> Result<T, Error>,
) -> Result<usize, Error> {
    // The statistics of a copy are its own: what fails leaves those of `net` alone.
    let mut copy = net.deep_copy();
    let before = read(&copy, None);
    let not_training = || {
        let reason = "no batch norm saw the batch in training: run the network that is passed to \
                      `forward` on inputs of an autodiff device (`train` undoes `valid`)";
        Error::Average { reason: reason.to_owned() }
    };
    if before.is_empty() {
        // All flags of a validation snapshot are off; there frozen layers cannot be told.
        let can_train = copy.devices().iter().any(burn::tensor::Device::is_autodiff);
        return if can_train || !has_norms(&copy) { Ok(0) } else { Err(not_training()) };
    }
    let step = copy.effective();
    let mut seen: BTreeMap<String, (f64, Vec<f64>)> = BTreeMap::new();
    let mut count = 0;
    for batch in batches {
        if count == 0 {
            copy = fill(copy, &before, large);
            forward(&step, &batch)?;
            for (path, statistic) in read(&copy, Some(&before)) {
                let left = statistic.left();
                if left < 1.0 {
                    seen.insert(path, (1.0 - left, vec![0.0; statistic.values.len()]));
                }
            }
            // Those that no batch reaches, which would be computed with, stay what they are.
            copy = restore(copy, before.clone());
            if seen.is_empty() {
                return Err(not_training());
            }
        }
        let reached: BTreeMap<String, Statistic> =
            before.iter().filter(|(path, _)| seen.contains_key(*path)).map(owned).collect();
        copy = fill(copy, &reached, |_| 0.0);
        forward(&step, &batch)?;
        for (path, statistic) in read(&copy, Some(&reached)) {
            if let Some((momentum, sum)) = seen.get_mut(&path) {
                for (sum, value) in sum.iter_mut().zip(statistic.values) {
                    *sum += value / *momentum;
                }
            }
        }
        count += 1;
    }
    if count == 0 {
        let reason = "there is no batch to compute running statistics from";
        return Err(Error::Average { reason: reason.to_owned() });
    }
    let means = seen.into_iter().filter_map(|(path, (_, sum))| {
        let dtype = before.get(&path)?.dtype;
        let values = sum.into_iter().map(|sum| sum / f64::from(count)).collect();
        Some((path, Statistic { dtype, values }))
    });
    *net = restore(net.clone(), means.collect());
    Ok(count as usize)
}

/// One running mean or variance.
#[derive(Clone)]
struct Statistic {
    dtype: DType,
    values: Vec<f64>,
}

fn owned((path, statistic): (&String, &Statistic)) -> (String, Statistic) {
    (path.clone(), statistic.clone())
}

/// A power of two beside which the statistic of a batch vanishes.
fn large(dtype: DType) -> f64 {
    2f64.powi(if dtype == DType::F16 { 15 } else { 100 })
}

impl Statistic {
    /// What one update left of a [`large`] number: 1 - momentum.
    ///
    /// A layer rounds that to its precision. The shortest decimal that is rounded so is most
    /// probably what the layer was made with.
    fn left(&self) -> f64 {
        let large = large(self.dtype);
        let left = self.values.first().map_or(1.0, |value| value / large);
        let room = left
            * match self.dtype {
                DType::F64 => 2f64.powi(-53),
                DType::F16 => 2f64.powi(-11),
                DType::BF16 => 2f64.powi(-8),
                _ => 2f64.powi(-24),
            };
        let decimals = (0..17).map(|digits| {
            let scale = 10f64.powi(digits);
            (left * scale).round() / scale
        });
        decimals.into_iter().find(|decimal| (decimal - left).abs() <= room).unwrap_or(left)
    }
}

/// The statistics of batch norms that are not frozen, or those at the paths of `only`.
fn read<M: Module>(
    net: &Parametrized<M>,
    only: Option<&BTreeMap<String, Statistic>>,
) -> BTreeMap<String, Statistic> {
    let mut read = Read { walk: Walk::default(), found: BTreeMap::new(), frozen: BTreeSet::new() };
    net.visit(&mut read);
    let Read { mut found, frozen, .. } = read;
    found.retain(|path, _| match only {
        Some(only) => only.contains_key(path),
        None => !frozen.contains(parent(path)),
    });
    found
}

fn has_norms<M: Module>(net: &Parametrized<M>) -> bool {
    let mut read = Read::default();
    net.visit(&mut read);
    !read.found.is_empty()
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn is_statistic(walk: &Walk) -> bool {
    let path = walk.path();
    let name = path.rsplit('.').next().unwrap_or_default();
    walk.layer() == "BatchNorm" && matches!(name, "running_mean" | "running_var")
}

#[derive(Default)]
struct Read {
    walk: Walk,
    found: BTreeMap<String, Statistic>,
    frozen: BTreeSet<String>,
}

impl ModuleVisitor for Read {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if is_statistic(&self.walk) {
            let data = param.val().into_data();
            let statistic = Statistic { dtype: data.dtype(), values: data.iter().collect() };
            self.found.insert(self.walk.path(), statistic);
        }
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if !flag.is_enabled() {
            self.frozen.insert(parent(&self.walk.path()).to_owned());
        }
    }
}

/// `net` with these statistics at their paths.
fn restore<M: Module>(
    net: Parametrized<M>,
    statistics: BTreeMap<String, Statistic>,
) -> Parametrized<M> {
    net.map(&mut Write { walk: Walk::default(), statistics })
}

/// `net` with each of these statistics one number throughout.
fn fill<M: Module>(
    net: Parametrized<M>,
    like: &BTreeMap<String, Statistic>,
    value: impl Fn(DType) -> f64,
) -> Parametrized<M> {
    let statistics = like.iter().map(|(path, Statistic { dtype, values })| {
        let values = vec![value(*dtype); values.len()];
        (path.clone(), Statistic { dtype: *dtype, values })
    });
    restore(net, statistics.collect())
}

struct Write {
    walk: Walk,
    statistics: BTreeMap<String, Statistic>,
}

impl ModuleMapper for Write {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.statistics.remove(&self.walk.path()) {
            Some(Statistic { dtype, values }) => param.map(|old| {
                let data = TensorData::new(values, old.shape()).convert_dtype(dtype);
                let new = Tensor::<D>::from_data(data, (&old.device(), dtype));
                let new = new.without_autodiff();
                if old.is_autodiff() { Tensor::from_inner(new) } else { new }
            }),
            None => param,
        }
    }
}

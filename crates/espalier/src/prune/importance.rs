//! Scores that stand in for the values.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::PruneError;
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::select::IntoSelector;
use crate::tree::Layout;

/// Importance scores by parameter, in the place of the values: PyTorch's `importance_scores`.
///
/// Methods take their magnitude. A parameter without scores is pruned by its own values.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{Importance, L1Unstructured};
/// use espalier::Parametrized;
///
/// let device = Device::default();
/// let mut net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
/// // In the layout of Burn's tensor.
/// let scores = Tensor::<2>::from_floats([[9.0], [1.0]], &device);
/// net.prune_by("weight", L1Unstructured::new(1), &Importance::new().with("weight", scores))?;
/// assert_eq!(net.kept("weight")?, [true, false]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Importance(BTreeMap<String, AnyTensor>);

impl Importance {
    /// No scores.
    pub fn new() -> Self {
        Self::default()
    }

    /// With scores for the parameter at `path`, in the shape and layout of Burn's tensor.
    pub fn with<const D: usize>(mut self, path: &str, scores: Tensor<D>) -> Self {
        self.0.insert(path.to_owned(), scores.detach().into());
        self
    }

    /// Gradient times value, the change of the loss to first order if a value were zero (Molchanov,
    /// Tyree, Karras, Aila, Kautz, "Pruning Convolutional Neural Networks for Resource Efficient
    /// Inference", 2017).
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::{Importance, L1Unstructured};
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default().autodiff();
    /// let mut net = Parametrized::new(LinearConfig::new(3, 4).init(&device));
    /// let loss = net.effective().forward(Tensor::<2>::ones([5, 3], &device)).square().sum();
    /// let grads = net.grads(loss.backward())?;
    /// let taylor = Importance::taylor(&net, "weight", &grads)?;
    /// net.prune_by("weight", L1Unstructured::new(0.5), &taylor)?;
    /// assert_eq!(net.zeros("weight")?, 6);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::ComputedGradient`] for a parameter of
    /// several originals. One without a gradient scores zero.
    pub fn taylor<M: Module>(
        net: &Parametrized<M>,
        selector: impl IntoSelector,
        grads: &GradientsParams,
    ) -> Result<Self, Error> {
        let mut scores = Self::new();
        for path in net.parameters_of(selector)? {
            let value = net.any_value(&path)?;
            scores = with_rank!(value.rank(), D => {
                let value: Tensor<D> = net.get(&path)?;
                let grad = net.gradient_or_zeros::<D>(&path, grads)?;
                let value = value.without_autodiff();
                let grad = grad.without_autodiff().to_device(&value.device());
                scores.with(&path, (value * grad).abs())
            }, else scores);
        }
        Ok(scores)
    }

    /// The magnitude of a batch norm's scale, for the filters before it, all values of a filter
    /// alike (Liu, Li, Shen, Huang, Yan, Zhang, "Learning Efficient Convolutional Networks through
    /// Network Slimming", 2017). `pairs` name a weight and the scale that follows it; to be used
    /// with [`LnStructured`](super::LnStructured) along dimension 0.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::Prune`] if a scale has not one number for
    /// each output feature.
    pub fn batch_norm<M: Module>(
        net: &Parametrized<M>,
        pairs: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let mut scores = Self::new();
        for (weight, scale) in pairs {
            let gamma: Tensor<1> = net.get(scale)?;
            scores = scores.along(net, weight, 0, gamma.abs())?;
        }
        Ok(scores)
    }

    /// Magnitude times the norm of the input feature it meets (Sun, Liu, Bair, Kolter, "A Simple and
    /// Effective Pruning Approach for Large Language Models", 2023: Wanda). `norms` has one number
    /// for each input feature, from an [`ActivationNorm`] of a calibration pass. Wanda takes the
    /// amount of each row: [`per_row`](super::L1Unstructured::per_row).
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::prune::{ActivationNorm, Importance, L1Unstructured};
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default();
    /// let mut net = Parametrized::new(LinearConfig::new(3, 4).init(&device));
    /// let mut norm = ActivationNorm::new();
    /// for _ in 0..2 {
    ///     norm.observe(Tensor::<2>::from_floats([[1.0, 0.0, 5.0]], &device));
    /// }
    /// let wanda = Importance::new().wanda(&net, "weight", norm.norm().ok_or("observed")?)?;
    /// net.prune_by("weight", L1Unstructured::new(1).per_row(), &wanda)?;
    /// // The input that is always zero counts for nothing.
    /// assert!(net.kept("weight")?.chunks(3).all(|row| !row[1]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::Prune`] if `norms` has another length.
    pub fn wanda<M: Module>(
        self,
        net: &Parametrized<M>,
        path: &str,
        norms: Tensor<1>,
    ) -> Result<Self, Error> {
        self.along(net, path, 1, norms).map(|scores| scores.times_magnitude(net, path))?
    }

    /// Scores for all values at an index of a dimension of PyTorch's layout.
    fn along<M: Module>(
        self,
        net: &Parametrized<M>,
        path: &str,
        dim: usize,
        scores: Tensor<1>,
    ) -> Result<Self, Error> {
        let value = net.any_value(path)?;
        let layout = net.layout_of(path)?;
        let shape = layout.torch_shape(&value.dims());
        let expected = shape.get(dim).copied().unwrap_or(0);
        if scores.dims()[0] != expected {
            let source = PruneError::Shape {
                what: "scores",
                expected: vec![expected],
                found: scores.dims().to_vec(),
            };
            return Err(Error::Prune { path: path.to_owned(), source });
        }
        let axis = if layout == Layout::Transposed { 1 - dim } else { dim };
        Ok(with_rank!(value.rank(), D => {
            let mut ones = [1; D];
            ones.iter_mut().skip(axis).take(1).for_each(|size| *size = expected);
            let dims: Vec<usize> = value.dims();
            let mut full = [1; D];
            full.copy_from_slice(&dims);
            let scores = scores.without_autodiff().reshape(ones).expand(full);
            self.with(path, scores)
        }, else self))
    }

    fn times_magnitude<M: Module>(
        mut self,
        net: &Parametrized<M>,
        path: &str,
    ) -> Result<Self, Error> {
        if let Some(scores) = self.0.remove(path) {
            self = with_rank!(scores.rank(), D => {
                let value: Tensor<D> = net.get(path)?;
                self.with(path, value.without_autodiff().abs() * scores.into_rank::<D>()?)
            }, else self);
        }
        Ok(self)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&AnyTensor> {
        self.0.get(path)
    }

    /// The paths with scores, in alphabetic order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The norm of each feature of a layer's input over the batches of a calibration pass.
///
/// See [`Importance::wanda`] for an example.
#[derive(Debug, Clone, Default)]
pub struct ActivationNorm(Option<Tensor<1>>);

impl ActivationNorm {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a batch; features are the last dimension.
    pub fn observe<const D: usize>(&mut self, input: Tensor<D>) {
        let features = input.dims()[D - 1];
        let rows = input.without_autodiff().reshape([-1, features as i32]);
        let squares: Tensor<1> = rows.square().sum_dim(0).reshape([features]);
        self.0 = Some(match self.0.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
    }

    /// The Euclidean norms; none if nothing was observed.
    pub fn norm(&self) -> Option<Tensor<1>> {
        self.0.clone().map(Tensor::sqrt)
    }
}

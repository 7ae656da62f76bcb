//! What parameters a module has: their names, shapes, values and owners, in a fixed order.

mod access;
mod buffer;
mod info;
mod modules;
mod nested;
mod report;
mod summary;
mod walk;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

pub use buffer::Buffer;
pub(crate) use info::is_norm;
pub use info::{Kind, Layout, ParamInfo};
pub use modules::ModuleInfo;
pub use nested::Tree;
pub use report::{DtypeMismatch, ShapeMismatch, TreeReport};
pub use summary::{Summary, SummaryRow, Totals};

pub(crate) use access::floats;
pub(crate) use modules::{TYPE_MARK, below};
pub(crate) use summary::count_zeros;
pub(crate) use walk::{Walk, buffers, contiguous, follow_walk, map_untracked, shape_of, tensors};

use crate::erase::AnyTensor;
use crate::error::Error;
use crate::select::{IntoSelector, Selection};
use crate::state::{StateDict, Strict};

/// The parameters of a module by name, as in `torch.nn.Module`. Implemented for every module.
///
/// Everything is in visit order: that of the fields, and of the items of lists. Shapes are Burn's:
/// a `Linear` weight is `[in, out]`; [`ParamInfo::torch_shape`] gives PyTorch's. Asking for values
/// or shapes initializes parameters that are not yet.
///
/// For a [`Parametrized`](crate::Parametrized) these methods see what is saved and trained: the
/// originals, each once, under PyTorch's names (`0.parametrizations.weight.original`), as
/// `torch.nn.Module` does. Its own methods speak the names of the parameters (`0.weight`).
///
/// ```
/// use burn::nn::{BatchNormConfig, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::Sequential;
/// use espalier::ParameterTree;
///
/// let device = Device::default();
/// let mut net = Sequential::new()
///     .with(LinearConfig::new(4, 3).init(&device))
///     .with(BatchNormConfig::new(3).init(&device));
/// let names: Vec<_> = net.named_parameters().into_iter().map(|p| p.path).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "1.gamma", "1.beta"]);
/// let buffers: Vec<_> = net.named_buffers().into_iter().map(|p| p.path).collect();
/// assert_eq!(buffers, ["1.running_mean", "1.running_var"]);
/// let modules: Vec<_> = net.named_modules().iter().map(ToString::to_string).collect();
/// assert_eq!(modules, ["Sequential (21)", "0: Linear (15)", "1: BatchNorm (6)"]);
///
/// net.set_parameter("0.bias", Tensor::<1>::ones([3], &device))?;
/// let bias: Tensor<1> = net.get_parameter("0.bias")?;
/// assert_eq!(bias.into_data().try_to_vec::<f32>().unwrap(), [1.0; 3]);
/// # Ok::<(), espalier::Error>(())
/// ```
pub trait ParameterTree: Module {
    /// The parameters in visit order, each once.
    fn named_parameters(&self) -> Vec<ParamInfo> {
        walk::once(self, Kind::Parameter)
    }

    /// The buffers in visit order, each once.
    fn named_buffers(&self) -> Vec<ParamInfo> {
        walk::once(self, Kind::Buffer)
    }

    /// Every module inside this one, itself (with an empty path) first, then in visit order.
    ///
    /// A module that stands in two places (a clone with the same parameters) is listed once, under
    /// its first name. What Burn shows nothing of cannot be told apart: a field that is a layer
    /// without parameters, an absent `Option` or a plain tensor is listed with an unknown type, but
    /// not where its owner holds parameters of its own (the absent bias of a `Linear`).
    fn named_modules(&self) -> Vec<ModuleInfo> {
        modules::modules(self)
    }

    /// The modules directly inside this one, in visit order, each once.
    fn named_children(&self) -> Vec<ModuleInfo> {
        modules::children(self)
    }

    /// As [`named_modules`](Self::named_modules), whose entries have names and types.
    fn modules(&self) -> Vec<ModuleInfo> {
        modules::modules(self)
    }

    /// As [`named_children`](Self::named_children), whose entries have names and types.
    fn children(&self) -> Vec<ModuleInfo> {
        modules::children(self)
    }

    /// What is known of the parameter at `path`: shape, dtype, device, trainability, owner.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, with the nearest; [`Error::Kind`] for a buffer.
    fn parameter(&self, path: &str) -> Result<ParamInfo, Error> {
        access::find(self, path, Kind::Parameter)
    }

    /// What is known of the buffer at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, with the nearest; [`Error::Kind`] for a parameter.
    fn buffer(&self, path: &str) -> Result<ParamInfo, Error> {
        access::find(self, path, Kind::Buffer)
    }

    /// The value of the parameter at `path`, tracked if it is being trained.
    ///
    /// # Errors
    ///
    /// As [`parameter`](Self::parameter); [`Error::PathRank`] if it has another rank.
    fn get_parameter<const D: usize>(&self, path: &str) -> Result<Tensor<D>, Error> {
        access::get(self, path, Kind::Parameter)
    }

    /// The value of the float buffer at `path`; of a running statistic, after the last step.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer); [`Error::PathRank`] if it has another rank,
    /// [`Error::NotFloat`] if it holds integers or booleans.
    fn get_buffer<const D: usize>(&self, path: &str) -> Result<Tensor<D>, Error> {
        access::get(self, path, Kind::Buffer)
    }

    /// Sets the values of the parameter at `path` in place: PyTorch's `p.copy_(value)`.
    ///
    /// As there, the value is converted to the parameter's dtype and moved to its device, and the
    /// parameter keeps its identity (and with it its optimizer's state) and trainability. Where it
    /// has several names (clones), all see the change.
    ///
    /// # Errors
    ///
    /// As [`parameter`](Self::parameter); [`Error::Shape`] for a value of another shape or rank.
    /// Then nothing is changed.
    fn set_parameter<const D: usize>(&mut self, path: &str, value: Tensor<D>) -> Result<(), Error> {
        access::set(self, path, value.into(), Kind::Parameter)
    }

    /// Sets the values of the float buffer at `path` in place, as
    /// [`set_parameter`](Self::set_parameter).
    ///
    /// Burn's clones share their running statistics: all see the change.
    ///
    /// # Errors
    ///
    /// As [`buffer`](Self::buffer); [`Error::Shape`] for a value of another shape or rank,
    /// [`Error::NotFloat`] if it holds integers or booleans. Then nothing is changed.
    fn set_buffer<const D: usize>(&mut self, path: &str, value: Tensor<D>) -> Result<(), Error> {
        access::set(self, path, value.into(), Kind::Buffer)
    }

    /// The gradient of the parameter at `path`: `None` if there is none, as before the first
    /// backward pass (with [`GradientsParams::new`]) or for a frozen parameter.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::optim::GradientsParams;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::ParameterTree;
    ///
    /// let device = Device::default().autodiff();
    /// let linear = LinearConfig::new(2, 1).init(&device);
    /// assert!(linear.gradient::<2>("weight", &GradientsParams::new())?.is_none());
    /// let loss = linear.forward(Tensor::<2>::ones([3, 2], &device)).sum();
    /// let grads = GradientsParams::from_grads(loss.backward(), &linear);
    /// let grad = linear.gradient::<2>("weight", &grads)?.unwrap();
    /// assert_eq!(grad.into_data().try_to_vec::<f32>().unwrap(), [3.0, 3.0]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parameter`](Self::parameter); [`Error::PathRank`] if it has another rank.
    fn gradient<const D: usize>(
        &self,
        path: &str,
        grads: &GradientsParams,
    ) -> Result<Option<Tensor<D>>, Error> {
        access::gradient(self, path, grads).map(|(_, grad)| grad)
    }

    /// As [`gradient`](Self::gradient), zeros where there is none: Gluon's `Parameter.grad()`.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    fn gradient_or_zeros<const D: usize>(
        &self,
        path: &str,
        grads: &GradientsParams,
    ) -> Result<Tensor<D>, Error> {
        let (info, grad) = access::gradient::<_, D>(self, path, grads)?;
        Ok(grad.unwrap_or_else(|| zeros_like(&info)))
    }

    /// The selected parameters and buffers: Gluon's `collect_params`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if there are none, [`Error::Selector`] if the selector does not parse.
    fn collect_params(&self, selector: impl IntoSelector) -> Result<Selection, Error> {
        selector.into_selector()?.select(self)
    }

    /// The values of the parameters as a nested tree: Flax's `params`. They are cut off from the
    /// graph.
    fn params_tree(&self) -> Tree<AnyTensor> {
        access::tree_map(self, |_, value| value.clone())
    }

    /// What `f` makes of each parameter, as a nested tree: `jax.tree.map`.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::ParameterTree;
    ///
    /// let linear = LinearConfig::new(4, 3).init(&Device::default());
    /// let shapes = linear.tree_map(|_, value| value.dims());
    /// assert_eq!(shapes.to_string(), "weight: [4, 3]\nbias: [3]\n");
    /// ```
    fn tree_map<T>(&self, f: impl FnMut(&ParamInfo, &AnyTensor) -> T) -> Tree<T> {
        access::tree_map(self, f)
    }

    /// The gradients that there are, nested as [`params_tree`](Self::params_tree).
    fn gradients_tree(&self, grads: &GradientsParams) -> Tree<AnyTensor> {
        access::gradients(self, grads)
    }

    /// Puts a tree of values in the place of the parameters, as
    /// [`set_parameter`](Self::set_parameter) does with each.
    ///
    /// # Errors
    ///
    /// [`Error::Tree`] with all that is missing, unexpected or of another shape. Then nothing is
    /// changed.
    fn set_tree(&mut self, tree: &Tree<AnyTensor>) -> Result<(), Error> {
        access::set_tree(self, tree)
    }

    /// The values of all parameters and buffers in visit order, each once: Keras's `get_weights`.
    ///
    /// They are in Burn's layout, which for dense layers is Keras's too: `[in, out]`.
    fn get_weights(&self) -> Vec<TensorData> {
        access::get_weights(self)
    }

    /// Sets the values of all parameters and buffers from a list in the order of
    /// [`get_weights`](Self::get_weights): Keras's `set_weights`.
    ///
    /// Floats are converted to the parameter's float dtype, integers to its integer dtype.
    ///
    /// # Errors
    ///
    /// [`Error::Tree`] with every array that is missing, too many, of another shape or of another
    /// kind of dtype. Then nothing is changed.
    fn set_weights(&mut self, weights: Vec<TensorData>) -> Result<(), Error> {
        access::set_weights(self, weights)
    }

    /// The tensors under PyTorch's names and in its layout: `net.state_dict()`; see
    /// [`StateDict::of`].
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::ParameterTree;
    /// use espalier::state::Strict;
    ///
    /// let linear = || LinearConfig::new(4, 3).init(&Device::default());
    /// let state = linear().state_dict();
    /// assert_eq!(state.shapes(), [("weight", &[3, 4][..]), ("bias", &[3][..])]);
    /// let mut other = linear();
    /// other.load_state_dict(&state, Strict::Yes)?;
    /// assert_eq!(other.state_dict(), state);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    fn state_dict(&self) -> StateDict {
        StateDict::of(self)
    }

    /// Replaces the tensors in place by those of a state dict: `net.load_state_dict(state)`; see
    /// [`StateDict::load_into`]. An example is at [`state_dict`](Self::state_dict).
    ///
    /// Burn's clones share their running statistics: all see the change.
    ///
    /// # Errors
    ///
    /// As [`StateDict::load_into`]. Then nothing is changed.
    fn load_state_dict(&mut self, state: &StateDict, strict: Strict) -> Result<(), Error> {
        *self = state.load_into(self.clone(), strict)?;
        Ok(())
    }

    /// The tensors of the layer at `layer` by their names in it: `net[2].state_dict()`; see
    /// [`StateDict::of_layer`].
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::ParameterTree;
    /// use espalier::nn::Sequential;
    /// use espalier::state::Strict;
    ///
    /// let linear = || LinearConfig::new(3, 3).init(&Device::default());
    /// let mut net = Sequential::new().with(linear()).with(linear());
    /// let first = net.state_dict_of("0")?;
    /// assert_eq!(first.shapes(), [("weight", &[3, 3][..]), ("bias", &[3][..])]);
    /// net.load_state_dict_of("1", &first, Strict::Yes)?;
    /// assert_eq!(net.state_dict_of("1")?, first);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`StateDict::of_layer`].
    fn state_dict_of(&self, layer: &str) -> Result<StateDict, Error> {
        StateDict::of_layer(self, layer)
    }

    /// Replaces the tensors of the layer at `layer` in place: `net[2].load_state_dict(state)`; see
    /// [`StateDict::load_into_layer`]. An example is at [`state_dict_of`](Self::state_dict_of).
    ///
    /// # Errors
    ///
    /// As [`StateDict::load_into_layer`]. Then nothing is changed.
    fn load_state_dict_of(
        &mut self,
        layer: &str,
        state: &StateDict,
        strict: Strict,
    ) -> Result<(), Error> {
        *self = state.load_into_layer(self.clone(), layer, strict)?;
        Ok(())
    }

    /// A table of all tensors with totals, and a tree of modules.
    ///
    /// Reads every value once, to count zeros.
    fn summary(&self) -> Summary {
        summary::summary(self)
    }
}

impl<M: Module> ParameterTree for M {}

/// The gradient of a parameter that the loss does not depend on.
pub(crate) fn zeros_like<const D: usize>(info: &ParamInfo) -> Tensor<D> {
    let mut dims = [0; D];
    dims.copy_from_slice(&info.shape);
    Tensor::<D>::zeros(dims, (&info.device, info.dtype)).without_autodiff()
}

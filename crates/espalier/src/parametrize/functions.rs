//! `torch.nn.utils.parametrize` by its own names, so that a port is a search and replace.

use burn::module::Module;

use super::IntoRules;
use crate::error::Error;
use crate::frame::{Cached, Leave, Parametrized};
use crate::select::{IntoSelector, Selector};

/// [`Parametrized::register`], or [`register_unsafe`](Parametrized::register_unsafe) where
/// `unsafe_` is set; returns the paths.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::{self, Symmetric};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
/// parametrize::register_parametrization(&mut net, "weight", Symmetric::new(), false)?;
/// assert!(parametrize::is_parametrized(&net, Some("weight")));
/// assert!(parametrize::is_parametrized(&net, None));
/// parametrize::remove_parametrizations(&mut net, "weight", true)?;
/// assert!(!parametrize::is_parametrized(&net, None));
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::register`].
pub fn register_parametrization<M: Module>(
    net: &mut Parametrized<M>,
    tensor_name: impl IntoSelector,
    parametrization: impl IntoRules,
    unsafe_: bool,
) -> Result<Vec<String>, Error> {
    if unsafe_ {
        net.register_unsafe(tensor_name, parametrization)
    } else {
        net.register(tensor_name, parametrization)
    }
}

/// [`Parametrized::remove`], leaving the value computed last or the original; returns the paths.
/// See [`register_parametrization`] for an example.
///
/// # Errors
///
/// As [`Parametrized::remove`].
pub fn remove_parametrizations<M: Module>(
    net: &mut Parametrized<M>,
    tensor_name: impl IntoSelector,
    leave_parametrized: bool,
) -> Result<Vec<String>, Error> {
    let leave = if leave_parametrized { Leave::Parametrized } else { Leave::Original };
    net.remove(tensor_name, leave)
}

/// Whether a rule is registered on the parameter, or anywhere without a name. An unknown name has
/// none, as in PyTorch. See [`register_parametrization`] for an example.
pub fn is_parametrized<M: Module>(net: &Parametrized<M>, tensor_name: Option<&str>) -> bool {
    match tensor_name {
        Some(path) => net.is_parametrized(path),
        None => net.has_parametrizations(),
    }
}

/// [`Parametrized::cached`]: where PyTorch has `with parametrize.cached():`, read through what is
/// returned.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::{self, Symmetric};
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
/// net.register("weight", Symmetric::new())?;
/// let scope = parametrize::cached(&net);
/// let (once, again): (Tensor<2>, Tensor<2>) = (scope.get("weight")?, scope.get("weight")?);
/// once.into_data().assert_eq(&again.into_data(), true);
/// # Ok::<(), espalier::Error>(())
/// ```
pub fn cached<M: Module>(net: &Parametrized<M>) -> Cached<'_, M> {
    net.cached()
}

/// [`Parametrized::transfer_from`], of the named parameters, or without a name of all that are
/// parametrized; returns the paths.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::{self, WeightNorm};
/// use espalier::Parametrized;
///
/// let linear = || Parametrized::new(LinearConfig::new(4, 3).init(&Device::default()));
/// let (mut from, mut to) = (linear(), linear());
/// from.register("weight", WeightNorm::dim(0))?;
/// parametrize::transfer_parametrizations_and_params(&from, &mut to, None)?;
/// let (a, b): (Tensor<2>, Tensor<2>) = (from.get("weight")?, to.get("weight")?);
/// a.into_data().assert_eq(&b.into_data(), true);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::transfer_from`]. Without a name, a network that has none is no error.
pub fn transfer_parametrizations_and_params<M: Module, N: Module>(
    from: &Parametrized<M>,
    to: &mut Parametrized<N>,
    tensor_name: Option<&str>,
) -> Result<Vec<String>, Error> {
    match tensor_name {
        Some(path) => to.transfer_from(from, path),
        None => match from.parametrized_paths() {
            paths if paths.is_empty() => Ok(paths),
            paths => to.transfer_from(from, Selector::any(paths.iter().map(Selector::path))),
        },
    }
}

/// [`Parametrized::layer_type`]: the type of the layer at a path, of the network for an empty one.
///
/// PyTorch makes a class of its own for a parametrized module, and this finds the one before. Here
/// types do not change.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::nn::Sequential;
/// use espalier::parametrize::{self, WeightNorm};
/// use espalier::Parametrized;
///
/// let net = Sequential::new().with(LinearConfig::new(4, 3).init(&Device::default()));
/// let mut net = Parametrized::new(net);
/// net.register("0.weight", WeightNorm::dim(0))?;
/// assert_eq!(parametrize::type_before_parametrizations(&net, "0")?, "Linear");
/// assert_eq!(parametrize::type_before_parametrizations(&net, "")?, "Sequential");
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NoLayer`] if there is none.
pub fn type_before_parametrizations<M: Module>(
    net: &Parametrized<M>,
    layer: &str,
) -> Result<String, Error> {
    net.layer_type(layer)
}

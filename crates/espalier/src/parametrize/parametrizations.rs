//! `torch.nn.utils.parametrizations` by its own names.

use burn::module::Module;

use super::{Orthogonal, OrthogonalMap, SpectralNorm, WeightNorm};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::select::IntoSelector;

/// Registers [`WeightNorm`] of `dim` (PyTorch's default is 0), or of the whole tensor without one.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::parametrizations::weight_norm;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(4, 3).init(&Device::default()));
/// assert_eq!(weight_norm(&mut net, "weight", Some(0))?, ["weight"]);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::register`].
pub fn weight_norm<M: Module>(
    net: &mut Parametrized<M>,
    name: impl IntoSelector,
    dim: Option<usize>,
) -> Result<Vec<String>, Error> {
    net.register(name, dim.map_or_else(WeightNorm::whole, WeightNorm::dim))
}

/// Registers [`Orthogonal`] by `orthogonal_map` (none: chosen by the shape, PyTorch's default), with
/// trivialization (PyTorch's default) or without.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::OrthogonalMap;
/// use espalier::parametrize::parametrizations::orthogonal;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(4, 3).init(&Device::default()));
/// assert_eq!(orthogonal(&mut net, "weight", Some(OrthogonalMap::Cayley), true)?, ["weight"]);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::register`].
pub fn orthogonal<M: Module>(
    net: &mut Parametrized<M>,
    name: impl IntoSelector,
    orthogonal_map: Option<OrthogonalMap>,
    use_trivialization: bool,
) -> Result<Vec<String>, Error> {
    let rule = Orthogonal::new().trivialization(use_trivialization);
    net.register(name, orthogonal_map.map_or(rule, |map| rule.map(map)))
}

/// Registers [`SpectralNorm`]. PyTorch's defaults are 1 iteration, an `eps` of 1e-12 and no `dim`,
/// which is 0, of transposed convolutions 1.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::parametrize::parametrizations::spectral_norm;
/// use espalier::Parametrized;
///
/// let mut net = Parametrized::new(LinearConfig::new(4, 3).init(&Device::default()));
/// assert_eq!(spectral_norm(&mut net, "weight", 1, 1e-12, None)?, ["weight"]);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::register`].
pub fn spectral_norm<M: Module>(
    net: &mut Parametrized<M>,
    name: impl IntoSelector,
    n_power_iterations: usize,
    eps: f64,
    dim: Option<usize>,
) -> Result<Vec<String>, Error> {
    let rule = SpectralNorm::new().power_iterations(n_power_iterations).eps(eps);
    net.register(name, dim.map_or(rule, |dim| rule.dim(dim)))
}

//! `torch.nn.utils.prune` by its own names, so that a port is a search and replace.

use burn::module::Module;
use burn::tensor::{Bool, Tensor};

use super::{
    Amount, BasePruningMethod, CustomFromMask, Identity, Importance, L1Unstructured, LnStructured,
    RandomStructured, RandomUnstructured,
};
use crate::error::Error;
use crate::frame::{Leave, Parametrized};
use crate::select::{IntoSelector, Selector};

/// A mask that keeps everything: [`Identity`].
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn identity<M: Module>(net: &mut Parametrized<M>, name: &str) -> Result<(), Error> {
    net.prune(Selector::path(name), Identity).map(drop)
}

/// Prunes values by chance: [`RandomUnstructured`].
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn random_unstructured<M: Module>(
    net: &mut Parametrized<M>,
    name: &str,
    amount: impl Into<Amount>,
    seed: u64,
) -> Result<(), Error> {
    net.prune(Selector::path(name), RandomUnstructured::new(amount, seed)).map(drop)
}

/// Prunes the values of smallest magnitude, or of lowest importance: [`L1Unstructured`].
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::{prune, Parametrized};
///
/// let mut net = Parametrized::new(LinearConfig::new(5, 4).init(&Device::default()));
/// prune::l1_unstructured(&mut net, "weight", 0.5, None)?;
/// prune::ln_structured(&mut net, "weight", 1, 2.0, 0, None)?;
/// assert!(prune::is_pruned(&net));
/// prune::remove(&mut net, "weight")?; // The zeros stay.
/// assert!(!prune::is_pruned(&net) && net.zeros("weight")? >= 10);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn l1_unstructured<M: Module>(
    net: &mut Parametrized<M>,
    name: &str,
    amount: impl Into<Amount>,
    importance_scores: Option<&Importance>,
) -> Result<(), Error> {
    by(net, name, L1Unstructured::new(amount), importance_scores)
}

/// Prunes channels by chance: [`RandomStructured`].
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn random_structured<M: Module>(
    net: &mut Parametrized<M>,
    name: &str,
    amount: impl Into<Amount>,
    dim: isize,
    seed: u64,
) -> Result<(), Error> {
    net.prune(Selector::path(name), RandomStructured::new(amount, dim, seed)).map(drop)
}

/// Prunes the channels of smallest `n`-norm: [`LnStructured`]. See [`l1_unstructured`] for an
/// example.
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn ln_structured<M: Module>(
    net: &mut Parametrized<M>,
    name: &str,
    amount: impl Into<Amount>,
    n: f64,
    dim: isize,
    importance_scores: Option<&Importance>,
) -> Result<(), Error> {
    by(net, name, LnStructured::new(amount, n, dim), importance_scores)
}

/// Prunes several parameters as one: [`Parametrized::prune_global_by`].
///
/// # Errors
///
/// As [`Parametrized::prune_global`].
pub fn global_unstructured<M: Module>(
    net: &mut Parametrized<M>,
    parameters: impl IntoSelector,
    pruning_method: impl BasePruningMethod,
    importance_scores: Option<&Importance>,
) -> Result<(), Error> {
    net.prune_global_by(parameters, pruning_method, importance_scores.unwrap_or(&Importance::new()))
        .map(drop)
}

/// Prunes where a mask is false: [`CustomFromMask`].
///
/// # Errors
///
/// As [`Parametrized::prune`].
pub fn custom_from_mask<M: Module, const D: usize>(
    net: &mut Parametrized<M>,
    name: &str,
    mask: Tensor<D, Bool>,
) -> Result<(), Error> {
    net.prune(Selector::path(name), CustomFromMask::new(mask)).map(drop)
}

/// Makes pruning permanent: the parameter stays as it is, zeros included, and has no mask any more.
/// What is parametrized as well becomes plain with it. See [`l1_unstructured`] for an example, and
/// [`Parametrized::restore`] for the way back.
///
/// # Errors
///
/// [`Error::NotPruned`] for a parameter without a mask, [`Error::NoMatch`] for an unknown name.
pub fn remove<M: Module>(net: &mut Parametrized<M>, name: &str) -> Result<(), Error> {
    net.kept(name)?;
    net.remove(Selector::path(name), Leave::Parametrized).map(drop)
}

/// Whether anything is pruned. See [`l1_unstructured`] for an example.
pub fn is_pruned<M: Module>(net: &Parametrized<M>) -> bool {
    !net.pruned_paths().is_empty()
}

fn by<M: Module>(
    net: &mut Parametrized<M>,
    name: &str,
    method: impl BasePruningMethod,
    scores: Option<&Importance>,
) -> Result<(), Error> {
    net.prune_by(Selector::path(name), method, scores.unwrap_or(&Importance::new())).map(drop)
}

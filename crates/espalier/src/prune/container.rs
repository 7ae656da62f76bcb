//! Several methods one after the other.

use std::collections::BTreeMap;

use burn::module::Module;

use super::{BasePruningMethod, PruneError, PruningType, Target};
use crate::erase::AnyModule;
use crate::error::Error;
use crate::frame::{Leave, Parametrized};
use crate::select::IntoSelector;

/// Pruning methods in their order, and the masks that they made:
/// `torch.nn.utils.prune.PruningContainer`.
///
/// As a method it prunes by each in turn. By itself it prunes a plain module, for a loop that trains
/// and applies masks by hand: [`apply_mask`](Self::apply_mask) chooses once for each parameter, and
/// from then on only puts the zeros back.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::prune::{L1Unstructured, LnStructured, PruningContainer};
/// use espalier::ParameterTree;
///
/// let mut layer = LinearConfig::new(6, 4).init(&Device::default());
/// let mut container =
///     PruningContainer::new().with(L1Unstructured::new(0.25)).with(LnStructured::new(1, 2.0, 0));
/// for _ in 0..3 {
///     // A step of training goes here.
///     layer = container.apply_mask(layer, "weight")?;
/// }
/// let kept = container.kept("weight").ok_or("a mask")?;
/// let pruned = kept.iter().filter(|kept| !**kept).count();
/// assert!((6..=12).contains(&pruned));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct PruningContainer {
    methods: Vec<Box<dyn BasePruningMethod + Send + Sync>>,
    /// Erased `Mask<D>`s by path, and the positions kept in PyTorch's layout.
    masks: BTreeMap<String, (AnyModule, Vec<bool>)>,
}

impl PruningContainer {
    /// No method yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more method.
    pub fn with(mut self, method: impl BasePruningMethod + Send + Sync + 'static) -> Self {
        self.add_pruning_method(method);
        self
    }

    /// Adds a method. Parameters that have their mask keep it.
    pub fn add_pruning_method(
        &mut self,
        method: impl BasePruningMethod + Send + Sync + 'static,
    ) -> &mut Self {
        self.methods.push(Box::new(method));
        self
    }

    /// Number of methods.
    pub fn len(&self) -> usize {
        self.methods.len()
    }

    /// Whether there is no method.
    pub fn is_empty(&self) -> bool {
        self.methods.is_empty()
    }

    /// The methods in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(dyn BasePruningMethod + Send + Sync)> {
        self.methods.iter().map(AsRef::as_ref)
    }

    /// A module with exact zeros where the selected parameters are pruned. The first time the
    /// methods choose; again, the same places become zero and nothing else is pruned.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Prune`] for options that do not fit, or
    /// for a parameter that has another shape than the mask made for its path. The container is as
    /// it was then.
    pub fn apply_mask<M: Module>(
        &mut self,
        module: M,
        selector: impl IntoSelector,
    ) -> Result<M, Error> {
        let mut net = Parametrized::new(module);
        let mut made = BTreeMap::new();
        for path in net.parameters_of(selector)? {
            match self.masks.get(&path) {
                Some((mask, _)) => net.put_mask(&path, mask)?,
                None => {
                    net.prune(crate::Selector::path(&path), &*self)?;
                    made.insert(path.clone(), (net.mask_module(&path)?, net.kept(&path)?));
                }
            }
            net.remove(crate::Selector::path(&path), Leave::Parametrized)?;
        }
        self.masks.append(&mut made);
        Ok(net.fold())
    }

    /// Which values of a parameter that was pruned are kept, row-major in PyTorch's layout.
    pub fn kept(&self, path: &str) -> Option<&[bool]> {
        self.masks.get(path).map(|(_, kept)| kept.as_slice())
    }
}

impl BasePruningMethod for PruningContainer {
    fn pruning_type(&self) -> PruningType {
        if self.iter().all(|method| method.pruning_type() == PruningType::Unstructured) {
            PruningType::Unstructured
        } else {
            PruningType::Global
        }
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        self.iter().try_for_each(|method| method.compute_mask(target))
    }

    fn compute_masks(&self, targets: &mut [Target]) -> Result<(), PruneError> {
        self.assert_unstructured()?;
        self.iter().try_for_each(|method| method.compute_masks(targets))
    }
}

//! What computes a parameter, to look at.

use std::fmt;

use super::nested::list_path;
use super::slot::{Computed, Original};
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::parametrize::{Link, describe};

/// What computes a path: see [`Parametrized::parametrizations`](super::Parametrized::parametrizations).
///
/// A picture of the moment: it shares the tensors and is not changed with the network. Displayed on
/// one line, with `{:#}` as PyTorch prints it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parametrizations {
    /// The rules' names, in the order they apply.
    pub rules: Vec<String>,
    /// The shapes of the originals, in Burn's layout.
    pub originals: Vec<Vec<usize>>,
    /// Whether the rules may change shape and dtype.
    pub is_unsafe: bool,
    /// Whether a pruning mask applies after them.
    pub is_pruned: bool,
    /// The path that this one is tied to.
    pub tied_to: Option<String>,
    path: String,
    slot: Option<Computed>,
}

impl Parametrizations {
    pub(super) fn of(path: &str, slot: Option<&Computed>, tied_to: Option<String>) -> Self {
        let rules = |slot: &Computed| slot.links.iter().map(|link| link.rule.clone()).collect();
        let shapes = |slot: &Computed| slot.originals.iter().map(|o| o.value().dims()).collect();
        Self {
            rules: slot.map(rules).unwrap_or_default(),
            originals: slot.map(shapes).unwrap_or_default(),
            is_unsafe: slot.is_some_and(|slot| slot.is_unsafe),
            is_pruned: slot.is_some_and(|slot| slot.mask.is_some()),
            tied_to,
            path: path.to_owned(),
            slot: slot.cloned().map(Computed::opened),
        }
    }

    /// The number of links.
    pub fn len(&self) -> usize {
        self.links().len()
    }

    /// Whether there is no link: the parameter is only pruned or tied.
    pub fn is_empty(&self) -> bool {
        self.links().is_empty()
    }

    /// The links, in the order they apply.
    pub fn links(&self) -> &[Link] {
        self.slot.as_ref().map_or(&[], |slot| &slot.links)
    }

    /// Link `index` as what it is, none if it is no `P` or there is none.
    pub fn link<P: 'static>(&self, index: usize) -> Option<&P> {
        self.links().get(index)?.get()
    }

    /// The names under which the originals are registered on, read and set:
    /// `fc.parametrizations.weight.original0`; none for a parameter that is only pruned.
    pub fn original_paths(&self) -> Vec<String> {
        let Some(slot) = self.slot.as_ref().filter(|slot| !slot.links.is_empty()) else {
            return Vec::new();
        };
        let list = list_path(&self.path);
        let name = |index| format!("{list}.{}", slot.original_name(index));
        (0..slot.originals.len()).map(name).collect()
    }

    /// The values of the originals.
    pub fn values(&self) -> Vec<AnyTensor> {
        self.slot
            .as_ref()
            .map_or_else(Vec::new, |slot| slot.originals.iter().map(Original::value).collect())
    }

    /// What the links make of the originals, before a mask; none for a tie to a plain parameter.
    pub fn forward(&self) -> Option<AnyTensor> {
        self.slot.as_ref().map(Computed::dense)
    }

    /// The originals for a value, through the right inverses from last to first. Nothing is
    /// changed; [`Parametrized::set`](super::Parametrized::set) assigns.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for a value of another shape, [`Error::Rule`] if a link has no right
    /// inverse or refuses the value, [`Error::NotParametrized`] for a tie to a plain parameter.
    pub fn right_inverse(&self, value: impl Into<AnyTensor>) -> Result<Vec<AnyTensor>, Error> {
        let Some(slot) = &self.slot else {
            return Err(Error::NotParametrized { path: self.path.clone() });
        };
        let (value, present) = (value.into(), slot.dense());
        let (expected, found) = (present.dims(), value.dims());
        if expected != found {
            return Err(Error::Shape { path: self.path.clone(), expected, found });
        }
        let mut slot = slot.clone();
        slot.inverted(value.conform(&present)).map_err(|(rule, source)| Error::Rule {
            path: self.path.clone(),
            rule,
            source,
        })
    }
}

impl fmt::Display for Parametrizations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.write_str("ParametrizationList(\n")?;
            for (index, link) in self.links().iter().enumerate() {
                writeln!(f, "  ({index}): {}", describe(link.rule(), link.options()))?;
            }
            return f.write_str(")");
        }
        let mut steps: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        if self.is_pruned {
            steps.push("mask");
        }
        match &self.tied_to {
            Some(to) => write!(f, "tied to {to}"),
            None => write!(f, "{} of {:?}", steps.join(", then "), self.originals),
        }
    }
}

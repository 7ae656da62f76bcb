//! The other names of tied tensors.

use std::collections::BTreeMap;

use espalier_checkpoint::NamedTensor;

use super::walk::{Entered, TorchWalk};
use crate::tree::Layout;

/// A second name of a saved tensor, in PyTorch's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alias {
    /// The name that PyTorch saves it under too.
    pub(super) name: String,
    /// The name it is saved under here.
    pub(super) of: String,
    /// Whether the alias is its transpose (of the last two dimensions) in PyTorch's layout.
    pub(super) swapped: bool,
    /// The path whose tie it is.
    pub(super) path: String,
}

/// What the ties of every wrapper in a visited module say.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// In the order of the wrappers and of their paths.
    pub(super) found: Vec<Alias>,
    /// Tied paths that no saved tensor can stand for: transposes of what is parametrized or pruned,
    /// with the path they are tied to.
    pub(super) unsaved: Vec<(String, String)>,
    /// Every tied path.
    pub(super) tied: Vec<String>,
}

impl Aliases {
    /// From a finished walk and the tensors that were visited, with their ranks.
    pub(super) fn of(walk: &TorchWalk, tensors: &[(Entered, usize)]) -> Self {
        let entered: BTreeMap<&str, &Entered> =
            walk.entered.iter().map(|entered| (entered.burn.as_str(), entered)).collect();
        let mut ties = BTreeMap::new();
        let mut order = Vec::new();
        for wrapper in &walk.wrappers {
            let at = |path: String| match wrapper.burn.as_str() {
                "" => path,
                prefix => format!("{prefix}.{path}"),
            };
            for tie in crate::frame::ties_in(&wrapper.description) {
                let path = at(tie.path);
                order.push(path.clone());
                ties.insert(path, (at(tie.to), tie.transposed));
            }
        }
        let mut aliases = Self::default();
        for path in order {
            let Some(alias) = entered.get(path.as_str()) else { continue };
            aliases.tied.push(alias.torch.clone());
            let (mut to, mut turned) = ties[&path].clone();
            // A wrapper in a wrapper may tie what others are tied to; as many steps as ties at most.
            for _ in 0..ties.len() {
                let Some((further, turn)) = ties.get(&to) else { break };
                (to, turned) = (further.clone(), turned ^ turn);
            }
            aliases.add(alias, &to, turned, tensors);
        }
        aliases
    }

    fn add(&mut self, alias: &Entered, to: &str, turned: bool, tensors: &[(Entered, usize)]) {
        let parts: Vec<(&Entered, usize, Part<'_>)> = tensors
            .iter()
            .filter_map(|(tensor, rank)| Some((tensor, *rank, Part::of(&tensor.burn, to)?)))
            .collect();
        // The layouts of the two values: those of what is shaped like them.
        let like = parts.iter().rfind(|(tensor, _, part)| {
            tensor.layer != crate::frame::SCALAR_LAYER && part.is_original()
        });
        let Some((tensor, rank, _)) = like else { return };
        let of = Layout::of(&tensor.layer, to.split('.'), *rank);
        let own = Layout::of(&alias.layer, alias.burn.split('.'), *rank);
        let swapped = *rank >= 2 && (turned ^ (of != own));
        for (tensor, _, part) in &parts {
            if swapped && !matches!(part, Part::Whole) {
                let to = tensor.torch.clone();
                self.unsaved.push((alias.torch.clone(), to));
                return;
            }
            let (name, of) = (part.name_under(&alias.torch), tensor.torch.clone());
            let path = alias.torch.clone();
            self.found.push(Alias { name, of, swapped, path });
        }
    }

    /// Every name of the tensor saved as `name`: its own first.
    pub(super) fn names_of<'a>(&'a self, name: &'a str) -> Vec<(&'a str, bool)> {
        let others = self.found.iter().filter(|alias| alias.of == name);
        let others = others.map(|alias| (alias.name.as_str(), alias.swapped));
        std::iter::once((name, false)).chain(others).collect()
    }
}

/// Which tensor of a parameter one is, by its name.
enum Part<'a> {
    /// The parameter itself.
    Whole,
    /// `_orig` or `_mask`.
    Pruned(&'a str),
    /// What follows `parametrizations.weight.`.
    Chain(&'a str),
}

impl<'a> Part<'a> {
    fn of(burn: &'a str, path: &str) -> Option<Self> {
        if burn == path {
            return Some(Self::Whole);
        }
        if let Some(suffix) = burn.strip_prefix(path)
            && ["_orig", "_mask"].contains(&suffix)
        {
            return Some(Self::Pruned(suffix));
        }
        let (parent, leaf) = split(path);
        let rest = burn.strip_prefix(parent)?.strip_prefix("parametrizations.")?;
        Some(Self::Chain(rest.strip_prefix(leaf)?.strip_prefix('.')?))
    }

    /// Whether it is a parameter, rather than a mask or the state of a rule.
    fn is_original(&self) -> bool {
        match self {
            Self::Whole => true,
            Self::Pruned(suffix) => *suffix == "_orig",
            Self::Chain(rest) => rest.starts_with("original"),
        }
    }

    fn name_under(&self, path: &str) -> String {
        let (parent, leaf) = split(path);
        match self {
            Self::Whole => path.to_owned(),
            Self::Pruned(suffix) => format!("{path}{suffix}"),
            Self::Chain(rest) => format!("{parent}parametrizations.{leaf}.{rest}"),
        }
    }
}

/// Whether the tensor saved as `burn` is the parameter at `path`, or one it is computed from.
pub(crate) fn is_part(burn: &str, path: &str) -> bool {
    Part::of(burn, path).is_some()
}

/// The owner with its dot, and the last component.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('.').map_or(0, |dot| dot + 1))
}

/// The tensor under another name, its last two dimensions swapped if `swapped`.
///
/// Nothing if they cannot be: fewer than two dimensions, or elements that are not whole bytes or not in
/// memory.
pub(super) fn renamed(tensor: &NamedTensor, name: &str, swapped: bool) -> Option<NamedTensor> {
    if !swapped {
        return Some(tensor.clone().with_name(name));
    }
    let (bits, mut shape) = (tensor.dtype().size_bits(), tensor.shape().to_vec());
    let last = shape.len().checked_sub(1)?;
    if last == 0 || bits % 8 != 0 {
        return None;
    }
    let (rows, columns, width) = (shape[last - 1], shape[last], bits / 8);
    let old = tensor.loaded()?;
    let mut bytes = Vec::with_capacity(old.len());
    for matrix in old.chunks_exact((rows * columns * width).max(1)) {
        for column in 0..columns {
            for row in 0..rows {
                let at = (row * columns + column) * width;
                bytes.extend_from_slice(&matrix[at..at + width]);
            }
        }
    }
    shape.swap(last - 1, last);
    NamedTensor::new(name, tensor.dtype(), shape, bytes).ok()
}

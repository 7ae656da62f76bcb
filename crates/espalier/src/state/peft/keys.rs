//! PEFT's names and shapes of adapters, and the adapters of a module.

use std::collections::BTreeSet;

use espalier_checkpoint::NamedTensor;

use super::super::alias::renamed;
use super::super::save::Save;
use super::super::walk::TorchWalk;
use super::PeftFault;
use crate::frame::{DescribedLink, links_in};

/// What PEFT puts before the names of the module.
pub(super) const PREFIX: &str = "base_model.model.";

/// The two matrices, `lora_A` and `lora_B`.
pub(super) const SIDES: [&str; 2] = ["lora_A", "lora_B"];

/// How PEFT lays an adapter out, by the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Linear,
    /// With the kernel's dimensions in `lora_A`, and as many ones in `lora_B`.
    Conv(usize),
    /// Both matrices transposed and exchanged.
    Embedding,
}

impl Kind {
    fn of(layer: &str) -> Option<Self> {
        Some(match layer {
            "Linear" | "LazyLinear" => Self::Linear,
            "Embedding" => Self::Embedding,
            "Conv1d" | "LazyConv1d" => Self::Conv(1),
            "Conv2d" | "LazyConv2d" => Self::Conv(2),
            "Conv3d" | "LazyConv3d" => Self::Conv(3),
            _ => return None,
        })
    }
}

/// An adapter in a module.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The path of the layer, in PyTorch's names.
    pub(super) module: String,
    pub(super) kind: Kind,
    /// The names of `lora_A` and `lora_B` here.
    pub(super) names: [String; 2],
    pub(super) rank: usize,
    pub(super) alpha: f64,
    /// Of the weight, in PyTorch's layout.
    weight: Vec<usize>,
}

impl Site {
    /// The adapters of what was visited, in its order.
    pub(super) fn all(save: &Save) -> Result<Vec<Self>, PeftFault> {
        let mut sites: Vec<Self> = Vec::new();
        for tensor in save.out.iter() {
            let Some(chain) = tensor.name().strip_suffix(".lora_A") else { continue };
            let Some((path, link)) = link_of(&save.walk, chain) else { continue };
            let rank = tensor.shape().first().copied().unwrap_or_default();
            let module = path.strip_suffix(".weight").unwrap_or(&path).to_owned();
            if module == path {
                return Err(PeftFault::Place { path });
            }
            if sites.iter().any(|site| site.module == module) {
                return Err(PeftFault::Twice { path });
            }
            let layer = layer_of(&save.walk, &module).unwrap_or_default();
            let Some(kind) = Kind::of(layer) else {
                return Err(PeftFault::Layer { path, layer: layer.to_owned() });
            };
            let alpha = link.options.get("alpha").and_then(serde_json::Value::as_f64);
            let original = |name: &str| is_original_of(name, &module);
            let weight = save.out.iter().find(|tensor| original(tensor.name()));
            sites.push(Self {
                names: SIDES.map(|side| format!("{chain}.{side}")),
                module,
                kind,
                rank,
                alpha: alpha.unwrap_or(rank as f64),
                weight: weight.map(|weight| weight.shape().to_vec()).unwrap_or_default(),
            });
        }
        Ok(sites)
    }

    pub(super) fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// PEFT's name and shape of side 0 or 1.
    pub(super) fn theirs(&self, side: usize) -> (String, Vec<usize>) {
        let (module, name) = (&self.module, SIDES[side]);
        let (outputs, inputs) = self.weight.split_at_checked(1).unwrap_or((&[], &[]));
        let (outputs, width) = (outputs.iter().product(), inputs.iter().product());
        let rank = self.rank;
        let ones = |count| std::iter::repeat_n(1, count);
        match (self.kind, side) {
            (Kind::Linear, 0) => (format!("{PREFIX}{module}.{name}.weight"), vec![rank, width]),
            (Kind::Linear, _) => (format!("{PREFIX}{module}.{name}.weight"), vec![outputs, rank]),
            (Kind::Conv(_), 0) => {
                let shape = std::iter::once(rank).chain(inputs.iter().copied()).collect();
                (format!("{PREFIX}{module}.{name}.weight"), shape)
            }
            (Kind::Conv(kernel), _) => {
                let shape = [outputs, rank].into_iter().chain(ones(kernel)).collect();
                (format!("{PREFIX}{module}.{name}.weight"), shape)
            }
            (Kind::Embedding, _) => {
                let name = name.replace("lora_", "lora_embedding_");
                let shape = if side == 0 { vec![rank, outputs] } else { vec![width, rank] };
                (format!("{PREFIX}{module}.{name}"), shape)
            }
        }
    }

    /// Which of our matrices side 0 or 1 of PEFT's is.
    pub(super) fn ours(&self, side: usize) -> usize {
        if self.kind == Kind::Embedding { 1 - side } else { side }
    }

    /// Our matrix as PEFT's `side`.
    pub(super) fn encode(&self, ours: &NamedTensor, side: usize) -> Option<NamedTensor> {
        let (name, shape) = self.theirs(side);
        reshaped(ours, &name, shape, self.kind == Kind::Embedding)
    }

    /// PEFT's `side`, in its shape, as our matrix.
    pub(super) fn decode(&self, theirs: &NamedTensor, side: usize) -> Option<NamedTensor> {
        let (outputs, inputs) = self.weight.split_first()?;
        let ours = self.ours(side);
        let width = inputs.iter().product();
        let shape = if ours == 0 { vec![self.rank, width] } else { vec![*outputs, self.rank] };
        reshaped(theirs, &self.names[ours], shape, self.kind == Kind::Embedding)
    }
}

/// The same bytes in another shape, or those of the transpose.
fn reshaped(
    tensor: &NamedTensor,
    name: &str,
    shape: Vec<usize>,
    transposed: bool,
) -> Option<NamedTensor> {
    if transposed {
        return renamed(tensor, name, true);
    }
    NamedTensor::new(name, tensor.dtype(), shape, tensor.loaded()?.to_vec()).ok()
}

/// The path of the parameter whose chain this is (`fc.parametrizations.weight.0`, in PyTorch's names), and
/// the link; none if it is no [`Lora`](crate::parametrize::Lora).
fn link_of(walk: &TorchWalk, chain: &str) -> Option<(String, DescribedLink)> {
    let (list, index) = chain.rsplit_once('.')?;
    let index: usize = index.parse().ok()?;
    let entered = walk.entered.iter().find(|entered| entered.torch == list)?;
    let path = |list: &str| -> Option<String> {
        let (owner, leaf) = match list.rsplit_once(".parametrizations.") {
            Some((owner, leaf)) => (format!("{owner}."), leaf),
            None => (String::new(), list.strip_prefix("parametrizations.")?),
        };
        Some(format!("{owner}{leaf}"))
    };
    let burn = path(&entered.burn)?;
    // The innermost wrapper has the slot.
    let mut links = walk.wrappers.iter().flat_map(|wrapper| {
        let prefix = match wrapper.burn.as_str() {
            "" => String::new(),
            burn => format!("{burn}."),
        };
        let own = burn.strip_prefix(&prefix).map(str::to_owned);
        own.into_iter().flat_map(|own| links_in(&wrapper.description, &own))
    });
    let link = links.find(|link| link.index == index && link.rule == "lora")?;
    Some((path(list)?, link))
}

/// The type of a layer that holds a parametrized weight.
fn layer_of<'a>(walk: &'a TorchWalk, module: &str) -> Option<&'a str> {
    let list = format!("{module}.parametrizations");
    let entered = walk.entered.iter().find(|entered| entered.torch == list)?;
    Some(&entered.layer)
}

/// Whether `name` is what the weight of a module with a chain is computed from.
fn is_original_of(name: &str, module: &str) -> bool {
    let rest = name.strip_prefix(module).and_then(|rest| rest.strip_prefix(".parametrizations."));
    rest.is_some_and(|rest| ["weight.original", "weight.original_orig"].contains(&rest))
}

/// The paths of all layers that hold a tensor, in PyTorch's names.
pub(super) fn modules(walk: &TorchWalk) -> BTreeSet<&str> {
    let owners = walk.entered.iter().filter_map(|entered| entered.torch.rsplit_once('.'));
    owners.map(|(owner, _)| owner).filter(|owner| !owner.contains("parametrizations")).collect()
}

/// What a name in PEFT's file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// A matrix of the adapter of a module: the module, the side, the adapter's name (PEFT leaves it out
    /// where it saves one alone).
    Matrix { module: &'a str, side: usize, adapter: &'a str },
    /// A tensor of the module itself.
    Plain(String),
    /// Something that changes what the adapter computes.
    Unsupported(&'static str),
    /// Not PEFT's.
    Foreign,
}

impl<'a> Name<'a> {
    pub(super) fn of(name: &'a str) -> Self {
        let Some(rest) = name.strip_prefix(PREFIX) else { return Self::Foreign };
        for (side, sides) in SIDES.iter().enumerate() {
            let Some((module, tail)) = rest.split_once(&format!(".{sides}.")) else { continue };
            if tail.ends_with("bias") {
                return Self::Unsupported("`lora_bias`");
            }
            let adapter = tail.strip_suffix("weight").unwrap_or(tail).trim_end_matches('.');
            return Self::Matrix { module, side, adapter };
        }
        for (side, letter) in ["A", "B"].into_iter().enumerate() {
            let Some((module, tail)) = rest.split_once(&format!(".lora_embedding_{letter}")) else {
                continue;
            };
            return Self::Matrix { module, side, adapter: tail.trim_start_matches('.') };
        }
        if rest.contains(".lora_magnitude_vector") {
            return Self::Unsupported("`use_dora`");
        }
        Self::Plain(rest.replace(".base_layer.", "."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peft_are_told_apart() {
        let name = |rest: &'static str| format!("{PREFIX}{rest}");
        let matrix = |side, adapter| Name::Matrix { module: "a.fc", side, adapter };
        for (rest, expected) in [
            ("a.fc.lora_A.weight", matrix(0, "")),
            ("a.fc.lora_B.default.weight", matrix(1, "default")),
            ("a.fc.lora_embedding_A", matrix(0, "")),
            ("a.fc.lora_embedding_B.default", matrix(1, "default")),
            ("a.fc.base_layer.weight", Name::Plain("a.fc.weight".to_owned())),
            ("a.fc.bias", Name::Plain("a.fc.bias".to_owned())),
            ("a.fc.lora_B.bias", Name::Unsupported("`lora_bias`")),
            ("a.fc.lora_magnitude_vector", Name::Unsupported("`use_dora`")),
        ] {
            assert_eq!(Name::of(&name(rest)), expected, "{rest}");
        }
        assert_eq!(Name::of("a.fc.lora_A.weight"), Name::Foreign);
    }
}

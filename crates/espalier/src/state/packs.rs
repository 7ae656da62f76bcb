//! What PyTorch keeps as one tensor and Burn as several: the gates of recurrent layers, the projections of
//! attention.
//!
//! | layer of Burn | order of the parts | PyTorch's names |
//! | --- | --- | --- |
//! | `Lstm` | input, forget, cell, output | `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0` |
//! | `Gru` (`reset_after`) | reset, update, new | the same |
//! | `Rnn` | one gate | the same |
//! | `BiLstm`, `BiGru`, `BiRnn` | as above | the same, and with `_reverse` |
//! | `MultiHeadAttention` | query, key, value | `in_proj_weight`, `in_proj_bias`; `output` is `out_proj` |
//!
//! Source: the docs of `torch.nn.LSTM`, `GRU`, `RNN` and `MultiheadAttention` (shapes of the variables).

use std::borrow::Cow;
use std::collections::BTreeMap;

use espalier_checkpoint::{Checkpoint, NamedTensor};

use super::alias::split;
use super::report::{LoadReport, Mismatch};
use super::walk::TorchWalk;

/// A tensor of PyTorch and those it is joined of along its first dimension.
#[derive(Debug, PartialEq, Eq)]
struct Pack {
    name: String,
    parts: Vec<String>,
}

/// The packs and renamed layers of a module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Packs {
    packs: Vec<Pack>,
    /// Layers that PyTorch calls otherwise: prefixes of names, with their dot, here and there.
    layers: Vec<(String, String)>,
}

/// What a file has wrongly packed.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    mismatched: Vec<Mismatch>,
    /// The parts of those.
    parts: Vec<String>,
}

/// PyTorch's names for the transforms of a gate.
const TRANSFORMS: [(&str, &str); 4] = [
    ("input_transform.weight", "weight_ih_l0"),
    ("hidden_transform.weight", "weight_hh_l0"),
    ("input_transform.bias", "bias_ih_l0"),
    ("hidden_transform.bias", "bias_hh_l0"),
];

/// Layers whose names tell how PyTorch packs them.
const PACKED: [&str; 7] = ["Lstm", "Gru", "Rnn", "BiLstm", "BiGru", "BiRnn", "MultiHeadAttention"];

/// The parts of a recurrent layer, in PyTorch's order.
fn gates(layer: &str) -> Option<&'static [&'static str]> {
    Some(match layer {
        "Lstm" => &["input_gate", "forget_gate", "cell_gate", "output_gate"],
        "Gru" => &["reset_gate", "update_gate", "new_gate"],
        "Rnn" => &["gate"],
        _ => return None,
    })
}

impl Packs {
    /// From a finished walk.
    pub(super) fn of(walk: &TorchWalk) -> Self {
        let mut packs = Self::default();
        // The type that holds a name, for each layer that holds any.
        let mut types: BTreeMap<&str, &str> = BTreeMap::new();
        let mut order = Vec::new();
        for entered in &walk.entered {
            let (owner, _) = split(&entered.torch);
            // A wrapper puts names of its own beside the layer's.
            if PACKED.contains(&entered.layer.as_str()) && !types.contains_key(owner) {
                types.insert(owner, &entered.layer);
                order.push(owner);
            }
        }
        for owner in order {
            let layer = types[owner];
            if let Some(gates) = gates(layer) {
                packs.add_recurrent(owner, gates, &types);
            } else if layer == "MultiHeadAttention" {
                packs.add_attention(owner);
            }
        }
        packs
    }

    fn add_recurrent(&mut self, owner: &str, gates: &[&str], types: &BTreeMap<&str, &str>) {
        // `forward` and `reverse` of a layer of two directions.
        let (above, leaf) = split(owner.strip_suffix('.').unwrap_or(owner));
        let two = types.get(above).is_some_and(|layer| layer.starts_with("Bi"));
        let (base, suffix) = match (two, leaf) {
            (true, "reverse") => (above, "_reverse"),
            (true, _) => (above, ""),
            (false, _) => (owner, ""),
        };
        for (part, torch) in TRANSFORMS {
            let name = format!("{base}{torch}{suffix}");
            let parts = gates.iter().map(|gate| format!("{owner}{gate}.{part}")).collect();
            self.packs.push(Pack { name, parts });
        }
    }

    fn add_attention(&mut self, owner: &str) {
        for part in ["weight", "bias"] {
            let name = format!("{owner}in_proj_{part}");
            let parts = ["query", "key", "value"].map(|of| format!("{owner}{of}.{part}")).into();
            self.packs.push(Pack { name, parts });
        }
        self.layers.push((format!("{owner}output."), format!("{owner}out_proj.")));
    }

    /// The file with its packed tensors taken apart, where the module has the parts.
    ///
    /// `shape_of` gives the module's shape of a name. A file that has parts already keeps them.
    pub(super) fn unpack<'a>(
        &self,
        file: &'a Checkpoint,
        shape_of: impl Fn(&str) -> Option<Vec<usize>>,
    ) -> (Cow<'a, Checkpoint>, Unpacked) {
        let mut unpacked = Unpacked::default();
        let mut split_up: BTreeMap<&str, Vec<NamedTensor>> = BTreeMap::new();
        for Pack { name, parts } in &self.packs {
            let Some(tensor) = file.get(name) else { continue };
            let shapes: Option<Vec<Vec<usize>>> = parts.iter().map(|part| shape_of(part)).collect();
            let Some(shapes) = shapes else { continue };
            if parts.iter().any(|part| file.get(part).is_some()) {
                continue;
            }
            let Some(expected) = joined(&shapes) else { continue };
            if tensor.shape() != expected {
                let (name, found) = (name.clone(), tensor.shape().to_vec());
                unpacked.mismatched.push(Mismatch { name, expected, found });
                unpacked.parts.extend(parts.iter().cloned());
            } else if let Some(tensors) = take_apart(tensor, parts, shapes) {
                split_up.insert(name, tensors);
            }
        }
        let named = |name: &str| {
            let (here, there) = self.layers.iter().find(|(_, there)| name.starts_with(there))?;
            let name = format!("{here}{}", &name[there.len()..]);
            file.get(&name).is_none().then_some(name)
        };
        if split_up.is_empty() && !file.names().any(|name| named(name).is_some()) {
            return (Cow::Borrowed(file), unpacked);
        }
        let mut out = Checkpoint::new();
        out.metadata.clone_from(&file.metadata);
        for tensor in file.iter() {
            let tensors = match split_up.remove(tensor.name()) {
                Some(tensors) => tensors,
                None => match named(tensor.name()) {
                    Some(name) => vec![tensor.clone().with_name(name)],
                    None => vec![tensor.clone()],
                },
            };
            for tensor in tensors {
                // Neither the parts nor the new names are in the file.
                let _ = out.push(tensor);
            }
        }
        (Cow::Owned(out), unpacked)
    }

    /// The tensors as PyTorch packs them: those whose parts are all there, in one type.
    ///
    /// Parts that are parametrized or pruned are not, and stay as they are.
    pub(super) fn pack(&self, saved: Checkpoint) -> Checkpoint {
        // By the part in whose place it comes, and the parts that vanish.
        let mut packed: BTreeMap<&str, Option<NamedTensor>> = BTreeMap::new();
        for Pack { name, parts } in &self.packs {
            let tensors: Option<Vec<&NamedTensor>> =
                parts.iter().map(|part| saved.get(part)).collect();
            let Some(tensor) = tensors.and_then(|tensors| put_together(name, &tensors)) else {
                continue;
            };
            packed.extend(parts.iter().map(|part| (part.as_str(), None)));
            packed.extend(parts.first().map(|first| (first.as_str(), Some(tensor))));
        }
        let mut out = Checkpoint::new();
        out.metadata.clone_from(&saved.metadata);
        for tensor in saved.iter() {
            let here = |(here, _): &&(String, String)| tensor.name().starts_with(here);
            let tensor = match packed.remove(tensor.name()) {
                Some(packed) => packed,
                None => match self.layers.iter().find(here) {
                    Some((here, there)) => {
                        let name = format!("{there}{}", &tensor.name()[here.len()..]);
                        Some(tensor.clone().with_name(name))
                    }
                    None => Some(tensor.clone()),
                },
            };
            // PyTorch's names are no names of Burn's layers.
            let _ = tensor.map(|tensor| out.push(tensor));
        }
        out
    }
}

impl Unpacked {
    /// What is wrong with a packed tensor, in place of what is said of its parts.
    pub(super) fn report(self, report: &mut LoadReport) {
        report.missing.retain(|name| !self.parts.contains(name));
        let is_packed = |name: &String| self.mismatched.iter().any(|wrong| wrong.name == *name);
        report.unexpected.retain(|name| !is_packed(name));
        report.mismatched.extend(self.mismatched);
    }
}

/// The shape of tensors of these shapes one below the other.
fn joined(shapes: &[Vec<usize>]) -> Option<Vec<usize>> {
    let (_, below) = shapes.first()?.split_first()?;
    let mut rows = 0;
    for shape in shapes {
        let (own, rest) = shape.split_first()?;
        rows += own;
        if rest != below {
            return None;
        }
    }
    Some([&[rows], below].concat())
}

/// None if the elements are not whole bytes or not in memory.
fn take_apart(
    tensor: &NamedTensor,
    parts: &[String],
    shapes: Vec<Vec<usize>>,
) -> Option<Vec<NamedTensor>> {
    let mut bytes = tensor.loaded()?;
    let bits = tensor.dtype().size_bits();
    let mut out = Vec::with_capacity(parts.len());
    for (part, shape) in parts.iter().zip(shapes) {
        let bits = shape.iter().product::<usize>() * bits;
        let own = bits.is_multiple_of(8).then(|| bytes.split_off(..bits / 8))??;
        out.push(NamedTensor::new(part, tensor.dtype(), shape, own.to_vec()).ok()?);
    }
    Some(out)
}

fn put_together(name: &str, parts: &[&NamedTensor]) -> Option<NamedTensor> {
    let dtype = parts.first()?.dtype();
    if parts.iter().any(|part| part.dtype() != dtype) {
        return None;
    }
    let shapes: Vec<Vec<usize>> = parts.iter().map(|part| part.shape().to_vec()).collect();
    let bytes: Option<Vec<&[u8]>> = parts.iter().map(|part| part.loaded()).collect();
    NamedTensor::new(name, dtype, joined(&shapes)?, bytes?.concat()).ok()
}

//! `[[layer]]` read: its name, what it takes, and its type's options.

use std::collections::BTreeSet;

use super::kinds::Layer;
use super::{LayerSpec, activation, conv, join, linear, nest, norm, pool, sequence, shape};
use crate::reference::{self, Reference};
use crate::text::{Cursor, Spanned, quoted};

/// Reads a layer's options.
pub(super) type Reader = fn(&mut Cursor<'_>) -> Option<Layer>;

/// In the order in which messages list them.
pub(super) const TYPES: &[(&str, Reader)] = &[
    ("conv2d", conv::conv2d),
    ("conv1d", conv::conv1d),
    ("conv_transpose2d", conv::conv_transpose2d),
    ("conv_transpose1d", conv::conv_transpose1d),
    ("linear", linear::linear),
    ("embedding", linear::embedding),
    ("rnn", sequence::rnn),
    ("lstm", sequence::lstm),
    ("gru", sequence::gru),
    ("attention", sequence::attention),
    ("positions", |_| Some(Layer::Positions)),
    ("scale", linear::scale),
    ("batch_norm", norm::batch_norm),
    ("layer_norm", norm::layer_norm),
    ("group_norm", norm::group_norm),
    ("instance_norm", norm::instance_norm),
    ("rms_norm", norm::rms_norm),
    ("relu", |_| Some(Layer::Relu)),
    ("leaky_relu", activation::leaky_relu),
    ("gelu", |_| Some(Layer::Gelu)),
    ("sigmoid", |_| Some(Layer::Sigmoid)),
    ("tanh", |_| Some(Layer::Tanh)),
    ("silu", |_| Some(Layer::Silu)),
    ("mish", |_| Some(Layer::Mish)),
    ("elu", activation::elu),
    ("selu", |_| Some(Layer::Selu)),
    ("softplus", activation::softplus),
    ("hard_swish", |_| Some(Layer::HardSwish)),
    ("prelu", activation::prelu),
    ("softmax", activation::softmax),
    ("log_softmax", activation::log_softmax),
    ("max_pool2d", pool::max_pool2d),
    ("avg_pool2d", pool::avg_pool2d),
    ("max_pool1d", pool::max_pool1d),
    ("avg_pool1d", pool::avg_pool1d),
    ("adaptive_avg_pool2d", pool::adaptive_avg_pool2d),
    ("adaptive_avg_pool1d", pool::adaptive_avg_pool1d),
    ("global_avg_pool", |_| Some(Layer::GlobalAvgPool)),
    ("global_max_pool", |_| Some(Layer::GlobalMaxPool)),
    ("dropout", norm::dropout),
    ("flatten", |_| Some(Layer::Flatten)),
    ("reshape", shape::reshape),
    ("transpose", shape::transpose),
    ("upsample", shape::upsample),
    ("pad", shape::pad),
    ("identity", |_| Some(Layer::Identity)),
    ("shortcut", join::shortcut),
    ("route", join::route),
    ("mul", |_| Some(Layer::Mul)),
    ("block", nest::block),
    ("repeat", nest::repeat),
    ("reuse", nest::reuse),
];

/// Reads the `[[layer]]` of a table that must have some.
#[doc(hidden)]
pub fn layers(table: &mut Cursor<'_>) -> Vec<Spanned<LayerSpec>> {
    let expected = "tables `[[layer]]`, one for each layer";
    let node = table.require("layer", expected);
    if let Some(node) = node
        && node.is_array()
        && node.elements(expected).is_some_and(|layers| layers.is_empty())
    {
        node.refuse("found no layer", expected, None);
    }
    // A network without layers has been reported; `each` reads those there are.
    let mut names = BTreeSet::new();
    table.each("layer", |table| layer(table, &mut names))
}

/// Reads one `[[layer]]`; `names` are those of the layers before.
fn layer(table: &mut Cursor<'_>, names: &mut BTreeSet<String>) -> Option<LayerSpec> {
    // Which other keys are right only the type can say.
    let read = table.choice("type", TYPES)?;
    let name = name(table, names);
    let from = from(table);
    let layer = read(table);
    table.finish();
    Some(LayerSpec { name, from: from?, layer: layer? })
}

/// A repeat has its layers' names once an iteration.
const LONGEST_NAME: usize = 100;

fn name(table: &mut Cursor<'_>, names: &mut BTreeSet<String>) -> Option<String> {
    let node = table.get("name")?;
    let name = node.string("a name for messages and references")?.to_owned();
    if name.len() > LONGEST_NAME {
        let found = format!("found {} bytes", name.len());
        node.refuse(found, format!("a name of at most {LONGEST_NAME}"), None);
        return None;
    }
    if name == "input" {
        let expected = "another name: `input` is what the network is given";
        node.refuse("found \"input\"", expected, None);
    } else if names.contains(&name) {
        let message = format!("{} is an earlier layer's name", quoted(&name));
        node.refuse(message, "a name of its own", None);
    }
    names.insert(name.clone());
    Some(name)
}

/// `from`: one reference or several; nothing where it is wrong.
fn from(table: &mut Cursor<'_>) -> Option<Vec<Spanned<Reference>>> {
    let Some(node) = table.get("from") else { return Some(Vec::new()) };
    if node.is_array() {
        return node.list(reference::EXPECTED, reference::reference);
    }
    reference::reference(&node).map(|one| vec![node.spanned(one)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_name_reads_as_its_own_layer() {
        for (name, _) in TYPES {
            let text = format!(
                "type = \"{name}\"\nchannels = 2\nkernel = 2\nfeatures = 2\noutput = \"last\"\n\
                 probability = 0.5\ngroups = 1\nheads = 2\nshape = [-1]\nscale = 2\nsides = 1\n\
                 times = 2\nof = 0\nlayer = [{{ type = \"relu\" }}]"
            );
            let text = match name.starts_with("adaptive") {
                true => text.replace("\"last\"", "2"),
                false => text,
            };
            let document = toml_edit::Document::parse(text.as_str()).unwrap();
            let log = crate::text::Log::new(&text);
            let mut table = Cursor::new(&log, document.as_table(), String::new(), 0..0);
            // Keys of the other types are unknown, but the layer itself is complete.
            let read = layer(&mut table, &mut BTreeSet::new());
            assert_eq!(read.map(|spec| spec.layer.type_name()), Some(*name));
        }
    }
}

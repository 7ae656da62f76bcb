//! Layers made of layers: `block`, `repeat` and `reuse`.

use toml_edit::ArrayOfTables;

use super::kinds::Layer;
use super::read::layers;
use super::write::{Writer, to_table};
use crate::reference;
use crate::text::Cursor;

pub(super) fn block(table: &mut Cursor<'_>) -> Option<Layer> {
    let layers = layers(table);
    if layers.is_empty() { None } else { Some(Layer::Block { layers }) }
}

pub(super) fn repeat(table: &mut Cursor<'_>) -> Option<Layer> {
    let times = table.count("times", 1);
    let layers = layers(table);
    if layers.is_empty() { None } else { Some(Layer::Repeat { times: times?, layers }) }
}

pub(super) fn reuse(table: &mut Cursor<'_>) -> Option<Layer> {
    let node = table.require("of", reference::EXPECTED)?;
    Some(Layer::Reuse { of: node.spanned(reference::reference(&node)?) })
}

pub(super) fn write(layer: &Layer, out: &mut Writer) {
    let (Layer::Block { layers } | Layer::Repeat { layers, .. }) = layer else {
        if let Layer::Reuse { of } = layer {
            out.value("of", of.value.to_toml());
        }
        return;
    };
    if let Layer::Repeat { times, .. } = layer {
        out.put("times", times);
    }
    let tables: ArrayOfTables = layers.iter().map(|layer| to_table(&layer.value)).collect();
    out.0.insert("layer", tables.into());
}

//! A layer's options as TOML.

use toml_edit::{Array, Table, Value};

use super::kinds::{Interpolation, Layer, Per, Recurrence, SequenceOutput};
use super::{LayerSpec, activation, conv, join, linear, nest, norm, pool, sequence, shape};

/// An option's value.
pub(super) trait ToToml {
    fn to_toml(&self) -> Value;
}

impl ToToml for usize {
    fn to_toml(&self) -> Value {
        i64::try_from(*self).unwrap_or(i64::MAX).into()
    }
}

impl ToToml for isize {
    fn to_toml(&self) -> Value {
        (*self as i64).into()
    }
}

impl ToToml for f64 {
    fn to_toml(&self) -> Value {
        (*self).into()
    }
}

impl ToToml for bool {
    fn to_toml(&self) -> Value {
        (*self).into()
    }
}

impl ToToml for &str {
    fn to_toml(&self) -> Value {
        (*self).into()
    }
}

/// A pair of equal sides as the one number that means it.
impl ToToml for [usize; 2] {
    fn to_toml(&self) -> Value {
        match self {
            [height, width] if height == width => height.to_toml(),
            sides => list(sides),
        }
    }
}

impl ToToml for Per {
    fn to_toml(&self) -> Value {
        let name = match self {
            Self::Layer => "layer",
            Self::Channel => "channel",
            Self::Element => "element",
        };
        name.into()
    }
}

impl ToToml for Recurrence {
    fn to_toml(&self) -> Value {
        let name = match self {
            Self::Tanh => "tanh",
            Self::Relu => "relu",
        };
        name.into()
    }
}

impl ToToml for SequenceOutput {
    fn to_toml(&self) -> Value {
        let name = match self {
            Self::Sequence => "sequence",
            Self::Last => "last",
        };
        name.into()
    }
}

impl ToToml for Interpolation {
    fn to_toml(&self) -> Value {
        let name = match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
        };
        name.into()
    }
}

/// Always an array.
pub(super) fn list<T: ToToml>(values: &[T]) -> Value {
    Value::Array(values.iter().map(ToToml::to_toml).collect::<Array>())
}

/// The table of a layer being written.
pub(super) struct Writer(pub(super) Table);

impl Writer {
    pub(super) fn value(&mut self, key: &str, value: Value) {
        self.0.insert(key, value.into());
    }

    pub(super) fn put(&mut self, key: &str, value: &impl ToToml) {
        self.value(key, value.to_toml());
    }

    /// Leaves out what is the default.
    pub(super) fn unless<T: ToToml + PartialEq>(&mut self, key: &str, value: &T, default: T) {
        if *value != default {
            self.put(key, value);
        }
    }
}

/// The options that are not the default's.
pub(super) fn options(layer: &Layer) -> Table {
    let mut out = Writer(Table::new());
    let families =
        [linear::write, conv::write, pool::write, norm::write, activation::write, sequence::write];
    // Each writes the layers of its own family, and nothing of the others.
    for write in families.into_iter().chain([shape::write, join::write, nest::write]) {
        write(layer, &mut out);
    }
    out.0
}

/// The layer as a `[[layer]]`.
pub(crate) fn to_table(spec: &LayerSpec) -> Table {
    let mut out = Table::new();
    if let Some(name) = &spec.name {
        out.insert("name", name.into());
    }
    out.insert("type", spec.layer.type_name().into());
    match spec.from.as_slice() {
        [] => {}
        [one] => drop(out.insert("from", one.value.to_toml().into())),
        several => {
            let several: Array = several.iter().map(|one| one.value.to_toml()).collect();
            out.insert("from", Value::Array(several).into());
        }
    }
    out.extend(options(&spec.layer));
    out
}

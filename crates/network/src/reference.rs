//! Which earlier value a layer takes.

use std::fmt;

use toml_edit::Value;

use crate::text::{LARGEST, Node};

/// An earlier layer, or the network's input, as a layer's `from` names it.
///
/// Inside a `block` or `repeat`, numbers count its own layers, and the layer before its first is what
/// the block is given. Names are looked up inside first, then outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `"input"`: what the network is given.
    Input,
    /// `-1` and so on: this many layers back, at least 1.
    Back(usize),
    /// `0` and so on: the layer of this place.
    Index(usize),
    /// The layer of this name.
    Name(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("\"input\""),
            Self::Back(layers) => write!(f, "-{layers}"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => write!(f, "{name:?}"),
        }
    }
}

pub(crate) const EXPECTED: &str =
    "an earlier layer: -1 and so on, its number from 0, its name, or \"input\"";

/// Reads one reference.
pub(crate) fn reference(node: &Node<'_>) -> Option<Reference> {
    if node.is_string() {
        let name = node.string(EXPECTED)?;
        return Some(match name {
            "input" => Reference::Input,
            name => Reference::Name(name.to_owned()),
        });
    }
    let number = node.integer_or(-LARGEST, LARGEST, EXPECTED)?;
    let size = usize::try_from(number.unsigned_abs()).ok()?;
    Some(if number < 0 { Reference::Back(size) } else { Reference::Index(size) })
}

impl Reference {
    /// As a recipe writes it.
    pub(crate) fn to_toml(&self) -> Value {
        let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        match self {
            Self::Input => "input".into(),
            Self::Back(layers) => (-number(*layers)).into(),
            Self::Index(index) => number(*index).into(),
            Self::Name(name) => name.into(),
        }
    }
}

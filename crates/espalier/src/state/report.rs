//! What keeps a state dict from being loaded.

use std::fmt;

/// A tensor of another shape than the module's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The name.
    pub name: String,
    /// The module's shape, in PyTorch's layout.
    pub expected: Vec<usize>,
    /// The state dict's shape.
    pub found: Vec<usize>,
}

/// Values that the module cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueFault {
    /// Two names of one tensor of the module have different values in the state dict.
    Untied {
        /// The name that differs.
        name: String,
        /// The name that it is tied to in the module.
        to: String,
    },
    /// A number that the module's integer type cannot hold.
    OutOfRange {
        /// The name.
        name: String,
        /// The module's type: `I32`.
        dtype: String,
        /// The first such number.
        value: String,
    },
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untied { name, to } => write!(
                f,
                "values of `{name}`: tied to `{to}` in the module, different in the state dict"
            ),
            Self::OutOfRange { name, dtype, value } => {
                write!(f, "values of `{name}`: {value} does not fit the module's {dtype}")
            }
        }
    }
}

/// All that keeps a state dict from being loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Names that the module has and the state dict has not.
    pub missing: Vec<String>,
    /// Names that the state dict has and the module has not.
    pub unexpected: Vec<String>,
    /// Tensors of another shape.
    pub mismatched: Vec<Mismatch>,
    /// Values that the module cannot take: tied here and different there, or out of range.
    pub values: Vec<ValueFault>,
    /// Descriptions of the parametrizations, the module's and the state dict's, that differ: the
    /// same originals would give other values.
    pub rules: Vec<(String, String)>,
}

impl LoadReport {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::error::Error for LoadReport {}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state dict does not fit the module; nothing was loaded")?;
        for name in &self.missing {
            write!(f, "\n  missing: `{name}`")?;
            let similar = crate::select::nearest(name, self.unexpected.iter().map(String::as_str));
            if let Some(similar) = similar.first() {
                write!(f, " (the state dict has `{similar}`)")?;
            }
        }
        for name in &self.unexpected {
            write!(f, "\n  unexpected: `{name}`")?;
        }
        for Mismatch { name, expected, found } in &self.mismatched {
            write!(
                f,
                "\n  shape of `{name}`: the module has {expected:?}, the state dict {found:?}"
            )?;
        }
        for fault in &self.values {
            write!(f, "\n  {fault}")?;
        }
        for (expected, found) in &self.rules {
            write!(f, "\n  parametrizations: the module has {expected}, the state dict {found}")?;
        }
        Ok(())
    }
}

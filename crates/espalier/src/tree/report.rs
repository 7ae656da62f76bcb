//! All that is wrong with a set of values for a module.

use std::fmt;

use burn::tensor::DType;

/// A value of another shape than the module's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The parameter or buffer.
    pub path: String,
    /// Its shape, in Burn's layout.
    pub expected: Vec<usize>,
    /// The value's shape.
    pub found: Vec<usize>,
}

/// A value of another kind of dtype (float, integer, boolean) than the module's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtypeMismatch {
    /// The parameter or buffer.
    pub path: String,
    /// Its dtype.
    pub expected: DType,
    /// The value's dtype.
    pub found: DType,
}

/// All that keeps a [`Tree`](crate::Tree) or a list of arrays from being put into a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeReport {
    /// Paths that the module has and for which there is no value.
    pub missing: Vec<String>,
    /// Values that belong to nothing in the module.
    pub unexpected: Vec<String>,
    /// Values of another shape.
    pub shapes: Vec<ShapeMismatch>,
    /// Values of another kind of dtype.
    pub dtypes: Vec<DtypeMismatch>,
}

impl TreeReport {
    pub(super) fn finish(self) -> Result<(), Self> {
        let fits = self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.shapes.is_empty()
            && self.dtypes.is_empty();
        if fits { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for TreeReport {}

impl fmt::Display for TreeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the values do not fit; nothing was changed")?;
        for path in &self.missing {
            write!(f, "\n  missing: `{path}`")?;
            let similar = crate::select::nearest(path, self.unexpected.iter().map(String::as_str));
            if let Some(similar) = similar.first() {
                write!(f, " (there is `{similar}`)")?;
            }
        }
        for path in &self.unexpected {
            write!(f, "\n  unexpected: `{path}`")?;
        }
        for ShapeMismatch { path, expected, found } in &self.shapes {
            write!(f, "\n  shape of `{path}`: expected {expected:?}, found {found:?}")?;
        }
        for DtypeMismatch { path, expected, found } in &self.dtypes {
            write!(
                f,
                "\n  dtype of `{path}`: expected {}, found {}",
                expected.name(),
                found.name()
            )?;
        }
        Ok(())
    }
}

//! What a network is given.

use toml_edit::{InlineTable, Value};

use crate::text::{Node, Spanned};

/// Whether values are numbers to compute with or tokens to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Values,
    /// Whole numbers from 0 to below `vocabulary`, which only an `embedding` makes numbers of.
    Tokens {
        /// How many different tokens there are.
        vocabulary: usize,
    },
}

/// The shape and kind of one example, without the batch.
///
/// In TOML `input = [1, 28, 28]`, or `input = { tokens = 256, length = 64 }`.
///
/// ```
/// use espalier_network::{Input, Kind};
///
/// assert_eq!(Input::values([1, 28, 28]).dims, [1, 28, 28]);
/// let text = Input::tokens(256, 64);
/// assert_eq!((text.dims, text.kind), (vec![64], Kind::Tokens { vocabulary: 256 }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The sizes: `[features]`, `[time, features]`, `[channels, height, width]`, or `[time]` of tokens.
    pub dims: Vec<usize>,
    /// What the values are.
    pub kind: Kind,
}

impl Input {
    /// Numbers of this shape.
    pub fn values(dims: impl Into<Vec<usize>>) -> Self {
        Self { dims: dims.into(), kind: Kind::Values }
    }

    /// A sequence of `length` tokens.
    pub fn tokens(vocabulary: usize, length: usize) -> Self {
        Self { dims: vec![length], kind: Kind::Tokens { vocabulary } }
    }

    /// As a file writes it.
    pub(crate) fn to_toml(&self) -> Value {
        let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
        match self.kind {
            Kind::Values => Value::Array(self.dims.iter().map(|size| number(*size)).collect()),
            Kind::Tokens { vocabulary } => {
                let mut table = InlineTable::new();
                table.insert("tokens", number(vocabulary).into());
                let length = self.dims.iter().product();
                table.insert("length", number(length).into());
                Value::InlineTable(table)
            }
        }
    }
}

const EXPECTED: &str = "sizes like `[1, 28, 28]`, or `{ tokens = 256, length = 64 }`";

/// Reads an `input`.
pub(crate) fn input(node: &Node<'_>) -> Option<Spanned<Input>> {
    if node.is_array() {
        let dims = node.list(EXPECTED, |size| size.count(1))?;
        let dims: Vec<usize> = dims.into_iter().map(|size| size.value).collect();
        return Some(node.spanned(Input::values(dims)));
    }
    let mut table = node.table(EXPECTED)?;
    let (tokens, length) = (table.count("tokens", 1), table.count("length", 1));
    table.finish();
    Some(node.spanned(Input::tokens(tokens?, length?)))
}

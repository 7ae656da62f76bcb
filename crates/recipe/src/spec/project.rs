//! `[[constrain]]`: sets that parameters are brought back into after each step.

use espalier_network::text::{Bound, Cursor, Spanned};

use super::select::{self, Select};

/// One `[[constrain]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstrainSpec {
    /// The parameters.
    pub select: Spanned<Select>,
    /// The set.
    pub constraint: Spanned<ConstraintSpec>,
}

/// A set of values; norms are those of each output feature, or of each slice along `dim`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConstraintSpec {
    /// `max_norm`: norms of at most `max`.
    MaxNorm {
        /// Above 0.
        max: f64,
        /// The dimension of PyTorch's layout whose slices have norms, if not the first.
        dim: Option<usize>,
    },
    /// `min_max_norm`: norms from `min` to `max`.
    MinMaxNorm {
        /// At least 0.
        min: f64,
        /// Above 0.
        max: f64,
        /// How far a step goes, above 0 to 1; default 1, all the way.
        rate: f64,
        /// As of `max_norm`.
        dim: Option<usize>,
    },
    /// `unit_norm`: norms of 1.
    UnitNorm {
        /// As of `max_norm`.
        dim: Option<usize>,
    },
    /// `non_neg`: no negative values.
    NonNeg,
    /// `orthogonal`: the nearest orthogonal matrix by a QR decomposition.
    Orthogonal,
}

type Reader = fn(&mut Cursor<'_>) -> Option<ConstraintSpec>;

const RULES: &[(&str, Reader)] = &[
    ("max_norm", |table| {
        let dim = dim(table);
        Some(ConstraintSpec::MaxNorm { max: table.real("max", Bound::Positive)?, dim })
    }),
    ("min_max_norm", |table| {
        let rate = table.real_or("rate", Bound::Fraction, 1.0);
        let dim = dim(table);
        let (min, max) =
            (table.real("min", Bound::NonNegative), table.real("max", Bound::Positive));
        Some(ConstraintSpec::MinMaxNorm { min: min?, max: max?, rate, dim })
    }),
    ("unit_norm", |table| Some(ConstraintSpec::UnitNorm { dim: dim(table) })),
    ("non_neg", |_| Some(ConstraintSpec::NonNeg)),
    ("orthogonal", |_| Some(ConstraintSpec::Orthogonal)),
];

fn dim(table: &mut Cursor<'_>) -> Option<usize> {
    table.get("dim").and_then(|node| node.count(0))
}

pub(crate) fn constrain(table: &mut Cursor<'_>) -> Option<ConstrainSpec> {
    let select = select::required(table);
    let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    let node = table.require("rule", &espalier_network::text::one_of(&names))?;
    let read = node.choice(RULES)?;
    let constraint = read(table);
    table.finish();
    Some(ConstrainSpec { select: select?, constraint: node.spanned(constraint?) })
}

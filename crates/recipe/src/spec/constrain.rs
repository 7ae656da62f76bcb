//! `[[parametrize]]` and `[[tie]]`: what holds of parameters throughout training.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::names::{one_of, quoted};
use super::node::Node;
use super::select::Select;
use super::span::Spanned;

/// One `[[parametrize]]`: the selected parameters are computed by a rule from parameters that are
/// trained instead.
#[derive(Debug, Clone, PartialEq)]
pub struct ParametrizeSpec {
    /// The parameters it constrains.
    pub select: Spanned<Select>,
    /// The rule.
    pub rule: Spanned<Rule>,
}

/// A parametrization with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// `orthogonal`: orthonormal rows or columns, whichever are fewer.
    Orthogonal {
        /// How free numbers become such a matrix.
        map: OrthogonalMap,
        /// Whether the map starts from the parameter's own orthogonal factor; default true.
        trivialization: bool,
    },
    /// `weight_norm`: a direction times a length.
    WeightNorm {
        /// What one length belongs to.
        dim: Dimensions,
    },
    /// `symmetric`: a square matrix equal to its transpose, made from its upper triangle.
    Symmetric,
}

/// The maps to orthogonal matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OrthogonalMap {
    /// `cayley`, the default.
    Cayley,
}

/// Over which dimensions a norm is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimensions {
    /// All but this one, counted as PyTorch counts a weight's dimensions: 0 is the output features.
    AllBut(usize),
    /// `"none"`: all, one norm for the whole tensor.
    All,
}

/// One `[[tie]]`: `target` is no parameter of its own any more but the one at `source`.
#[derive(Debug, Clone, PartialEq)]
pub struct TieSpec {
    /// Path of the parameter that is given up.
    pub target: Spanned<String>,
    /// Path of the parameter that both names mean from then on; another path than `target`.
    pub source: Spanned<String>,
}

type Reader = fn(&mut Cursor<'_>) -> Rule;

const RULES: &[(&str, Reader)] = &[
    ("orthogonal", |table| {
        let map = table.choice_or("map", MAPS, OrthogonalMap::Cayley);
        Rule::Orthogonal { map, trivialization: table.flag_or("trivialization", true) }
    }),
    ("weight_norm", |table| {
        let dim = table.get("dim").and_then(|node| dimensions(&node));
        Rule::WeightNorm { dim: dim.unwrap_or(Dimensions::AllBut(0)) }
    }),
    ("symmetric", |_| Rule::Symmetric),
];

const MAPS: &[(&str, OrthogonalMap)] = &[("cayley", OrthogonalMap::Cayley)];

/// Tensors have at most this many dimensions.
const MOST_DIMENSIONS: i64 = 8;

pub(crate) fn parametrize(table: &mut Cursor<'_>) -> Option<ParametrizeSpec> {
    let select = table.select();
    let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    let node = table.require("rule", &one_of(&names))?;
    let read = node.choice(RULES)?;
    let rule = read(table);
    table.finish();
    Some(ParametrizeSpec { select: select?, rule: node.spanned(rule) })
}

fn dimensions(node: &Node<'_>) -> Option<Dimensions> {
    let expected = format!("an integer from 0 to {} or `\"none\"`", MOST_DIMENSIONS - 1);
    if node.is_string() {
        let found = node.string(&expected)?;
        if found == "none" {
            return Some(Dimensions::All);
        }
        node.refuse(format!("found {}", quoted(found)), expected, None);
        return None;
    }
    let dim = node.integer_or(0, MOST_DIMENSIONS - 1, &expected)?;
    usize::try_from(dim).ok().map(Dimensions::AllBut)
}

/// The ties; a target that an earlier tie has is wrong.
pub(crate) fn ties(root: &mut Cursor<'_>) -> Vec<Spanned<TieSpec>> {
    let mut targets: BTreeMap<&str, String> = BTreeMap::new();
    root.each("tie", |table| {
        let expected = "a parameter's path like `\"1.weight\"`";
        let target = table.require("target", expected);
        let source = table.require("source", expected);
        table.finish();
        let target_path = target.as_ref().and_then(|node| node.string(expected));
        let source_path = source.as_ref().and_then(|node| node.string(expected));
        let (target, source, target_path, source_path) =
            (target?, source?, target_path?, source_path?);
        if target_path == source_path {
            source.refuse(
                format!("found {}, the target itself", quoted(source_path)),
                "another parameter's path",
                None,
            );
        }
        if let Some(earlier) = targets.get(target_path) {
            let message = format!("found {}, tied already by {earlier}", quoted(target_path));
            target.refuse(message, "a path that no other tie has as its target", None);
        } else {
            targets.insert(target_path, target.path.clone());
        }
        Some(TieSpec {
            target: target.spanned(target_path.to_owned()),
            source: source.spanned(source_path.to_owned()),
        })
    })
}

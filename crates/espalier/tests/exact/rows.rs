//! The rows of the conformance table: rules by name with their options, alone and in chains.

use burn::module::Module;
use espalier::Parametrized;
use espalier::parametrize::{Rule, Rules};

/// A rule of the library: its name and its options as JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Built(&'static str, &'static str);

pub(crate) const NORM_DIM0: Built = Built("weight_norm", r#"{"dim":0}"#);
pub(crate) const NORM_DIM1: Built = Built("weight_norm", r#"{"dim":1}"#);
pub(crate) const NORM_WHOLE: Built = Built("weight_norm", r#"{"dim":null}"#);
pub(crate) const CAYLEY: Built = Built("orthogonal", r#"{"map":"cayley","trivialization":true}"#);
pub(crate) const CAYLEY_PLAIN: Built =
    Built("orthogonal", r#"{"map":"cayley","trivialization":false}"#);
pub(crate) const EXP: Built = Built("orthogonal", r#"{"map":"exp","trivialization":true}"#);
pub(crate) const EXP_PLAIN: Built = Built("orthogonal", r#"{"map":"exp","trivialization":false}"#);
pub(crate) const HOUSE: Built =
    Built("orthogonal", r#"{"map":"householder","trivialization":true}"#);
pub(crate) const HOUSE_PLAIN: Built =
    Built("orthogonal", r#"{"map":"householder","trivialization":false}"#);
pub(crate) const SYMMETRIC: Built = Built("symmetric", "{}");
pub(crate) const SKEW: Built = Built("skew", "{}");
pub(crate) const SPECTRAL: Built = Built("spectral_norm", "{}");
pub(crate) const SPHERE: Built = Built("sphere", r#"{"dim":1,"radius":2.0}"#);
pub(crate) const SPHERE_WHOLE: Built = Built("sphere", r#"{"dim":null,"radius":1.0}"#);
pub(crate) const SCALE: Built = Built("scale", r#"{"factor":-0.5,"learned":false}"#);
pub(crate) const SCALE_LEARNED: Built = Built("scale", r#"{"factor":2.0,"learned":true}"#);
pub(crate) const SOFTPLUS: Built = Built("non_negative", r#"{"map":"softplus"}"#);
pub(crate) const SQUARE: Built = Built("non_negative", r#"{"map":"square"}"#);
pub(crate) const DEFINITE: Built = Built("positive_definite", r#"{"map":"exp"}"#);
pub(crate) const DEFINITE_CAYLEY: Built = Built("positive_definite", r#"{"map":"cayley"}"#);
pub(crate) const SEMIDEFINITE: Built = Built("positive_semidefinite", r#"{"rank":2,"map":"exp"}"#);
pub(crate) const LOW_RANK: Built = Built("low_rank", r#"{"rank":2,"map":"exp"}"#);
pub(crate) const LOW_RANK_CAYLEY: Built = Built("low_rank", r#"{"rank":1,"map":"cayley"}"#);
pub(crate) const FIXED_RANK: Built = Built("fixed_rank", r#"{"rank":2,"map":"exp"}"#);
pub(crate) const GATES: Built = Built("sigmoid_mask", r#"{"temperature":0.5,"initial":1.0}"#);
pub(crate) const LORA: Built = Built("lora", r#"{"rank":2,"alpha":3.0}"#);

impl Built {
    pub(crate) fn rule(self) -> Box<dyn Rule> {
        Rules::builtin().make(self.0, &serde_json::from_str(self.1).unwrap()).unwrap()
    }

    pub(crate) fn register<M: Module>(self, net: &mut Parametrized<M>) {
        net.register("weight", self.rule()).unwrap();
    }

    /// Whether a small change leads out of the set, where that is known.
    pub(crate) fn is_proper(self, dims: &[usize]) -> Option<bool> {
        let side = dims[dims.len() - 1].min(dims[dims.len() - 2]);
        match (self.0, self) {
            ("orthogonal" | "skew" | "sphere" | "spectral_norm", _) => Some(true),
            ("symmetric" | "positive_semidefinite", _) => Some(side > 1),
            ("positive_definite", _) => (side > 1).then_some(true),
            (_, LOW_RANK_CAYLEY) => Some(side > 1),
            ("low_rank" | "fixed_rank", _) => Some(side > 2),
            ("non_negative", _) => None,
            _ => Some(false),
        }
    }

    /// Whether it has state that moves in training.
    pub(crate) fn moves(self) -> bool {
        self.0 == "spectral_norm"
    }
}

/// Rules in the order they apply, and whether every value they make can be assigned to them.
pub(crate) struct Row {
    pub(crate) rules: &'static [Built],
    pub(crate) inverts: bool,
}

const fn row(rules: &'static [Built], inverts: bool) -> Row {
    Row { rules, inverts }
}

pub(crate) const TABLE: &[Row] = &[
    row(&[], true),
    row(&[NORM_DIM0], true),
    row(&[NORM_DIM1], true),
    row(&[NORM_WHOLE], true),
    row(&[CAYLEY], true),
    row(&[CAYLEY_PLAIN], false),
    row(&[EXP], true),
    row(&[EXP_PLAIN], false),
    row(&[HOUSE], true),
    row(&[HOUSE_PLAIN], true),
    row(&[SYMMETRIC], true),
    row(&[SKEW], true),
    // Its right inverse is the identity: what it is assigned it normalizes by its estimates.
    row(&[SPECTRAL], false),
    row(&[SPHERE], true),
    row(&[SPHERE_WHOLE], true),
    row(&[SCALE], true),
    row(&[SCALE_LEARNED], true),
    row(&[SOFTPLUS], true),
    row(&[SQUARE], true),
    row(&[DEFINITE], true),
    row(&[DEFINITE_CAYLEY], true),
    row(&[SEMIDEFINITE], true),
    row(&[LOW_RANK], true),
    row(&[LOW_RANK_CAYLEY], true),
    row(&[FIXED_RANK], true),
    row(&[GATES], true),
    row(&[LORA], true),
    row(&[LOW_RANK, GATES], false),
    row(&[LORA, SPECTRAL], false),
    row(&[SCALE_LEARNED, SKEW], true),
    row(&[NORM_DIM0, SYMMETRIC], true),
    row(&[SYMMETRIC, SYMMETRIC], true),
    // No orthogonal matrix has a given upper triangle in general.
    row(&[CAYLEY, SYMMETRIC], false),
    // The base is the identity here: only a first rule is given a value to start from.
    row(&[SYMMETRIC, CAYLEY], false),
];

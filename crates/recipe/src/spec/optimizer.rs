//! `[optimizer]`: the step rule, and groups of parameters with options of their own.

use super::select::{self, Select};
use espalier_network::text::{Bound, Cursor, Node, Spanned, one_of};

/// `[optimizer]`
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerSpec {
    /// The optimizer and the options of the parameters that no group has.
    pub optimizer: Spanned<Optimizer>,
    /// The groups in the recipe's order.
    pub groups: Vec<Spanned<GroupSpec>>,
}

/// One `[[optimizer.group]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// What messages and reports call the group.
    pub name: Option<String>,
    /// Its parameters.
    pub select: Spanned<Select>,
    /// Its options: the optimizer's own, with what the group sets in their place. Of the
    /// optimizer's variant.
    pub optimizer: Optimizer,
}

/// An optimizer with its options; PyTorch's defaults.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// `adamw`: Adam with decay applied to the weights.
    AdamW(AdamOptions),
    /// `adam`: decay is added to the gradient.
    Adam(AdamOptions),
    /// `sgd`: gradient descent, with momentum if wanted.
    Sgd(SgdOptions),
}

/// Options of `adam` and `adamw`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamOptions {
    /// Learning rate, above 0; default 1e-3.
    pub lr: f64,
    /// How much of the old moments each step keeps, first and second, at least 0 and below 1;
    /// default `[0.9, 0.999]`.
    pub betas: [f64; 2],
    /// Added to the denominator, at least 0; default 1e-8.
    pub eps: f64,
    /// At least 0; default 0.01 for `adamw`, 0 for `adam`.
    pub weight_decay: f64,
}

/// Options of `sgd`.
#[derive(Debug, Clone, PartialEq)]
pub struct SgdOptions {
    /// Learning rate, above 0; default 1e-3.
    pub lr: f64,
    /// At least 0; default 0.
    pub momentum: f64,
    /// How much of a new gradient the momentum leaves out, 0 to 1; default 0.
    pub dampening: f64,
    /// Whether the step looks ahead along the momentum; needs a momentum and no dampening; default
    /// false.
    pub nesterov: bool,
    /// Added to the gradient, times the weight, at least 0; default 0.
    pub weight_decay: f64,
}

const ADAM: AdamOptions =
    AdamOptions { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
const SGD: SgdOptions =
    SgdOptions { lr: 1e-3, momentum: 0.0, dampening: 0.0, nesterov: false, weight_decay: 0.0 };

const TYPES: &[(&str, Optimizer)] = &[
    ("adamw", Optimizer::AdamW(AdamOptions { weight_decay: 0.01, ..ADAM })),
    ("adam", Optimizer::Adam(ADAM)),
    ("sgd", Optimizer::Sgd(SGD)),
];

impl Optimizer {
    /// This optimizer with the options that `table` sets in place of its own.
    fn with(&self, table: &mut Cursor<'_>) -> Self {
        match self {
            Self::AdamW(options) => Self::AdamW(adam(table, options)),
            Self::Adam(options) => Self::Adam(adam(table, options)),
            Self::Sgd(options) => Self::Sgd(sgd(table, options)),
        }
    }
}

pub(crate) fn optimizer(root: &mut Cursor<'_>) -> Option<OptimizerSpec> {
    let mut table = root.section("optimizer")?;
    let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let node = table.require("type", &one_of(&names))?;
    let indices: Vec<(&str, usize)> =
        names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
    let (_, defaults) = TYPES.get(node.choice(&indices)?)?;
    let optimizer = defaults.with(&mut table);
    let groups = table.each("group", |group| {
        let select = select::required(group);
        let name = group
            .get("name")
            .and_then(|node| node.string("a name for messages"))
            .map(str::to_owned);
        let optimizer = optimizer.with(group);
        group.finish();
        Some(GroupSpec { name, select: select?, optimizer })
    });
    table.finish();
    Some(OptimizerSpec { optimizer: node.spanned(optimizer), groups })
}

fn adam(table: &mut Cursor<'_>, from: &AdamOptions) -> AdamOptions {
    AdamOptions {
        lr: table.real_or("lr", Bound::Positive, from.lr),
        betas: table.get("betas").and_then(|node| betas(&node)).unwrap_or(from.betas),
        eps: table.real_or("eps", Bound::NonNegative, from.eps),
        weight_decay: table.real_or("weight_decay", Bound::NonNegative, from.weight_decay),
    }
}

fn betas(node: &Node<'_>) -> Option<[f64; 2]> {
    let expected = "an array of two numbers, each at least 0 and below 1";
    let values = node.list(expected, |node| node.real(Bound::BelowOne))?;
    let [first, second] = values.as_slice() else {
        node.refuse(format!("found an array of {}", values.len()), expected, None);
        return None;
    };
    Some([first.value, second.value])
}

fn sgd(table: &mut Cursor<'_>, from: &SgdOptions) -> SgdOptions {
    // A group that sets none of the three repeats the optimizer's, which have been checked.
    let own = ["nesterov", "dampening", "momentum"].into_iter().find(|key| table.has(key));
    let before = table.problems();
    let options = SgdOptions {
        lr: table.real_or("lr", Bound::Positive, from.lr),
        momentum: table.real_or("momentum", Bound::NonNegative, from.momentum),
        dampening: table.real_or("dampening", Bound::Fraction, from.dampening),
        nesterov: table.flag_or("nesterov", from.nesterov),
        weight_decay: table.real_or("weight_decay", Bound::NonNegative, from.weight_decay),
    };
    if let Some(node) = own.and_then(|key| table.get(key))
        && table.problems() == before
        && options.nesterov
        && (options.momentum == 0.0 || options.dampening != 0.0)
    {
        let message = format!(
            "found a momentum of {:?} and a dampening of {:?} under `nesterov`",
            options.momentum, options.dampening
        );
        node.refuse(message, "a momentum above 0 and a dampening of 0", None);
    }
    options
}

//! `[[init]]`: where parameters start.

use super::select::{self, Select};
use espalier_network::text::{Bound, Cursor, Spanned, one_of};

/// One `[[init]]`. Where several match a parameter, the last one sets it.
#[derive(Debug, Clone, PartialEq)]
pub struct InitSpec {
    /// The parameters it sets.
    pub select: Spanned<Select>,
    /// How it sets them.
    pub method: Spanned<InitMethod>,
}

/// An initializer with its options; PyTorch's, except that Kaiming's default nonlinearity is `relu`
/// (the same numbers: PyTorch's default is `leaky_relu` with slope 0).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum InitMethod {
    /// `kaiming_uniform`: uniform in +-bound, bound = gain * sqrt(3 / fan).
    KaimingUniform {
        /// Which fan.
        mode: FanMode,
        /// What the gain is for.
        nonlinearity: Nonlinearity,
    },
    /// `kaiming_normal`: normal with deviation gain / sqrt(fan).
    KaimingNormal {
        /// Which fan.
        mode: FanMode,
        /// What the gain is for.
        nonlinearity: Nonlinearity,
    },
    /// `xavier_uniform`: uniform in +-bound, bound = gain * sqrt(6 / (fan_in + fan_out)).
    XavierUniform {
        /// Above 0; default 1.
        gain: f64,
    },
    /// `xavier_normal`: normal with deviation gain * sqrt(2 / (fan_in + fan_out)).
    XavierNormal {
        /// Above 0; default 1.
        gain: f64,
    },
    /// `uniform`: from `low` to `high`.
    Uniform {
        /// Default 0.
        low: f64,
        /// Above `low`; default 1.
        high: f64,
    },
    /// `normal`
    Normal {
        /// Default 0.
        mean: f64,
        /// Standard deviation, at least 0; default 1.
        std: f64,
    },
    /// `constant`
    Constant {
        /// What every element is set to.
        value: f64,
    },
    /// `zeros`
    Zeros,
    /// `ones`
    Ones,
    /// `orthogonal`: a random matrix with orthonormal rows or columns, whichever are fewer.
    Orthogonal {
        /// Factor, above 0; default 1.
        gain: f64,
    },
    /// `torch_default`: what PyTorch's own layer would have.
    TorchDefault,
}

/// Which side of a weight Kaiming's rule keeps the variance of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanMode {
    /// `fan_in`, the default: of the activations, forward.
    FanIn,
    /// `fan_out`: of the gradients, backward.
    FanOut,
}

/// What follows the weight; it decides the gain.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Nonlinearity {
    /// `linear`: gain 1.
    Linear,
    /// `sigmoid`: gain 1.
    Sigmoid,
    /// `tanh`: gain 5/3.
    Tanh,
    /// `relu`, the default: gain sqrt 2.
    Relu,
    /// `leaky_relu`: gain sqrt(2 / (1 + slope^2)).
    LeakyRelu {
        /// The negative slope; default 0.
        slope: f64,
    },
    /// `selu`: gain 3/4.
    Selu,
}

type Reader = fn(&mut Cursor<'_>) -> Option<InitMethod>;

const METHODS: &[(&str, Reader)] = &[
    ("kaiming_uniform", |table| {
        let (mode, nonlinearity) = kaiming(table);
        Some(InitMethod::KaimingUniform { mode, nonlinearity })
    }),
    ("kaiming_normal", |table| {
        let (mode, nonlinearity) = kaiming(table);
        Some(InitMethod::KaimingNormal { mode, nonlinearity })
    }),
    ("xavier_uniform", |table| Some(InitMethod::XavierUniform { gain: gain(table) })),
    ("xavier_normal", |table| Some(InitMethod::XavierNormal { gain: gain(table) })),
    ("uniform", uniform),
    ("normal", |table| {
        let mean = table.real_or("mean", Bound::Any, 0.0);
        Some(InitMethod::Normal { mean, std: table.real_or("std", Bound::NonNegative, 1.0) })
    }),
    ("constant", |table| Some(InitMethod::Constant { value: table.real("value", Bound::Any)? })),
    ("zeros", |_| Some(InitMethod::Zeros)),
    ("ones", |_| Some(InitMethod::Ones)),
    ("orthogonal", |table| Some(InitMethod::Orthogonal { gain: gain(table) })),
    ("torch_default", |_| Some(InitMethod::TorchDefault)),
];

const NONLINEARITIES: &[(&str, Nonlinearity)] = &[
    ("linear", Nonlinearity::Linear),
    ("sigmoid", Nonlinearity::Sigmoid),
    ("tanh", Nonlinearity::Tanh),
    ("relu", Nonlinearity::Relu),
    ("leaky_relu", Nonlinearity::LeakyRelu { slope: 0.0 }),
    ("selu", Nonlinearity::Selu),
];

const MODES: &[(&str, FanMode)] = &[("fan_in", FanMode::FanIn), ("fan_out", FanMode::FanOut)];

pub(crate) fn init(table: &mut Cursor<'_>) -> Option<InitSpec> {
    let select = select::required(table);
    let names: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
    let node = table.require("method", &one_of(&names))?;
    let read = node.choice(METHODS)?;
    let method = read(table);
    table.finish();
    Some(InitSpec { select: select?, method: node.spanned(method?) })
}

fn kaiming(table: &mut Cursor<'_>) -> (FanMode, Nonlinearity) {
    let before = table.problems();
    let mode = table.choice_or("mode", MODES, FanMode::FanIn);
    let nonlinearity = table.choice_or("nonlinearity", NONLINEARITIES, Nonlinearity::Relu);
    let node = table.get("slope");
    let slope = node.as_ref().and_then(|node| node.real(Bound::NonNegative));
    match (nonlinearity, node) {
        (Nonlinearity::LeakyRelu { slope: default }, _) => {
            (mode, Nonlinearity::LeakyRelu { slope: slope.unwrap_or(default) })
        }
        (_, Some(node)) if table.problems() == before => {
            node.refuse(
                "a slope without effect",
                "`nonlinearity = \"leaky_relu\"` beside it",
                None,
            );
            (mode, nonlinearity)
        }
        _ => (mode, nonlinearity),
    }
}

fn gain(table: &mut Cursor<'_>) -> f64 {
    table.real_or("gain", Bound::Positive, 1.0)
}

fn uniform(table: &mut Cursor<'_>) -> Option<InitMethod> {
    let before = table.problems();
    let low = table.real_or("low", Bound::Any, 0.0);
    let high = table.real_or("high", Bound::Any, 1.0);
    // The defaults are in order: if the two are not, one of them is there.
    if low >= high
        && table.problems() == before
        && let Some(node) = table.get("high").or_else(|| table.get("low"))
    {
        node.refuse(format!("found {low:?} to {high:?}"), "`low` below `high`", None);
    }
    Some(InitMethod::Uniform { low, high })
}

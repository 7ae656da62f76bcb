//! Where parameters start: PyTorch's defaults, then the recipe's `[[init]]`.

use espalier::init::{Fan, Init, Nonlinearity as Gain};
use espalier::nn::Graph;
use espalier::{Error, Selector};

use espalier_network::{Layer, Plan};

use super::faults::Faults;
use super::names::{Chosen, Named, Names, any};
use crate::spec::{FanMode, InitMethod, Nonlinearity, Recipe};

/// `network` with initial values from `seed`. Adds a line to `log` for each entry.
///
/// # Errors
///
/// What the library refuses of PyTorch's defaults: nothing. What it refuses of an entry is a fault.
pub(crate) fn initialize(
    network: Graph,
    names: &Names,
    recipe: &Recipe,
    plan: &Plan,
    seed: u64,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<Graph, Error> {
    let mut network = network;
    for named in names.iter() {
        network = default(named, names, plan).apply(network, &Selector::path(&named.path), seed)?;
    }
    for (index, spec) in recipe.init.iter().enumerate() {
        let key = format!("init[{index}]");
        let Some(chosen) = names.select(&spec.value.select, &format!("{key}.select"), faults)
        else {
            continue;
        };
        match entry(&network, &chosen, &spec.value.method.value, names, plan, seed) {
            Ok((changed, text)) => {
                network = changed;
                log.push(format!("init: {} by {text}", listed(&chosen)));
            }
            Err(Error::Init { path, reason }) => {
                let message = format!("`{}`: {reason}", names.name_of(&path));
                let key = format!("{key}.method");
                faults.add(&spec.value.method.span, key, message, "", "");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(network)
}

/// The network with one entry applied, and the method's name.
fn entry(
    network: &Graph,
    chosen: &[Chosen<'_>],
    method: &InitMethod,
    names: &Names,
    plan: &Plan,
    seed: u64,
) -> Result<(Graph, &'static str), Error> {
    let mut network = network.clone();
    let Some((init, name)) = one(method) else {
        for Chosen { named, .. } in chosen {
            network =
                default(named, names, plan).apply(network, &Selector::path(&named.path), seed)?;
        }
        return Ok((network, "torch_default"));
    };
    Ok((init.apply(network, &any(chosen), seed)?, name))
}

/// What PyTorch's own layer would have.
///
/// Weights and biases of dense layers and convolutions are uniform in `±1 / sqrt(fan_in)`, the bias by
/// its weight's fan; those of recurrent layers in `±1 / sqrt(features)`; norms start as the identity,
/// embeddings standard normal. An attention's input projections are Xavier uniform as one matrix of three
/// times the features, its biases 0. `scale` starts at 1, `positions` at normal values of deviation 0.02,
/// for which PyTorch has no layer.
fn default(named: &Named, names: &Names, plan: &Plan) -> Init {
    let is_bias = named.info.name() == "bias";
    let above = |path: &str| {
        named.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.') || rest.is_empty())
    };
    let planned = plan
        .layers
        .iter()
        .filter(|planned| !planned.parameters.is_empty() && above(&planned.path))
        .max_by_key(|planned| planned.path.len());
    match planned.map(|planned| &planned.layer) {
        Some(Layer::Embedding { .. }) => return Init::Normal(0.0, 1.0),
        Some(Layer::Positions) => return Init::Normal(0.0, 0.02),
        Some(Layer::Scale { .. }) => return Init::Constant(1.0),
        Some(Layer::Prelu { initial, .. }) => return Init::Constant(*initial),
        Some(
            Layer::Rnn { features, .. }
            | Layer::Lstm { features, .. }
            | Layer::Gru { features, .. },
        ) => {
            let bound = 1.0 / (*features as f64).sqrt();
            return Init::Uniform(-bound, bound);
        }
        Some(Layer::Attention { .. }) if is_bias => return Init::Constant(0.0),
        Some(Layer::Attention { .. }) if !named.path.ends_with("output.weight") => {
            let features = named.shape().last().copied().unwrap_or(1);
            let bound = (6.0 / (4 * features.max(1)) as f64).sqrt();
            return Init::Uniform(-bound, bound);
        }
        _ => {}
    }
    if named.info.layer.ends_with("Norm") {
        return Init::Constant(if is_bias { 0.0 } else { 1.0 });
    }
    let weight = match named.path.strip_suffix("bias") {
        Some(parent) => names.at(&format!("{parent}weight")).unwrap_or(named),
        None => named,
    };
    let fan_in: usize = weight.shape().iter().skip(1).product();
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    Init::Uniform(-bound, bound)
}

/// The library's method and its name; none for the one that depends on the parameter.
fn one(method: &InitMethod) -> Option<(Init, &'static str)> {
    Some(match *method {
        InitMethod::KaimingUniform { mode, nonlinearity } => {
            (Init::KaimingUniform(gain(nonlinearity), fan(mode)), "kaiming_uniform")
        }
        InitMethod::KaimingNormal { mode, nonlinearity } => {
            (Init::KaimingNormal(gain(nonlinearity), fan(mode)), "kaiming_normal")
        }
        InitMethod::XavierUniform { gain } => (Init::XavierUniform(gain), "xavier_uniform"),
        InitMethod::XavierNormal { gain } => (Init::XavierNormal(gain), "xavier_normal"),
        InitMethod::Uniform { low, high } => (Init::Uniform(low, high), "uniform"),
        InitMethod::Normal { mean, std } => (Init::Normal(mean, std), "normal"),
        InitMethod::Constant { value } => (Init::Constant(value), "constant"),
        InitMethod::Zeros => (Init::Constant(0.0), "zeros"),
        InitMethod::Ones => (Init::Constant(1.0), "ones"),
        InitMethod::Orthogonal { gain } => (Init::Orthogonal(gain), "orthogonal"),
        InitMethod::TorchDefault => return None,
    })
}

fn fan(mode: FanMode) -> Fan {
    match mode {
        FanMode::FanIn => Fan::In,
        FanMode::FanOut => Fan::Out,
    }
}

fn gain(nonlinearity: Nonlinearity) -> Gain {
    match nonlinearity {
        Nonlinearity::Linear => Gain::Linear,
        Nonlinearity::Sigmoid => Gain::Sigmoid,
        Nonlinearity::Tanh => Gain::Tanh,
        Nonlinearity::Relu => Gain::Relu,
        Nonlinearity::LeakyRelu { slope } => Gain::LeakyRelu(slope),
        Nonlinearity::Selu => Gain::Selu,
    }
}

/// `0.weight, 3.weight`
pub(crate) fn listed(chosen: &[Chosen<'_>]) -> String {
    let names: Vec<&str> = chosen.iter().map(|chosen| chosen.named.name()).collect();
    names.join(", ")
}

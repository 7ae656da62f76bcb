//! Recurrent layers over `[batch, time, features]`.
//!
//! Burn's own forward passes write each step into a tensor of all steps, a copy of the whole
//! sequence a step, and multiply the inputs step by step. Here the inputs of all steps are
//! multiplied at once and the steps are put together at the end; the values are the same.

use burn::module::Module;
use burn::nn::{BiGru, BiLstm, BiRnn, GateController, Gru, Linear, Lstm, Rnn};
use burn::tensor::Tensor;

use super::super::layer::{Layer, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// The steps' inputs to a gate, `[batch, time, hidden]`.
fn inputs(gate: &GateController, x: &Tensor<3>) -> Tensor<3> {
    gate.input_transform.forward(x.clone())
}

fn at(all: &Tensor<3>, step: usize) -> Tensor<2> {
    all.clone().narrow(1, step, 1).squeeze_dim(1)
}

/// Runs `step` over the times in order, or backwards, and puts the hidden states in order of time.
fn run(
    x: &Tensor<3>,
    hidden: usize,
    reverse: bool,
    mut step: impl FnMut(usize, Tensor<2>) -> Tensor<2>,
) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let mut state = Tensor::zeros([batch, hidden], &x.device());
    let mut states = Vec::with_capacity(time);
    for index in 0..time {
        let at = if reverse { time - 1 - index } else { index };
        state = step(at, state);
        states.push(state.clone());
    }
    if reverse {
        states.reverse();
    }
    if states.is_empty() {
        return Tensor::zeros([batch, 0, hidden], &x.device());
    }
    Tensor::stack(states, 1)
}

fn clipped<const D: usize>(x: Tensor<D>, clip: Option<f64>) -> Tensor<D> {
    match clip {
        Some(clip) => x.clamp(-clip, clip),
        None => x,
    }
}

fn rnn(cell: &Rnn, x: Tensor<3>, reverse: bool) -> Tensor<3> {
    let given = inputs(&cell.gate, &x);
    run(&x, cell.d_hidden, reverse, |step, state| {
        let sum = at(&given, step) + cell.gate.hidden_transform.forward(state);
        clipped(cell.hidden_activation.forward(sum), cell.clip)
    })
}

fn lstm(cell: &Lstm, x: Tensor<3>, reverse: bool) -> Tensor<3> {
    let gates = [Some(&cell.input_gate), cell.forget_gate.as_ref()];
    let [input, forget] = gates.map(|gate| gate.map(|gate| (inputs(gate, &x), gate)));
    let output = (inputs(&cell.output_gate, &x), &cell.output_gate);
    let candidate = (inputs(&cell.cell_gate, &x), &cell.cell_gate);
    let sum = |(given, gate): &(Tensor<3>, &GateController), step: usize, state: &Tensor<2>| {
        at(given, step) + gate.hidden_transform.forward(state.clone())
    };
    let [batch, _, _] = x.dims();
    let mut memory = Tensor::<2>::zeros([batch, cell.d_hidden], &x.device());
    run(&x, cell.d_hidden, reverse, |step, state| {
        let gate = |given: &(Tensor<3>, &GateController)| {
            cell.gate_activation.forward(sum(given, step, &state))
        };
        let entered = input.as_ref().map(gate);
        let kept = match (&forget, &entered) {
            (Some(forget), _) => gate(forget),
            (None, Some(entered)) => entered.clone().neg().add_scalar(1.0),
            (None, None) => memory.ones_like(),
        };
        let new = cell.cell_activation.forward(sum(&candidate, step, &state));
        let new = match entered {
            Some(entered) => entered * new,
            None => new,
        };
        memory = clipped(kept * memory.clone() + new, cell.clip);
        gate(&output) * cell.hidden_activation.forward(memory.clone())
    })
}

fn gru(cell: &Gru, x: Tensor<3>, reverse: bool) -> Tensor<3> {
    let [update, reset, new] =
        [&cell.update_gate, &cell.reset_gate, &cell.new_gate].map(|gate| (inputs(gate, &x), gate));
    let hidden = |gate: &GateController, state: Tensor<2>| gate.hidden_transform.forward(state);
    run(&x, cell.d_hidden, reverse, |step, state| {
        let gate = |(given, gate): &(Tensor<3>, &GateController)| {
            cell.gate_activation.forward(at(given, step) + hidden(gate, state.clone()))
        };
        let (update, reset) = (gate(&update), gate(&reset));
        let recalled = if cell.reset_after {
            reset * hidden(new.1, state.clone())
        } else {
            hidden(new.1, reset * state.clone())
        };
        let new = cell.hidden_activation.forward(at(&new.0, step) + recalled);
        let kept = update.clone() * state;
        clipped(new * update.neg().add_scalar(1.0) + kept, cell.clip)
    })
}

/// What a layer whose input transform is `linear` takes and gives.
fn dims(input: &[usize], linear: &Linear, outputs: usize) -> Result<Vec<usize>, WidthError> {
    WidthError::check_rank(input, 3, "[batch, time, features]")?;
    WidthError::check(input, 2, linear.weight.lazy_shape()[0], "input features")?;
    Ok(vec![input[0], input[1], outputs])
}

macro_rules! recurrent {
    // The last says whether a layer reads its sequence from the end.
    ($($layer:ty, $gate:ident, $run:ident, $reversed:expr;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                dims(input, &self.$gate.input_transform, self.d_hidden)
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                let reversed: fn(&Self) -> bool = $reversed;
                Ok($run(self, input.into_rank()?, reversed(self)).into())
            }
        })*
    };
}
recurrent! {
    Rnn, gate, rnn, |layer| layer.reverse;
    Lstm, input_gate, lstm, |layer| layer.reverse;
    Gru, update_gate, gru, |_| false;
}

macro_rules! both_ways {
    ($($layer:ty, $gate:ident, $run:ident;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                dims(input, &self.forward.$gate.input_transform, 2 * self.d_hidden)
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                let x: Tensor<3> = input.into_rank()?;
                let ahead = $run(&self.forward, x.clone(), false);
                let back = $run(&self.reverse, x, true);
                Ok(Tensor::cat(vec![ahead, back], 2).into())
            }
        })*
    };
}
both_ways! {
    BiRnn, gate, rnn;
    BiLstm, input_gate, lstm;
    BiGru, update_gate, gru;
}

/// The state after a whole sequence: `[batch, time, features] -> [batch, features]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{LastStep, Layer};
///
/// let x = Tensor::<3>::from_data([[[1.0, 2.0], [3.0, 4.0]]], &Device::default());
/// let y: Tensor<2> = LastStep::new().forward_any(x.clone().into())?.into_rank()?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [3.0, 4.0]);
/// // The second half read the sequence from its end: it ended at the first step.
/// let y: Tensor<2> = LastStep::of_both_ways().forward_any(x.into())?.into_rank()?;
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [3.0, 2.0]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Module, Debug, Default)]
pub struct LastStep {
    /// Whether the second half of the features read the sequence backwards.
    pub both_ways: bool,
}

impl LastStep {
    /// The last step of a layer that reads forwards.
    pub fn new() -> Self {
        Self::default()
    }

    /// The last steps of a layer that reads both ways.
    pub fn of_both_ways() -> Self {
        Self { both_ways: true }
    }
}

impl Layer for LastStep {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check_rank(input, 3, "[batch, time, features]")?;
        if input[1] == 0 {
            WidthError::check(input, 1, 1, "step at least")?;
        }
        Ok(vec![input[0], input[2]])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let x: Tensor<3> = input.into_rank()?;
        let [_, time, features] = x.dims();
        if !self.both_ways {
            return Ok(at(&x, time - 1).into());
        }
        let ahead = at(&x, time - 1).narrow(1, 0, features / 2);
        let back = at(&x, 0).narrow(1, features / 2, features - features / 2);
        Ok(Tensor::cat(vec![ahead, back], 1).into())
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{BiGruConfig, BiLstmConfig, BiRnnConfig, GruConfig, LstmConfig, RnnConfig};
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    fn same(ours: AnyTensor, burns: Tensor<3>) {
        let ours: Tensor<3> = ours.into_rank().unwrap();
        ours.into_data().assert_approx_eq::<f32>(&burns.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_values_are_those_of_burns_own_passes() {
        let device = Device::default();
        let x = Tensor::<3>::random([2, 5, 3], Distribution::Normal(0.0, 1.0), &device);
        let any = || AnyTensor::from(x.clone());
        for bias in [true, false] {
            let layer = RnnConfig::new(3, 4, bias).with_reverse(bias).init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
            let layer = LstmConfig::new(3, 4, bias).with_reverse(!bias).init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
            let layer = LstmConfig::new(3, 4, bias)
                .with_input_forget(true)
                .with_clip(Some(0.1))
                .init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
            for after in [true, false] {
                let layer = GruConfig::new(3, 4, bias).with_reset_after(after).init(&device);
                same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None));
            }
            let layer = BiRnnConfig::new(3, 4, bias).init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
            let layer = BiLstmConfig::new(3, 4, bias).init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
            let layer = BiGruConfig::new(3, 4, bias).init(&device);
            same(layer.forward_any(any()).unwrap(), layer.forward(x.clone(), None).0);
        }
    }
}

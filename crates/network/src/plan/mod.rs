//! A network flattened: every layer in order of evaluation with its inputs, shapes and sizes.

mod error;
mod expand;
mod fit;
mod limits;
mod scope;

pub use error::{Fault, PlanError};
pub use limits::Limits;

use crate::input::Input;
use crate::layer::{Layer, LayerSpec};
use crate::reference::Reference;
use crate::text::{Span, Spanned};

/// A checked network: nothing but layers that compute, in the order in which they do.
///
/// ```
/// use espalier_network::{Architecture, Input, Limits, Plan, Source};
///
/// let text = "layer = [{ type = 'linear', features = 8 }, { type = 'relu' }]";
/// let layers = Architecture::parse(text, "net.toml")?.layers;
/// let plan = Plan::new(&layers, &[], &Input::values([4]), &Limits::default())?;
/// assert_eq!(plan.parameters(), 4 * 8 + 8);
/// assert_eq!(plan.layers[1].inputs, [Source::Layer(0)]);
/// assert_eq!(plan.layers[plan.outputs[0]].output, [8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// What the network is given.
    pub input: Input,
    /// The layers; each takes only what comes before it. No `block`, `repeat` or `reuse` is among
    /// them: what these hold stands here instead.
    pub layers: Vec<PlannedLayer>,
    /// Places in `layers` of those whose outputs are the network's; at least one.
    pub outputs: Vec<usize>,
}

/// One layer of a [`Plan`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlannedLayer {
    /// Its place in the text as parameters are named: `3`, `3.1` in a block, `3.0.1` in a repeat.
    pub path: String,
    /// Its own name.
    pub name: Option<String>,
    /// Its type and options; the layer used again in the place of a `reuse`.
    pub layer: Layer,
    /// Where its inputs come from, at least one; complete also for `shortcut` and `mul`.
    pub inputs: Vec<Source>,
    /// The place in [`Plan::layers`] of the layer whose weights (and buffers) it uses: its own, or an
    /// earlier one.
    pub weights: usize,
    /// The shapes of its inputs, without the batch.
    pub input_dims: Vec<Vec<usize>>,
    /// The shape of its output, without the batch.
    pub output: Vec<usize>,
    /// What it learns, in PyTorch's order; empty if it uses another's weights.
    pub parameters: Vec<Parameter>,
    /// What it keeps and does not learn; empty if it uses another's.
    pub buffers: Vec<Parameter>,
    /// Multiply-accumulates for one example; see [`Plan::macs`].
    pub macs: u64,
    /// Its place in the text; that of the `reuse` for a layer used again.
    pub span: Span,
    /// Its key in the text: `layer[3]`, `layer[3].layer[1]`.
    pub key: String,
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// What the network is given.
    Input,
    /// The output of the layer at this place in [`Plan::layers`].
    Layer(usize),
}

/// A tensor of a layer: a parameter or a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name within the layer: `weight`, `weight_ih_l0`, `out_proj.weight`.
    pub name: String,
    /// Its shape in PyTorch's layout: `[out, in]` for a `linear`.
    pub shape: Vec<usize>,
}

impl Parameter {
    pub(crate) fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }

    /// Its number of values.
    ///
    /// ```
    /// use espalier_network::{Input, Layer, LayerSpec, Limits, Plan, Spanned};
    ///
    /// let layer = Spanned::new(LayerSpec::new(Layer::Linear { features: 3, bias: true }), 0..0);
    /// let plan = Plan::new(&[layer], &[], &Input::values([5]), &Limits::default())?;
    /// let weight = &plan.layers[0].parameters[0];
    /// assert_eq!((weight.name.as_str(), weight.numel()), ("weight", 15));
    /// # Ok::<(), espalier_network::PlanError>(())
    /// ```
    pub fn numel(&self) -> u64 {
        self.shape.iter().fold(1, |product, size| product.saturating_mul(*size as u64))
    }
}

impl Plan {
    /// The network of `layers` for examples of `input`.
    ///
    /// Its outputs are `outputs`, or that of the last layer if there are none.
    ///
    /// # Errors
    /// [`PlanError`] with everything that does not fit, in the order of the text.
    pub fn new(
        layers: &[Spanned<LayerSpec>],
        outputs: &[Spanned<Reference>],
        input: &Input,
        limits: &Limits,
    ) -> Result<Self, PlanError> {
        expand::plan(layers, outputs, input, limits)
    }

    /// The number of learned values, each counted once.
    pub fn parameters(&self) -> u64 {
        sum(self.layers.iter().flat_map(|layer| &layer.parameters).map(Parameter::numel))
    }

    /// The number of kept values that are not learned, each counted once: running means and variances.
    pub fn buffers(&self) -> u64 {
        sum(self.layers.iter().flat_map(|layer| &layer.buffers).map(Parameter::numel))
    }

    /// Multiply-accumulates of one forward pass of one example.
    ///
    /// Counted where weights or attention multiply, as is usual: with `out` for the number of output
    /// values, `linear` and convolutions `out * (inputs of one output)`, transposed convolutions
    /// `in * (outputs of one input)`, recurrent layers `time * directions * gates * features *
    /// (inputs + features)`, attention its four projections and `2 * queries * keys * features`,
    /// `scale` and `mul` one a value. Norms, pools, activations, sums and biases count as 0: a norm is
    /// folded into the layer before, and none of them multiplies matrices. Layers used again count
    /// each time.
    ///
    /// ```
    /// use espalier_network::{Architecture, Input, Limits};
    ///
    /// let text = "layer = [{ type = 'conv2d', channels = 8, kernel = 3 }, { type = 'relu' }]";
    /// let architecture = Architecture::parse(text, "net.toml")?;
    /// let plan = architecture.plan(Some(&Input::values([1, 28, 28])), &Limits::default())?;
    /// assert_eq!(plan.macs(), (8 * 26 * 26) * 9);
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    pub fn macs(&self) -> u64 {
        sum(self.layers.iter().map(|layer| layer.macs))
    }

    /// Places in [`Plan::layers`] of those whose output nothing takes.
    ///
    /// ```
    /// use espalier_network::{Architecture, Input, Limits};
    ///
    /// let text = "layer = [{ type = 'tanh' }, { type = 'relu', from = 'input' }]";
    /// let architecture = Architecture::parse(text, "net.toml")?;
    /// let plan = architecture.plan(Some(&Input::values([4])), &Limits::default())?;
    /// assert_eq!(plan.unused(), [0]);
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    pub fn unused(&self) -> Vec<usize> {
        let mut used = vec![false; self.layers.len()];
        let sources = self.layers.iter().flat_map(|layer| &layer.inputs);
        let taken = sources.filter_map(|source| match source {
            Source::Layer(index) => Some(*index),
            Source::Input => None,
        });
        for index in taken.chain(self.outputs.iter().copied()) {
            if let Some(used) = used.get_mut(index) {
                *used = true;
            }
        }
        used.iter().enumerate().filter(|(_, used)| !**used).map(|(index, _)| index).collect()
    }
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

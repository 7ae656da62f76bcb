//! A layer with others right before and after it, as one.

use super::super::layer::{AnyLayer, Layer, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// A layer and what its input or output goes through besides: a border, an activation, the last step.
///
/// It is named and shown as the layer, and its parameters are the layer's: what is added has none.
///
/// ```
/// use burn::nn::{LinearConfig, Relu};
/// use burn::tensor::Device;
/// use espalier::nn::{Composed, Layer};
///
/// let linear = LinearConfig::new(4, 2).init(&Device::default());
/// let layer = Composed::new(linear).then(Relu::new());
/// assert_eq!((layer.kind(), layer.output_dims(&[1, 4])?), ("Linear", vec![1, 2]));
/// # Ok::<(), espalier::nn::WidthError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Composed {
    before: Option<AnyLayer>,
    layer: AnyLayer,
    after: Option<AnyLayer>,
}

impl Composed {
    /// The layer alone.
    pub fn new<L: Layer>(layer: L) -> Self {
        Self { before: None, layer: AnyLayer::new(layer), after: None }
    }

    /// With `before`, which has no parameters, on its input.
    pub fn after<L: Layer>(self, before: L) -> Self {
        Self { before: Some(AnyLayer::new(before)), ..self }
    }

    /// With `after`, which has no parameters, on its output.
    pub fn then<L: Layer>(self, after: L) -> Self {
        Self { after: Some(AnyLayer::new(after)), ..self }
    }
}

fn dims_after(layer: Option<&AnyLayer>, dims: Vec<usize>) -> Result<Vec<usize>, WidthError> {
    layer.map_or(Ok(dims.clone()), |layer| layer.output_dims(&dims))
}

impl Layer for Composed {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        self.output_dims_many(&[input])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        self.forward_many(vec![input])
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        let inputs: Result<Vec<Vec<usize>>, WidthError> =
            inputs.iter().map(|input| dims_after(self.before.as_ref(), input.to_vec())).collect();
        let inputs = inputs?;
        let inputs: Vec<&[usize]> = inputs.iter().map(Vec::as_slice).collect();
        dims_after(self.after.as_ref(), self.layer.output_dims_many(&inputs)?)
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let inputs = match &self.before {
            Some(before) => inputs
                .into_iter()
                .map(|input| before.forward_any(input))
                .collect::<Result<_, _>>()?,
            None => inputs,
        };
        let output = self.layer.forward_many(inputs)?;
        match &self.after {
            Some(after) => after.forward_any(output),
            None => Ok(output),
        }
    }
    fn kind(&self) -> &'static str {
        self.layer.type_name()
    }
}

super::transparent!(Composed, layer);

//! A layer with others right before and after it, as one.

use burn::module::{
    Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

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

    fn with(self, mut change: impl FnMut(AnyLayer) -> AnyLayer) -> Self {
        Self {
            before: self.before.map(&mut change),
            layer: change(self.layer),
            after: self.after.map(change),
        }
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

impl Module for Composed {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.layer.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        self.with(|layer| layer.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        self.with(|layer| layer.to_device(device))
    }
    fn train(self) -> Self {
        self.with(Module::train)
    }
    fn valid(&self) -> Self {
        self.clone().with(|layer| layer.valid())
    }
    fn materialize(self) -> Self {
        self.with(Module::materialize)
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.layer.visit(visitor);
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        Self { layer: Module::map(self.layer, mapper), ..self }
    }
}

impl ModuleDisplayDefault for Composed {
    fn content(&self, content: Content) -> Option<Content> {
        self.layer.content(content)
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Composed {
    fn format(&self, settings: DisplaySettings) -> String {
        self.layer.format(settings)
    }
}

impl std::fmt::Display for Composed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format(DisplaySettings::default()))
    }
}

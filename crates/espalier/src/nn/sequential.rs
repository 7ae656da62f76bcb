//! Layers one after another.

use std::ops::{Index, IndexMut};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

use super::layer::{AnyLayer, Layer, LayerError, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// Layers of any types, applied one after another.
///
/// Indexed like a list (`net[2]`); parameters are named `0.weight`, `0.bias`, `2.weight` as in
/// `torch.nn.Sequential`.
///
/// ```
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::Sequential;
///
/// let device = Device::default();
/// let net = Sequential::new()
///     .with(LinearConfig::new(4, 8).init(&device))
///     .with(Relu::new())
///     .with(LinearConfig::new(8, 2).init(&device));
/// let y: Tensor<2> = net.forward(Tensor::<2>::ones([3, 4], &device))?;
/// assert_eq!(y.dims(), [3, 2]);
/// assert_eq!(net[2].get::<Linear>().map(|l| l.weight.dims()), Some([8, 2]));
///
/// let error = net.forward::<2, 2>(Tensor::ones([3, 5], &device)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "layer `0` (Linear): expected 4 input features, found 5 (input [3, 5])"
/// );
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sequential {
    layers: Vec<AnyLayer>,
}

impl Sequential {
    /// An empty container: the identity.
    pub fn new() -> Self {
        Self::default()
    }

    /// The container with `layer` added at its end.
    pub fn with<L: Layer>(mut self, layer: L) -> Self {
        self.push(AnyLayer::new(layer));
        self
    }

    /// Adds a layer at the end.
    pub fn push(&mut self, layer: AnyLayer) {
        self.layers.push(layer);
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, AnyLayer> {
        self.layers.iter()
    }

    /// The shape of the output for an input of shape `input`, without computing anything.
    ///
    /// # Errors
    ///
    /// [`LayerError`] with the first layer that does not fit what comes before it.
    pub fn check(&self, input: &[usize]) -> Result<Vec<usize>, LayerError> {
        let mut dims = input.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            dims = layer.output_dims(&dims).map_err(|source| located(index, layer, source))?;
        }
        Ok(dims)
    }

    /// The output for `input`.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] with the first layer that does not fit what comes before it,
    /// [`Error::Rank`] if the output has another rank than `O`.
    pub fn forward<const I: usize, const O: usize>(
        &self,
        input: Tensor<I>,
    ) -> Result<Tensor<O>, Error> {
        self.forward_any(input.into())?.into_rank()
    }
}

fn located(index: usize, layer: &AnyLayer, mut source: WidthError) -> LayerError {
    let (name, kind) = match source.inside.take().map(|inside| *inside) {
        Some((inner, kind)) => (format!("{index}.{inner}"), kind),
        None => (index.to_string(), layer.type_name()),
    };
    LayerError { name, kind, source }
}

impl Layer for Sequential {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        self.check(input).map_err(|LayerError { name, kind, source }| WidthError {
            inside: Some(Box::new((name, kind))),
            ..source
        })
    }

    fn forward_any(&self, mut input: AnyTensor) -> Result<AnyTensor, Error> {
        for (index, layer) in self.layers.iter().enumerate() {
            layer.check_input(&input.dims()).map_err(|source| located(index, layer, source))?;
            input = layer.forward_any(input).map_err(|error| error.inside(&index.to_string()))?;
        }
        Ok(input)
    }

    /// Nothing: each layer checks what comes before it.
    fn check_input(&self, _: &[usize]) -> Result<(), WidthError> {
        Ok(())
    }
}

impl Index<usize> for Sequential {
    type Output = AnyLayer;
    fn index(&self, index: usize) -> &AnyLayer {
        &self.layers[index]
    }
}

impl IndexMut<usize> for Sequential {
    fn index_mut(&mut self, index: usize) -> &mut AnyLayer {
        &mut self.layers[index]
    }
}

super::list::impl_list_module!(Sequential, layers: AnyLayer, "Struct:Sequential");

#[cfg(test)]
mod tests {
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::pool::MaxPool2dConfig;
    use burn::nn::{BatchNormConfig, LinearConfig, Relu};

    use super::*;
    use crate::nn::Flatten;

    fn net(device: &Device) -> Sequential {
        Sequential::new()
            .with(Conv2dConfig::new([1, 4], [3, 3]).init(device))
            .with(BatchNormConfig::new(4).init(device))
            .with(Relu::new())
            .with(MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init())
            .with(Flatten::new())
            .with(LinearConfig::new(36, 5).init(device))
    }

    #[test]
    fn inferred_shapes_are_the_computed_ones() {
        let device = Device::default();
        let net = net(&device);
        assert_eq!(net.check(&[2, 1, 8, 8]).unwrap(), [2, 5]);
        let mut x = AnyTensor::from(Tensor::<4>::ones([2, 1, 8, 8], &device));
        for layer in net.iter() {
            let inferred = layer.output_dims(&x.dims()).unwrap();
            x = layer.forward_any(x).unwrap();
            assert_eq!(x.dims(), inferred, "{}", layer.type_name());
        }
    }

    #[test]
    fn a_width_that_does_not_fit_names_the_layer_also_when_nested() {
        let device = Device::default();
        let outer = Sequential::new().with(Relu::new()).with(net(&device));
        let error = outer.forward::<4, 2>(Tensor::ones([2, 1, 10, 10], &device)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layer `1.5` (Linear): expected 36 input features, found 64 (input [2, 64])"
        );
        let error = net(&device).check(&[2, 3, 8, 8]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layer `0` (Conv2d): expected 1 input channels, found 3 (input [2, 3, 8, 8])"
        );
    }

    #[test]
    fn an_output_of_another_rank_is_an_error() {
        let device = Device::default();
        let error = net(&device).forward::<4, 4>(Tensor::ones([2, 1, 8, 8], &device)).unwrap_err();
        assert!(matches!(error, Error::Rank { expected: 4, ref found } if found == &[2, 5]));
    }
}

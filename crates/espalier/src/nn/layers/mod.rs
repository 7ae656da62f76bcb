//! Burn's layers as [`Layer`]s, and the layers that Burn has as functions only.

use burn::nn::activation::{HardSwish, Mish, SiLU};
use burn::nn::conv::{Conv1d, Conv2d, Conv3d};
use burn::nn::{
    BatchNorm, Dropout, Elu, Gelu, Identity, LeakyRelu, Linear, PRelu, Relu, Selu, Sigmoid,
    Softplus, Tanh,
};

use super::layer::{Layer, WidthError};
use super::window::{Window, pads_1d, pads_2d, pads_3d};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;

/// `Module` for a struct that is to its visitors what one of its fields is: parameters have the
/// names they have there. Its other fields hold none.
macro_rules! transparent {
    ($type:ty, $field:ident) => {
        impl burn::module::Module for $type {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                self.$field.collect_devices(devices)
            }
            fn fork(self, device: &burn::tensor::Device) -> Self {
                Self { $field: self.$field.fork(device), ..self }
            }
            fn to_device(self, device: &burn::tensor::Device) -> Self {
                Self { $field: self.$field.to_device(device), ..self }
            }
            fn train(self) -> Self {
                Self { $field: self.$field.train(), ..self }
            }
            fn valid(&self) -> Self {
                Self { $field: self.$field.valid(), ..self.clone() }
            }
            fn materialize(self) -> Self {
                Self { $field: self.$field.materialize(), ..self }
            }
            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                self.$field.visit(visitor);
            }
            fn map<V: burn::module::ModuleMapper>(self, mapper: &mut V) -> Self {
                Self { $field: burn::module::Module::map(self.$field, mapper), ..self }
            }
        }

        impl burn::module::ModuleDisplayDefault for $type {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                self.$field.content(content)
            }
            fn num_params(&self) -> usize {
                burn::module::Module::num_params(self)
            }
        }

        impl burn::module::ModuleDisplay for $type {
            fn format(&self, settings: burn::module::DisplaySettings) -> String {
                self.$field.format(settings)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                use burn::module::ModuleDisplay as _;
                f.write_str(&self.format(burn::module::DisplaySettings::default()))
            }
        }
    };
}
use transparent;

mod attention;
mod composed;
mod embedding;
mod join;
mod norm;
mod pool;
mod recurrent;
mod resize;
mod scale;
mod shape;
mod transpose;

pub use attention::SelfAttention;
pub use composed::Composed;
pub use embedding::Positions;
pub use join::{Add, Concat, Multiply};
pub use pool::{GlobalAvgPool, GlobalMaxPool};
pub use recurrent::LastStep;
pub use scale::Scale;
pub use shape::{Flatten, LogSoftmax, Pad, Reshape, Softmax, Transpose};

/// Runs a rank-generic `forward` on a tensor of any rank.
macro_rules! forward_any_rank {
    ($layer:expr, $input:expr) => {{
        let input = $input;
        with_rank!(input.rank(), D => Ok($layer.forward(input.into_rank::<D>()?).into()), else {
            Err(Error::Rank { expected: 8, found: input.dims() })
        })
    }};
}

macro_rules! shape_preserving {
    ($($layer:ty),*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                Ok(input.to_vec())
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                forward_any_rank!(self, input)
            }
        })*
    };
}
pub(super) use forward_any_rank;

shape_preserving!(Relu, LeakyRelu, Gelu, Sigmoid, Tanh, Dropout);
shape_preserving!(Identity, Elu, HardSwish, Mish, Selu, SiLU, Softplus);

/// One slope for all, or one for each channel (dimension 1).
impl Layer for PRelu {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        match self.alpha.lazy_shape()[0] {
            1 => {}
            channels => WidthError::check(input, 1, channels, "channels")?,
        }
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

/// What a linear layer of `[in, out]` makes of these dimensions.
pub(super) fn linear_dims(
    input: &[usize],
    [features, outputs]: [usize; 2],
) -> Result<Vec<usize>, WidthError> {
    let last = input.len().wrapping_sub(1);
    WidthError::check(input, last, features, "input features")?;
    let mut output = input.to_vec();
    output[last] = outputs;
    Ok(output)
}

impl Layer for Linear {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        let shape = self.weight.lazy_shape();
        linear_dims(input, [shape[0], shape[1]])
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

impl Layer for BatchNorm {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check(input, 1, self.gamma.lazy_shape()[0], "channels")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        forward_any_rank!(self, input)
    }
}

/// Burn's convolutions, whose options are arrays (or, in one dimension, numbers).
macro_rules! conv {
    ($($layer:ty, $window:expr;)*) => {
        $(impl Layer for $layer {
            fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
                let weight = self.weight.lazy_shape();
                let window = ($window as fn(&Self) -> _)(self);
                check_channels(&window, weight[1] * self.groups, input)?;
                window.output(weight[0], input)
            }
            fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
                Ok(self.forward(input.into_rank()?).into())
            }
        })*
    };
}
conv! {
    Conv1d, |conv| Window {
        kernel: [conv.kernel_size],
        stride: [conv.stride],
        dilation: [conv.dilation],
        pads: pads_1d(&conv.padding),
        ceil: false,
    };
    Conv2d, |conv| Window {
        kernel: conv.kernel_size,
        stride: conv.stride,
        dilation: conv.dilation,
        pads: pads_2d(&conv.padding),
        ceil: false,
    };
    Conv3d, |conv| Window {
        kernel: conv.kernel_size,
        stride: conv.stride,
        dilation: conv.dilation,
        pads: pads_3d(&conv.padding),
        ceil: false,
    };
}

fn check_channels<const N: usize>(
    _: &Window<N>,
    channels: usize,
    input: &[usize],
) -> Result<(), WidthError> {
    Window::<N>::check_rank(input)?;
    WidthError::check(input, 1, channels, "input channels")
}

#[cfg(test)]
mod tests {
    use burn::nn::conv::{Conv1dConfig, Conv2dConfig, Conv3dConfig};
    use burn::nn::pool::MaxPool2dConfig;
    use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[test]
    fn inferred_window_positions_are_burns() {
        let device = Device::default();
        let paddings = [
            PaddingConfig2d::Valid,
            PaddingConfig2d::Same,
            PaddingConfig2d::Explicit(1, 1, 1, 1),
            PaddingConfig2d::Explicit(0, 1, 1, 0),
        ];
        for size in 1..8 {
            let x = Tensor::<4>::ones([1, 2, size, size + 1], &device);
            let input = [1, 2, size, size + 1];
            for (kernel, stride, dilation) in
                [(1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 2)]
            {
                for padding in &paddings {
                    let conv = Conv2dConfig::new([2, 3], [kernel; 2])
                        .with_stride([stride; 2])
                        .with_dilation([dilation; 2])
                        .with_padding(padding.clone())
                        .init(&device);
                    if let Ok(dims) = conv.output_dims(&input) {
                        assert_eq!(
                            conv.forward(x.clone()).dims().as_slice(),
                            dims,
                            "{conv}, {size}"
                        );
                    }
                    let padding_fits =
                        *padding != PaddingConfig2d::Explicit(1, 1, 1, 1) || kernel > 1;
                    for ceil in [false, true] {
                        let pool = MaxPool2dConfig::new([kernel; 2])
                            .with_strides([stride; 2])
                            .with_dilation([dilation; 2])
                            .with_padding(padding.clone())
                            .with_ceil_mode(ceil)
                            .init();
                        let asymmetric = matches!(padding, PaddingConfig2d::Explicit(0, ..))
                            || *padding == PaddingConfig2d::Same;
                        if asymmetric || !padding_fits {
                            continue; // Burn pads such input itself, then pools without padding.
                        }
                        if let Ok(dims) = pool.output_dims(&input) {
                            let found = pool.forward(x.clone()).dims();
                            assert_eq!(found.as_slice(), dims, "{pool}, {size}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn inferred_positions_in_one_and_three_dimensions_are_burns() {
        let device = Device::default();
        let mut checked = [0; 2];
        for size in 1..8 {
            for (kernel, stride, dilation) in
                [(1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 2)]
            {
                for padding in
                    [PaddingConfig1d::Valid, PaddingConfig1d::Same, PaddingConfig1d::Explicit(0, 1)]
                {
                    let conv = Conv1dConfig::new(2, 3, kernel)
                        .with_stride(stride)
                        .with_dilation(dilation)
                        .with_padding(padding)
                        .init(&device);
                    if let Ok(dims) = conv.output_dims(&[1, 2, size]) {
                        let found = conv.forward(Tensor::ones([1, 2, size], &device)).dims();
                        assert_eq!(found.as_slice(), dims, "{conv}, {size}");
                        checked[0] += 1;
                    }
                }
                for padding in [
                    PaddingConfig3d::Valid,
                    PaddingConfig3d::Same,
                    PaddingConfig3d::Explicit(1, 0, 1),
                ] {
                    if padding == PaddingConfig3d::Same && kernel % 2 == 0 {
                        continue; // Burn refuses to make it.
                    }
                    let conv = Conv3dConfig::new([2, 3], [kernel; 3])
                        .with_stride([stride; 3])
                        .with_dilation([dilation; 3])
                        .with_padding(padding)
                        .init(&device);
                    let input = [1, 2, size, size + 1, size];
                    if let Ok(dims) = conv.output_dims(&input) {
                        let found = conv.forward(Tensor::ones(input, &device)).dims();
                        assert_eq!(found.as_slice(), dims, "{conv}, {size}");
                        checked[1] += 1;
                    }
                }
            }
        }
        assert!(checked[0] > 80 && checked[1] > 50, "{checked:?}");
    }

    #[test]
    fn what_three_dimensions_cannot_take_is_an_error_and_no_panic() {
        let conv = Conv3dConfig::new([1, 1], [3; 3])
            .with_stride([2; 3])
            .with_padding(PaddingConfig3d::Same)
            .init(&Device::default());
        let error = conv.output_dims(&[1, 1, 4, 4, 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a size with as much `Same` padding before as after, found 4, padded by 0 \
             and 1 (input [1, 1, 4, 4, 4])"
        );
        let error = conv.output_dims(&[1, 1, 4, 4]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected 5 dimensions [batch, channels, depth, height, width], found 4 (input [1, 1, \
             4, 4])"
        );
    }
}

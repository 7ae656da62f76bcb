//! One gradient: its norm and its changes, as plain numbers or by tensor operations.

use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::NormKind;
use crate::host::is_plain;

pub(super) enum Norm {
    Here(f64),
    There(Box<Tensor<1>>),
}

/// A gradient of any rank.
pub(super) trait Gradient {
    fn norm(&self, norm: NormKind) -> Norm;
    fn scale(&mut self, coefficient: f64);
    fn clamp(&mut self, limit: f64);
    fn put(self: Box<Self>, grads: &mut GradientsParams);
}

pub(super) struct Held<const D: usize> {
    id: ParamId,
    device: Device,
    dtype: DType,
    value: Value<D>,
}

enum Value<const D: usize> {
    Host(TensorData),
    Device(Tensor<D>),
}

impl<const D: usize> Held<D> {
    /// As plain numbers if it lives on the CPU and `host` says so.
    pub(super) fn new(id: ParamId, tensor: Tensor<D>, host: bool) -> Self {
        let (device, dtype) = (tensor.device(), tensor.dtype());
        let value = if host && !tensor.is_autodiff() && is_plain(&device, dtype) {
            Value::Host(tensor.into_data())
        } else {
            Value::Device(tensor)
        };
        Self { id, device, dtype, value }
    }

    fn change(
        &mut self,
        single: impl Fn(f32) -> f32,
        double: impl Fn(f64) -> f64,
        tensor: impl FnOnce(Tensor<D>) -> Tensor<D>,
    ) {
        match &mut self.value {
            Value::Host(data) => {
                if let Ok(values) = data.as_mut_slice::<f32>() {
                    values.iter_mut().for_each(|value| *value = single(*value));
                } else if let Ok(values) = data.as_mut_slice::<f64>() {
                    values.iter_mut().for_each(|value| *value = double(*value));
                }
            }
            Value::Device(value) => *value = tensor(value.clone()),
        }
    }
}

impl<const D: usize> Gradient for Held<D> {
    fn norm(&self, norm: NormKind) -> Norm {
        match &self.value {
            Value::Host(data) => Norm::Here(match (data.as_slice::<f32>(), data.as_slice()) {
                (Ok(values), _) => slice_norm(values, norm),
                (_, Ok(values)) => slice_norm::<f64>(values, norm),
                _ => unreachable!("only f32 and f64 are held as numbers"),
            }),
            Value::Device(tensor) => Norm::There(Box::new(tensor_norm(tensor.clone(), norm))),
        }
    }

    fn scale(&mut self, coefficient: f64) {
        let single = coefficient as f32;
        self.change(|x| x * single, |x| x * coefficient, |x| x.mul_scalar(coefficient));
    }

    fn clamp(&mut self, limit: f64) {
        let single = limit as f32;
        self.change(
            |x| x.clamp(-single, single),
            |x| x.clamp(-limit, limit),
            |x| x.clamp(-limit, limit),
        );
    }

    fn put(self: Box<Self>, grads: &mut GradientsParams) {
        let Self { id, device, dtype, value } = *self;
        grads.register(
            id,
            match value {
                Value::Host(data) => Tensor::<D>::from_data(data, (&device, dtype)),
                Value::Device(tensor) => tensor,
            },
        );
    }
}

/// In f32, or f64 for f64.
fn tensor_norm<const D: usize>(tensor: Tensor<D>, norm: NormKind) -> Tensor<1> {
    let tensor = tensor.without_autodiff();
    let tensor = match tensor.dtype() {
        DType::F32 | DType::F64 => tensor,
        _ => tensor.cast(DType::F32),
    };
    match norm {
        NormKind::L1 => tensor.abs().sum(),
        NormKind::L2 => tensor.square().sum().sqrt(),
        NormKind::Inf => {
            // A maximum may pass NaN over.
            let nan = tensor.clone().is_nan().any();
            tensor.max_abs().mask_fill(nan, f32::NAN)
        }
        NormKind::P(p) => tensor.abs().powf_scalar(p).sum().powf_scalar(1.0 / p),
    }
}

const LANES: usize = 16;

/// The sum in several lanes, which the compiler can keep in vector registers.
fn sum<T: Copy>(values: &[T], term: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    let rest: f64 = chunks.remainder().iter().map(|value| term(*value)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// The largest absolute value, NaN if there is one.
pub(super) fn largest<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let worse = |largest: f64, value: T| {
        let value: f64 = value.into().abs();
        if value > largest || value.is_nan() { value } else { largest }
    };
    let mut lanes = [0.0; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = worse(*lane, *value);
        }
    }
    let rest = chunks.remainder().iter().fold(0.0, |largest, value| worse(largest, *value));
    lanes
        .iter()
        .chain([&rest])
        .fold(0.0, |largest, lane| if *lane > largest || lane.is_nan() { *lane } else { largest })
}

pub(super) fn slice_norm<T: Copy + Into<f64>>(values: &[T], norm: NormKind) -> f64 {
    let p = match norm {
        NormKind::L1 => return sum(values, |value| value.into().abs()),
        NormKind::Inf => return largest(values),
        NormKind::L2 => 2.0,
        NormKind::P(p) => p,
    };
    let root = |sum: f64| if p == 2.0 { sum.sqrt() } else { sum.powf(1.0 / p) };
    // Divided, not multiplied: one over a subnormal number is infinite.
    let powers = |top: f64| {
        root(match norm {
            NormKind::L2 => sum(values, |value| {
                let value = value.into() / top;
                value * value
            }),
            _ => sum(values, |value| (value.into() / top).abs().powf(p)),
        })
    };
    let direct = root(match norm {
        NormKind::L2 => sum(values, |value| value.into() * value.into()),
        _ => sum(values, |value| value.into().abs().powf(p)),
    });
    // Powers of numbers that are large or small themselves may be infinite or zero.
    if direct.is_finite() && direct > 0.0 {
        return direct;
    }
    match largest(values) {
        top if top.is_finite() && top > 0.0 => powers(top) * top,
        top => top,
    }
}

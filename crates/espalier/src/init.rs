//! Initial values by PyTorch's names, from an own seeded generator.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::error::Error;
use crate::select::Selector;
use crate::tree::{Kind, Layout, Walk, contiguous};

/// A seeded generator on the host, the same on every machine and thread count.
///
/// Burn's CPU backend has one generator for the whole process, which tests and data loaders
/// disturb; initial values, shuffles and masks come from this one.
///
/// ```
/// use espalier::init::Rng;
/// assert_eq!(Rng::seeded(7).uniform().to_bits(), Rng::seeded(7).uniform().to_bits());
/// assert_ne!(Rng::stream(7, 1).uniform().to_bits(), Rng::stream(7, 2).uniform().to_bits());
/// ```
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator for a seed.
    pub fn seeded(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of many independent generators for a seed: an epoch's, a parameter's.
    pub fn stream(seed: u64, stream: u64) -> Self {
        let mut rng = Self::seeded(seed);
        rng.0.set_stream(stream);
        rng
    }

    /// A number in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A number from the normal distribution with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// A whole number below `bound` (0 if `bound` is 0).
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { self.0.random_range(0..bound) }
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Which fan a scale is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fan {
    /// Input features times the receptive field: keeps the variance of activations.
    #[default]
    In,
    /// Output features times the receptive field: keeps the variance of gradients.
    Out,
}

/// The activation a gain is for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Nonlinearity {
    /// 1.
    Linear,
    /// 1.
    Sigmoid,
    /// 5/3.
    Tanh,
    /// The square root of 2.
    #[default]
    Relu,
    /// `sqrt(2 / (1 + slope^2))`.
    LeakyRelu(f64),
    /// 3/4.
    Selu,
}

impl Nonlinearity {
    /// The recommended gain: `torch.nn.init.calculate_gain`.
    ///
    /// ```
    /// use espalier::init::Nonlinearity;
    /// assert_eq!(Nonlinearity::Tanh.gain(), 5.0 / 3.0);
    /// ```
    pub fn gain(self) -> f64 {
        match self {
            Self::Linear | Self::Sigmoid => 1.0,
            Self::Tanh => 5.0 / 3.0,
            Self::Relu => 2f64.sqrt(),
            Self::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
            Self::Selu => 0.75,
        }
    }
}

/// How a parameter is filled. Fans are those of PyTorch's layout.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// One value everywhere.
    Constant(f64),
    /// Uniform in `[low, high)`.
    Uniform(f64, f64),
    /// Normal with a mean and a standard deviation.
    Normal(f64, f64),
    /// Uniform in `±gain * sqrt(3 / fan)` (He et al., 2015).
    KaimingUniform(Nonlinearity, Fan),
    /// Normal with standard deviation `gain / sqrt(fan)` (He et al., 2015).
    KaimingNormal(Nonlinearity, Fan),
    /// Uniform in `±gain * sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    XavierUniform(f64),
    /// Normal with standard deviation `gain * sqrt(2 / (fan_in + fan_out))`.
    XavierNormal(f64),
    /// A random orthogonal matrix times a gain, trailing dimensions flattened (Saxe et al., 2013).
    Orthogonal(f64),
}

impl Init {
    /// Fills the selected parameters of `module`, each from its own stream of `seed`.
    ///
    /// The stream of a parameter is its place among all parameters of the module, so that its
    /// values do not depend on what else is selected. Buffers are left alone.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::init::Init;
    /// use espalier::Selector;
    ///
    /// let linear = LinearConfig::new(4, 3).init(&Device::default());
    /// let linear = Init::Constant(0.5).apply(linear, &Selector::path("bias"), 0)?;
    /// let bias = linear.bias.map(|b| b.val().into_data().try_to_vec::<f32>());
    /// assert_eq!(bias, Some(Ok(vec![0.5; 3])));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::RunningStatistic`] if only buffers are;
    /// [`Error::Init`] if a method needs fans of a
    /// parameter with fewer than two dimensions, or an option is out of range.
    pub fn apply<M: Module>(self, module: M, select: &Selector, seed: u64) -> Result<M, Error> {
        let all = crate::tree::tensors(&module);
        let selection = select.select_from(&all)?;
        let mut fills = std::collections::BTreeMap::new();
        for info in selection.iter().filter(|info| info.kind == Kind::Parameter) {
            let place = all.iter().position(|other| other.path == info.path).unwrap_or_default();
            let shape = info.layout().torch_shape(&info.shape);
            let mut rng = Rng::stream(seed, place as u64);
            let values = self
                .values(&shape, &mut rng)
                .map_err(|reason| Error::Init { path: info.path.clone(), reason })?;
            fills.insert(info.path.clone(), TensorData::new(values, shape));
        }
        if fills.is_empty() {
            return Err(Error::RunningStatistic { path: selection.paths().swap_remove(0) });
        }
        Ok(module.map(&mut Fill { fills, walk: Walk::default() }))
    }

    /// Values for a tensor of `shape` (PyTorch's layout), row-major.
    ///
    /// # Errors
    ///
    /// A sentence that says what does not fit.
    pub fn values(self, shape: &[usize], rng: &mut Rng) -> Result<Vec<f64>, String> {
        let count: usize = shape.iter().product();
        let uniform = |rng: &mut Rng, low: f64, high: f64| -> Vec<f64> {
            (0..count).map(|_| low + (high - low) * rng.uniform()).collect()
        };
        let normal = |rng: &mut Rng, mean: f64, std: f64| -> Vec<f64> {
            (0..count).map(|_| mean + std * rng.normal()).collect()
        };
        let fan = |fan: Fan| -> Result<f64, String> {
            let (fan_in, fan_out) = fans(shape)?;
            Ok(if fan == Fan::In { fan_in } else { fan_out })
        };
        Ok(match self {
            Self::Constant(value) => vec![value; count],
            Self::Uniform(low, high) if low <= high => uniform(rng, low, high),
            Self::Uniform(low, high) => {
                return Err(format!(
                    "expected a lower bound below the upper, found {low} and {high}"
                ));
            }
            Self::Normal(mean, std) if std >= 0.0 => normal(rng, mean, std),
            Self::Normal(_, std) => {
                return Err(format!("expected a standard deviation of 0 or more, found {std}"));
            }
            Self::KaimingUniform(nonlinearity, side) => {
                let bound = nonlinearity.gain() * (3.0 / fan(side)?).sqrt();
                uniform(rng, -bound, bound)
            }
            Self::KaimingNormal(nonlinearity, side) => {
                normal(rng, 0.0, nonlinearity.gain() / fan(side)?.sqrt())
            }
            Self::XavierUniform(gain) => {
                let (fan_in, fan_out) = fans(shape)?;
                let bound = gain * (6.0 / (fan_in + fan_out)).sqrt();
                uniform(rng, -bound, bound)
            }
            Self::XavierNormal(gain) => {
                let (fan_in, fan_out) = fans(shape)?;
                normal(rng, 0.0, gain * (2.0 / (fan_in + fan_out)).sqrt())
            }
            Self::Orthogonal(gain) => orthogonal(shape, gain, rng)?,
        })
    }
}

/// `fan_in` and `fan_out` of a weight in PyTorch's layout, output features first.
fn fans(shape: &[usize]) -> Result<(f64, f64), String> {
    if shape.len() < 2 {
        return Err(format!("fans need at least two dimensions, found shape {shape:?}"));
    }
    let field: usize = shape[2..].iter().product();
    Ok(((shape[1] * field) as f64, (shape[0] * field) as f64))
}

fn orthogonal(shape: &[usize], gain: f64, rng: &mut Rng) -> Result<Vec<f64>, String> {
    if shape.len() < 2 {
        return Err(format!("an orthogonal matrix has two dimensions, found shape {shape:?}"));
    }
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (tall, short) = (rows.max(columns), rows.min(columns));
    let normal: Vec<f64> = (0..tall * short).map(|_| rng.normal()).collect();
    let q = espalier_kernels::orthonormal_columns(tall, short, &normal)
        .map_err(|error| error.to_string())?;
    let at = |row: usize, column: usize| {
        if rows >= columns { q[row * short + column] } else { q[column * short + row] }
    };
    Ok((0..rows * columns).map(|i| gain * at(i / columns, i % columns)).collect())
}

/// Replaces parameters by values in PyTorch's layout.
struct Fill {
    fills: std::collections::BTreeMap<String, TensorData>,
    walk: Walk,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.walk.enter(name, container);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.walk.exit();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.walk.path();
        let Some(data) = self.fills.remove(&path) else {
            return param;
        };
        let layout = Layout::of(self.walk.layer(), path.split('.'), D);
        let grad = param.is_require_grad();
        param.map(|old| {
            let data = data.convert_dtype(old.dtype());
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            let new = contiguous(layout.turn(new));
            if grad { new.require_grad() } else { new }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn sample_moments_are_the_theoretical_ones() {
        let shape = [64, 32, 3, 3]; // fan_in 288, fan_out 576
        let relu = Nonlinearity::Relu;
        let cases = [
            (Init::Uniform(-1.0, 3.0), 1.0, 4.0 / 12f64.sqrt()),
            (Init::Normal(2.0, 0.5), 2.0, 0.5),
            (Init::KaimingUniform(relu, Fan::In), 0.0, (2.0 / 288f64).sqrt()),
            (Init::KaimingNormal(relu, Fan::Out), 0.0, (2.0 / 576f64).sqrt()),
            (Init::XavierUniform(1.0), 0.0, (2.0 / 864f64).sqrt()),
            (Init::XavierNormal(2.0), 0.0, 2.0 * (2.0 / 864f64).sqrt()),
            (Init::Constant(0.25), 0.25, 0.0),
        ];
        for (init, mean, std) in cases {
            let (m, s) = moments(&init.values(&shape, &mut Rng::seeded(1)).unwrap());
            assert!((m - mean).abs() < 0.02 * (std + 0.01) * 3.0, "{init:?}: mean {m}");
            assert!((s - std).abs() <= 0.02 * std, "{init:?}: std {s} against {std}");
        }
    }

    #[test]
    fn orthogonal_rows_or_columns() {
        for shape in [[6, 4], [4, 6]] {
            let w = Init::Orthogonal(2.0).values(&shape, &mut Rng::seeded(3)).unwrap();
            let (rows, columns) = (shape[0], shape[1]);
            let short = rows.min(columns);
            for i in 0..short {
                for j in 0..short {
                    let dot: f64 = if rows < columns {
                        (0..columns).map(|k| w[i * columns + k] * w[j * columns + k]).sum()
                    } else {
                        (0..rows).map(|k| w[k * columns + i] * w[k * columns + j]).sum()
                    };
                    assert!((dot - if i == j { 4.0 } else { 0.0 }).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn impossible_options_are_errors() {
        let rng = &mut Rng::seeded(0);
        assert!(Init::Uniform(1.0, 0.0).values(&[2], rng).is_err());
        assert!(Init::Normal(0.0, -1.0).values(&[2], rng).is_err());
        assert!(Init::XavierNormal(1.0).values(&[2], rng).unwrap_err().contains("[2]"));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Rng::seeded(4).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}

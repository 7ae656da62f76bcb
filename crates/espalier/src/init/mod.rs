//! Initial values by PyTorch's names, from an own seeded generator.
//!
//! | `torch.nn.init` | here |
//! | --- | --- |
//! | `uniform_`, `normal_`, `trunc_normal_` | [`Init::Uniform`], [`Init::Normal`], [`Init::TruncNormal`] |
//! | `constant_`, `ones_`, `zeros_` | [`Init::Constant`], [`Init::Ones`], [`Init::Zeros`] |
//! | `eye_`, `dirac_` | [`Init::Eye`], [`Init::Dirac`] |
//! | `xavier_uniform_`, `xavier_normal_` | [`Init::XavierUniform`], [`Init::XavierNormal`] |
//! | `kaiming_uniform_`, `kaiming_normal_` | [`Init::KaimingUniform`], [`Init::KaimingNormal`] |
//! | `orthogonal_`, `sparse_` | [`Init::Orthogonal`], [`Init::Sparse`] |
//! | `calculate_gain` | [`calculate_gain`], [`Nonlinearity::gain`] |
//! | `net.apply(fn)` | [`apply_with`] |
//!
//! [`Init::apply`] fills what a [`Selector`](crate::Selector) selects in any module,
//! [`Parametrized::init`](crate::Parametrized::init) also what is parametrized, pruned or tied.

mod fill;
mod gain;
mod matrix;

mod trunc_normal;

pub use espalier_kernels::Rng;
pub use fill::apply_with;
pub(crate) use fill::{Drawn, draw};
pub use gain::{Fan, Nonlinearity, calculate_gain, fans};

/// How a parameter is filled. Shapes and fans are those of PyTorch's layout.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// One value everywhere.
    Constant(f64),
    /// Zero everywhere.
    Zeros,
    /// One everywhere.
    Ones,
    /// Ones where the two indices are equal, else zeros; two dimensions only. A `Linear` of it
    /// passes on as many features as it can.
    Eye,
    /// The convolution that passes channels on: in each group, output channel `d` is input channel
    /// `d`, the one standing at `size / 2` (rounded down) of each window. Three to five dimensions.
    Dirac {
        /// Into how many groups the output channels are split, which must divide them.
        groups: usize,
    },
    /// Uniform in `[low, high)`.
    Uniform(f64, f64),
    /// Normal with a mean and a standard deviation.
    Normal(f64, f64),
    /// Normal with what lies outside `low..=high` drawn again: the density of the normal
    /// distribution within the bounds, scaled to one.
    ///
    /// As in PyTorch, the bounds are absolute values, not numbers of standard deviations: at its
    /// default of -2 and 2 a standard deviation of 0.02 is not truncated at all. Drawn by rejection
    /// (Robert, 1995), exact for any bounds, those far from the mean and infinite ones too.
    TruncNormal {
        /// The mean before truncation.
        mean: f64,
        /// The standard deviation before truncation, above 0.
        std: f64,
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
    },
    /// Uniform in `±gain * sqrt(3 / fan)` (He et al., 2015).
    KaimingUniform(Nonlinearity, Fan),
    /// Normal with standard deviation `gain / sqrt(fan)` (He et al., 2015).
    KaimingNormal(Nonlinearity, Fan),
    /// Uniform in `±gain * sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    XavierUniform(f64),
    /// Normal with standard deviation `gain * sqrt(2 / (fan_in + fan_out))`.
    XavierNormal(f64),
    /// A random orthogonal matrix times a gain, trailing dimensions flattened (Saxe et al., 2013):
    /// the orthogonal factor of a normal matrix, signs chosen so that the diagonal of the other
    /// factor is positive, which makes it uniform among all.
    Orthogonal(f64),
    /// Normal around 0, with `ceil(sparsity * rows)` zeros at random in each column (Martens, 2010);
    /// two dimensions only. A column of a weight is one input feature.
    Sparse {
        /// The share of zeros in each column, in `0..=1`.
        sparsity: f64,
        /// The standard deviation of what is not zero (0.01 in PyTorch).
        std: f64,
    },
}

/// Why a tensor cannot be filled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A tensor of another rank than the method fills.
    #[error("{needs}, found shape {shape:?}")]
    Rank {
        /// What the method needs.
        needs: &'static str,
        /// The shape there is, in PyTorch's layout.
        shape: Vec<usize>,
    },
    /// An option out of its range.
    #[error("expected {expected}, found {found}")]
    Option {
        /// What the option must be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Checks an option.
fn expect(holds: bool, expected: &str, found: impl ToString) -> Result<(), InitError> {
    if holds {
        return Ok(());
    }
    Err(InitError::Option { expected: expected.to_owned(), found: found.to_string() })
}

impl Init {
    /// Values for a tensor of `shape` (PyTorch's layout), row-major.
    ///
    /// ```
    /// use espalier::init::{Init, Rng};
    /// let eye = Init::Eye.values(&[2, 3], &mut Rng::seeded(0))?;
    /// assert_eq!(eye, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), espalier::init::InitError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InitError::Rank`] for a shape that the method cannot fill, [`InitError::Option`] for an
    /// option out of its range.
    pub fn values(self, shape: &[usize], rng: &mut Rng) -> Result<Vec<f64>, InitError> {
        let count: usize = shape.iter().product();
        let uniform = |rng: &mut Rng, low: f64, high: f64| -> Vec<f64> {
            (0..count).map(|_| low + (high - low) * rng.uniform()).collect()
        };
        let normal = |rng: &mut Rng, mean: f64, std: f64| -> Vec<f64> {
            (0..count).map(|_| mean + std * rng.normal()).collect()
        };
        let fan = |side: Fan| -> Result<f64, InitError> {
            let (fan_in, fan_out) = fans(shape)?;
            Ok(if side == Fan::In { fan_in as f64 } else { fan_out as f64 })
        };
        let both = || -> Result<f64, InitError> {
            let (fan_in, fan_out) = fans(shape)?;
            Ok((fan_in + fan_out) as f64)
        };
        let finite_gain = |gain: f64| expect(gain.is_finite(), "a finite gain", gain);
        let deviation = |std: f64| {
            expect(std >= 0.0 && std.is_finite(), "a standard deviation of 0 or more", std)
        };
        Ok(match self {
            Self::Constant(value) => vec![value; count],
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::Eye => matrix::eye(shape)?,
            Self::Dirac { groups } => matrix::dirac(shape, groups)?,
            Self::Uniform(low, high) => {
                expect(
                    low <= high && (high - low).is_finite(),
                    "a lower bound below the upper, both finite",
                    format!("{low} and {high}"),
                )?;
                uniform(rng, low, high)
            }
            Self::Normal(mean, std) => {
                deviation(std)?;
                normal(rng, mean, std)
            }
            Self::TruncNormal { mean, std, low, high } => {
                let sampler = trunc_normal::TruncNormal::new(mean, std, low, high)?;
                (0..count).map(|_| sampler.sample(rng)).collect()
            }
            Self::KaimingUniform(nonlinearity, side) => {
                finite_gain(nonlinearity.gain())?;
                let bound = nonlinearity.gain() * (3.0 / fan(side)?).sqrt();
                uniform(rng, -bound, bound)
            }
            Self::KaimingNormal(nonlinearity, side) => {
                finite_gain(nonlinearity.gain())?;
                normal(rng, 0.0, nonlinearity.gain() / fan(side)?.sqrt())
            }
            Self::XavierUniform(gain) => {
                finite_gain(gain)?;
                let bound = gain * (6.0 / both()?).sqrt();
                uniform(rng, -bound, bound)
            }
            Self::XavierNormal(gain) => {
                finite_gain(gain)?;
                normal(rng, 0.0, gain * (2.0 / both()?).sqrt())
            }
            Self::Orthogonal(gain) => {
                finite_gain(gain)?;
                matrix::orthogonal(shape, gain, rng)?
            }
            Self::Sparse { sparsity, std } => {
                deviation(std)?;
                matrix::sparse(shape, sparsity, std, rng)?
            }
        })
    }
}

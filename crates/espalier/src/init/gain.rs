//! Gains of activations and fans of weights.

use std::str::FromStr;

use super::InitError;

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

impl FromStr for Nonlinearity {
    type Err = InitError;

    /// By PyTorch's name; `leaky_relu` with PyTorch's slope of 0.01. Convolutions are linear.
    fn from_str(name: &str) -> Result<Self, InitError> {
        Ok(match name {
            "linear" | "conv1d" | "conv2d" | "conv3d" | "conv_transpose1d" | "conv_transpose2d"
            | "conv_transpose3d" => Self::Linear,
            "sigmoid" => Self::Sigmoid,
            "tanh" => Self::Tanh,
            "relu" => Self::Relu,
            "leaky_relu" => Self::LeakyRelu(0.01),
            "selu" => Self::Selu,
            _ => {
                return Err(InitError::Option {
                    expected: "linear, conv1d to conv3d, conv_transpose1d to conv_transpose3d, \
                               sigmoid, tanh, relu, leaky_relu or selu"
                        .to_owned(),
                    found: format!("the nonlinearity `{name}`"),
                });
            }
        })
    }
}

/// The recommended gain by PyTorch's name of the activation: `torch.nn.init.calculate_gain`.
///
/// `param` is the slope of `leaky_relu` (0.01 if none); the others pass it over, as PyTorch does.
/// [`Nonlinearity::gain`] is the same for a type.
///
/// ```
/// use espalier::init::calculate_gain;
/// assert_eq!(calculate_gain("relu", None)?, 2f64.sqrt());
/// assert_eq!(calculate_gain("leaky_relu", Some(0.2))?, (2.0 / 1.04f64).sqrt());
/// assert_eq!(calculate_gain("conv2d", None)?, 1.0);
/// assert!(calculate_gain("softmax", None).is_err());
/// # Ok::<(), espalier::init::InitError>(())
/// ```
///
/// # Errors
///
/// [`InitError::Option`] for a name that PyTorch's function does not know, or a slope that is not
/// finite.
pub fn calculate_gain(nonlinearity: &str, param: Option<f64>) -> Result<f64, InitError> {
    match (nonlinearity.parse()?, param) {
        (Nonlinearity::LeakyRelu(_), Some(slope)) if slope.is_finite() => {
            Ok(Nonlinearity::LeakyRelu(slope).gain())
        }
        (Nonlinearity::LeakyRelu(_), Some(slope)) => Err(InitError::Option {
            expected: "a finite slope".to_owned(),
            found: slope.to_string(),
        }),
        (nonlinearity, _) => Ok(nonlinearity.gain()),
    }
}

/// `fan_in` and `fan_out` of a weight of `shape` in PyTorch's layout, output features first: its
/// features times its receptive field.
///
/// ```
/// use espalier::init::fans;
/// assert_eq!(fans(&[16, 3, 5, 5])?, (75, 400));
/// # Ok::<(), espalier::init::InitError>(())
/// ```
///
/// # Errors
///
/// [`InitError::Rank`] for fewer than two dimensions.
pub fn fans(shape: &[usize]) -> Result<(usize, usize), InitError> {
    let [outputs, inputs, window @ ..] = shape else {
        return Err(InitError::Rank {
            needs: "fans need at least two dimensions",
            shape: shape.to_vec(),
        });
    };
    let field: usize = window.iter().product();
    Ok((inputs * field, outputs * field))
}

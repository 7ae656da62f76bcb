//! What is known of one tensor of a module.

use std::fmt;

use burn::module::ParamId;
use burn::tensor::{DType, Device, Tensor};

/// Whether a tensor of a module is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A parameter, trained unless frozen.
    Parameter,
    /// A buffer: saved, moved between devices, never trained (running statistics, masks).
    Buffer,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter => "parameter",
            Self::Buffer => "buffer",
        })
    }
}

/// One named tensor of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamInfo {
    /// Dotted path: `encoder.0.weight`.
    pub path: String,
    /// Burn's identity of the parameter.
    pub id: ParamId,
    /// Shape in Burn's layout (a `Linear` weight is `[in, out]`).
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Where it lives.
    pub device: Device,
    /// Parameter or buffer.
    pub kind: Kind,
    /// Whether gradients are computed for it.
    pub trainable: bool,
    /// The type of the module that owns it: `Linear`.
    pub layer: String,
}

impl ParamInfo {
    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// The last component of the path: `weight`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// What becomes of it in training: `trained`, `frozen` or `buffer`; `untracked` for a parameter
    /// on a device without autodiff, where Burn does not tell the first two apart.
    pub fn state(&self) -> &'static str {
        match (self.kind, self.trainable) {
            (Kind::Buffer, _) => "buffer",
            (Kind::Parameter, true) => "trained",
            (Kind::Parameter, false) if self.device.is_autodiff() => "frozen",
            (Kind::Parameter, false) => "untracked",
        }
    }

    /// The size of its values in bytes.
    pub fn bytes(&self) -> usize {
        self.numel() * self.dtype.size()
    }

    /// The shape in PyTorch's layout: a `Linear` weight is `[out, in]`.
    pub fn torch_shape(&self) -> Vec<usize> {
        self.layout().torch_shape(&self.shape)
    }

    /// Whether it belongs to a [lazy layer](crate::nn::lazy) that has not seen an input: it is
    /// empty then.
    pub fn is_uninitialized(&self) -> bool {
        crate::nn::lazy::uninitialized(&self.layer).is_some()
    }

    /// [`Error::Uninitialized`](crate::Error::Uninitialized) for such a parameter.
    pub(crate) fn require_initialized(&self) -> Result<(), crate::Error> {
        match crate::nn::lazy::uninitialized(&self.layer) {
            Some(layer) => Err(crate::Error::Uninitialized { path: self.path.clone(), layer }),
            None => Ok(()),
        }
    }

    /// How the shape relates to PyTorch's.
    ///
    /// Originals and masks of a parameter are stored in its layout.
    pub fn layout(&self) -> Layout {
        Layout::of(&self.layer, self.path.split('.'), self.shape.len())
    }
}

/// How a parameter's dimensions lie in memory, against PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As in PyTorch (output features first).
    Torch,
    /// The last two dimensions swapped: Burn's `Linear` weight is `[in, out]`.
    Transposed,
}

impl Layout {
    /// The layout of a tensor of `layer` by the components of its path.
    pub(crate) fn of<'a>(
        layer: &str,
        path: impl DoubleEndedIterator<Item = &'a str>,
        rank: usize,
    ) -> Self {
        // `parametrizations.weight.original0`, also where that is parametrized again.
        let mut components = path.rev().map(|leaf| leaf.trim_end_matches("_orig"));
        let name = components
            .find(|leaf| !leaf.starts_with("original") && *leaf != "parametrizations")
            .map_or("", |leaf| leaf.trim_end_matches("_mask"));
        let is_linear = ["Linear", "LazyLinear", "MaskedLinear"].contains(&layer);
        if is_linear && name == "weight" && rank == 2 { Self::Transposed } else { Self::Torch }
    }

    /// Between Burn's layout of a tensor and PyTorch's, both ways.
    pub(crate) fn turn<const D: usize, K: burn::tensor::kind::Basic>(
        self,
        tensor: Tensor<D, K>,
    ) -> Tensor<D, K> {
        if self == Self::Torch || D < 2 {
            return tensor;
        }
        tensor.swap_dims(D.saturating_sub(2), D.saturating_sub(1))
    }

    /// `shape` in PyTorch's order.
    pub fn torch_shape(self, shape: &[usize]) -> Vec<usize> {
        let mut shape = shape.to_vec();
        let n = shape.len();
        if self == Self::Transposed && n >= 2 {
            shape.swap(n - 2, n - 1);
        }
        shape
    }
}

/// Whether a layer of this type normalizes: its gamma and beta are PyTorch's weight and bias.
pub(crate) fn is_norm(layer: &str) -> bool {
    ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "LazyBatchNorm", "RmsNorm"]
        .contains(&layer)
}

//! Containers that Burn lacks, with PyTorch's names: [`Sequential`], [`ModuleList`],
//! [`ParameterList`]; [lazy layers](lazy); [`Hooked`] layers; a linear layer that is sparse from the start.

mod graph;
mod hooks;
mod layer;
mod layers;
pub mod lazy;
mod list;
mod masked_linear;
mod sequential;
mod window;

pub use graph::{Graph, GraphError, Value};
pub use hooks::{HookError, HookHandle, HookReturn, Hooked};
pub use layer::{AnyLayer, Layer, LayerError, WidthError};
pub use layers::{
    Add, Composed, Concat, Flatten, GlobalAvgPool, GlobalMaxPool, LastStep, LogSoftmax, Multiply,
    Pad, Positions, Reshape, Scale, SelfAttention, Softmax, Transpose,
};
pub use list::{ModuleList, ParameterList};
pub use masked_linear::MaskedLinear;
pub use sequential::Sequential;

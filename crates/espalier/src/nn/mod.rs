//! Containers that Burn lacks, with PyTorch's names: [`Sequential`], [`ModuleList`],
//! [`ParameterList`].

mod layer;
mod layers;
mod list;
mod sequential;

pub use layer::{AnyLayer, Layer, LayerError, WidthError};
pub use layers::Flatten;
pub use list::{ModuleList, ParameterList};
pub use sequential::Sequential;

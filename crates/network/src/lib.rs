//! A network's description in a text file: its layers, their wiring, shapes and sizes.

mod architecture;
mod layer;
#[doc(hidden)]
pub mod text;

pub use architecture::Architecture;
#[doc(hidden)]
pub use layer::layer;
pub use layer::{Layer, LayerSpec};
pub use text::{Problem, ReadError, RecipeError, Span, Spanned};

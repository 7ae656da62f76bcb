//! TOML read key by key, with the place of everything and all that is wrong collected.
//!
//! What the crates that read recipes share; not meant for others, and not stable.

mod cursor;
mod error;
mod file;
mod names;
mod node;
mod span;

pub use cursor::Cursor;
pub(crate) use error::write_parts;
pub use error::{Problem, ReadError, RecipeError};
pub use file::read_text;
pub use names::{did_you_mean, key_text, one_of, quoted};
pub use node::{Bound, LARGEST, Log, Node, integer_text, pair_text};
pub use span::{Span, Spanned};

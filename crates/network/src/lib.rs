//! A network's description in a text file: its layers, their wiring, shapes and sizes.
//!
//! [`Architecture`] reads it, from TOML or from darknet's `.cfg`; [`Plan`] unfolds it into layers in
//! order of evaluation, each with its inputs, its shape, its parameters and its cost. Nothing is
//! computed or allocated here, and no framework is needed.
//!
//! Sizes follow from the input on, so that a layer says only what it gives:
//!
//! ```
//! use espalier_network::{Architecture, Limits};
//!
//! let text = r#"
//! input = [1, 28, 28]
//!
//! [[layer]]
//! name = "stem"
//! type = "conv2d"
//! channels = 16
//! kernel = 3
//! padding = 1
//!
//! [[layer]]
//! type = "repeat"              # two residual blocks
//! times = 2
//! layer = [
//!     { type = "conv2d", channels = 16, kernel = 3, padding = 1, bias = false },
//!     { type = "batch_norm" },
//!     { type = "relu" },
//!     { type = "shortcut", from = -4 },
//! ]
//!
//! [[layer]]
//! type = "route"               # beside what they began with
//! from = [-1, "stem"]
//!
//! [[layer]]
//! type = "global_avg_pool"
//!
//! [[layer]]
//! type = "linear"
//! features = 10
//! "#;
//! let plan = Architecture::parse(text, "net.toml")?.plan(None, &Limits::default())?;
//! let first = &plan.layers[1];
//! assert_eq!((first.path.as_str(), first.output.as_slice()), ("1.0.0", &[16, 28, 28][..]));
//! assert_eq!(plan.parameters(), (16 * 9 + 16) + 2 * (16 * 16 * 9 + 2 * 16) + (32 * 10 + 10));
//!
//! let wrong = text.replace("from = -4", "from = \"stam\"");
//! let error = Architecture::parse(&wrong, "net.toml")?.plan(None, &Limits::default()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "net.toml:18:33: layer[1].layer[3].from: \"stam\" is no earlier layer's name; expected an \
//!      earlier layer; did you mean `stem`?"
//! );
//! # Ok::<(), espalier_network::RecipeError>(())
//! ```

mod architecture;
mod darknet;
mod input;
mod layer;
mod plan;
mod reference;
#[doc(hidden)]
pub mod text;

pub use architecture::Architecture;
pub use darknet::{Darknet, DarknetTraining, Head, HeadKind};
pub use input::{Input, Kind};
#[doc(hidden)]
pub use layer::layers;
pub use layer::{Interpolation, Layer, LayerSpec, Per, Recurrence, SequenceOutput, UpsampleTo};
pub use plan::{Fault, Limits, Parameter, Plan, PlanError, PlannedLayer, Source};
pub use reference::Reference;
pub use text::{Problem, ReadError, RecipeError, Span, Spanned};

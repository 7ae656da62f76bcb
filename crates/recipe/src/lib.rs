//! A network, its constraints and its training in one text file, for espalier.
//!
//! A recipe is a TOML file. [`Recipe::read`] turns it into a typed, checked description;
//! [`Prepared`] builds the network and trains it into a run directory; [`Predictor`] needs nothing
//! but that directory.
//!
//! Everything that is wrong with a recipe comes back at once, each [`Problem`] with its line, its
//! key, what was expected and, for a misspelt name, the nearest valid ones.
//!
//! ```
//! use espalier_recipe::Recipe;
//!
//! let text = r#"
//! name = "tiny"
//! data = { source = "digits" }
//! layer = [{ type = "flatten" }, { type = "linear", features = 10 }]
//! optimizer = { type = "adamw", lr = 2e-3 }
//! train = { epochs = 3, batch_sise = 32 }
//! "#;
//! let error = Recipe::parse(text, "tiny.toml").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "tiny.toml:6:9: train.batch_size: missing key; expected an integer from 1 to 16777216\n\
//!      tiny.toml:6:23: train.batch_sise: unknown key; expected one of `epochs`, `batch_size`; \
//!      did you mean `batch_size`?"
//! );
//! ```

mod engine;
mod spec;

pub use engine::{
    Accuracy, EpochMetrics, Event, Images, Network, Observer, PredictError, Prediction, Predictor,
    Prepared, RunOptions, Summary, TableRow, TrainError,
};
pub use espalier_network::{Layer, LayerSpec, Problem, ReadError, RecipeError, Span, Spanned};
pub use spec::{
    AdamOptions, Augment, DataSource, DataSpec, FanMode, GroupSpec, InitMethod, InitSpec,
    Nonlinearity, Optimizer, OptimizerSpec, OutputSpec, ParametrizeSpec, PruneMethod, PruneOf,
    PruneRound, PruneScope, PruneSpec, Recipe, Rule, Schedule, ScheduleUnit, Select, Selector,
    SgdOptions, TieSpec, TrainSpec,
};

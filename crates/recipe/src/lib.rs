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
//! let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
//! assert_eq!(
//!     lines[0],
//!     "tiny.toml:6:9: train.batch_size: missing key; expected an integer from 1 to 16777216"
//! );
//! assert!(lines[1].starts_with("tiny.toml:6:23: train.batch_sise: unknown key; expected one of "));
//! assert!(lines[1].ends_with("; did you mean `batch_size`?"));
//! ```

mod changes;
mod engine;
mod spec;

pub use changes::ChangeError;
pub use engine::{
    Accuracy, Description, EpochMetrics, Event, Examples, Experiment, GroupRow, LayerRow, Network,
    Observer, Outcome, PredictError, Prediction, Predictor, Prepared, RunOptions, Summary,
    TableRow, TrainError,
};
pub use espalier_network::{Layer, LayerSpec, Problem, ReadError, RecipeError, Span, Spanned};
pub use spec::{
    AdamOptions, Augment, Changes, ClassWeights, Column, ConstrainSpec, ConstraintSpec, DataSource,
    DataSpec, EarlyStop, FanMode, GroupSpec, InitMethod, InitSpec, Loss, Nonlinearity, Normalize,
    Optimizer, OptimizerSpec, OutputSpec, ParametrizeSpec, PruneMethod, PruneOf, PruneRound,
    PruneScope, PruneSpec, Recipe, Rewind, Rule, Schedule, ScheduleSpec, ScheduleUnit, Select,
    Selector, SgdOptions, TieSpec, TrainSpec, VariantSpec,
};

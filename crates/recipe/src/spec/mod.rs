//! A recipe's text as typed, checked values.
//!
//! One file a section of the recipe; all of them read through `espalier_network::text`, which keeps
//! the places and collect what is wrong.

mod constrain;
mod data;
mod init;
mod optimizer;
mod project;
mod prune;
mod schedule;
mod select;
mod train;
mod variant;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml_edit::Document;

pub use constrain::{ParametrizeSpec, Rule, TieSpec};
pub use data::{Augment, ClassWeights, Column, DataSource, DataSpec, Normalize};
pub use init::{FanMode, InitMethod, InitSpec, Nonlinearity};
pub use optimizer::{AdamOptions, GroupSpec, Optimizer, OptimizerSpec, SgdOptions};
pub use project::{ConstrainSpec, ConstraintSpec};
pub use prune::{PruneMethod, PruneOf, PruneRound, PruneScope, PruneSpec, Rewind};
pub use schedule::{Schedule, ScheduleSpec, ScheduleUnit};
pub use select::{Select, Selector};
pub use train::{EarlyStop, Loss, OutputSpec, TrainSpec};
pub use variant::{Changes, VariantSpec};

use espalier_network::text::{Cursor, Log, Node, Problem, quoted, read_text};
use espalier_network::{LayerSpec, ReadError, RecipeError, Span, Spanned};

/// A checked recipe.
///
/// Entries that later stages may find at fault keep their places; [`Recipe::problem`] makes an
/// error of one.
///
/// ```
/// use espalier_recipe::{Layer, Recipe, Schedule};
///
/// let recipe = Recipe::parse(
///     r#"
/// name = "tiny"
/// [data]
/// source = "digits"
/// [[layer]]
/// type = "flatten"
/// [[layer]]
/// type = "linear"
/// features = 10
/// [optimizer]
/// type = "sgd"
/// lr = 0.1
/// [train]
/// epochs = 3
/// batch_size = 32
/// "#,
///     "tiny.toml",
/// )?;
/// assert_eq!(recipe.layers[1].value.layer, Layer::Linear { features: 10, bias: true });
/// assert_eq!(recipe.schedule.value.curve, Schedule::Constant);
/// assert_eq!(recipe.output.directory.value, std::path::Path::new("runs/tiny"));
/// # Ok::<(), espalier_recipe::RecipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Recipe {
    /// The run's name: 1 to 100 letters, digits, `_` or `-`.
    pub name: Spanned<String>,
    /// What the recipe is for, in words.
    pub description: Option<String>,
    /// What every random draw follows from; default 0.
    pub seed: u64,
    /// `[data]`
    pub data: DataSpec,
    /// `network`: the file that the layers are in, a TOML text of `[[layer]]` or a darknet `.cfg`; then
    /// there are none here.
    pub network: Option<Spanned<PathBuf>>,
    /// `[[layer]]`: the network in order, at least one unless they are in a file.
    pub layers: Vec<Spanned<LayerSpec>>,
    /// `[[init]]` in order.
    pub init: Vec<Spanned<InitSpec>>,
    /// `[[parametrize]]` in order.
    pub parametrize: Vec<Spanned<ParametrizeSpec>>,
    /// `[[tie]]` in order.
    pub tie: Vec<Spanned<TieSpec>>,
    /// `[optimizer]`
    pub optimizer: OptimizerSpec,
    /// `[schedule]`; constant by default.
    pub schedule: Spanned<ScheduleSpec>,
    /// `[train]`
    pub train: TrainSpec,
    /// `[[constrain]]` in order.
    pub constrain: Vec<Spanned<ConstrainSpec>>,
    /// `[prune]`, if there is one.
    pub prune: Option<Spanned<PruneSpec>>,
    /// `[output]`
    pub output: OutputSpec,
    /// `[[variant]]` in order.
    pub variants: Vec<Spanned<VariantSpec>>,
    /// `[pretrain]`: what is other in a training before this one, whose weights this one starts from.
    pub pretrain: Option<Spanned<Changes>>,
    /// `[short]`: what is other in the quick form of the recipe.
    pub short: Option<Spanned<Changes>>,
    file: String,
    text: Arc<str>,
}

impl Recipe {
    /// Reads the recipe in a file.
    ///
    /// # Errors
    /// [`ReadError`]: the file cannot be read, is larger than 1 MiB or not UTF-8, or is not a valid
    /// recipe.
    ///
    /// ```
    /// use espalier_recipe::{ReadError, Recipe};
    ///
    /// let error = Recipe::read("no/such/recipe.toml").unwrap_err();
    /// assert!(matches!(error, ReadError::Io { .. }));
    /// assert!(error.to_string().contains("no/such/recipe.toml"));
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Ok(Self::parse(&text, &path.display().to_string())?)
    }

    /// Checks a recipe's text; `file_name` is what errors call it.
    ///
    /// # Errors
    /// [`RecipeError`] with everything that is wrong, in the order of the text. After a syntax
    /// error nothing else is known, so it comes alone.
    ///
    /// ```
    /// use espalier_recipe::Recipe;
    ///
    /// let error = Recipe::parse("seed = = 3", "broken.toml").unwrap_err();
    /// assert_eq!(error.problems.len(), 1);
    /// assert!(error.to_string().starts_with("broken.toml:1:8: not valid TOML: "));
    /// ```
    pub fn parse(text: &str, file_name: &str) -> Result<Self, RecipeError> {
        let log = Log::new(text);
        let recipe = match Document::parse(text) {
            Ok(document) => {
                let mut root = Cursor::new(&log, document.as_table(), String::new(), 0..0);
                recipe(&mut root, text, file_name)
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                log.add(span, "", format!("not valid TOML: {}", error.message()), None, None);
                None
            }
        };
        let (problems, omitted) = log.into_problems();
        match recipe {
            Some(recipe) if problems.is_empty() => Ok(recipe),
            _ => Err(RecipeError::new(file_name, text.into(), problems, omitted)),
        }
    }

    /// The text as it was read, to be kept beside what a run writes.
    ///
    /// ```
    /// # let text = "name = 'a'\ndata = { source = 'digits' }\nlayer = [{ type = 'flatten' }]\n\
    /// #     optimizer = { type = 'adam' }\ntrain = { epochs = 1, batch_size = 1 }";
    /// use espalier_recipe::Recipe;
    ///
    /// assert_eq!(Recipe::parse(text, "a.toml")?.source(), text);
    /// # Ok::<(), espalier_recipe::RecipeError>(())
    /// ```
    pub fn source(&self) -> &str {
        &self.text
    }

    /// The file name that [`Recipe::parse`] was given.
    ///
    /// ```
    /// # let text = "name = 'a'\ndata = { source = 'digits' }\nlayer = [{ type = 'flatten' }]\n\
    /// #     optimizer = { type = 'adam' }\ntrain = { epochs = 1, batch_size = 1 }";
    /// use espalier_recipe::Recipe;
    ///
    /// assert_eq!(Recipe::parse(text, "a.toml")?.file(), "a.toml");
    /// # Ok::<(), espalier_recipe::RecipeError>(())
    /// ```
    pub fn file(&self) -> &str {
        &self.file
    }

    /// An error about one place of this recipe, for what only the network or the data can show.
    ///
    /// `key` is the path of the key at fault; `expected` and `help` may be empty, which leaves them
    /// out.
    ///
    /// ```
    /// # let text = "name = 'a'\ndata = { source = 'digits' }\nlayer = [{ type = 'flatten' }]\n\
    /// #     optimizer = { type = 'adam' }\ntrain = { epochs = 1, batch_size = 1 }";
    /// use espalier_recipe::Recipe;
    ///
    /// let recipe = Recipe::parse(text, "a.toml")?;
    /// let span = &recipe.layers[0].span;
    /// let error = recipe.problem(span, "layer[0]", "gives 64 features", "10", "add a linear layer");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "a.toml:3:10: layer[0]: gives 64 features; expected 10; add a linear layer"
    /// );
    /// # Ok::<(), espalier_recipe::RecipeError>(())
    /// ```
    pub fn problem(
        &self,
        span: &Span,
        key: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) -> RecipeError {
        let some = |text: String| if text.is_empty() { None } else { Some(text) };
        let (expected, help) = (some(expected.into()), some(help.into()));
        let problem =
            Problem::new(&self.text, span.clone(), key.into(), message.into(), expected, help);
        RecipeError::new(&self.file, Arc::clone(&self.text), vec![problem], 0)
    }
}

fn recipe(root: &mut Cursor<'_>, text: &str, file_name: &str) -> Option<Recipe> {
    // Everything is read before anything missing ends the reading, so that all of it is reported.
    let name = root.require("name", NAME).and_then(|node| name(&node));
    let description =
        root.get("description").and_then(|node| node.string("a text")).map(str::to_owned);
    let seed = root.get("seed").and_then(|node| node.integer(0, i64::MAX)).unwrap_or(0);
    let data = data::data(root);
    let network = root.get("network");
    let layers = match &network {
        Some(_) => Vec::new(),
        None => espalier_network::layers(root),
    };
    let network = network.and_then(|node| data::path_of(&node).map(|path| node.spanned(path)));
    let init = root.each("init", init::init);
    let parametrize = root.each("parametrize", constrain::parametrize);
    let tie = constrain::ties(root);
    let constrain = root.each("constrain", project::constrain);
    let optimizer = optimizer::optimizer(root);
    let schedule = schedule::schedule(root);
    let train = train::train(root);
    let prune = prune::prune(root, train.as_ref().map(|train| train.epochs.value));
    let output = train::output(root, name.as_ref().map_or("", |name| &name.value));
    let variants = variant::variants(root, self::name);
    let pretrain = variant::section(root, "pretrain");
    let short = variant::section(root, "short");
    root.finish();
    Some(Recipe {
        name: name?,
        description,
        seed: seed.unsigned_abs(),
        data: data?,
        network,
        layers,
        init,
        parametrize,
        tie,
        constrain,
        optimizer: optimizer?,
        schedule: schedule?,
        train: train?,
        prune,
        output,
        variants,
        pretrain,
        short,
        file: file_name.to_owned(),
        text: text.into(),
    })
}

const NAME: &str = "a name: 1 to 100 letters, digits, `_` or `-`";

fn name(node: &Node<'_>) -> Option<Spanned<String>> {
    let name = node.string(NAME)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() > 100 || !name.chars().all(valid) {
        node.refuse(format!("found {}", quoted(name)), NAME, None);
        return None;
    }
    Some(node.spanned(name.to_owned()))
}

//! A recipe, built and checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use espalier::Parametrized;
use espalier::constrain::Constraints;
use espalier::nn::Graph;
use espalier_network::{Architecture, Limits, Plan as NetworkPlan};

use super::constrain::{self, LearnedMask};
use super::describe::Description;
use super::directory::RunDirectory;
use super::error::TrainError;
use super::faults::Faults;
use super::freeze::{freeze, trained};
use super::groups::{self, Grouped};
use super::initialize;
use super::names::Names;
use super::network;
use super::project;
use super::prune::{self, Plan};
use super::schedule::Length;
use super::source::{self, BATCH, Data, check_output};
use super::start;
use super::task::Task;
use crate::changes::ChangeError;
use crate::spec::{Changes, Loss, Recipe};

/// What a run does otherwise than its recipe says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The run directory; the recipe's own if there is none.
    pub directory: Option<PathBuf>,
    /// The seed; the recipe's own if there is none.
    pub seed: Option<u64>,
    /// Where the recipe's paths start; its file's directory if there is none.
    pub base: Option<PathBuf>,
    /// A model or run whose weights training starts from; the recipe's own if there is none.
    pub start: Option<PathBuf>,
    /// Whether to go on with an unfinished run of the same recipe in the directory, if there is one.
    pub resume: bool,
    /// Whether it is only to be described: the directory is then neither made nor looked at.
    pub dry_run: bool,
}

/// A recipe that fits its data and its network, with a run directory that can be written to.
///
/// Nothing is trained yet, and no file written or removed.
///
/// ```
/// use espalier_recipe::{Event, Observer, Prepared, Recipe, RunOptions};
///
/// struct Quiet;
/// impl Observer for Quiet {
///     fn event(&mut self, _: Event<'_>) {}
/// }
///
/// let recipe = Recipe::parse(
///     r#"
/// name = "tiny"
/// data = { source = "digits" }
/// layer = [{ type = "flatten" }, { type = "linear", features = 10 }]
/// optimizer = { type = "adam", lr = 1e-2 }
/// train = { epochs = 2, batch_size = 64 }
/// "#,
///     "tiny.toml",
/// )?;
/// # let runs = tempfile::tempdir()?;
/// let directory = runs.path().join("tiny");
/// let options =
///     RunOptions { directory: Some(directory.clone()), seed: Some(1), ..RunOptions::default() };
/// let prepared = Prepared::new(recipe, options)?;
/// assert_eq!((prepared.epochs(), prepared.steps()), (2, 46));
/// let summary = prepared.train(&mut Quiet)?;
/// assert!(summary.accuracy.is_some_and(|accuracy| accuracy.after_pruning > 0.8));
/// assert!(directory.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Prepared {
    pub(super) recipe: Recipe,
    pub(super) net: Parametrized<Graph>,
    pub(super) groups: Grouped,
    pub(super) constraints: Constraints,
    pub(super) masks: Vec<LearnedMask>,
    pub(super) plan: Option<Plan>,
    pub(super) network: NetworkPlan,
    pub(super) names: Names,
    pub(super) data: Data,
    pub(super) task: Task,
    pub(super) device: Device,
    pub(super) directory: RunDirectory,
    /// What happened so far, a line each.
    pub(super) log: Vec<String>,
    pub(super) seed: u64,
    pub(super) length: Length,
    /// Whether a step draws from the framework's own generator.
    pub(super) draws: bool,
    pub(super) resume: bool,
}

impl Prepared {
    /// Builds what `recipe` describes and checks all of it.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] with everything that does not fit: a layer its input, a selector the
    /// network, a parameter its rule or its group. [`TrainError::Data`] for files of data that cannot be
    /// read. Otherwise [`TrainError::Seed`], [`TrainError::NotARun`] or [`TrainError::NotWritable`].
    pub fn new(recipe: Recipe, options: RunOptions) -> Result<Self, TrainError> {
        let own = Path::new(recipe.file()).parent().unwrap_or(Path::new(""));
        let base = options.base.clone().unwrap_or_else(|| own.to_owned());
        let recipe = inlined(seeded(recipe, options.seed)?, &base)?;
        let seed = recipe.seed;
        let mut data = source::prepare(&recipe, &base, seed)?;
        let task = task(&recipe, &data)?;
        let schema = data.train.schema().clone();
        data.info.output = task.output(&schema.target, &data.info.dims);

        let device = Device::default().autodiff();
        let batch = recipe.train.batch_size.value.max(BATCH);
        let plan = NetworkPlan::new(
            &recipe.layers,
            &[],
            &data.info.input(),
            &Limits::default().batch(batch),
        )
        .map_err(|error| error.locate(recipe.file(), Arc::from(recipe.source())))?;
        let mut faults = Faults::new(&recipe);
        let found = plan.outputs.first().map(|index| plan.layers[*index].output.clone());
        check_output(&recipe, &data.info.output, &found.unwrap_or_default(), &mut faults);
        // Of a network that does not end right nothing else can be said.
        faults.into_result()?;
        let mut faults = Faults::new(&recipe);
        let network = network::build(&plan, &device).map_err(TrainError::Graph)?;
        let names = Names::of(&network);
        let parameters: usize = names.iter().map(|named| named.info.numel()).sum();
        let mut log = vec![
            data.text.clone(),
            format!("network: {} layers, {parameters} parameters", plan.layers.len()),
        ];

        let network =
            initialize::initialize(network, &names, &recipe, &plan, seed, &mut faults, &mut log)?;
        let from = options
            .start
            .clone()
            .or_else(|| recipe.train.start.as_ref().map(|start| base.join(&start.value)));
        let network = match from {
            Some(from) => start::start(network, &from, &mut log)?,
            None => network,
        };
        let mut net = Parametrized::new(network);
        let masks = constrain::parametrize(&mut net, &names, &recipe, &mut faults, &mut log)?;
        constrain::tie(&mut net, &names, &recipe, &mut faults, &mut log)?;
        let own = parameters.saturating_sub(super::train::tied(&net) as usize);
        if own < parameters {
            log[1] = format!(
                "network: {} layers, {own} parameters, without the {} that are tied",
                plan.layers.len(),
                parameters - own
            );
        }
        let (net, constraints) = project::constrain(net, &names, &recipe, &mut faults, &mut log)?;
        let net = freeze(net, &names, &recipe, &mut faults, &mut log)?;
        log.push(format!("train: {} parameters", trained(&net)));
        let epochs = recipe.train.epochs.value;
        let steps = data.train.batches().div_ceil(recipe.train.accumulate) * epochs;
        let length = Length { epochs, steps };
        let groups = groups::build(&net, &names, &recipe, length, &mut faults, &mut log)?;
        let pruning = prune::plan(&net, &names, &recipe, seed, &mut faults);
        faults.into_result()?;
        let Some(groups) = groups else {
            unreachable!("without faults there is an optimizer");
        };

        let path = options.directory.as_deref().unwrap_or(&recipe.output.directory.value);
        let directory = match options.dry_run {
            true => RunDirectory::unchecked(path),
            false => RunDirectory::check(path)?,
        };
        Ok(Self {
            draws: plan.layers.iter().any(|planned| draws(&planned.layer)),
            recipe,
            net,
            groups,
            constraints,
            masks,
            plan: pruning,
            network: plan,
            names,
            data,
            task,
            device,
            directory,
            log,
            seed,
            length,
            resume: options.resume,
        })
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Training steps in all.
    pub fn steps(&self) -> usize {
        self.length.steps
    }

    /// Passes over the training examples in all.
    pub fn epochs(&self) -> usize {
        self.length.epochs
    }

    /// Everything that training will do, without doing it.
    ///
    /// ```
    /// # let text = "name = 'a'\ndata = { source = 'digits' }\n\
    /// #     layer = [{ type = 'flatten' }, { type = 'linear', features = 10 }]\n\
    /// #     optimizer = { type = 'adam' }\ntrain = { epochs = 1, batch_size = 64 }";
    /// use espalier_recipe::{Prepared, Recipe, RunOptions};
    ///
    /// # let runs = tempfile::tempdir()?;
    /// # let directory = Some(runs.path().join("a"));
    /// # let options = RunOptions { directory, ..RunOptions::default() };
    /// let prepared = Prepared::new(Recipe::parse(text, "a.toml")?, options)?;
    /// let description = prepared.describe()?;
    /// assert_eq!(description.layers[1].output, [10]);
    /// assert_eq!(description.groups[0].parameters.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the library refuses: a schedule that cannot be evaluated.
    pub fn describe(&self) -> Result<Description, TrainError> {
        super::describe::describe(self)
    }
}

/// The recipe with this seed in it.
pub(super) fn seeded(recipe: Recipe, seed: Option<u64>) -> Result<Recipe, TrainError> {
    let Some(seed) = seed.filter(|seed| *seed != recipe.seed) else { return Ok(recipe) };
    if i64::try_from(seed).is_err() {
        return Err(TrainError::Seed { found: seed });
    }
    let changes = Changes { set: vec![("seed".to_owned(), seed.to_string())], without: Vec::new() };
    changed(&recipe, &changes)
}

pub(super) fn changed(recipe: &Recipe, changes: &Changes) -> Result<Recipe, TrainError> {
    recipe.with_changes(changes).map_err(|error| match error {
        ChangeError::Recipe(error) => TrainError::Recipe(error),
        other => TrainError::Change(other),
    })
}

/// The recipe with the layers of its network's file in its own text, so that it stands alone.
fn inlined(recipe: Recipe, base: &Path) -> Result<Recipe, TrainError> {
    let Some(file) = &recipe.network else { return Ok(recipe) };
    let path = base.join(&file.value);
    let architecture = Architecture::read(&path).map_err(TrainError::NetworkFile)?;
    let without = Changes { set: Vec::new(), without: vec!["network".to_owned()] };
    let mut text = without.apply(recipe.source()).map_err(TrainError::Change)?;
    let mut alone = architecture;
    alone.input = None;
    text.push_str("\n# ---- The network, from its own file. ----\n\n");
    text.push_str(&alone.to_toml());
    Ok(Recipe::parse(&text, recipe.file())?)
}

fn draws(layer: &espalier_network::Layer) -> bool {
    use espalier_network::Layer;
    match layer {
        Layer::Dropout { .. } => true,
        Layer::Attention { dropout, .. } => *dropout > 0.0,
        _ => false,
    }
}

/// What the recipe trains for, given its data.
fn task(recipe: &Recipe, data: &Data) -> Result<Task, TrainError> {
    let schema = data.train.schema();
    let classes = schema.target.classes();
    let spec = &recipe.train;
    let refuse = |message: &str, expected: &str| {
        let span = &spec.loss.span;
        Err(recipe.problem(span, "train.loss", message, expected, "").into())
    };
    let task = match (spec.loss.value, classes) {
        (Loss::Auto | Loss::CrossEntropy, Some(classes)) => Task::Classes {
            classes,
            smoothing: spec.label_smoothing,
            weights: data.class_weights.clone(),
        },
        (Loss::CrossEntropy, None) => {
            return refuse("found `cross_entropy` for targets that are numbers", "`mse` or `l1`");
        }
        (Loss::Auto | Loss::Mse, None) => Task::Values { squared: true },
        (Loss::L1, None) => Task::Values { squared: false },
        (Loss::Mse | Loss::L1, Some(_)) => {
            return refuse(
                "found a loss of numbers for targets that are classes",
                "`cross_entropy` or `reconstruction`",
            );
        }
        (Loss::Reconstruction, _) if data.info.vocabulary.is_some() => {
            return refuse("found `reconstruction` for inputs that are tokens", "`cross_entropy`");
        }
        (Loss::Reconstruction, _) => Task::Reconstruction,
    };
    if !matches!(task, Task::Classes { .. }) && spec.label_smoothing > 0.0 {
        return refuse("found label smoothing without classes", "`cross_entropy`");
    }
    Ok(task)
}

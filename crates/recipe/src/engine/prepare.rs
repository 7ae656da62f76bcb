//! A recipe into everything that training needs.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use espalier::Parametrized;
use espalier::nn::Sequential;

use super::data::{CLASSES, SHAPE, Split};
use super::directory::{RunDirectory, with_seed};
use super::error::TrainError;
use super::evaluate::BATCH;
use super::faults::Faults;
use super::groups::{self, Grouped};
use super::names::Names;
use super::prune::{self, Plan};
use super::{constrain, initialize, network};
use crate::spec::{DataSource, Recipe};
use espalier_network::Layer;

/// What a run does otherwise than its recipe says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The run directory; the recipe's own if there is none.
    pub directory: Option<PathBuf>,
    /// The seed; the recipe's own if there is none.
    pub seed: Option<u64>,
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
/// let options = RunOptions { directory: Some(directory.clone()), seed: Some(1) };
/// let prepared = Prepared::new(recipe, options)?;
/// assert_eq!((prepared.epochs(), prepared.steps()), (2, 46));
/// let summary = prepared.train(&mut Quiet)?;
/// assert!(summary.accuracy.after_pruning > 0.8);
/// assert!(directory.join("model.safetensors").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Prepared {
    pub(super) net: Parametrized<Sequential>,
    pub(super) groups: Grouped,
    pub(super) plan: Option<Plan>,
    pub(super) split: Split,
    pub(super) device: Device,
    pub(super) directory: RunDirectory,
    /// The recipe's text as it is run.
    pub(super) text: String,
    /// What happened so far, a line each.
    pub(super) log: Vec<String>,
    pub(super) seed: u64,
    pub(super) shift: usize,
    pub(super) epochs: usize,
    pub(super) batch: usize,
    /// Whether a step draws from the framework's own generator.
    pub(super) draws: bool,
}

impl Prepared {
    /// Builds what `recipe` describes and checks all of it.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] with everything that does not fit: a layer its input, a selector the
    /// network, a parameter its rule or its group. Otherwise [`TrainError::Seed`],
    /// [`TrainError::NotARun`] or [`TrainError::NotWritable`].
    pub fn new(recipe: Recipe, options: RunOptions) -> Result<Self, TrainError> {
        let seed = options.seed.unwrap_or(recipe.seed);
        let stored = i64::try_from(seed).map_err(|_| TrainError::Seed { found: seed })?;
        let text = if seed == recipe.seed {
            recipe.source().to_owned()
        } else {
            match with_seed(recipe.source(), stored) {
                Ok(text) => text,
                Err(_) => unreachable!("a recipe is made from TOML"),
            }
        };
        let DataSource::Digits = recipe.data.source.value;
        let split = Split::new(recipe.data.test_fraction);
        let batch = recipe.train.batch_size.value.min(split.train.len());

        let device = Device::default().autodiff();
        let network = network::build(&recipe, &SHAPE, CLASSES, batch.max(BATCH), &device)?;
        let names = Names::of(&network);
        let parameters: usize = names.iter().map(|named| named.info.numel()).sum();
        let shift = recipe.data.augment.as_ref().map_or(0, |a| a.value.shift);
        let mut log = vec![
            data_line(&split, shift),
            format!("network: {} layers, {parameters} parameters", network.len()),
        ];

        let mut faults = Faults::new(&recipe);
        let initialized =
            initialize::initialize(network, &names, &recipe, seed, &mut faults, &mut log)?;
        let mut net = Parametrized::new(initialized);
        constrain::parametrize(&mut net, &names, &recipe, &mut faults, &mut log)?;
        constrain::tie(&mut net, &names, &recipe, &mut faults, &mut log)?;
        let groups = groups::build(&net, &names, &recipe, &mut faults, &mut log)?;
        let plan = prune::plan(&net, &names, &recipe, &mut faults);
        faults.into_result()?;
        let Some(groups) = groups else {
            unreachable!("without faults there is an optimizer");
        };

        let path = options.directory.as_deref().unwrap_or(&recipe.output.directory.value);
        let directory = RunDirectory::check(path)?;
        let is_dropout = |layer: &Layer| matches!(layer, Layer::Dropout { .. });
        Ok(Self {
            net,
            groups,
            plan,
            split,
            device,
            directory,
            text,
            log,
            seed,
            shift,
            epochs: recipe.train.epochs.value,
            batch,
            draws: recipe.layers.iter().any(|spec| is_dropout(&spec.value.layer)),
        })
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Training steps in all.
    pub fn steps(&self) -> usize {
        self.split.train.len().div_ceil(self.batch) * self.epochs
    }

    /// Passes over the training images in all.
    pub fn epochs(&self) -> usize {
        self.epochs
    }
}

fn data_line(split: &Split, shift: usize) -> String {
    let [channels, height, width] = SHAPE;
    let shifted = match shift {
        0 => String::new(),
        1 => ", shifted by up to 1 pixel".to_owned(),
        _ => format!(", shifted by up to {shift} pixels"),
    };
    format!(
        "data: digits, {channels} x {height} x {width}, {} images to train on{shifted}, {} to test",
        split.train.len(),
        split.test.len()
    )
}

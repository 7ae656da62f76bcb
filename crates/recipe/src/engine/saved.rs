//! A recipe's network in one file: its weights, and the text that says what they are the weights of.

use std::path::Path;

use burn::tensor::Device;
use espalier::nn::Sequential;
use espalier::state::{StateDict, Strict};

use super::data::{CLASSES, SHAPE};
use super::error::PredictError;
use super::evaluate::BATCH;
use super::network::build;
use crate::spec::{DataSource, Recipe};
use espalier_network::text::ReadError;

/// The metadata key of the recipe's text.
const RECIPE: &str = "espalier.recipe";

/// The network of a recipe with its weights, as training leaves it: plain layers, constraints and masks
/// folded into their values.
///
/// Its file is a safetensors file of the weights under PyTorch's names, with the recipe's text in the
/// metadata. Nothing else is needed to build it again.
///
/// ```
/// use espalier_recipe::Network;
/// # use espalier_recipe::{Event, Observer, Prepared, Recipe, RunOptions};
/// # struct Quiet;
/// # impl Observer for Quiet { fn event(&mut self, _: Event<'_>) {} }
/// # let text = "name = 'a'\ndata = { source = 'digits' }\n\
/// #     optimizer = { type = 'adamw', lr = 1e-3 }\n\
/// #     layer = [{ type = 'flatten' }, { type = 'linear', features = 10 }]\n\
/// #     train = { epochs = 1, batch_size = 64 }";
/// # let directory = tempfile::tempdir()?;
/// # let run = directory.path().join("run");
/// # let options = RunOptions { directory: Some(run.clone()), seed: None };
/// # Prepared::new(Recipe::parse(text, "a.toml")?, options)?.train(&mut Quiet)?;
/// let network = Network::load(run.join("model.safetensors"))?; // what `train` wrote
/// assert_eq!(network.recipe().layers.len(), 2);
/// # let copy = directory.path().join("copy.safetensors");
/// network.save(&copy)?;
/// assert_eq!(std::fs::read(&copy)?, std::fs::read(run.join("model.safetensors"))?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Network {
    recipe: Recipe,
    layers: Sequential,
}

impl Network {
    /// Builds the network of a recipe and gives it these weights.
    pub(super) fn of(
        recipe: Recipe,
        state: &StateDict,
        path: &Path,
        device: &Device,
    ) -> Result<Self, PredictError> {
        let DataSource::Digits = recipe.data.source.value;
        let layers = build(&recipe, &SHAPE, CLASSES, BATCH, device).map_err(ReadError::Recipe)?;
        let layers = state.load_into(layers, Strict::Yes).map_err(|error| in_model(path, error))?;
        Ok(Self { recipe, layers })
    }

    /// Builds the network of a file alone.
    ///
    /// # Errors
    ///
    /// [`PredictError::NoRecipe`] for a file without a recipe's text, [`PredictError::Model`] if it cannot
    /// be read or its weights are not of its recipe, and what is wrong with the recipe.
    ///
    /// See [`Network`] for an example.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PredictError> {
        let path = path.as_ref();
        let state = read(path)?;
        let Some(text) = state.note(RECIPE) else {
            return Err(PredictError::NoRecipe { path: path.to_owned() });
        };
        let recipe = Recipe::parse(text, &path.display().to_string()).map_err(ReadError::Recipe)?;
        Self::of(recipe, &state, path, &Device::default())
    }

    /// Writes the network, atomically.
    ///
    /// # Errors
    ///
    /// [`PredictError::Model`] if it cannot be written; an older file is then still there.
    ///
    /// See [`Network`] for an example.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PredictError> {
        let path = path.as_ref();
        state_of(self.recipe.source(), &self.layers)
            .save(path)
            .map_err(|error| in_model(path, error))
    }

    /// The recipe.
    ///
    /// See [`Network`] for an example.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The layers.
    ///
    /// ```
    /// fn layers(network: &espalier_recipe::Network) -> usize {
    ///     network.layers().len()
    /// }
    /// ```
    pub fn layers(&self) -> &Sequential {
        &self.layers
    }
}

/// The tensors of a network with the text of its recipe.
pub(super) fn state_of(recipe: &str, layers: &Sequential) -> StateDict {
    StateDict::of(layers).with_note(RECIPE, recipe)
}

/// The tensors in a model's file.
pub(super) fn read(path: &Path) -> Result<StateDict, PredictError> {
    StateDict::open(path).map_err(|error| in_model(path, error))
}

fn in_model(path: &Path, error: espalier::Error) -> PredictError {
    PredictError::Model { path: path.to_owned(), source: Box::new(error) }
}

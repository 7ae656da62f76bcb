//! A recipe's network in one file: its weights, and the text that says what they are the weights of.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use espalier::nn::Graph;
use espalier::state::{StateDict, Strict};
use espalier_network::{Limits, Plan, ReadError};

use super::error::{PredictError, TrainError};
use super::network::build;
use super::source::{BATCH, DataInfo};
use crate::spec::Recipe;

/// The metadata key of the recipe's text.
const RECIPE: &str = "espalier.recipe";
/// The metadata key of what the network must know of its data.
const DATA: &str = "espalier.data";

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
/// # let options = RunOptions { directory: Some(run.clone()), ..RunOptions::default() };
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
    layers: Graph,
    data: DataInfo,
}

impl Network {
    /// Builds the network of a recipe and gives it these weights.
    pub(super) fn of(
        recipe: Recipe,
        state: &StateDict,
        path: &Path,
        device: &Device,
    ) -> Result<Self, PredictError> {
        let Some(data) = state.note(DATA) else {
            return Err(PredictError::NoRecipe { path: path.to_owned() });
        };
        let data: DataInfo = serde_json::from_str(data).map_err(|error| PredictError::Data {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let limits = Limits::default().batch(BATCH);
        let plan = Plan::new(&recipe.layers, &[], &data.input(), &limits)
            .map_err(|error| error.locate(recipe.file(), Arc::from(recipe.source())))
            .map_err(ReadError::Recipe)?;
        let layers = build(&plan, device).map_err(PredictError::Graph)?;
        let layers = state.load_into(layers, Strict::Yes).map_err(|error| in_model(path, error))?;
        Ok(Self { recipe, layers, data })
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
        let state = state_of(self.recipe.source(), &self.data, &self.layers);
        let state = state.map_err(|error| PredictError::Data {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        state.save(path).map_err(|error| in_model(path, error))
    }

    /// The recipe.
    ///
    /// See [`Network`] for an example.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub(super) fn data(&self) -> &DataInfo {
        &self.data
    }

    pub(super) fn into_layers(self) -> Graph {
        self.layers
    }

    /// The layers.
    ///
    /// ```
    /// fn layers(network: &espalier_recipe::Network) -> usize {
    ///     network.layers().len()
    /// }
    /// ```
    pub fn layers(&self) -> &Graph {
        &self.layers
    }
}

/// The tensors of a network with the text of its recipe and what it must know of its data.
pub(super) fn state_of(
    recipe: &str,
    data: &DataInfo,
    layers: &Graph,
) -> Result<StateDict, TrainError> {
    let data = serde_json::to_string(data).map_err(|error| TrainError::Io {
        path: "model.safetensors".into(),
        source: error.into(),
    })?;
    Ok(StateDict::of(layers).with_note(RECIPE, recipe).with_note(DATA, data))
}

/// The tensors in a model's file.
pub(super) fn read(path: &Path) -> Result<StateDict, PredictError> {
    StateDict::open(path).map_err(|error| in_model(path, error))
}

fn in_model(path: &Path, error: espalier::Error) -> PredictError {
    PredictError::Model { path: path.to_owned(), source: Box::new(error) }
}

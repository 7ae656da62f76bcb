//! Predictions from a run directory.

use std::path::Path;

use burn::tensor::Device;
use serde::Serialize;

use super::data::{self, SHAPE};
use super::directory::{MODEL, RECIPE};
use super::error::PredictError;
use super::evaluate::{BATCH, best, log_probability, logits};
use super::images::Images;
use super::saved::{self, Network};
use crate::spec::Recipe;

/// What the network makes of one image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The image's place in its file, from 0.
    pub index: usize,
    /// The likeliest digit.
    pub label: usize,
    /// Its probability, as the network sees it.
    pub probability: f64,
}

/// A trained network, read from its run directory.
///
/// ```
/// use espalier_recipe::{Images, Predictor};
/// # use espalier_recipe::{Event, Observer, Prepared, Recipe, RunOptions};
/// # struct Quiet;
/// # impl Observer for Quiet {
/// #     fn event(&mut self, _: Event<'_>) {}
/// # }
/// # let text = "name = 'a'\ndata = { source = 'digits' }\noptimizer = { type = 'adam' }\n\
/// #     layer = [{ type = 'flatten' }, { type = 'linear', features = 10 }]\n\
/// #     train = { epochs = 1, batch_size = 64 }";
/// # let directory = tempfile::tempdir()?;
/// # let run = directory.path().join("run");
/// # let options = RunOptions { directory: Some(run.clone()), seed: None };
/// # Prepared::new(Recipe::parse(text, "a.toml")?, options)?.train(&mut Quiet)?;
/// let predictor = Predictor::open(&run)?;
/// assert_eq!(predictor.input_shape(), [1, 8, 8]);
/// # let file = directory.path().join("blank.csv");
/// # std::fs::write(&file, ["0"; 64].join(","))?;
/// let images = Images::read(&file, predictor.input_shape())?;
/// let predictions = predictor.predict(&images)?;
/// assert_eq!(predictions.len(), images.len());
/// assert!(predictions[0].label < 10 && predictions[0].probability >= 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Predictor {
    network: Network,
    device: Device,
}

impl Predictor {
    /// Reads the network of a finished run; its directory is all that is needed.
    ///
    /// # Errors
    ///
    /// [`PredictError::NotARun`], [`PredictError::NoModel`], or what is wrong with the recipe or
    /// the model.
    ///
    /// ```
    /// use espalier_recipe::Predictor;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path();
    /// let error = Predictor::open(path).err().ok_or("an empty directory is no run")?;
    /// assert!(error.to_string().contains("it has no recipe.toml"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(run: &Path) -> Result<Self, PredictError> {
        let (recipe, model) = (run.join(RECIPE), run.join(MODEL));
        if !recipe.is_file() {
            return Err(PredictError::NotARun { directory: run.to_owned() });
        }
        let recipe = Recipe::read(recipe)?;
        if !model.is_file() {
            return Err(PredictError::NoModel { directory: run.to_owned() });
        }
        let device = Device::default();
        let network = Network::of(recipe, &saved::read(&model)?, &model, &device)?;
        Ok(Self { network, device })
    }

    /// Predicts with a network that is at hand.
    ///
    /// ```
    /// use espalier_recipe::{Network, Predictor};
    /// fn from_one_file(path: &str) -> Result<Predictor, Box<dyn std::error::Error>> {
    ///     Ok(Predictor::of(Network::load(path)?))
    /// }
    /// ```
    pub fn of(network: Network) -> Self {
        Self { network, device: Device::default() }
    }

    /// The shape of one image: channels, height, width.
    pub fn input_shape(&self) -> &[usize] {
        &SHAPE
    }

    /// The likeliest digit of each image, in their order.
    ///
    /// # Errors
    ///
    /// [`PredictError::Images`] for images of another shape than [`input_shape`](Self::input_shape).
    pub fn predict(&self, images: &Images) -> Result<Vec<Prediction>, PredictError> {
        if images.shape != self.input_shape() {
            return Err(PredictError::Images {
                expected: self.input_shape().to_vec(),
                found: images.shape.clone(),
            });
        }
        let size = images.size();
        let mut predictions = Vec::with_capacity(images.len());
        for pixels in images.pixels.chunks(size * BATCH) {
            let batch = data::tensor(pixels.to_vec(), pixels.len() / size, &self.device);
            for row in logits(self.network.layers(), batch)? {
                let label = best(&row);
                predictions.push(Prediction {
                    index: predictions.len(),
                    label,
                    probability: log_probability(&row, label).exp(),
                });
            }
        }
        Ok(predictions)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use burn::tensor::Device;

    use super::*;
    use crate::engine::data::batch;
    use crate::{Event, Observer, Prepared, RunOptions};

    struct Quiet;

    impl Observer for Quiet {
        fn event(&mut self, _: Event<'_>) {}
    }

    const RECIPE: &str = r#"
name = "small"
data = { source = "digits" }
train = { epochs = 1, batch_size = 64 }
optimizer = { type = "adam" }
parametrize = [{ select = "5.weight", rule = "weight_norm" }]
[[layer]]
type = "conv2d"
channels = 4
kernel = 3
[[layer]]
type = "batch_norm"
[[layer]]
type = "relu"
[[layer]]
type = "max_pool2d"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
features = 10
"#;

    #[test]
    fn predictions_from_the_directory_are_those_of_the_trained_network() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("run");
        let options = RunOptions { directory: Some(run.clone()), seed: None };
        let recipe = Recipe::parse(RECIPE, "small.toml").unwrap();
        let (_, network) = Prepared::new(recipe, options).unwrap().run(&mut Quiet).unwrap();

        let places: Vec<usize> = (0..20).collect();
        let images = batch(&places, None, &Device::default()).images;
        let pixels: Vec<f32> = (images.clone() * 16.0).into_data().iter::<f32>().collect();
        let lines: Vec<String> = pixels
            .chunks(64)
            .map(|image| {
                let fields: Vec<String> = image.iter().map(ToString::to_string).collect();
                fields.join(",")
            })
            .collect();
        let path = directory.path().join("images.csv");
        fs::write(&path, lines.join("\n")).unwrap();

        let predictor = Predictor::open(&run).unwrap();
        let read = Images::read(&path, predictor.input_shape()).unwrap();
        let found = predictor.predict(&read).unwrap();
        let expected = logits(&network, images).unwrap();
        assert_eq!(found.len(), 20);
        for (found, row) in found.iter().zip(&expected) {
            assert_eq!(found.label, best(row));
            assert_eq!(found.probability, log_probability(row, best(row)).exp());
        }
    }
}

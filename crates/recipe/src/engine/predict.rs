//! Predictions from a run directory.

use std::path::Path;

use burn::tensor::{Device, TensorData};
use espalier::AnyTensor;
use espalier::nn::Layer as _;
use serde::Serialize;

use super::directory::{MODEL, RECIPE};
use super::error::PredictError;
use super::evaluate::{best, log_probability};
use super::examples::Examples;
use super::saved::{self, Network};
use super::source::{BATCH, DataInfo};
use crate::spec::Recipe;

/// What the network makes of one example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The example's place in its file, from 0.
    pub index: usize,
    /// The likeliest class, if the network tells classes apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<usize>,
    /// Its probability, as the network sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What the network gives, if that is no class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

/// A trained network, read from its run directory.
///
/// ```
/// use espalier_recipe::{Examples, Predictor};
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
/// # let options = RunOptions { directory: Some(run.clone()), ..RunOptions::default() };
/// # Prepared::new(Recipe::parse(text, "a.toml")?, options)?.train(&mut Quiet)?;
/// let predictor = Predictor::open(&run)?;
/// assert_eq!(predictor.input_shape(), [1, 8, 8]);
/// # let file = directory.path().join("blank.csv");
/// # std::fs::write(&file, ["0"; 64].join(","))?;
/// let examples = Examples::read(&file, &predictor)?;
/// let predictions = predictor.predict(&examples)?;
/// assert_eq!(predictions.len(), examples.len());
/// assert!(predictions[0].label.is_some_and(|digit| digit < 10));
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

    /// The shape of one example: `[channels, height, width]` of images.
    pub fn input_shape(&self) -> &[usize] {
        &self.network.data().dims
    }

    /// The classes' names by their numbers; none if the network does not tell classes apart.
    pub fn classes(&self) -> &[String] {
        &self.network.data().classes
    }

    pub(super) fn data(&self) -> &DataInfo {
        self.network.data()
    }

    /// The largest value that raw inputs have, if their type has one: 16 of the digits.
    pub fn largest(&self) -> Option<f32> {
        self.network.data().largest
    }

    /// What the network makes of each example, in their order.
    ///
    /// # Errors
    ///
    /// [`PredictError::Examples`] for examples of another shape than [`input_shape`](Self::input_shape).
    pub fn predict(&self, examples: &Examples) -> Result<Vec<Prediction>, PredictError> {
        if examples.shape != self.input_shape() {
            return Err(PredictError::Examples {
                expected: self.input_shape().to_vec(),
                found: examples.shape.clone(),
            });
        }
        let size = examples.size();
        let mut predictions = Vec::with_capacity(examples.len());
        for raw in examples.values.chunks(size * BATCH) {
            let mut values = raw.to_vec();
            for example in values.chunks_mut(size) {
                self.data().normalization.apply(example);
            }
            for row in self.rows(values, raw.len() / size)? {
                let index = predictions.len();
                predictions.push(if self.classes().is_empty() {
                    Prediction { index, label: None, probability: None, values: row }
                } else {
                    let label = best(&row);
                    let probability = Some(log_probability(&row, label).exp());
                    Prediction { index, label: Some(label), probability, values: Vec::new() }
                });
            }
        }
        Ok(predictions)
    }

    /// What the network gives for `count` normalized examples, a row each.
    fn rows(&self, values: Vec<f32>, count: usize) -> Result<Vec<Vec<f64>>, PredictError> {
        let shape = [&[count], self.input_shape()].concat();
        let input = AnyTensor::from_data(TensorData::new(values, shape), &self.device)?;
        let output = self.network.layers().forward_any(input)?.to_data();
        let values: Vec<f64> = output.iter::<f64>().collect();
        Ok(values.chunks((values.len() / count.max(1)).max(1)).map(<[f64]>::to_vec).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use espalier_data::Inputs;

    use super::*;
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
        let options = RunOptions { directory: Some(run.clone()), ..RunOptions::default() };
        let recipe = Recipe::parse(RECIPE, "small.toml").unwrap();
        let (_, network) = Prepared::new(recipe, options).unwrap().run(&mut Quiet).unwrap();

        let digits = espalier_data::digits().unwrap();
        let mut record = espalier_data::Record::new(espalier_data::Dataset::schema(&digits));
        let (mut pixels, mut lines) = (Vec::new(), Vec::new());
        for index in 0..20 {
            espalier_data::Dataset::read(&digits, index, &mut record).unwrap();
            let Inputs::Values(values) = &record.inputs else { panic!("digits are values") };
            let fields: Vec<String> = values.iter().map(ToString::to_string).collect();
            lines.push(fields.join(","));
            pixels.extend(values.iter().map(|pixel| pixel / 16.0));
        }
        let path = directory.path().join("images.csv");
        fs::write(&path, lines.join("\n")).unwrap();

        let predictor = Predictor::open(&run).unwrap();
        let read = Examples::read(&path, &predictor).unwrap();
        let found = predictor.predict(&read).unwrap();
        let device = Device::default();
        let input = TensorData::new(pixels, [20, 1, 8, 8]);
        let input = AnyTensor::from_data(input, &device).unwrap();
        let output = network.forward_any(input).unwrap().to_data();
        let expected: Vec<f64> = output.iter::<f64>().collect();
        assert_eq!(found.len(), 20);
        for (found, row) in found.iter().zip(expected.chunks(10)) {
            assert_eq!(found.label, Some(best(row)));
            assert_eq!(found.probability, Some(log_probability(row, best(row)).exp()));
        }
    }
}

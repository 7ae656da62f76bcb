//! `[data]` as batches.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use espalier::{AnyTensor, Error};
use espalier_data::{
    ArrayFile, ArrayOptions, ArrayTarget, Arrays, Augment, Batch, Color, Copying, CsvOptions,
    CsvTarget, DataError, Dataset, Header, ImageOptions, Images, Input, Inputs, Loader,
    LoaderOptions, Normalization, Normalize, Schema, Sequences, Split, Subset, Target, Text,
    digits, read_csv, read_idx,
};
use espalier_network as network;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::spec::{self, ClassWeights, Column, DataSource, Recipe};

/// What the split is drawn from: the same for every training seed, so that runs compare.
const SPLIT_SEED: u64 = 0;
/// Examples at a time outside of training; training batches may be far smaller.
pub(crate) const BATCH: usize = 256;
/// Where the streams of steps start; those of epochs start at 2^32, initial values use those from 0.
const STEPS: u64 = 1 << 48;

/// A seed for what the framework itself draws in one step.
pub(crate) fn step_seed(seed: u64, step: usize) -> u64 {
    espalier::init::Rng::stream(seed, STEPS + step as u64).uniform().to_bits()
}

/// The data of a recipe, ready to be trained on.
pub(crate) struct Data {
    pub(crate) train: Loader,
    /// The same examples in their order, without changes by chance.
    pub(crate) test: Loader,
    pub(crate) info: DataInfo,
    /// How much each class counts, if not all the same.
    pub(crate) class_weights: Option<Vec<f32>>,
    /// What it is, in words.
    pub(crate) text: String,
}

/// What a trained network must know of its data, to be kept with its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataInfo {
    /// The sizes of one input.
    pub(crate) dims: Vec<usize>,
    /// The vocabulary's size, if inputs are tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vocabulary: Option<usize>,
    /// The largest number that raw inputs have, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) largest: Option<f32>,
    /// How raw inputs are scaled.
    pub(crate) normalization: Normalization,
    /// The classes' names, if there is one for each example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) classes: Vec<String>,
    /// What a network gives for one example.
    pub(crate) output: Vec<usize>,
}

impl DataInfo {
    /// What the network is given.
    pub(crate) fn input(&self) -> network::Input {
        match self.vocabulary {
            Some(vocabulary) => network::Input {
                dims: self.dims.clone(),
                kind: network::Kind::Tokens { vocabulary },
            },
            None => network::Input::values(self.dims.clone()),
        }
    }
}

/// A data set of any source, and whether it is read from files as it is asked for.
struct Opened {
    data: Arc<dyn Dataset>,
    lazy: bool,
    images: bool,
    table: bool,
}

fn open(source: &DataSource, base: &Path, seed: u64) -> Result<Opened, DataError> {
    let at = |path: &Path| base.join(path);
    let plain = |data: Arc<dyn Dataset>| Opened { data, lazy: false, images: false, table: false };
    Ok(match source {
        DataSource::Digits => Opened { images: true, ..plain(Arc::new(digits()?)) },
        DataSource::Csv { path, target, classes, header, delimiter } => {
            let column = |column: &Column| match column {
                Column::Name(name) => espalier_data::Column::Name(name.clone()),
                Column::Place(place) => espalier_data::Column::Index(*place),
            };
            let mut columns: Vec<_> = target.iter().map(column).collect();
            if columns.is_empty() {
                columns.push(espalier_data::Column::Last);
            }
            let target = if *classes {
                CsvTarget::Class { column: columns.swap_remove(0), classes: None }
            } else {
                CsvTarget::Values { columns }
            };
            let options = CsvOptions {
                header: if *header { Header::Present } else { Header::Absent },
                delimiter: *delimiter as u8,
                target,
                ..CsvOptions::default()
            };
            Opened { table: true, ..plain(Arc::new(read_csv(at(path), &options)?)) }
        }
        DataSource::Arrays { path, targets, keys: [x, y], classes } => {
            let named = |path: &Path, key: &str| match path.extension() {
                Some(ending) if ending == "npy" => ArrayFile::new(at(path)),
                _ => ArrayFile::named(at(path), key),
            };
            let target = if *classes { ArrayTarget::Auto } else { ArrayTarget::Values };
            let options = ArrayOptions { target, ..ArrayOptions::default() };
            let targets = named(targets.as_deref().unwrap_or(path), y);
            let data = Arrays::open(&named(path, x), &targets, options)?;
            let table = data.schema().dims.len() == 1;
            Opened { table, lazy: true, ..plain(Arc::new(data)) }
        }
        DataSource::Idx { images, labels } => {
            Opened { images: true, ..plain(Arc::new(read_idx(at(images), at(labels), None)?)) }
        }
        DataSource::Images { path, size, grey } => {
            let color = if *grey { Color::Grey } else { Color::Rgb };
            let options = ImageOptions { size: *size, color, classes: None };
            let data = Images::open(at(path), options)?;
            Opened { images: true, lazy: true, ..plain(Arc::new(data)) }
        }
        DataSource::Text { path, length } => {
            plain(Arc::new(Text::open(at(path), *length, *length)?))
        }
        DataSource::Sequences { path } => plain(Arc::new(Sequences::open(at(path))?)),
        DataSource::Copying { symbols, copy, delay, examples } => {
            plain(Arc::new(Copying::new(*symbols, *copy, *delay, *examples, seed)?))
        }
    })
}

/// The recipe's data; `base` is where its paths start.
///
/// # Errors
///
/// What is wrong with the files, or with the options for them.
pub(crate) fn prepare(recipe: &Recipe, base: &Path, seed: u64) -> Result<Data, DataError> {
    let spec = &recipe.data;
    let opened = open(&spec.source.value, base, seed)?;
    let mut data = opened.data;
    if let Some(classes) = &spec.classes {
        data = Arc::new(Subset::of_classes(data, &classes.value)?);
    }
    let split = Split::of(&data, spec.test_fraction, 0.0, SPLIT_SEED)?;
    let normalize = match spec.normalize.value {
        spec::Normalize::None => Normalize::None,
        spec::Normalize::Unit => Normalize::Unit,
        spec::Normalize::Standard => Normalize::Standard,
        spec::Normalize::Auto if opened.images => Normalize::Unit,
        spec::Normalize::Auto if opened.table => Normalize::Standard,
        spec::Normalize::Auto => Normalize::None,
    };
    let normalization = normalize.fit(&data, &split.train)?;
    let class_weights = match &spec.class_weights {
        None => None,
        Some(weights) => {
            let weights = match &weights.value {
                ClassWeights::Balanced => espalier_data::ClassWeights::Balanced,
                ClassWeights::Given(weights) => espalier_data::ClassWeights::Given(
                    weights.iter().map(|weight| *weight as f32).collect(),
                ),
            };
            Some(weights.of(&data, &split.train)?)
        }
    };
    let options = LoaderOptions {
        batch_size: recipe.train.batch_size.value.min(split.train.len()),
        seed,
        threads: spec.threads.unwrap_or(if opened.lazy && opened.images { 2 } else { 0 }),
        augment: augment(spec.augment.as_ref().map(|augment| &augment.value), data.schema()),
        normalization: normalization.clone(),
        ..LoaderOptions::default()
    };
    let still = LoaderOptions {
        batch_size: BATCH,
        shuffle: false,
        augment: Augment::without_chance(&options.augment),
        ..options.clone()
    };
    let text = text(recipe, data.schema(), &split);
    let train = Loader::new(Arc::clone(&data), split.train, options)?;
    let test = Loader::new(Arc::clone(&data), split.validation, still)?;
    let schema = data.schema();
    let (vocabulary, largest) = match schema.input {
        Input::Tokens { vocabulary } => (Some(vocabulary), None),
        Input::Values { largest } => (None, largest),
        _ => (None, None),
    };
    let classes = match &schema.target {
        Target::Class { names } => names.clone(),
        _ => Vec::new(),
    };
    let dims = train.dims().to_vec();
    let info = DataInfo { dims, vocabulary, largest, normalization, classes, output: Vec::new() };
    Ok(Data { train, test, info, class_weights, text })
}

fn augment(spec: Option<&spec::Augment>, schema: &Schema) -> Vec<Augment> {
    let mut changes = Vec::new();
    let Some(spec) = spec else { return changes };
    if spec.shift > 0 {
        changes.push(Augment::Shift { by: spec.shift });
    }
    if spec.flip > 0.0 {
        changes.push(Augment::Flip { horizontal: spec.flip, vertical: 0.0 });
    }
    if spec.rotate > 0.0 {
        changes.push(Augment::Rotate { degrees: spec.rotate });
    }
    if spec.crop > 0
        && let [_, height, width] = schema.dims[..]
    {
        changes.push(Augment::Crop { padding: spec.crop, size: [height, width] });
    }
    changes
}

/// That the output of a network can be held against the data's targets.
pub(crate) fn check_output(
    recipe: &Recipe,
    wanted: &[usize],
    found: &[usize],
    faults: &mut Faults<'_>,
) {
    let Some(last) = recipe.layers.last().filter(|_| found != wanted) else { return };
    let index = recipe.layers.len() - 1;
    let name = last.value.called();
    let (what, help) = match wanted {
        [classes] => {
            let flatten = if found.len() == 1 { "" } else { "a `flatten` and " };
            (
                "one number for each class",
                format!("end with {flatten}a `linear` layer of {classes} features"),
            )
        }
        [_, classes] => (
            "one number for each class at each position",
            format!("end with a `linear` layer of {classes} features on [time, features]"),
        ),
        _ => ("the shape of the input", String::new()),
    };
    faults.add(
        &last.span,
        format!("layer[{index}]"),
        format!("{name}, the last layer, gives {found:?}"),
        format!("{wanted:?}, {what}"),
        help,
    );
}

fn text(recipe: &Recipe, schema: &Schema, split: &Split) -> String {
    let source = match &recipe.data.source.value {
        DataSource::Digits => "digits",
        DataSource::Csv { .. } => "csv",
        DataSource::Arrays { .. } => "arrays",
        DataSource::Idx { .. } => "idx",
        DataSource::Images { .. } => "images",
        DataSource::Text { .. } => "text",
        DataSource::Sequences { .. } => "sequences",
        DataSource::Copying { .. } => "copying",
    };
    let sizes: Vec<String> = schema.dims.iter().map(ToString::to_string).collect();
    let what = match (&schema.input, schema.dims.len()) {
        (Input::Tokens { .. }, _) => "sequences",
        (_, 3) => "images",
        _ => "examples",
    };
    let mut changes = Vec::new();
    if let Some(spec) = recipe.data.augment.as_ref().map(|augment| &augment.value) {
        match spec.shift {
            0 => {}
            1 => changes.push("shifted by up to 1 pixel".to_owned()),
            shift => changes.push(format!("shifted by up to {shift} pixels")),
        }
        if spec.flip > 0.0 {
            changes.push("mirrored".to_owned());
        }
        if spec.rotate > 0.0 {
            changes.push(format!("turned by up to {} degrees", spec.rotate));
        }
        if spec.crop > 0 {
            changes.push("cropped".to_owned());
        }
    }
    let changes: String = changes.iter().map(|change| format!(", {change}")).collect();
    format!(
        "data: {source}, {}, {} {what} to train on{changes}, {} to test",
        sizes.join(" x "),
        split.train.len(),
        split.validation.len()
    )
}

/// The inputs of a batch as a network takes them; tokens as whole numbers.
///
/// # Errors
///
/// If they have more dimensions than tensors can.
pub(crate) fn inputs(batch: &Batch, device: &Device) -> Result<AnyTensor, Error> {
    let values = match &batch.inputs {
        Inputs::Values(values) => values.clone(),
        Inputs::Tokens(tokens) => tokens.iter().map(|token| *token as f32).collect(),
        _ => Vec::new(),
    };
    AnyTensor::from_data(TensorData::new(values, batch.dims.as_slice()), device)
}

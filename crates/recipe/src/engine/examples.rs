//! Examples in files of others.

use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use espalier_checkpoint::read_npy;

use super::error::PredictError;
use super::predict::Predictor;
use super::source::DataInfo;

/// Examples to predict for, with their labels if the file has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    pub(super) shape: Vec<usize>,
    /// Values of all examples, one after another, as they are in the file.
    pub(super) values: Vec<f32>,
    labels: Option<Vec<usize>>,
}

impl Examples {
    /// Reads the examples in a `.npy` or `.csv` file, as the data that the network was trained on: not
    /// normalized.
    ///
    /// - `.npy`: an array of numbers `[n, ...]` with an example's sizes, `[n, values]`, or one example
    ///   alone. Of one channel, that dimension may be left out.
    /// - `.csv`: an example a line, its values in C order (images from the top), then, if there are labels,
    ///   its label: a class's name or number. A first line without any number is a header.
    ///
    /// # Errors
    ///
    /// [`PredictError`] with the file, the place in it, what is there and what was expected.
    ///
    /// ```
    /// use espalier_recipe::{Examples, Predictor};
    ///
    /// fn read(predictor: &Predictor) -> Result<Examples, Box<dyn std::error::Error>> {
    ///     Ok(Examples::read("digits.csv", predictor)?)
    /// }
    /// ```
    pub fn read(path: impl AsRef<Path>, predictor: &Predictor) -> Result<Self, PredictError> {
        Self::of(path.as_ref(), predictor.data())
    }

    /// As [`read`](Self::read), for a network of such data.
    pub(super) fn of(path: &Path, data: &DataInfo) -> Result<Self, PredictError> {
        if data.vocabulary.is_some() {
            return Err(PredictError::Tokens { path: path.to_owned() });
        }
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let examples = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("npy") => npy(path, data),
            Some("csv") => csv(path, data),
            _ => Err(PredictError::Format { path: path.to_owned() }),
        }?;
        if examples.is_empty() {
            return Err(PredictError::Empty { path: path.to_owned() });
        }
        Ok(examples)
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.values.len() / self.size()
    }

    /// Always false for examples that were read.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The class of each example by its number, if the file says so.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// The largest value of all examples: pixels that go up to 16 and are at most 1 tell of another
    /// scale.
    pub fn largest(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }

    /// Values of one example.
    pub(super) fn size(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }
}

/// What a value may be, in words.
fn expected(data: &DataInfo) -> String {
    match data.largest {
        Some(largest) if data.dims.len() == 3 => format!("a pixel from 0 to {largest}"),
        Some(largest) => format!("a number from 0 to {largest}"),
        None => "a finite number".to_owned(),
    }
}

/// The value, if it can be one.
fn checked(
    path: &Path,
    data: &DataInfo,
    value: f64,
    place: impl FnOnce() -> String,
) -> Result<f32, PredictError> {
    let fits = match data.largest {
        Some(largest) => (0.0..=f64::from(largest)).contains(&value),
        None => (value as f32).is_finite(),
    };
    if fits {
        return Ok(value as f32);
    }
    Err(PredictError::Value {
        path: path.to_owned(),
        place: place(),
        found: value.to_string(),
        expected: expected(data),
    })
}

fn npy(path: &Path, data: &DataInfo) -> Result<Examples, PredictError> {
    let input_shape = data.dims.as_slice();
    let array = read_npy(path)?;
    let size: usize = input_shape.iter().product();
    // A single channel need not be written down.
    let shapes = match input_shape {
        [1, rest @ ..] => vec![input_shape, rest],
        _ => vec![input_shape],
    };
    let found = array.shape();
    let fits = |of_one: &[usize]| match found {
        _ if found == of_one => true,
        [_, rest @ ..] => rest == of_one || rest == [size],
        [] => false,
    };
    if !shapes.iter().any(|shape| fits(shape)) {
        let mut expected: Vec<String> = Vec::new();
        for shape in &shapes {
            let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
            expected.push(format!("[n, {}]", sides.join(", ")));
        }
        expected.push(format!("[n, {size}]"));
        let one = shapes.last().copied().unwrap_or(input_shape);
        return Err(PredictError::Shape {
            path: path.to_owned(),
            found: found.to_vec(),
            expected: format!("{} or, for one image, {one:?}", expected.join(", ")),
        });
    }
    let mut values = Vec::with_capacity(found.iter().product());
    for (index, value) in array.values().enumerate() {
        let place = || format!("example {}, value {}", index / size, index % size);
        values.push(checked(path, data, value, place)?);
    }
    Ok(Examples { shape: input_shape.to_vec(), values, labels: None })
}

fn csv(path: &Path, data: &DataInfo) -> Result<Examples, PredictError> {
    let input_shape = data.dims.as_slice();
    let in_file = |source: csv::Error| PredictError::Csv { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(|error| in_file(error.into()))?;
    let size: usize = input_shape.iter().product();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        // Lengths are compared below, with better words.
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes.as_slice());
    let (mut values, mut labels, mut columns) = (Vec::new(), Vec::new(), None);
    let mut record = StringRecord::new();
    let mut first = true;
    while reader.read_record(&mut record).map_err(in_file)? {
        let is_header = first && record.iter().all(|field| field.parse::<f64>().is_err());
        first = false;
        if is_header {
            continue;
        }
        let start = record.position().map_or(0, csv::Position::byte);
        let line = || line(&bytes, start);
        let found = record.len();
        match columns {
            _ if found != size && found != size + 1 => {
                return Err(PredictError::Columns {
                    path: path.to_owned(),
                    line: line(),
                    found,
                    pixels: size,
                });
            }
            Some(earlier) if earlier != found => {
                return Err(PredictError::SomeLabels {
                    path: path.to_owned(),
                    line: line(),
                    found,
                    earlier,
                });
            }
            _ => columns = Some(found),
        }
        for (column, field) in record.iter().enumerate() {
            let place = || format!("line {}, column {}", line(), column + 1);
            let value = field.parse::<f64>();
            if column == size {
                labels.push(label(path, data, field, value.ok(), place)?);
                continue;
            }
            let Ok(value) = value else {
                return Err(PredictError::Value {
                    path: path.to_owned(),
                    place: place(),
                    found: format!("{field:?}"),
                    expected: expected(data),
                });
            };
            values.push(checked(path, data, value, place)?);
        }
    }
    Ok(Examples {
        shape: input_shape.to_vec(),
        values,
        labels: (!labels.is_empty()).then_some(labels),
    })
}

/// The line, from 1, of the record that was read from `start` on.
fn line(bytes: &[u8], start: u64) -> usize {
    let start = usize::try_from(start).unwrap_or(bytes.len()).min(bytes.len());
    // Empty lines before a record count as read with it.
    let empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    let skipped = bytes[start..].iter().take_while(empty).count();
    let before = &bytes[..start + skipped];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn label(
    path: &Path,
    data: &DataInfo,
    field: &str,
    value: Option<f64>,
    place: impl FnOnce() -> String,
) -> Result<usize, PredictError> {
    let classes = data.classes.len();
    if let Some(named) = data.classes.iter().position(|name| name == field) {
        return Ok(named);
    }
    match value {
        // Tables from other programs have labels like `3.0`.
        Some(value) if value.fract() == 0.0 && (0.0..classes as f64).contains(&value) => {
            Ok(value as usize)
        }
        _ => Err(PredictError::Value {
            path: path.to_owned(),
            place: place(),
            found: format!("{field:?}"),
            expected: format!("a label from 0 to {}", classes.saturating_sub(1)),
        }),
    }
}

//! Images in files of others.

use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use espalier_checkpoint::read_npy;

use super::data::{CLASSES, DARKEST};
use super::error::PredictError;

/// Images to predict for, with their labels if the file has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    pub(super) shape: Vec<usize>,
    /// Pixels of all images, one after another.
    pub(super) pixels: Vec<f32>,
    labels: Option<Vec<usize>>,
}

impl Images {
    /// Reads the images in a `.npy` or `.csv` file, of pixels from 0 to 16.
    ///
    /// `input_shape` is that of one image, `[channels, height, width]`; see
    /// [`Predictor::input_shape`](crate::Predictor::input_shape).
    ///
    /// - `.npy`: an array of numbers, `[n, channels, height, width]`, `[n, pixels]`, or one image
    ///   `[channels, height, width]`. Of one channel, that dimension may be left out.
    /// - `.csv`: an image a line, its pixels in rows from the top, then, if there are labels, its
    ///   label. A first line without any number is a header.
    ///
    /// # Errors
    ///
    /// [`PredictError`] with the file, the place in it, what is there and what was expected.
    ///
    /// ```
    /// use espalier_recipe::Images;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("two.csv");
    /// std::fs::write(&path, "0,16,16,0,7\n16,0,0,16,3\n")?;
    /// let images = Images::read(&path, &[1, 2, 2])?;
    /// assert_eq!((images.len(), images.labels()), (2, Some(&[7, 3][..])));
    ///
    /// std::fs::write(&path, "0,16,17,0,7\n")?;
    /// let error = Images::read(&path, &[1, 2, 2]).unwrap_err();
    /// assert!(error.to_string().ends_with(
    ///     "two.csv: line 1, column 3: found 17; expected a pixel from 0 to 16"
    /// ));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(path: &Path, input_shape: &[usize]) -> Result<Self, PredictError> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let images = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("npy") => npy(path, input_shape),
            Some("csv") => csv(path, input_shape),
            _ => Err(PredictError::Format { path: path.to_owned() }),
        }?;
        if images.is_empty() {
            return Err(PredictError::Empty { path: path.to_owned() });
        }
        Ok(images)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// Always false for images that were read.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The digit that each image shows, if the file says so.
    pub fn labels(&self) -> Option<&[usize]> {
        self.labels.as_deref()
    }

    /// The largest pixel of all images; pixels go up to 16, so one of 1 tells of another scale.
    ///
    /// ```
    /// use espalier_recipe::Images;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("one.csv");
    /// std::fs::write(&path, "0,0.25,1,0\n")?;
    /// assert_eq!(Images::read(&path, &[1, 2, 2])?.largest(), 1.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn largest(&self) -> f32 {
        // No pixel is below 0.
        self.pixels.iter().copied().fold(0.0, f32::max)
    }

    /// Pixels of one image.
    pub(super) fn size(&self) -> usize {
        self.shape.iter().product::<usize>().max(1)
    }
}

/// The pixel, if it is one.
fn pixel(path: &Path, value: f64, place: impl FnOnce() -> String) -> Result<f32, PredictError> {
    if (0.0..=f64::from(DARKEST)).contains(&value) {
        return Ok(value as f32);
    }
    Err(PredictError::Value {
        path: path.to_owned(),
        place: place(),
        found: value.to_string(),
        expected: format!("a pixel from 0 to {DARKEST}"),
    })
}

fn npy(path: &Path, input_shape: &[usize]) -> Result<Images, PredictError> {
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
    let mut pixels = Vec::with_capacity(found.iter().product());
    for (index, value) in array.values().enumerate() {
        let place = || format!("image {}, pixel {}", index / size, index % size);
        pixels.push(pixel(path, value, place)?);
    }
    Ok(Images { shape: input_shape.to_vec(), pixels, labels: None })
}

fn csv(path: &Path, input_shape: &[usize]) -> Result<Images, PredictError> {
    let in_file = |source: csv::Error| PredictError::Csv { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(|error| in_file(error.into()))?;
    let size: usize = input_shape.iter().product();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        // Lengths are compared below, with better words.
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes.as_slice());
    let (mut pixels, mut labels, mut columns) = (Vec::new(), Vec::new(), None);
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
                labels.push(label(path, field, value.ok(), place)?);
                continue;
            }
            let Ok(value) = value else {
                return Err(PredictError::Value {
                    path: path.to_owned(),
                    place: place(),
                    found: format!("{field:?}"),
                    expected: format!("a pixel from 0 to {DARKEST}"),
                });
            };
            pixels.push(pixel(path, value, place)?);
        }
    }
    Ok(Images {
        shape: input_shape.to_vec(),
        pixels,
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
    field: &str,
    value: Option<f64>,
    place: impl FnOnce() -> String,
) -> Result<usize, PredictError> {
    match value {
        // Tables from other programs have labels like `3.0`.
        Some(value) if value.fract() == 0.0 && (0.0..CLASSES as f64).contains(&value) => {
            Ok(value as usize)
        }
        _ => Err(PredictError::Value {
            path: path.to_owned(),
            place: place(),
            found: format!("{field:?}"),
            expected: format!("a label from 0 to {}", CLASSES - 1),
        }),
    }
}

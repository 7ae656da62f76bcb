//! Images changed by chance, so that a network sees each in many forms.

mod crop;
mod flip;
mod rotate;
mod shift;

use espalier_kernels::Rng;

use crate::error::DataError;
use crate::schema::{Input, Schema};

/// A change of images `[channels, height, width]`, drawn for each example anew.
///
/// Changes come before normalization: what comes in from outside is a zero of the data set, black.
/// The random numbers of an example are drawn from the epoch's stream, in the order of the changes.
///
/// ```
/// use std::sync::Arc;
/// use espalier_data::{Augment, Loader, LoaderOptions, digits};
/// let options = LoaderOptions {
///     augment: vec![Augment::Shift { by: 1 }, Augment::Rotate { degrees: 10.0 }],
///     ..LoaderOptions::default()
/// };
/// let loader = Loader::new(Arc::new(digits()?), (0..1000).collect(), options)?;
/// let batch = loader.epoch(0).next().transpose()?;
/// assert_eq!(batch.map(|batch| batch.dims), Some(vec![32, 1, 8, 8]));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Augment {
    /// Moved by up to `by` pixels along each axis; zeros come in.
    Shift {
        /// The most pixels.
        by: usize,
    },
    /// Mirrored.
    Flip {
        /// The probability that left and right change places.
        horizontal: f64,
        /// The probability that top and bottom do.
        vertical: f64,
    },
    /// A part, whose place is drawn, of the image with a margin of zeros.
    Crop {
        /// The pixels of the margin, on each side.
        padding: usize,
        /// Height and width of the part.
        size: [usize; 2],
    },
    /// The part in the middle of the image with a margin of zeros; nothing is drawn.
    CenterCrop {
        /// The pixels of the margin, on each side.
        padding: usize,
        /// Height and width of the part.
        size: [usize; 2],
    },
    /// Turned around its centre by an angle from `-degrees` to `degrees`, bilinear, zeros outside.
    Rotate {
        /// The largest angle.
        degrees: f64,
    },
}

/// What was drawn for one example and one [`Augment`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    Nothing,
    Shift { down: isize, right: isize },
    Flip { horizontal: bool, vertical: bool },
    Crop { padding: usize, top: usize, left: usize, size: [usize; 2] },
    Rotate { radians: f64 },
}

impl Augment {
    /// What the examples to validate with need: of the changes only the sizes, by a crop in the middle.
    ///
    /// ```
    /// use espalier_data::Augment;
    /// let train = [Augment::Shift { by: 2 }, Augment::Crop { padding: 0, size: [6, 6] }];
    /// let still = Augment::without_chance(&train);
    /// assert_eq!(still, [Augment::CenterCrop { padding: 0, size: [6, 6] }]);
    /// ```
    pub fn without_chance(changes: &[Self]) -> Vec<Self> {
        let still = |change: &Self| match change {
            Self::Crop { padding, size } | Self::CenterCrop { padding, size } => {
                Some(Self::CenterCrop { padding: *padding, size: *size })
            }
            _ => None,
        };
        changes.iter().filter_map(still).collect()
    }

    /// The sizes of images after these changes.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] if the inputs are no images, a probability is not from 0 to 1, a part is larger
    /// than its image, or an angle is not finite.
    ///
    /// ```
    /// use espalier_data::{Augment, Dataset, digits};
    /// let digits = digits()?;
    /// let crop = |padding| Augment::dims(&[Augment::Crop { padding, size: [9, 6] }], digits.schema());
    /// assert_eq!(crop(1)?, [1, 9, 6]);
    /// assert_eq!(
    ///     crop(0).unwrap_err().to_string(),
    ///     "crop is 9 by 6; expected sides from 1 to those of the image with its padding, 8 by 8"
    /// );
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn dims(changes: &[Self], schema: &Schema) -> Result<Vec<usize>, DataError> {
        let wrong = |option, found: String, expected: String| {
            Err(DataError::Option { option, found, expected })
        };
        if changes.is_empty() {
            return Ok(schema.dims.clone());
        }
        let (Input::Values { .. }, &[channels, mut height, mut width]) =
            (&schema.input, &schema.dims[..])
        else {
            let found = format!("for inputs of {:?}", schema.dims);
            let expected = "images, of values [channels, height, width]".to_owned();
            return wrong("augmentation", found, expected);
        };
        for change in changes {
            match change {
                // Further than the image is large, there is nothing but zeros.
                Self::Shift { by } if *by >= height.max(width) => {
                    let expected =
                        format!("less than the image's larger side, {}", height.max(width));
                    return wrong("shift", by.to_string(), expected);
                }
                Self::Shift { .. } => {}
                Self::Flip { horizontal, vertical } => {
                    let wrong_one =
                        [horizontal, vertical].into_iter().find(|p| !(0.0..=1.0).contains(*p));
                    if let Some(found) = wrong_one {
                        return wrong(
                            "flip",
                            found.to_string(),
                            "a probability from 0 to 1".to_owned(),
                        );
                    }
                }
                Self::Crop { padding, size } | Self::CenterCrop { padding, size } => {
                    let padded = |side: usize| padding.saturating_mul(2).saturating_add(side);
                    let most = [padded(height), padded(width)];
                    if size.iter().zip(most).any(|(side, most)| !(1..=most).contains(side)) {
                        let expected = format!(
                            "sides from 1 to those of the image with its padding, {} by {}",
                            most[0], most[1]
                        );
                        return wrong("crop", format!("{} by {}", size[0], size[1]), expected);
                    }
                    [height, width] = *size;
                }
                Self::Rotate { degrees } => {
                    if !(0.0..=180.0).contains(degrees) {
                        let expected = "degrees from 0 to 180".to_owned();
                        return wrong("rotate", degrees.to_string(), expected);
                    }
                }
            }
        }
        Ok(vec![channels, height, width])
    }

    /// Draws this change for an image of these sizes, and tells the sizes after it.
    pub(crate) fn draw(&self, rng: &mut Rng, sides: &mut [usize; 2]) -> Change {
        let chance =
            |rng: &mut Rng, probability: f64| probability > 0.0 && rng.uniform() < probability;
        match *self {
            Self::Shift { by: 0 } => Change::Nothing,
            Self::Shift { by } => {
                let mut offset = || rng.below(2 * by + 1) as isize - by as isize;
                Change::Shift { down: offset(), right: offset() }
            }
            Self::Flip { horizontal, vertical } => Change::Flip {
                horizontal: chance(rng, horizontal),
                vertical: chance(rng, vertical),
            },
            Self::Crop { padding, size } => {
                let free = crop::free(*sides, padding, size);
                let [top, left] = free.map(|free| rng.below(free + 1));
                *sides = size;
                Change::Crop { padding, top, left, size }
            }
            Self::CenterCrop { padding, size } => {
                let [top, left] = crop::free(*sides, padding, size).map(|free| free / 2);
                *sides = size;
                Change::Crop { padding, top, left, size }
            }
            Self::Rotate { degrees: 0.0 } => Change::Nothing,
            Self::Rotate { degrees } => {
                Change::Rotate { radians: (degrees * (2.0 * rng.uniform() - 1.0)).to_radians() }
            }
        }
    }
}

impl Change {
    /// Changes an image of these sizes; `spare` is room to work in.
    pub(crate) fn apply(self, dims: &mut [usize; 3], values: &mut Vec<f32>, spare: &mut Vec<f32>) {
        let [channels, height, width] = *dims;
        let [new_height, new_width] = match self {
            Self::Nothing | Self::Flip { horizontal: false, vertical: false } => return,
            Self::Shift { down: 0, right: 0 } => return,
            Self::Crop { size, .. } => size,
            _ => [height, width],
        };
        spare.clear();
        spare.resize(channels * new_height * new_width, 0.0);
        let from = values.chunks_exact((height * width).max(1));
        let to = spare.chunks_exact_mut((new_height * new_width).max(1));
        for (from, to) in from.zip(to) {
            match self {
                Self::Nothing => {}
                Self::Shift { down, right } => shift::shift(from, to, width, down, right),
                Self::Flip { horizontal, vertical } => {
                    flip::flip(from, to, width, horizontal, vertical);
                }
                Self::Crop { padding, top, left, .. } => {
                    crop::crop(from, to, [width, new_width], padding, [top, left]);
                }
                Self::Rotate { radians } => rotate::rotate(from, to, width, radians),
            }
        }
        std::mem::swap(values, spare);
        *dims = [channels, new_height, new_width];
    }
}

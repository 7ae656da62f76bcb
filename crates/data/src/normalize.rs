//! Inputs brought to a common scale.

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, read_checked};
use crate::error::DataError;
use crate::record::Record;
use crate::schema::{Input, Schema};

/// How inputs are to be normalized.
///
/// [`fit`](Self::fit) finds the constants, a [`Normalization`], from the training part.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Normalize {
    /// Not at all.
    None,
    /// Divided by the largest number of the inputs' type: 255 for bytes, 16 for the digits.
    Unit,
    /// `(x - mean) / std` for each channel, or of inputs with one dimension each feature, so that all have
    /// mean 0 and standard deviation 1 over the training part.
    ///
    /// `std` divides by the number of elements; where it is 0, the feature is the same in all examples, and
    /// is divided by 1.
    Standard,
    /// `(x - mean) / std` with these numbers, one for each channel or feature, or one for all.
    Given {
        /// What is subtracted.
        mean: Vec<f32>,
        /// What is divided by.
        std: Vec<f32>,
    },
}

impl Normalize {
    /// The constants for a data set, of which only the examples `train` are looked at.
    ///
    /// Mean and deviation are computed in one pass, in double precision, by the update of T. F. Chan, G. H. Golub,
    /// R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for tokens, which have no scale, for [`Unit`](Self::Unit) of numbers without a
    /// largest, for given numbers of another count or that are not finite or divide by 0, and for no examples;
    /// what keeps an example from being read.
    ///
    /// ```
    /// use espalier_data::{Normalize, Split, digits};
    /// let data = digits()?;
    /// let train = Split::of(&data, 0.2, 0.0, 0)?.train;
    /// let constants = Normalize::Standard.fit(&data, &train)?;
    /// let mut pixels = vec![0.0, 16.0];
    /// constants.apply(&mut pixels);
    /// assert!(pixels[0] < 0.0 && pixels[1] > 1.0);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn fit<D: Dataset + ?Sized>(
        &self,
        data: &D,
        train: &[usize],
    ) -> Result<Normalization, DataError> {
        let schema = data.schema();
        let wrong = |found: &str, expected: &str| DataError::Option {
            option: "normalization",
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        let fitted = match (self, &schema.input) {
            (Self::None, _) => Normalization::None,
            (Self::Unit, Input::Values { largest: Some(by) }) => Normalization::Divide { by: *by },
            (Self::Unit, Input::Values { largest: None }) => {
                let expected = "another way for numbers whose type has no largest: standard, or given \
                                ones";
                return Err(wrong("unit", expected));
            }
            (Self::Standard, Input::Values { .. }) => {
                if train.is_empty() {
                    return Err(wrong("standard", "at least one example to measure"));
                }
                standard(data, train)?
            }
            (Self::Given { mean, std }, _) => {
                Normalization::Standard { mean: mean.clone(), std: std.clone() }
            }
            (_, Input::Tokens { .. }) => {
                return Err(wrong("for tokens", "none: they are numbers of a vocabulary"));
            }
        };
        fitted.check(schema)?;
        Ok(fitted)
    }
}

/// The constants of a normalization: plain data, to be stored beside a network and applied to whatever it
/// is given later.
///
/// ```
/// use espalier_data::Normalization;
/// let constants = Normalization::Standard { mean: vec![1.0, 2.0], std: vec![2.0, 0.5] };
/// let text = serde_json::to_string(&constants)?;
/// assert_eq!(text, r#"{"standard":{"mean":[1.0,2.0],"std":[2.0,0.5]}}"#);
/// let back: Normalization = serde_json::from_str(&text)?;
/// let mut values = vec![3.0, 1.0];
/// back.apply(&mut values);
/// assert_eq!(values, [1.0, -2.0]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Normalization {
    /// Inputs stay.
    #[default]
    None,
    /// `x / by`.
    Divide {
        /// The divisor.
        by: f32,
    },
    /// `(x - mean) / std`, for each channel or feature, or with one number for all.
    Standard {
        /// What is subtracted.
        mean: Vec<f32>,
        /// What is divided by.
        std: Vec<f32>,
    },
}

impl Normalization {
    /// Normalizes one input in C order, whose channels or features are as many as the constants.
    ///
    /// ```
    /// use espalier_data::Normalization;
    /// let mut values = vec![0.0, 8.0, 16.0];
    /// Normalization::Divide { by: 16.0 }.apply(&mut values);
    /// assert_eq!(values, [0.0, 0.5, 1.0]);
    /// ```
    pub fn apply(&self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Divide { by } => values.iter_mut().for_each(|value| *value /= by),
            Self::Standard { mean, std } => {
                let size = (values.len() / mean.len().max(1)).max(1);
                for ((channel, mean), std) in values.chunks_mut(size).zip(mean).zip(std) {
                    channel.iter_mut().for_each(|value| *value = (*value - mean) / std);
                }
            }
        }
    }

    /// Brings a normalized input back, but for rounding.
    ///
    /// ```
    /// use espalier_data::Normalization;
    /// let mut values = vec![0.0, 0.5, 1.0];
    /// Normalization::Divide { by: 16.0 }.invert(&mut values);
    /// assert_eq!(values, [0.0, 8.0, 16.0]);
    /// ```
    pub fn invert(&self, values: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Divide { by } => values.iter_mut().for_each(|value| *value *= by),
            Self::Standard { mean, std } => {
                let size = (values.len() / mean.len().max(1)).max(1);
                for ((channel, mean), std) in values.chunks_mut(size).zip(mean).zip(std) {
                    channel.iter_mut().for_each(|value| *value = *value * std + mean);
                }
            }
        }
    }

    /// That the constants are for inputs of this schema.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] if they are not, or divide by 0, or are not finite.
    ///
    /// ```
    /// use espalier_data::{Dataset, Normalization, digits};
    /// let data = digits()?;
    /// let constants = Normalization::Standard { mean: vec![0.0; 3], std: vec![1.0; 3] };
    /// assert_eq!(
    ///     constants.check(data.schema()).unwrap_err().to_string(),
    ///     "normalization is of 3 means and 3 deviations; expected 1 of each, one a channel"
    /// );
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn check(&self, schema: &Schema) -> Result<(), DataError> {
        let wrong =
            |found, expected| DataError::Option { option: "normalization", found, expected };
        if !matches!(self, Self::None) && matches!(schema.input, Input::Tokens { .. }) {
            let expected = "none: they are numbers of a vocabulary".to_owned();
            return Err(wrong("for tokens".to_owned(), expected));
        }
        let is_divisor = |by: &f32| by.is_finite() && *by != 0.0;
        match self {
            Self::None => Ok(()),
            Self::Divide { by } if is_divisor(by) => Ok(()),
            Self::Divide { by } => {
                Err(wrong(format!("a division by {by}"), "a finite number other than 0".to_owned()))
            }
            Self::Standard { mean, std } => {
                let channels = channels(schema);
                if mean.len() != std.len() || ![1, channels].contains(&mean.len()) {
                    let kind = if schema.dims.len() > 1 { "channel" } else { "feature" };
                    let found = format!("of {} means and {} deviations", mean.len(), std.len());
                    let expected = format!("{channels} of each, one a {kind}");
                    return Err(wrong(found, expected));
                }
                if !(mean.iter().all(|mean| mean.is_finite()) && std.iter().all(is_divisor)) {
                    let expected = "finite numbers, and deviations other than 0".to_owned();
                    return Err(wrong("of other numbers".to_owned(), expected));
                }
                Ok(())
            }
        }
    }
}

fn channels(schema: &Schema) -> usize {
    schema.dims.first().copied().unwrap_or(1)
}

/// Count, mean and sum of the squared distances from it.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[f32]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
        Self { count, mean, squares }
    }

    fn join(&mut self, other: Self) {
        let count = self.count + other.count;
        let by = other.mean - self.mean;
        self.mean += by * other.count / count;
        self.squares += other.squares + by * by * self.count * other.count / count;
        self.count = count;
    }
}

fn standard<D: Dataset + ?Sized>(data: &D, train: &[usize]) -> Result<Normalization, DataError> {
    let channels = channels(data.schema());
    let size = (data.schema().size() / channels.max(1)).max(1);
    let mut moments = vec![Moments::default(); channels];
    let mut record = Record::new(data.schema());
    for index in train {
        read_checked(data, *index, &mut record)?;
        let values = record.inputs.values().unwrap_or_default();
        for (moments, channel) in moments.iter_mut().zip(values.chunks_exact(size)) {
            moments.join(Moments::of(channel));
        }
    }
    let mean = moments.iter().map(|of| of.mean as f32).collect();
    let deviation = |of: &Moments| match (of.squares / of.count).sqrt() as f32 {
        0.0 => 1.0,
        deviation => deviation,
    };
    Ok(Normalization::Standard { mean, std: moments.iter().map(deviation).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Targets;
    use crate::schema::Target;
    use crate::source::{digits::digits, memory::Memory, text::Text};

    fn rows(dims: Vec<usize>, values: Vec<f32>) -> Memory {
        let count = values.len() / dims.iter().product::<usize>();
        let input = Input::Values { largest: None };
        let schema = Schema { dims, input, target: Target::Values { features: 1 } };
        Memory::new(schema, values, Targets::Values(vec![0.0; count])).unwrap()
    }

    #[test]
    fn features_of_a_table_are_standard_over_the_training_part() {
        // The last row is not trained on.
        let data = rows(vec![3], vec![1.0, 10.0, 7.0, 3.0, 30.0, 7.0, 1e6, 1e6, 1e6]);
        let fitted = Normalize::Standard.fit(&data, &[0, 1]).unwrap();
        let expected =
            Normalization::Standard { mean: vec![2.0, 20.0, 7.0], std: vec![1.0, 10.0, 1.0] };
        assert_eq!(fitted, expected);
        let mut row = vec![3.0, 10.0, 8.0];
        fitted.apply(&mut row);
        assert_eq!(row, [1.0, -1.0, 1.0]);
        fitted.invert(&mut row);
        assert_eq!(row, [3.0, 10.0, 8.0]);
    }

    #[test]
    fn channels_of_images_have_one_scale() {
        let data = rows(vec![2, 1, 2], vec![0.0, 2.0, 5.0, 5.0, 4.0, 6.0, 5.0, 5.0]);
        let fitted = Normalize::Standard.fit(&data, &[0, 1]).unwrap();
        let Normalization::Standard { mean, std } = &fitted else { panic!() };
        assert_eq!((&mean[..], std[1]), (&[3.0, 5.0][..], 1.0));
        assert!((std[0] - 5f32.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn a_large_mean_does_not_hide_the_deviation() {
        let values: Vec<f32> = (0..1000).map(|at| 1e6 + (at % 2) as f32).collect();
        let data = rows(vec![1], values);
        let all: Vec<usize> = (0..1000).collect();
        let Normalization::Standard { mean, std } = Normalize::Standard.fit(&data, &all).unwrap()
        else {
            panic!()
        };
        assert!((f64::from(std[0]) - 0.5).abs() < 1e-6, "{}", std[0]);
        assert_eq!(mean[0], 1_000_000.5);
    }

    #[test]
    fn what_has_no_scale_is_refused() {
        let message = |way: Normalize, data: &dyn Dataset, train: &[usize]| {
            way.fit(data, train).unwrap_err().to_string()
        };
        let (table, digits) = (rows(vec![2], vec![1.0, 2.0]), digits().unwrap());
        let text = Text::from_bytes(b"to be".to_vec(), "t", 2, 2).unwrap();
        assert!(
            message(Normalize::Unit, &table, &[0]).starts_with("normalization is unit; expected")
        );
        assert!(message(Normalize::Unit, &text, &[0]).starts_with("normalization is for tokens;"));
        assert!(message(Normalize::Standard, &digits, &[]).ends_with("one example to measure"));
        let given =
            |mean: &[f32], std: &[f32]| Normalize::Given { mean: mean.to_vec(), std: std.to_vec() };
        assert_eq!(
            message(given(&[0.0; 3], &[1.0; 3]), &table, &[]),
            "normalization is of 3 means and 3 deviations; expected 2 of each, one a feature"
        );
        assert_eq!(
            message(given(&[0.0], &[0.0]), &table, &[]),
            "normalization is of other numbers; expected finite numbers, and deviations other than 0"
        );
        assert!(given(&[0.5], &[2.0]).fit(&table, &[]).is_ok());
        assert_eq!(Normalize::Unit.fit(&digits, &[]).unwrap(), Normalization::Divide { by: 16.0 });
    }

    #[test]
    fn one_number_is_for_all() {
        let mut values = vec![1.0, 2.0, 3.0];
        Normalization::Standard { mean: vec![1.0], std: vec![2.0] }.apply(&mut values);
        assert_eq!(values, [0.0, 0.5, 1.0]);
    }
}

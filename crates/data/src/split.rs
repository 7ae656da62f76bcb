//! Which examples are trained on, and which are held out.

use espalier_kernels::Rng;

use crate::dataset::{Dataset, Order};
use crate::error::DataError;
use crate::schema::Target;

/// The places of the examples to train on, to validate with and to test with; each in ascending order,
/// none in two of them.
///
/// ```
/// use espalier_data::{Split, digits};
/// let split = Split::of(&digits()?, 0.2, 0.0, 0)?;
/// assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (1438, 359, 0));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<usize>,
    /// To look at while training, and to choose by.
    pub validation: Vec<usize>,
    /// To look at once, in the end.
    pub test: Vec<usize>,
}

impl Split {
    /// Holds the fractions `validation` and `test` out.
    ///
    /// Of data with a class for each example, each class gives its share, drawn from a stream of its
    /// own of `seed`. Other data give theirs by chance as a whole. Where the order means something, as in a
    /// text ([`Order::Consecutive`]), the first examples are trained on, the next validate, the last test, and
    /// what overlaps is in no part. A share is `round(fraction * count)`, at least one if the fraction is
    /// not 0, and at least one is left to train on; a class with a single example gives it to training.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for fractions below 0 or with a sum of 1 or more, or that leave a part without
    /// an example; what keeps a class from being read.
    pub fn of<D: Dataset + ?Sized>(
        data: &D,
        validation: f64,
        test: f64,
        seed: u64,
    ) -> Result<Self, DataError> {
        for (option, value) in [("validation", validation), ("test", test)] {
            if !(0.0..1.0).contains(&value) {
                let (found, expected) =
                    (value.to_string(), "a fraction from 0, below 1".to_owned());
                return Err(DataError::Option { option, found, expected });
            }
        }
        if validation + test >= 1.0 {
            let found = (validation + test).to_string();
            let expected = "a sum below 1, so that examples are left to train on".to_owned();
            return Err(DataError::Option { option: "validation + test", found, expected });
        }
        let mut split = match data.order() {
            Order::Consecutive { overlap } => {
                Self::by_position(data.len(), validation, test, overlap)
            }
            Order::Free => Self::by_chance(&strata(data)?, validation, test, seed),
        };
        let parts = [
            ("train", 1.0, &mut split.train),
            ("validation", validation, &mut split.validation),
            ("test", test, &mut split.test),
        ];
        for (option, fraction, part) in parts {
            if fraction > 0.0 && part.is_empty() {
                let found = format!("without an example of {}", data.len());
                let expected = "at least one: give more data or another fraction".to_owned();
                return Err(DataError::Option { option, found, expected });
            }
            // The classes' order must not be one to learn from.
            part.sort_unstable();
        }
        Ok(split)
    }

    fn by_chance(strata: &[Vec<usize>], validation: f64, test: f64, seed: u64) -> Self {
        let mut split = Self { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for (stream, stratum) in strata.iter().enumerate() {
            let mut examples = stratum.clone();
            Rng::stream(seed, stream as u64).shuffle(&mut examples);
            let validating = share(validation, examples.len(), examples.len());
            let testing = share(test, examples.len(), examples.len() - validating);
            split.validation.extend_from_slice(&examples[..validating]);
            split.test.extend_from_slice(&examples[validating..validating + testing]);
            split.train.extend_from_slice(&examples[validating + testing..]);
        }
        split
    }

    fn by_position(len: usize, validation: f64, test: f64, overlap: usize) -> Self {
        let testing = share(test, len, len);
        let validating = share(validation, len, len - testing);
        // Between two parts, as many as share something with the later one.
        let before = |start: usize, part: usize| {
            if part == 0 { start } else { start.saturating_sub(overlap) }
        };
        let (tested, validated) = (len - testing, len - testing - validating);
        let validation = validated..before(tested, testing).max(validated);
        let train = 0..before(validated, validating + testing);
        Self {
            train: train.collect(),
            validation: validation.collect(),
            test: (tested..len).collect(),
        }
    }
}

/// How many of `count` a fraction is, of which `left` are there, and one stays.
fn share(fraction: f64, count: usize, left: usize) -> usize {
    if fraction == 0.0 {
        return 0;
    }
    let wanted = (fraction * count as f64).round() as usize;
    wanted.max(1).min(left.saturating_sub(1))
}

/// The examples of each class; of data without classes, all.
fn strata<D: Dataset + ?Sized>(data: &D) -> Result<Vec<Vec<usize>>, DataError> {
    let Target::Class { names } = &data.schema().target else {
        return Ok(vec![(0..data.len()).collect()]);
    };
    let mut strata = vec![Vec::new(); names.len()];
    for index in 0..data.len() {
        let class = data.class(index)?.unwrap_or(usize::MAX);
        match strata.get_mut(class) {
            Some(stratum) => stratum.push(index),
            None => {
                return Err(DataError::Record {
                    index,
                    part: "the targets",
                    found: format!("class {class}"),
                    expected: format!("below {}", names.len()),
                });
            }
        }
    }
    Ok(strata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{digits::digits, subset::Subset, text::Text};

    /// The split of the digits before this crate, to which stored runs are bound.
    fn former(fraction: f64) -> (Vec<usize>, Vec<usize>) {
        let data = digits().unwrap();
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for class in 0..10 {
            let mut images: Vec<usize> = (0..data.len())
                .filter(|image| data.class(*image).unwrap() == Some(class))
                .collect();
            Rng::stream(0, class as u64).shuffle(&mut images);
            let held = (fraction * images.len() as f64).round() as usize;
            let held = held.clamp(1, images.len() - 1);
            test.extend_from_slice(&images[..held]);
            train.extend_from_slice(&images[held..]);
        }
        train.sort_unstable();
        test.sort_unstable();
        (train, test)
    }

    #[test]
    fn the_digits_split_as_they_did() {
        for fraction in [1e-9, 0.1, 0.2, 0.33, 0.5, 0.999, 1.0 - 1e-9] {
            let split = Split::of(&digits().unwrap(), fraction, 0.0, 0).unwrap();
            assert_eq!((split.train, split.validation), former(fraction), "{fraction}");
        }
    }

    #[test]
    fn a_subset_holds_out_the_same_examples() {
        let five = Subset::of_classes(digits().unwrap(), &[0, 1, 2, 3, 4]).unwrap();
        let held = Split::of(&five, 0.2, 0.0, 0).unwrap().validation;
        let held: Vec<usize> = held.iter().map(|place| five.indices()[*place]).collect();
        let all = Split::of(&digits().unwrap(), 0.2, 0.0, 0).unwrap().validation;
        let few: Vec<usize> = all.into_iter().filter(|at| five.indices().contains(at)).collect();
        assert_eq!(held, few);
    }

    #[test]
    fn a_text_is_split_by_position() {
        let text = Text::from_bytes(vec![b'x'; 101], "x", 10, 10).unwrap();
        let split = Split::of(&text, 0.2, 0.1, 7).unwrap();
        assert_eq!(split.train, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((split.validation, split.test), (vec![7, 8], vec![9]));
        let text = Text::from_bytes(vec![b'x'; 101], "x", 10, 5).unwrap();
        let split = Split::of(&text, 0.5, 0.0, 7).unwrap();
        // Of 19 windows; number 8 reaches into number 9.
        assert_eq!(
            (split.train, split.validation),
            ((0..8).collect(), (9..19).collect::<Vec<_>>())
        );
    }

    #[test]
    fn impossible_shares_are_refused() {
        let message = |validation, test| {
            Split::of(&digits().unwrap(), validation, test, 0).unwrap_err().to_string()
        };
        assert_eq!(message(1.0, 0.0), "validation is 1; expected a fraction from 0, below 1");
        assert_eq!(message(0.2, f64::NAN), "test is NaN; expected a fraction from 0, below 1");
        assert!(message(0.5, 0.5).starts_with("validation + test is 1; expected a sum below 1"));
        let one = Subset::new(digits().unwrap(), vec![4]).unwrap();
        assert_eq!(
            Split::of(&one, 0.5, 0.0, 0).unwrap_err().to_string(),
            "validation is without an example of 1; expected at least one: give more data or \
             another fraction"
        );
    }
}

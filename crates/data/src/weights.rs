//! How much each class counts in a loss.

use crate::dataset::{Dataset, check_index, read_checked};
use crate::error::DataError;
use crate::record::{IGNORED, Record};
use crate::schema::Target;

/// The weights of classes.
///
/// ```
/// use espalier_data::{ClassWeights, Subset, digits};
/// // A zero, and three ones.
/// let data = Subset::new(digits()?, vec![0, 1, 11, 21])?;
/// let weights = ClassWeights::Balanced.of(&data, &[0, 1, 2, 3])?;
/// assert_eq!(weights[..2], [2.0, 4.0 / 6.0]);
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClassWeights {
    /// `n / (k count)`, so that each class counts the same as a whole: `n` examples (positions of labels,
    /// without ignored ones) of `k` classes that occur, `count` of the class. A class that does not occur
    /// has weight 0. scikit-learn calls this `class_weight="balanced"`.
    Balanced,
    /// These, one for each class.
    Given(Vec<f32>),
}

impl ClassWeights {
    /// The weight of each class for training on the examples `train`.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for data without classes, for weights of another count, or below 0, or not
    /// finite, and for no examples; what keeps an example from being read.
    pub fn of<D: Dataset + ?Sized>(
        &self,
        data: &D,
        train: &[usize],
    ) -> Result<Vec<f32>, DataError> {
        let wrong = |found: String, expected: String| {
            Err(DataError::Option { option: "class weights", found, expected })
        };
        let Some(classes) = data.schema().target.classes() else {
            return wrong("for numbers".to_owned(), "none: there are no classes".to_owned());
        };
        if let Self::Given(weights) = self {
            if weights.len() != classes {
                let expected = format!("{classes}, one for each class");
                return wrong(format!("of {} numbers", weights.len()), expected);
            }
            if let Some(weight) = weights.iter().find(|at| !at.is_finite() || **at < 0.0) {
                return wrong(weight.to_string(), "finite numbers from 0".to_owned());
            }
            return Ok(weights.clone());
        }
        let mut counts = vec![0usize; classes];
        let mut record = Record::new(data.schema());
        for index in train {
            if matches!(data.schema().target, Target::Class { .. }) {
                check_index(*index, data.len())?;
                let count = data.class(*index)?.and_then(|class| counts.get_mut(class));
                count.into_iter().for_each(|count| *count += 1);
                continue;
            }
            read_checked(data, *index, &mut record)?;
            for class in record.targets.classes().unwrap_or_default() {
                if *class != IGNORED {
                    counts[*class as usize] += 1;
                }
            }
        }
        let total: usize = counts.iter().sum();
        let occurring = counts.iter().filter(|count| **count > 0).count();
        if total == 0 {
            return wrong("balanced".to_owned(), "at least one example to count".to_owned());
        }
        let weight = |count: &usize| match count {
            0 => 0.0,
            count => (total as f64 / (occurring as f64 * *count as f64)) as f32,
        };
        Ok(counts.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{digits::digits, sequences::Sequences, subset::Subset};

    #[test]
    fn balanced_is_scikit_learns() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2]) of scikit-learn.
        let data = Subset::of_classes(digits().unwrap(), &[0, 1, 2]).unwrap();
        let of = |class, count| {
            (0..data.len())
                .filter(|at| data.class(*at).unwrap() == Some(class))
                .take(count)
                .collect::<Vec<_>>()
        };
        let train = [of(0, 3), of(1, 2), of(2, 1)].concat();
        let weights = ClassWeights::Balanced.of(&data, &train).unwrap();
        assert_eq!(weights, [0.666_666_7, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn positions_of_labels_count_and_padding_does_not() {
        let data = Sequences::from_bytes(b"a\tX\nb\tX\nc\tY\n\na\tX\n", "t").unwrap();
        let weights = ClassWeights::Balanced.of(&data, &[0, 1]).unwrap();
        assert_eq!(weights, [4.0 / 6.0, 2.0]);
    }

    #[test]
    fn wrong_weights_are_refused() {
        let digits = digits().unwrap();
        let message = |weights: Vec<f32>| {
            ClassWeights::Given(weights).of(&digits, &[]).unwrap_err().to_string()
        };
        assert_eq!(
            message(vec![1.0]),
            "class weights is of 1 numbers; expected 10, one for each class"
        );
        assert_eq!(
            message([vec![-1.0], vec![1.0; 9]].concat()),
            "class weights is -1; expected finite numbers from 0"
        );
        assert!(ClassWeights::Balanced.of(&digits, &[]).is_err());
        assert!(ClassWeights::Balanced.of(&digits, &[2000]).is_err());
    }
}

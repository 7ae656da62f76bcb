//! Some examples of a data set.

use crate::dataset::{Dataset, Order, check_index};
use crate::error::DataError;
use crate::record::Record;
use crate::schema::Schema;

/// Some examples of another data set, in an order of their own. Classes keep their numbers.
///
/// ```
/// use espalier_data::{Dataset, Subset, digits};
/// let small = Subset::of_classes(digits()?, &[5, 6, 7, 8, 9])?;
/// assert_eq!(small.len(), 896);
/// assert_eq!(small.class(0)?, Some(5));
/// assert_eq!(small.schema().target.classes(), Some(10));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Subset<D> {
    data: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The examples at these places; one may come more than once.
    ///
    /// # Errors
    ///
    /// [`DataError::Index`] for a place that `data` does not have.
    ///
    /// ```
    /// use espalier_data::{Dataset, Subset, digits};
    /// assert_eq!(Subset::new(digits()?, vec![3, 3, 1])?.class(2)?, Some(1));
    /// assert!(Subset::new(digits()?, vec![1797]).is_err());
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn new(data: D, indices: Vec<usize>) -> Result<Self, DataError> {
        indices.iter().try_for_each(|index| check_index(*index, data.len()))?;
        Ok(Self { data, indices })
    }

    /// The examples of these classes, in their order.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] if `data` has no classes or not these, or none of their examples.
    pub fn of_classes(data: D, classes: &[usize]) -> Result<Self, DataError> {
        let wrong = |found, expected| DataError::Option { option: "classes", found, expected };
        let known = match &data.schema().target {
            crate::Target::Class { names } => names.len(),
            _ => {
                let expected = "none for data without a class for each example".to_owned();
                return Err(wrong(format!("{classes:?}"), expected));
            }
        };
        if let Some(class) = classes.iter().find(|class| **class >= known) {
            let expected = format!("classes from 0 to {}", known.saturating_sub(1));
            return Err(wrong(class.to_string(), expected));
        }
        let mut indices = Vec::new();
        for index in 0..data.len() {
            if data.class(index)?.is_some_and(|class| classes.contains(&class)) {
                indices.push(index);
            }
        }
        if indices.is_empty() {
            return Err(wrong(format!("{classes:?}"), "classes that have examples".to_owned()));
        }
        Ok(Self { data, indices })
    }

    /// The examples' places in the data set that this one is of.
    ///
    /// ```
    /// use espalier_data::{Subset, digits};
    /// assert_eq!(Subset::of_classes(digits()?, &[1])?.indices()[..2], [1, 11]);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn schema(&self) -> &Schema {
        self.data.schema()
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len())?;
        self.data.read(self.indices[index], record)
    }

    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        check_index(index, self.len())?;
        self.data.class(self.indices[index])
    }

    fn order(&self) -> Order {
        self.data.order()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::digits::digits;

    #[test]
    fn wrong_classes_are_refused() {
        let message = |classes: &[usize]| {
            Subset::of_classes(digits().unwrap(), classes).unwrap_err().to_string()
        };
        assert_eq!(message(&[3, 10]), "classes is 10; expected classes from 0 to 9");
        assert_eq!(message(&[]), "classes is []; expected classes that have examples");
    }
}

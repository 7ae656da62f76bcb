//! An ordered list of named tensors.

use std::collections::{BTreeMap, HashMap};
use std::slice;
use std::vec;

use crate::error::Error;
use crate::tensor::NamedTensor;

/// Named tensors in order, each name once, and text metadata.
///
/// Two checkpoints are equal when they hold equal tensors in the same order and equal metadata.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("b", vec![1], &[1.0])?)?;
/// checkpoint.push(NamedTensor::f32("a", vec![1], &[2.0])?)?;
/// assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b", "a"]);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// Free text by key, written in the order of the keys.
    pub metadata: BTreeMap<String, String>,
    tensors: Vec<NamedTensor>,
    /// Place in `tensors` by name; for look-ups only, so its order does not show.
    places: HashMap<String, usize>,
}

impl Checkpoint {
    /// A checkpoint without tensors or metadata.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Checkpoint::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateName`] if a tensor of that name is there; the checkpoint is unchanged.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// let tensor = NamedTensor::f32("a", vec![0], &[])?;
    /// checkpoint.push(tensor.clone())?;
    /// assert!(checkpoint.push(tensor).is_err());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn push(&mut self, tensor: NamedTensor) -> Result<(), Error> {
        if self.places.contains_key(tensor.name()) {
            return Err(Error::DuplicateName { name: tensor.name().to_owned() });
        }
        self.places.insert(tensor.name().to_owned(), self.tensors.len());
        self.tensors.push(tensor);
        Ok(())
    }

    /// The tensor of that name, if there is one.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![0], &[])?)?;
    /// assert!(checkpoint.get("a").is_some() && checkpoint.get("b").is_none());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.get(*self.places.get(name)?)
    }

    /// Takes the tensor of that name out; the others keep their order. Takes time in proportion
    /// to the number of tensors.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![0], &[])?)?;
    /// assert!(checkpoint.remove("a").is_some());
    /// assert!(checkpoint.remove("a").is_none());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn remove(&mut self, name: &str) -> Option<NamedTensor> {
        let removed = self.places.remove(name)?;
        for place in self.places.values_mut().filter(|place| **place > removed) {
            *place -= 1;
        }
        Some(self.tensors.remove(removed))
    }

    /// The names, in order.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Checkpoint::new().names().count(), 0);
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(NamedTensor::name)
    }

    /// The tensors, in order.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![2], &[0.0, 1.0])?)?;
    /// assert_eq!(checkpoint.iter().map(NamedTensor::numel).sum::<usize>(), 2);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn iter(&self) -> slice::Iter<'_, NamedTensor> {
        self.tensors.iter()
    }

    /// The number of tensors.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Checkpoint::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor. There may be metadata.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Checkpoint::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

impl PartialEq for Checkpoint {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.tensors == other.tensors
    }
}

impl Eq for Checkpoint {}

impl<'a> IntoIterator for &'a Checkpoint {
    type Item = &'a NamedTensor;
    type IntoIter = slice::Iter<'a, NamedTensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Checkpoint {
    type Item = NamedTensor;
    type IntoIter = vec::IntoIter<NamedTensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

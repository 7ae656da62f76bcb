//! Examples that are in memory as a whole.

use crate::dataset::{Dataset, check_index};
use crate::error::DataError;
use crate::record::{IGNORED, Record, Targets};
use crate::schema::{Input, Schema, Target};

/// A data set of vectors.
///
/// ```
/// use espalier_data::{Dataset, Input, Memory, Schema, Target, Targets};
///
/// let data = Memory::new(
///     Schema {
///         dims: vec![2],
///         input: Input::Values { largest: None },
///         target: Target::Class { names: vec!["left".into(), "right".into()] },
///     },
///     vec![-1.0, 0.5, 2.0, 0.0, -3.0, 0.25],
///     Targets::Classes(vec![0, 1, 0]),
/// )?;
/// assert_eq!(data.len(), 3);
/// assert_eq!(data.class(1)?, Some(1));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    schema: Schema,
    inputs: Store,
    targets: Targets,
    len: usize,
}

/// The inputs of all examples, one after another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Store {
    /// Numbers that fit a byte, which take a quarter of the memory.
    Bytes(Vec<u8>),
    /// Numbers.
    Values(Vec<f32>),
    /// Places in a vocabulary.
    Tokens(Vec<i64>),
}

impl From<Vec<u8>> for Store {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<f32>> for Store {
    fn from(values: Vec<f32>) -> Self {
        Self::Values(values)
    }
}

impl From<Vec<i64>> for Store {
    fn from(tokens: Vec<i64>) -> Self {
        Self::Tokens(tokens)
    }
}

impl Memory {
    /// A data set of these inputs and targets, of which each example has as many as the schema
    /// says.
    ///
    /// # Errors
    ///
    /// [`DataError::Record`] of the first example that has not all its numbers or a token or class
    /// that the schema does not have; [`DataError::Option`] for kinds that are not the schema's.
    pub fn new(
        schema: Schema,
        inputs: impl Into<Store>,
        targets: Targets,
    ) -> Result<Self, DataError> {
        let inputs = inputs.into();
        let wrong = |option, found: &str, expected: String| {
            Err(DataError::Option { option, found: found.to_owned(), expected })
        };
        let (count, kind) = match &inputs {
            Store::Bytes(bytes) => (bytes.len(), "bytes"),
            Store::Values(values) => (values.len(), "values"),
            Store::Tokens(tokens) => (tokens.len(), "tokens"),
        };
        match (&schema.input, &inputs) {
            (Input::Values { .. }, Store::Bytes(_) | Store::Values(_)) => {}
            (Input::Tokens { .. }, Store::Bytes(_) | Store::Tokens(_)) => {}
            (input, _) => return wrong("inputs", kind, format!("what the schema says, {input:?}")),
        }
        match (&schema.target, &targets) {
            (Target::Class { .. }, Targets::Classes(_))
            | (Target::Values { .. }, Targets::Values(_))
            | (Target::Labels { .. }, Targets::Labels(_)) => {}
            (target, _) => {
                let kind = targets.describe();
                return wrong("targets", &kind, format!("what the schema says, {target:?}"));
            }
        }
        let (size, target_size) = (schema.size(), schema.target.size());
        if size == 0 || target_size == 0 {
            let found = format!("{:?} with targets of {target_size}", schema.dims);
            return wrong("schema", &found, "at least one number an example".to_owned());
        }
        let len = targets.len() / target_size;
        if len.checked_mul(size) != Some(count) || len * target_size != targets.len() {
            let index = len.min(count / size);
            let (found, expected) = (
                format!("{count} {kind} and {}", targets.describe()),
                format!("{size} and {target_size} for each example"),
            );
            return Err(DataError::Record { index, part: "inputs and targets", found, expected });
        }
        let below = |number: i64, bound: usize| usize::try_from(number).is_ok_and(|at| at < bound);
        if let Input::Tokens { vocabulary } = schema.input {
            let wrong = match &inputs {
                Store::Tokens(all) => all.iter().position(|token| !below(*token, vocabulary)),
                Store::Bytes(all) => all.iter().position(|token| usize::from(*token) >= vocabulary),
                Store::Values(_) => None,
            };
            if let Some(place) = wrong {
                let (found, expected) =
                    ("tokens out of range".to_owned(), format!("below {vocabulary}"));
                return Err(DataError::Record {
                    index: place / size,
                    part: "the inputs",
                    found,
                    expected,
                });
            }
        }
        if let (Some(classes), Some(all)) = (schema.target.classes(), targets.classes()) {
            let ignored = matches!(targets, Targets::Labels(_)).then_some(IGNORED);
            let wrong = |class: &i64| !below(*class, classes) && Some(*class) != ignored;
            if let Some(place) = all.iter().position(wrong) {
                let (found, expected) =
                    (format!("class {}", all[place]), format!("below {classes}"));
                return Err(DataError::Record {
                    index: place / target_size,
                    part: "the targets",
                    found,
                    expected,
                });
            }
        }
        Ok(Self { schema, inputs, targets, len })
    }

    /// The targets of all examples.
    ///
    /// ```
    /// let data = espalier_data::digits()?;
    /// assert_eq!(data.targets().classes().map(|classes| &classes[..4]), Some(&[0, 1, 2, 3][..]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn targets(&self) -> &Targets {
        &self.targets
    }
}

impl Dataset for Memory {
    fn len(&self) -> usize {
        self.len
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len)?;
        let size = self.schema.size();
        let range = index * size..(index + 1) * size;
        match (&self.inputs, &self.schema.input) {
            (Store::Bytes(all), Input::Tokens { .. }) => {
                record.set_tokens(all[range].iter().map(|byte| i64::from(*byte)));
            }
            (Store::Bytes(all), _) => {
                record.set_values(all[range].iter().map(|byte| f32::from(*byte)));
            }
            (Store::Values(all), _) => record.set_values(all[range].iter().copied()),
            (Store::Tokens(all), _) => record.set_tokens(all[range].iter().copied()),
        }
        self.targets.give(index, self.schema.target.size(), record);
        Ok(())
    }

    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        check_index(index, self.len)?;
        Ok(self.targets.class(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(target: Target) -> Schema {
        Schema { dims: vec![2], input: Input::Values { largest: None }, target }
    }

    fn message(result: Result<Memory, DataError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let class = || Target::Class { names: vec!["a".into(), "b".into()] };
        let inputs = vec![1.0f32, 2.0, 3.0, 4.0];
        assert!(Memory::new(schema(class()), inputs.clone(), Targets::Classes(vec![0, 1])).is_ok());
        assert_eq!(
            message(Memory::new(schema(class()), inputs.clone(), Targets::Classes(vec![0]))),
            "example 1: inputs and targets are 4 values and 1 classes; expected 2 and 1 for each \
             example, as the schema says"
        );
        assert_eq!(
            message(Memory::new(schema(class()), inputs.clone(), Targets::Classes(vec![0, 2]))),
            "example 1: the targets are class 2; expected below 2, as the schema says"
        );
        assert_eq!(
            message(Memory::new(
                schema(class()),
                inputs.clone(),
                Targets::Classes(vec![0, IGNORED])
            )),
            "example 1: the targets are class -100; expected below 2, as the schema says"
        );
        assert_eq!(
            message(Memory::new(schema(class()), vec![1i64, 2], Targets::Classes(vec![0]))),
            "inputs is tokens; expected what the schema says, Values { largest: None }"
        );
        assert_eq!(
            message(Memory::new(schema(class()), inputs, Targets::Values(vec![0.5, 0.5]))),
            "targets is 2 values; expected what the schema says, Class { names: [\"a\", \"b\"] }"
        );
        let tokens = Schema {
            input: Input::Tokens { vocabulary: 3 },
            ..schema(Target::Values { features: 1 })
        };
        assert_eq!(
            message(Memory::new(tokens, vec![0i64, 1, 2, 3], Targets::Values(vec![0.5, 0.5]))),
            "example 1: the inputs are tokens out of range; expected below 3, as the schema says"
        );
        let none = Schema { dims: vec![0], ..schema(class()) };
        assert!(Memory::new(none, Vec::<f32>::new(), Targets::Classes(vec![])).is_err());
    }

    #[test]
    fn bytes_are_values_or_tokens() {
        let labels = Target::Labels { length: 2, classes: 2 };
        let targets = Targets::Labels(vec![0, IGNORED]);
        let mut record = Record::new(&schema(labels.clone()));
        let data = Memory::new(schema(labels.clone()), vec![7u8, 9], targets.clone()).unwrap();
        data.read(0, &mut record).unwrap();
        assert_eq!(record.inputs.values(), Some(&[7.0, 9.0][..]));
        let tokens = Schema { input: Input::Tokens { vocabulary: 10 }, ..schema(labels) };
        let data = Memory::new(tokens, vec![7u8, 9], targets.clone()).unwrap();
        data.read(0, &mut record).unwrap();
        assert_eq!(record.inputs.tokens(), Some(&[7, 9][..]));
        assert_eq!(record.targets, targets);
        assert_eq!(data.class(0).unwrap(), None);
        assert!(matches!(data.read(1, &mut record), Err(DataError::Index { index: 1, len: 1 })));
    }
}

//! The contract of a data set.

use std::sync::Arc;

use crate::error::DataError;
use crate::record::{IGNORED, Inputs, Record, Targets};
use crate::schema::{Input, Schema, Target};

/// Examples that are read by their places, from any thread.
///
/// Whatever can say how many examples it has and read one is a data set:
///
/// ```
/// use espalier_data::{DataError, Dataset, Input, Record, Schema, Target};
///
/// /// Points of a parabola.
/// struct Parabola(Schema);
///
/// impl Dataset for Parabola {
///     fn len(&self) -> usize {
///         100
///     }
///     fn schema(&self) -> &Schema {
///         &self.0
///     }
///     fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
///         let x = index as f32 / 100.0;
///         record.set_values([x]);
///         record.set_target_values([x * x]);
///         Ok(())
///     }
/// }
///
/// let data = Parabola(Schema {
///     dims: vec![1],
///     input: Input::Values { largest: None },
///     target: Target::Values { features: 1 },
/// });
/// let mut record = Record::new(data.schema());
/// data.read(50, &mut record)?;
/// assert_eq!(record.targets.values(), Some(&[0.25][..]));
/// # Ok::<(), DataError>(())
/// ```
///
/// A data set of a framework, which gives items of its own, is wrapped the same way: beside it a
/// schema, and a `read` that takes the item apart.
pub trait Dataset: Send + Sync {
    /// How many examples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What every example looks like.
    fn schema(&self) -> &Schema;

    /// Reads example `index`, which is below [`len`](Self::len); what `record` held is replaced.
    /// Reading it twice gives the same.
    ///
    /// # Errors
    ///
    /// What keeps it from being read.
    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError>;

    /// The class of example `index`, if examples have one. As it is, the example is read for it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        if !matches!(self.schema().target, Target::Class { .. }) {
            return Ok(None);
        }
        let mut record = Record::new(self.schema());
        read_checked(self, index, &mut record)?;
        let class = record.targets.classes().and_then(|classes| classes.first());
        Ok(class.and_then(|class| usize::try_from(*class).ok()))
    }

    /// Whether the order of the examples means something, which decides how they are split.
    fn order(&self) -> Order {
        Order::Free
    }
}

/// What the order of the examples of a data set means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Nothing: any of them may be held out.
    Free,
    /// They follow one another, as windows of a text: the last are held out.
    Consecutive {
        /// How many of the next ones an example shares something with. So many are left out between
        /// the parts.
        overlap: usize,
    },
}

impl<T: Dataset + ?Sized> Dataset for Arc<T> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn schema(&self) -> &Schema {
        (**self).schema()
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        (**self).read(index, record)
    }

    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        (**self).class(index)
    }

    fn order(&self) -> Order {
        (**self).order()
    }
}

/// That `index` is one of `len` examples.
pub(crate) fn check_index(index: usize, len: usize) -> Result<(), DataError> {
    if index < len { Ok(()) } else { Err(DataError::Index { index, len }) }
}

/// Reads an example and holds it against the schema: a data set may be anybody's.
pub(crate) fn read_checked<D: Dataset + ?Sized>(
    data: &D,
    index: usize,
    record: &mut Record,
) -> Result<(), DataError> {
    check_index(index, data.len())?;
    data.read(index, record)?;
    let schema = data.schema();
    let size = schema.size();
    let (kind, right) = match (&schema.input, &record.inputs) {
        (Input::Values { .. }, inputs) => ("values", matches!(inputs, Inputs::Values(_))),
        (Input::Tokens { vocabulary }, inputs) => {
            let below = |token: &i64| usize::try_from(*token).is_ok_and(|at| at < *vocabulary);
            if let Some(wrong) = inputs.tokens().and_then(|all| all.iter().find(|at| !below(at))) {
                let expected = format!("below {vocabulary}");
                let found = format!("tokens, one of them {wrong}");
                return Err(DataError::Record { index, part: INPUTS, found, expected });
            }
            ("tokens", matches!(inputs, Inputs::Tokens(_)))
        }
    };
    if !right || record.inputs.len() != size {
        let expected = format!("{size} {kind}");
        return Err(DataError::Record {
            index,
            part: INPUTS,
            found: record.inputs.describe(),
            expected,
        });
    }
    let (kind, right) = match (&schema.target, &record.targets) {
        (Target::Class { .. }, targets) => ("classes", matches!(targets, Targets::Classes(_))),
        (Target::Values { .. }, targets) => ("values", matches!(targets, Targets::Values(_))),
        (Target::Labels { .. }, targets) => ("labels", matches!(targets, Targets::Labels(_))),
    };
    let size = schema.target.size();
    if !right || record.targets.len() != size {
        let (expected, found) = (format!("{size} {kind}"), record.targets.describe());
        return Err(DataError::Record { index, part: TARGETS, found, expected });
    }
    if let (Some(classes), Some(found)) = (schema.target.classes(), record.targets.classes()) {
        let ignored = |class: i64| class == IGNORED && matches!(record.targets, Targets::Labels(_));
        let known = |class: i64| usize::try_from(class).is_ok_and(|class| class < classes);
        if let Some(wrong) = found.iter().find(|class| !known(**class) && !ignored(**class)) {
            let (found, expected) =
                (format!("{kind}, one of them {wrong}"), format!("below {classes}"));
            return Err(DataError::Record { index, part: TARGETS, found, expected });
        }
    }
    Ok(())
}

const INPUTS: &str = "the inputs";
const TARGETS: &str = "the targets";

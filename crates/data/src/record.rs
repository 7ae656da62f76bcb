//! Examples and batches of them.

use crate::schema::{Input, Schema, Target};

/// The label of a position that does not count: padding.
///
/// A loss leaves it out; the number is the one that PyTorch's `cross_entropy` ignores.
pub const IGNORED: i64 = -100;

/// The inputs of one or of several examples, one after another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Inputs {
    /// Numbers.
    Values(Vec<f32>),
    /// Places in a vocabulary.
    Tokens(Vec<i64>),
}

impl Inputs {
    /// How many numbers there are.
    ///
    /// ```
    /// assert_eq!(espalier_data::Inputs::Tokens(vec![3, 1]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Tokens(tokens) => tokens.len(),
        }
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(espalier_data::Inputs::Values(vec![]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers, if they are no tokens.
    ///
    /// ```
    /// use espalier_data::Inputs;
    /// assert_eq!(Inputs::Values(vec![0.5]).values(), Some(&[0.5][..]));
    /// assert_eq!(Inputs::Tokens(vec![3]).values(), None);
    /// ```
    pub fn values(&self) -> Option<&[f32]> {
        match self {
            Self::Values(values) => Some(values),
            Self::Tokens(_) => None,
        }
    }

    /// The tokens, if they are some.
    ///
    /// ```
    /// use espalier_data::Inputs;
    /// assert_eq!(Inputs::Tokens(vec![3]).tokens(), Some(&[3][..]));
    /// ```
    pub fn tokens(&self) -> Option<&[i64]> {
        match self {
            Self::Values(_) => None,
            Self::Tokens(tokens) => Some(tokens),
        }
    }

    fn empty(input: &Input) -> Self {
        match input {
            Input::Values { .. } => Self::Values(Vec::new()),
            Input::Tokens { .. } => Self::Tokens(Vec::new()),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Values(values) => values.clear(),
            Self::Tokens(tokens) => tokens.clear(),
        }
    }

    /// In words, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Values(values) => format!("{} values", values.len()),
            Self::Tokens(tokens) => format!("{} tokens", tokens.len()),
        }
    }
}

/// The targets of one or of several examples, one after another.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// A class for each example.
    Classes(Vec<i64>),
    /// Numbers.
    Values(Vec<f32>),
    /// A class, or [`IGNORED`], for each position.
    Labels(Vec<i64>),
}

impl Targets {
    /// How many numbers there are.
    ///
    /// ```
    /// assert_eq!(espalier_data::Targets::Classes(vec![3, 1]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values(values) => values.len(),
            Self::Labels(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(espalier_data::Targets::Classes(vec![]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Classes or labels, if they are no numbers.
    ///
    /// ```
    /// use espalier_data::Targets;
    /// assert_eq!(Targets::Classes(vec![3]).classes(), Some(&[3][..]));
    /// assert_eq!(Targets::Values(vec![0.5]).classes(), None);
    /// ```
    pub fn classes(&self) -> Option<&[i64]> {
        match self {
            Self::Classes(classes) | Self::Labels(classes) => Some(classes),
            Self::Values(_) => None,
        }
    }

    /// The numbers of a regression.
    ///
    /// ```
    /// use espalier_data::Targets;
    /// assert_eq!(Targets::Values(vec![0.5]).values(), Some(&[0.5][..]));
    /// ```
    pub fn values(&self) -> Option<&[f32]> {
        match self {
            Self::Values(values) => Some(values),
            Self::Classes(_) | Self::Labels(_) => None,
        }
    }

    /// Gives example `index` its target, of `size` numbers.
    pub(crate) fn give(&self, index: usize, size: usize, record: &mut Record) {
        let range = index * size..(index + 1) * size;
        match self {
            Self::Classes(all) => record.set_class(all[index]),
            Self::Values(all) => record.set_target_values(all[range].iter().copied()),
            Self::Labels(all) => record.set_labels(all[range].iter().copied()),
        }
    }

    /// The class of example `index`, if examples have one.
    pub(crate) fn class(&self, index: usize) -> Option<usize> {
        match self {
            Self::Classes(all) => usize::try_from(all[index]).ok(),
            Self::Values(_) | Self::Labels(_) => None,
        }
    }

    fn empty(target: &Target) -> Self {
        match target {
            Target::Class { .. } => Self::Classes(Vec::new()),
            Target::Values { .. } => Self::Values(Vec::new()),
            Target::Labels { .. } => Self::Labels(Vec::new()),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Classes(classes) | Self::Labels(classes) => classes.clear(),
            Self::Values(values) => values.clear(),
        }
    }

    /// In words, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Classes(classes) => format!("{} classes", classes.len()),
            Self::Values(values) => format!("{} values", values.len()),
            Self::Labels(labels) => format!("{} labels", labels.len()),
        }
    }
}

/// One example, in buffers that are used again for the next.
///
/// ```
/// use espalier_data::{Dataset, Record, Targets, digits};
/// let data = digits()?;
/// let mut record = Record::new(data.schema());
/// data.read(3, &mut record)?;
/// assert_eq!(record.inputs.len(), 64);
/// assert_eq!(record.targets, Targets::Classes(vec![3]));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The input, in C order.
    pub inputs: Inputs,
    /// The target.
    pub targets: Targets,
}

impl Record {
    /// An empty one for a data set's examples.
    ///
    /// ```
    /// use espalier_data::{Input, Inputs, Record, Schema, Target};
    /// let (input, target) = (Input::Tokens { vocabulary: 5 }, Target::Values { features: 1 });
    /// let record = Record::new(&Schema { dims: vec![3], input, target });
    /// assert_eq!(record.inputs, Inputs::Tokens(vec![]));
    /// ```
    pub fn new(schema: &Schema) -> Self {
        Self { inputs: Inputs::empty(&schema.input), targets: Targets::empty(&schema.target) }
    }

    /// Makes these numbers the input, whatever it was before.
    ///
    /// ```
    /// # use espalier_data::{Dataset, Inputs, Record, digits};
    /// # let mut record = Record::new(digits()?.schema());
    /// record.set_values([0.5, 1.0]);
    /// assert_eq!(record.inputs, Inputs::Values(vec![0.5, 1.0]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn set_values(&mut self, values: impl IntoIterator<Item = f32>) {
        if let Inputs::Values(to) = &mut self.inputs {
            to.clear();
            to.extend(values);
        } else {
            self.inputs = Inputs::Values(values.into_iter().collect());
        }
    }

    /// Makes these tokens the input.
    ///
    /// ```
    /// # use espalier_data::{Dataset, Inputs, Record, digits};
    /// # let mut record = Record::new(digits()?.schema());
    /// record.set_tokens([7, 2]);
    /// assert_eq!(record.inputs, Inputs::Tokens(vec![7, 2]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn set_tokens(&mut self, tokens: impl IntoIterator<Item = i64>) {
        if let Inputs::Tokens(to) = &mut self.inputs {
            to.clear();
            to.extend(tokens);
        } else {
            self.inputs = Inputs::Tokens(tokens.into_iter().collect());
        }
    }

    /// Makes this class the target.
    ///
    /// ```
    /// # use espalier_data::{Dataset, Record, Targets, digits};
    /// # let mut record = Record::new(digits()?.schema());
    /// record.set_class(4);
    /// assert_eq!(record.targets, Targets::Classes(vec![4]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn set_class(&mut self, class: i64) {
        if let Targets::Classes(to) = &mut self.targets {
            to.clear();
            to.push(class);
        } else {
            self.targets = Targets::Classes(vec![class]);
        }
    }

    /// Makes these numbers the target.
    ///
    /// ```
    /// # use espalier_data::{Dataset, Record, Targets, digits};
    /// # let mut record = Record::new(digits()?.schema());
    /// record.set_target_values([0.5]);
    /// assert_eq!(record.targets, Targets::Values(vec![0.5]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn set_target_values(&mut self, values: impl IntoIterator<Item = f32>) {
        if let Targets::Values(to) = &mut self.targets {
            to.clear();
            to.extend(values);
        } else {
            self.targets = Targets::Values(values.into_iter().collect());
        }
    }

    /// Makes these labels the target, one a position, [`IGNORED`] where none counts.
    ///
    /// ```
    /// # use espalier_data::{Dataset, IGNORED, Record, Targets, digits};
    /// # let mut record = Record::new(digits()?.schema());
    /// record.set_labels([2, IGNORED]);
    /// assert_eq!(record.targets, Targets::Labels(vec![2, IGNORED]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn set_labels(&mut self, labels: impl IntoIterator<Item = i64>) {
        if let Targets::Labels(to) = &mut self.targets {
            to.clear();
            to.extend(labels);
        } else {
            self.targets = Targets::Labels(labels.into_iter().collect());
        }
    }
}

/// Several examples, ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The inputs of all examples, one after another, in C order.
    pub inputs: Inputs,
    /// The sizes of the inputs, the number of examples first.
    pub dims: Vec<usize>,
    /// The targets of all examples, one after another.
    pub targets: Targets,
    /// The examples' places in the data set.
    pub indices: Vec<usize>,
}

impl Batch {
    /// The number of examples.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use espalier_data::{Loader, LoaderOptions, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![5, 6, 7], LoaderOptions::default())?;
    /// let batch = loader.batch(&[5, 6])?;
    /// assert_eq!((batch.len(), batch.dims), (2, vec![2, 1, 8, 8]));
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use espalier_data::{Loader, LoaderOptions, digits};
    /// let loader = Loader::new(Arc::new(digits()?), vec![5], LoaderOptions::default())?;
    /// assert!(loader.batch(&[])?.is_empty());
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The sizes of the targets: `[n]` of classes, `[n, features]` of numbers, `[n, length]` of
    /// labels.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use espalier_data::{Loader, LoaderOptions, Text};
    /// let text = Text::from_bytes(b"to be or not to be".to_vec(), "hamlet", 4, 4)?;
    /// let loader = Loader::new(Arc::new(text), vec![0, 1], LoaderOptions::default())?;
    /// assert_eq!(loader.batch(&[0, 1])?.target_dims(), [2, 4]);
    /// # Ok::<(), espalier_data::DataError>(())
    /// ```
    pub fn target_dims(&self) -> Vec<usize> {
        let count = self.len();
        match &self.targets {
            Targets::Classes(_) => vec![count],
            Targets::Values(all) => vec![count, all.len() / count.max(1)],
            Targets::Labels(all) => vec![count, all.len() / count.max(1)],
        }
    }

    /// An empty batch.
    pub(crate) fn new(schema: &Schema) -> Self {
        let Record { inputs, targets } = Record::new(schema);
        Self { inputs, dims: Vec::new(), targets, indices: Vec::new() }
    }

    /// Empties it for other examples of the same data set.
    pub(crate) fn clear(&mut self) {
        self.inputs.clear();
        self.dims.clear();
        self.targets.clear();
        self.indices.clear();
    }

    /// Makes room for `count` examples as this one.
    pub(crate) fn reserve(&mut self, count: usize, record: &Record) {
        let (inputs, targets) = (count * record.inputs.len(), count * record.targets.len());
        match &mut self.inputs {
            Inputs::Values(values) => values.reserve(inputs),
            Inputs::Tokens(tokens) => tokens.reserve(inputs),
        }
        match &mut self.targets {
            Targets::Classes(classes) | Targets::Labels(classes) => classes.reserve(targets),
            Targets::Values(values) => values.reserve(targets),
        }
        self.indices.reserve(count);
    }

    /// Adds an example, which is of the same kinds: whoever reads it has checked that.
    pub(crate) fn push(&mut self, index: usize, record: &Record) {
        match (&mut self.inputs, &record.inputs) {
            (Inputs::Values(to), Inputs::Values(from)) => to.extend_from_slice(from),
            (Inputs::Tokens(to), Inputs::Tokens(from)) => to.extend_from_slice(from),
            (to, from) => *to = from.clone(),
        }
        match (&mut self.targets, &record.targets) {
            (Targets::Classes(to), Targets::Classes(from))
            | (Targets::Labels(to), Targets::Labels(from)) => to.extend_from_slice(from),
            (Targets::Values(to), Targets::Values(from)) => to.extend_from_slice(from),
            (to, from) => *to = from.clone(),
        }
        self.indices.push(index);
    }
}

//! What the examples of a data set look like.

/// Input and target of every example in a data set.
///
/// ```
/// use espalier_data::{Input, Target, digits};
/// let data = digits()?;
/// let schema = espalier_data::Dataset::schema(&data);
/// assert_eq!(schema.dims, [1, 8, 8]);
/// assert_eq!(schema.input, Input::Values { largest: Some(16.0) });
/// assert_eq!(schema.target.classes(), Some(10));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The sizes of one input, without the batch: `[channels, height, width]` of an image,
    /// `[features]` of a line of a table, `[length]` of a sequence.
    pub dims: Vec<usize>,
    /// What the inputs are.
    pub input: Input,
    /// What is to be learnt.
    pub target: Target,
}

impl Schema {
    /// The numbers of one input; none is larger than the numbers that can be counted, as they are
    /// in memory.
    ///
    /// ```
    /// use espalier_data::{Input, Schema, Target};
    /// let (input, target) = (Input::Values { largest: None }, Target::Values { features: 1 });
    /// assert_eq!(Schema { dims: vec![3, 4, 5], input, target }.size(), 60);
    /// ```
    pub fn size(&self) -> usize {
        self.dims.iter().copied().fold(1, usize::saturating_mul)
    }
}

/// What the inputs are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// Numbers.
    Values {
        /// The largest that the type of the numbers has, 255 of a byte, if there is one.
        largest: Option<f32>,
    },
    /// Places in a vocabulary, for an embedding.
    Tokens {
        /// The size of the vocabulary: every token is below it.
        vocabulary: usize,
    },
}

/// What is to be learnt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// A class for each example.
    Class {
        /// The classes' names, in the order of their numbers.
        names: Vec<String>,
    },
    /// Numbers for each example: regression.
    Values {
        /// How many.
        features: usize,
    },
    /// A class for each position of each example: sequence labelling, language models.
    Labels {
        /// The positions.
        length: usize,
        /// The classes; labels are below it, or [`IGNORED`](crate::IGNORED).
        classes: usize,
    },
}

impl Target {
    /// The number of classes, if there are classes.
    ///
    /// ```
    /// use espalier_data::Target;
    /// assert_eq!(Target::Labels { length: 20, classes: 9 }.classes(), Some(9));
    /// assert_eq!(Target::Values { features: 1 }.classes(), None);
    /// ```
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Class { names } => Some(names.len()),
            Self::Values { .. } => None,
            Self::Labels { classes, .. } => Some(*classes),
        }
    }

    /// The numbers that one example's target has.
    ///
    /// ```
    /// use espalier_data::Target;
    /// assert_eq!(Target::Labels { length: 20, classes: 9 }.size(), 20);
    /// assert_eq!(Target::Class { names: vec!["cat".into(), "dog".into()] }.size(), 1);
    /// ```
    pub fn size(&self) -> usize {
        match self {
            Self::Class { .. } => 1,
            Self::Values { features } => *features,
            Self::Labels { length, .. } => *length,
        }
    }
}

//! What is wrong with data, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::source::idx_fault::IdxFault;

/// Why there are no data, or no batch of them.
///
/// The text says the file and the place in it, what is there, what was expected, and how to mend it
/// where that is not the same.
///
/// ```
/// use espalier_data::{CsvOptions, DataError, read_csv};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("iris.csv");
/// std::fs::write(&path, "length,width,kind\n5.1,3.5,setosa\n4.9,,setosa\n")?;
/// let error = read_csv(&path, &CsvOptions::default()).unwrap_err();
/// assert!(matches!(error, DataError::Missing { .. }));
/// assert!(error.to_string().ends_with(
///     "iris.csv: line 3, column 2 (`width`): the value is missing; expected a number: \
///      fill it in or leave the line out"
/// ));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A path leads to something of another kind.
    #[error("{} is {found}; expected {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// A file or folder has nothing to learn from.
    #[error("{} holds no examples; expected {expected}", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
        /// What one would look like.
        expected: String,
    },
    /// A table's text is not acceptable.
    #[error("{}: {source}; expected a table in UTF-8", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: csv::Error,
    },
    /// A line has more or fewer columns than the others.
    #[error(
        "{}: line {line}: {found} columns; expected {expected}, as in the line before: is the \
         delimiter right, and are fields that hold it in quotes?",
        path.display()
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Its columns.
        found: usize,
        /// The columns of the lines before.
        expected: usize,
    },
    /// A column that was asked for is not there.
    #[error("{}: no column {column}; expected {expected}{}", path.display(), help(help_text))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column as it was given.
        column: String,
        /// Which there are.
        expected: String,
        /// The nearest names.
        help_text: Option<String>,
    },
    /// A field without a value.
    #[error(
        "{}: {place}: the value is missing; expected {expected}: fill it in or leave the line out",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Where it would be.
        place: Box<Place>,
        /// What was expected.
        expected: String,
    },
    /// A value is not of the kind or size that it should be.
    #[error("{}: {place}: found {found}; expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where it is.
        place: Box<Place>,
        /// What is there.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A label is none of the classes.
    #[error("{}: {place}: found the label {found}; expected {expected}{}", path.display(), help(help_text))]
    Label {
        /// The file.
        path: PathBuf,
        /// Where it is.
        place: Box<Place>,
        /// The label.
        found: String,
        /// The classes.
        expected: String,
        /// The nearest names.
        help_text: Option<String>,
    },
    /// A file of arrays cannot be read.
    #[error(transparent)]
    Arrays(#[from] espalier_checkpoint::Error),
    /// A file of arrays has not the one that was asked for.
    #[error("{}: no array {key:?}; expected {expected}{}", path.display(), help(help_text))]
    NoArray {
        /// The file.
        path: PathBuf,
        /// The name asked for; empty if none was.
        key: String,
        /// Which there are.
        expected: String,
        /// The nearest names.
        help_text: Option<String>,
    },
    /// An array's type or shape cannot be what it was given for.
    #[error("{}: {array} is {found}; expected {expected}", path.display())]
    Array {
        /// The file.
        path: PathBuf,
        /// The array's name.
        array: String,
        /// Its type and shape.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// There are more inputs than targets, or the other way round.
    #[error(
        "{} holds {inputs} inputs and {} {targets} targets; expected a target for each input: are \
         the files of the same part?",
        inputs_path.display(),
        targets_path.display()
    )]
    Counts {
        /// The file of inputs.
        inputs_path: PathBuf,
        /// How many it holds.
        inputs: usize,
        /// The file of targets.
        targets_path: PathBuf,
        /// How many it holds.
        targets: usize,
    },
    /// A file is not an acceptable IDX file.
    #[error("{}: not a valid IDX file: {cause}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: IdxFault,
    },
    /// An image cannot be decoded.
    #[error(
        "{}: {source}; expected a whole image in one of the formats {}: mend the file or remove it",
        path.display(),
        crate::source::images::FORMATS
    )]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<image::ImageError>,
    },
    /// An option has a value that it cannot have, alone or with these data.
    #[error("{option} is {found}; expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An example is asked for that is not in the data set.
    #[error("example {index} was asked for; expected one from 0 to {}", len.saturating_sub(1))]
    Index {
        /// The example.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// A data set gave an example that is not what its schema says.
    #[error("example {index}: {part} are {found}; expected {expected}, as the schema says")]
    Record {
        /// The example.
        index: usize,
        /// `the inputs` or `the targets`.
        part: &'static str,
        /// What was given.
        found: String,
        /// What the schema says.
        expected: String,
    },
}

/// A place in a file.
///
/// ```
/// use espalier_data::Place;
/// let place = Place::Field { line: 3, column: 2, name: Some("width".into()) };
/// assert_eq!(place.to_string(), "line 3, column 2 (`width`)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A line of text, from 1.
    Line(usize),
    /// A field of a table.
    Field {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The column's name, if the table has names.
        name: Option<String>,
    },
    /// A folder by its name.
    Folder,
    /// An example of an array, from 0.
    Record(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Field { line, column, name: None } => write!(f, "line {line}, column {column}"),
            Self::Field { line, column, name: Some(name) } => {
                write!(f, "line {line}, column {column} (`{name}`)")
            }
            Self::Folder => write!(f, "the folder's name"),
            Self::Record(index) => write!(f, "record {index}"),
        }
    }
}

fn help(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!("; {text}"))
}

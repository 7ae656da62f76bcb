//! Tables of text: CSV and its relatives.

use std::fmt;
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use espalier_network::text::{did_you_mean, one_of, quoted};

use super::memory::Memory;
use super::{file, labels};
use crate::error::{DataError, Place};
use crate::record::Targets;
use crate::schema::{Input, Schema, Target};

/// What stands for no value, in lower case.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

/// How a table is read; the default is for one of commas whose last column is the class.
///
/// ```
/// use espalier_data::{Column, CsvOptions, CsvTarget, Dataset, read_csv};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("houses.csv");
/// std::fs::write(&path, "price;rooms;area\n250;3;70\n400;5;120.5\n")?;
/// let target = CsvTarget::Values { columns: vec!["price".into()] };
/// let data = read_csv(&path, &CsvOptions { delimiter: b';', target, ..Default::default() })?;
/// assert_eq!((data.len(), &data.schema().dims[..]), (2, &[2][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CsvOptions {
    /// Whether the first line has the columns' names.
    pub header: Header,
    /// What is between two columns.
    pub delimiter: u8,
    /// What is to be learnt.
    pub target: CsvTarget,
    /// Columns that are neither input nor target.
    pub ignore: Vec<Column>,
    /// The sizes of one input, `[1, 28, 28]` for a line of pixels; as it is, `[columns]`.
    pub dims: Option<Vec<usize>>,
    /// The largest value that inputs can have, 255 for pixels of a byte, for
    /// [`Normalize::Unit`](crate::Normalize::Unit). A larger one or one below 0 is an error.
    pub largest: Option<f32>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: Header::Auto,
            delimiter: b',',
            target: CsvTarget::Class { column: Column::Last, classes: None },
            ignore: Vec::new(),
            dims: None,
            largest: None,
        }
    }
}

/// Whether a table's first line has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// It does if none of its fields is a number.
    Auto,
    /// It does.
    Present,
    /// It does not.
    Absent,
}

/// The targets in a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CsvTarget {
    /// A class, by its name or number.
    Class {
        /// The column.
        column: Column,
        /// The classes in the order of their numbers. As it is, they are the different labels that
        /// occur, in the order of the numbers if all are numbers, else of the text: name them where a
        /// file need not have an example of each.
        classes: Option<Vec<String>>,
    },
    /// Numbers.
    Values {
        /// The columns, in the order in which a network gives them.
        columns: Vec<Column>,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By its place, from 0.
    Index(usize),
    /// By its name in the first line.
    Name(String),
    /// The last one.
    Last,
}

impl From<usize> for Column {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(&quoted(name)),
            Self::Last => f.write_str("last"),
        }
    }
}

/// Reads a table: a line is an example, and every column an input that is not the target or ignored.
///
/// Lines may end as on any system, fields may be quoted, empty lines do not count. Inputs are finite
/// numbers.
///
/// # Errors
///
/// [`DataError`] with the file, the line and the column: for missing values (an empty field, `NA`,
/// `NaN`, `null`, `None`, `?`), for what is no number, for unknown labels and columns, for lines of
/// different lengths.
///
/// ```
/// use espalier_data::{CsvOptions, Dataset, read_csv};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("iris.csv");
/// std::fs::write(&path, "length,width,kind\n5.1,3.5,setosa\n6.4,3.2,versicolor\n")?;
/// let data = read_csv(&path, &CsvOptions::default())?;
/// assert_eq!((data.len(), data.class(1)?), (2, Some(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_csv(path: impl AsRef<Path>, options: &CsvOptions) -> Result<Memory, DataError> {
    let path = path.as_ref();
    read_csv_bytes(&file::read(path)?, path, options)
}

/// As [`read_csv`], from memory. `origin` is what errors call it.
///
/// # Errors
///
/// As [`read_csv`].
///
/// ```
/// use espalier_data::{CsvOptions, Dataset, read_csv_bytes};
/// let data = read_csv_bytes(b"0,1,no\n1,1,yes\n", "a table", &CsvOptions::default())?;
/// assert_eq!(data.len(), 2);
/// # Ok::<(), espalier_data::DataError>(())
/// ```
pub fn read_csv_bytes(
    bytes: &[u8],
    origin: impl AsRef<Path>,
    options: &CsvOptions,
) -> Result<Memory, DataError> {
    // Some programs mark UTF-8 by a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let path = origin.as_ref();
    if matches!(options.delimiter, b'"' | b'\r' | b'\n') {
        let found = format!("{:?}", char::from(options.delimiter));
        let expected = "another character than quotes and ends of lines".to_owned();
        return Err(DataError::Option { option: "delimiter", found, expected });
    }
    let in_file = |source| DataError::Csv { path: path.to_owned(), source };
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .delimiter(options.delimiter)
        // Lengths are compared below, with better words.
        .flexible(true)
        .trim(Trim::All)
        .from_reader(bytes);
    let mut record = StringRecord::new();
    let mut table: Option<Table> = None;
    while reader.read_record(&mut record).map_err(in_file)? {
        let start = record.position().map_or(0, csv::Position::byte);
        let at = At { path, bytes, start };
        let Some(table) = &mut table else {
            let is_header = match options.header {
                Header::Auto => record.iter().all(|field| field.parse::<f64>().is_err()),
                Header::Present => true,
                Header::Absent => false,
            };
            let names = is_header.then(|| record.iter().map(str::to_owned).collect());
            let mut new = Table::new(names, record.len(), path, options)?;
            if !is_header {
                new.add(&record, &at, options)?;
            }
            table = Some(new);
            continue;
        };
        table.add(&record, &at, options)?;
    }
    let expected = || "a line for each, of numbers and its target".to_owned();
    let empty = || DataError::Empty { path: path.to_owned(), expected: expected() };
    table.filter(|table| table.count > 0).ok_or_else(empty)?.finish(path, options)
}

/// A place in a table's text.
struct At<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    start: u64,
}

impl At<'_> {
    /// The line, from 1, of the record that was read from `start` on.
    fn line(&self) -> usize {
        let start = usize::try_from(self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        // Empty lines before a record count as read with it.
        let empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let skipped = self.bytes[start..].iter().take_while(empty).count();
        let before = &self.bytes[..start + skipped];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// What one column is.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    Input,
    Class,
    /// The place of a number among the targets.
    Value(usize),
    Ignored,
}

/// A table being read.
struct Table {
    names: Option<Vec<String>>,
    uses: Vec<Use>,
    count: usize,
    inputs: Vec<f32>,
    /// The labels by their places in `seen`.
    classes: Vec<i64>,
    seen: Seen,
    values: Vec<f32>,
}

/// The different labels, in the order in which they were met.
#[derive(Default)]
struct Seen {
    labels: Vec<String>,
    /// For look-ups only, so its order does not show.
    places: std::collections::HashMap<String, i64>,
}

impl Seen {
    fn place(&mut self, label: String) -> i64 {
        let next = self.labels.len() as i64;
        let place = *self.places.entry(label.clone()).or_insert(next);
        if place == next {
            self.labels.push(label);
        }
        place
    }
}

impl Table {
    fn new(
        names: Option<Vec<String>>,
        columns: usize,
        path: &Path,
        options: &CsvOptions,
    ) -> Result<Self, DataError> {
        let mut uses = vec![Use::Input; columns];
        let mut seen = Seen::default();
        let mut assign = |column: &Column, to: Use| {
            let place = find(column, names.as_deref(), columns, path)?;
            if uses[place] != Use::Input {
                let found = format!("{column} twice");
                let expected = "each column once among targets and ignored ones".to_owned();
                return Err(DataError::Option { option: "the column", found, expected });
            }
            uses[place] = to;
            Ok(())
        };
        match &options.target {
            CsvTarget::Class { column, classes } => {
                assign(column, Use::Class)?;
                classes.as_deref().map_or(Ok(()), labels::check_given)?;
                for name in classes.iter().flatten() {
                    seen.place(labels::plain(name));
                }
            }
            CsvTarget::Values { columns } => {
                for (place, column) in columns.iter().enumerate() {
                    assign(column, Use::Value(place))?;
                }
            }
        }
        for column in &options.ignore {
            assign(column, Use::Ignored)?;
        }
        let inputs = uses.iter().filter(|kind| **kind == Use::Input).count();
        if inputs == 0 {
            let expected = format!(
                "lines of at least one column besides targets and ignored ones; is the delimiter \
                 {:?}?",
                char::from(options.delimiter)
            );
            return Err(DataError::Empty { path: path.to_owned(), expected });
        }
        let size = options.dims.iter().flatten().try_fold(1usize, |all, dim| all.checked_mul(*dim));
        if options.dims.is_some() && size != Some(inputs) {
            let found = format!("{:?}", options.dims.as_deref().unwrap_or_default());
            let expected = format!("sizes whose product is {inputs}, the columns of inputs");
            return Err(DataError::Option { option: "dims", found, expected });
        }
        let (inputs, classes, values) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { names, uses, count: 0, inputs, classes, seen, values })
    }

    fn add(
        &mut self,
        record: &StringRecord,
        at: &At<'_>,
        options: &CsvOptions,
    ) -> Result<(), DataError> {
        let path = || at.path.to_owned();
        let (found, expected) = (record.len(), self.uses.len());
        if found != expected {
            return Err(DataError::Columns { path: path(), line: at.line(), found, expected });
        }
        let first = self.values.len();
        let values = self.uses.iter().filter(|kind| matches!(kind, Use::Value(_))).count();
        self.values.resize(first + values, 0.0);
        for (column, field) in record.iter().enumerate() {
            let kind = self.uses[column];
            let place = || {
                let name = self.names.as_ref().map(|names| names[column].clone());
                Box::new(Place::Field { line: at.line(), column: column + 1, name })
            };
            if kind == Use::Ignored {
                continue;
            }
            if MISSING.contains(&field.to_ascii_lowercase().as_str())
                // A class may have such a name.
                && !(kind == Use::Class && self.seen.places.contains_key(field))
            {
                let expected = if kind == Use::Class { "a class" } else { "a number" }.to_owned();
                return Err(DataError::Missing { path: path(), place: place(), expected });
            }
            if kind == Use::Class {
                let label = labels::plain(field);
                let given = matches!(options.target, CsvTarget::Class { classes: Some(_), .. });
                if given && !self.seen.places.contains_key(&label) {
                    let (found, expected, help_text) = labels::unknown(field, &self.seen.labels);
                    let (path, place) = (path(), place());
                    return Err(DataError::Label { path, place, found, expected, help_text });
                }
                self.classes.push(self.seen.place(label));
                continue;
            }
            let value = field.parse::<f32>().ok().filter(|value| value.is_finite());
            let largest = options.largest.filter(|_| kind == Use::Input);
            let in_range = |value: &f32| largest.is_none_or(|most| (0.0..=most).contains(value));
            match value.filter(in_range) {
                Some(value) => match kind {
                    Use::Value(place) => self.values[first + place] = value,
                    _ => self.inputs.push(value),
                },
                None => {
                    let expected = match largest {
                        Some(most) => format!("a number from 0 to {most}"),
                        None => "a finite number".to_owned(),
                    };
                    let (place, found) = (place(), quoted(field));
                    return Err(DataError::Value { path: path(), place, found, expected });
                }
            }
        }
        self.count += 1;
        Ok(())
    }

    fn finish(self, path: &Path, options: &CsvOptions) -> Result<Memory, DataError> {
        let columns = self.uses.iter().filter(|kind| **kind == Use::Input).count();
        let (target, targets) = match &options.target {
            CsvTarget::Values { columns } => {
                (Target::Values { features: columns.len() }, Targets::Values(self.values))
            }
            CsvTarget::Class { classes: Some(_), .. } => {
                (Target::Class { names: self.seen.labels }, Targets::Classes(self.classes))
            }
            CsvTarget::Class { classes: None, .. } => {
                let names = labels::distinct(self.seen.labels.iter().map(String::as_str));
                if names.len() > labels::MOST {
                    let place = "the labels".to_owned();
                    let found = format!("of {} kinds", names.len());
                    let expected =
                        format!("at most {} classes; is this a regression?", labels::MOST);
                    return Err(DataError::Array {
                        path: path.to_owned(),
                        array: place,
                        found,
                        expected,
                    });
                }
                let mut numbers = vec![0; names.len()];
                for (number, name) in names.iter().enumerate() {
                    if let Some(place) = self.seen.places.get(name) {
                        numbers[*place as usize] = number as i64;
                    }
                }
                let classes = self.classes.iter().map(|place| numbers[*place as usize]).collect();
                (Target::Class { names }, Targets::Classes(classes))
            }
        };
        let dims = options.dims.clone().unwrap_or_else(|| vec![columns]);
        let input = Input::Values { largest: options.largest };
        Memory::new(Schema { dims, input, target }, self.inputs, targets)
    }
}

/// The place of a column.
fn find(
    column: &Column,
    names: Option<&[String]>,
    columns: usize,
    path: &Path,
) -> Result<usize, DataError> {
    let missing = |expected, help_text| {
        let (path, column) = (path.to_owned(), column.to_string());
        DataError::NoColumn { path, column, expected, help_text }
    };
    match (column, names) {
        (Column::Last, _) if columns > 0 => Ok(columns - 1),
        (Column::Index(index), _) if *index < columns => Ok(*index),
        (Column::Name(name), Some(names)) => {
            let mut places = (0..names.len()).filter(|place| names[*place] == *name);
            match (places.next(), places.next()) {
                (Some(place), None) => Ok(place),
                (Some(_), Some(_)) => {
                    let expected = "a name that only one column has; give its place".to_owned();
                    Err(missing(expected, None))
                }
                (None, _) => Err(missing(one_of(names), did_you_mean(name, names))),
            }
        }
        (Column::Name(_), None) => {
            let expected =
                format!("a place from 0 to {}: the file has no line of names", columns - 1);
            Err(missing(expected, None))
        }
        _ => Err(missing(format!("one from 0 to {}", columns.saturating_sub(1)), None)),
    }
}

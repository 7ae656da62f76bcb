//! `[data]`: what the network learns from.

use std::path::PathBuf;

use espalier_network::text::{Bound, Cursor, LARGEST, Node, Spanned, integer_text};

/// `[data]`
#[derive(Debug, Clone, PartialEq)]
pub struct DataSpec {
    /// The data set.
    pub source: Spanned<DataSource>,
    /// Part that is held out for testing, of every class where there are classes, strictly between 0
    /// and 1; default 0.2.
    pub test_fraction: f64,
    /// The classes that are kept, with their numbers, if not all.
    pub classes: Option<Spanned<Vec<usize>>>,
    /// How inputs are scaled; what suits the source by default.
    pub normalize: Spanned<Normalize>,
    /// How much each class counts in the loss.
    pub class_weights: Option<Spanned<ClassWeights>>,
    /// Threads that read ahead of the training; 0 reads in the training's own. Default 0 for what is
    /// in memory and 2 for image folders.
    pub threads: Option<usize>,
    /// Changes to the training images; none where `[data.augment]` is absent.
    pub augment: Option<Spanned<Augment>>,
}

/// A data set. Paths are relative to the recipe's directory.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DataSource {
    /// `digits`: the built-in set of handwritten digits, 8 x 8 grey pixels, ten classes.
    Digits,
    /// `csv`: a table, a line an example.
    Csv {
        /// The file.
        path: PathBuf,
        /// The columns of targets, by name or by place; default the last.
        target: Vec<Column>,
        /// Whether targets are classes; default true. Otherwise they are numbers.
        classes: bool,
        /// Whether the first line names the columns; default true.
        header: bool,
        /// What stands between fields; default a comma.
        delimiter: char,
    },
    /// `arrays`: numpy's `.npy` or `.npz`.
    Arrays {
        /// The file of the inputs, or of both.
        path: PathBuf,
        /// The file of the targets; default the same, an `.npz`.
        targets: Option<PathBuf>,
        /// Names of inputs and targets in an `.npz`; default `x` and `y`.
        keys: [String; 2],
        /// Whether targets are classes; default true. Otherwise they are numbers.
        classes: bool,
    },
    /// `idx`: MNIST's files, also gzipped.
    Idx {
        /// The images.
        images: PathBuf,
        /// The labels.
        labels: PathBuf,
    },
    /// `images`: a folder with one folder a class.
    Images {
        /// The folder.
        path: PathBuf,
        /// Height and width that images are brought to.
        size: [usize; 2],
        /// Whether they are grey, of one channel; default false, three.
        grey: bool,
    },
    /// `text`: the bytes of a file, to be foretold one after another.
    Text {
        /// The file.
        path: PathBuf,
        /// Bytes of an example.
        length: usize,
    },
    /// `sequences`: lines of a token and its label, an empty line after each sequence.
    Sequences {
        /// The file.
        path: PathBuf,
    },
    /// `copying`: symbols to be remembered over a delay (Hochreiter & Schmidhuber, 1997; as in Arjovsky
    /// et al., 2016).
    Copying {
        /// Different symbols; default 8.
        symbols: usize,
        /// How many are to be remembered; default 10.
        copy: usize,
        /// Steps in between; default 100.
        delay: usize,
        /// Examples of an epoch.
        examples: usize,
    },
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By its name in the header.
    Name(String),
    /// By its place from 0.
    Place(usize),
}

/// How inputs are scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Normalize {
    /// `auto`, the default: `unit` for images, `standard` for tables, nothing else.
    Auto,
    /// `none`
    None,
    /// `unit`: divided by the largest value that the data can have.
    Unit,
    /// `standard`: to a mean of 0 and a standard deviation of 1, per channel or feature.
    Standard,
}

/// How much each class counts.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// `balanced`: as if all classes had equally many examples.
    Balanced,
    /// One number a class, above 0.
    Given(Vec<f64>),
}

/// `[data.augment]`: random changes to each training image, drawn anew each epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Augment {
    /// Largest shift along each axis, in pixels, less than the image's side; default 0.
    pub shift: usize,
    /// Chance of being mirrored left to right; default 0.
    pub flip: f64,
    /// Pixels of border added before a window of the image's size is cut out at random; default 0.
    pub crop: usize,
    /// Largest angle by which it is turned, in degrees; default 0.
    pub rotate: f64,
}

const NORMALIZE: &[(&str, Normalize)] = &[
    ("auto", Normalize::Auto),
    ("none", Normalize::None),
    ("unit", Normalize::Unit),
    ("standard", Normalize::Standard),
];

type Reader = fn(&mut Cursor<'_>) -> Option<DataSource>;

const SOURCES: &[(&str, Reader)] = &[
    ("digits", |_| Some(DataSource::Digits)),
    ("csv", csv),
    ("arrays", arrays),
    ("idx", |table| {
        let (images, labels) = (path(table, "images"), path(table, "labels"));
        Some(DataSource::Idx { images: images?, labels: labels? })
    }),
    ("images", |table| {
        let (path, size) = (path(table, "path"), table.pair("size", 1));
        Some(DataSource::Images { path: path?, size: size?, grey: table.flag_or("grey", false) })
    }),
    ("text", |table| {
        let (path, length) = (path(table, "path"), table.count("length", 1));
        Some(DataSource::Text { path: path?, length: length? })
    }),
    ("sequences", |table| Some(DataSource::Sequences { path: path(table, "path")? })),
    ("copying", |table| {
        let symbols = table.count_or("symbols", 1, 8);
        let copy = table.count_or("copy", 1, 10);
        let delay = table.count_or("delay", 1, 100);
        Some(DataSource::Copying { symbols, copy, delay, examples: table.count("examples", 2)? })
    }),
];

const PATH: &str = "a path, relative to the recipe's directory";

fn path(table: &mut Cursor<'_>, key: &'static str) -> Option<PathBuf> {
    path_of(&table.require(key, PATH)?)
}

/// A path that the system could open.
pub(super) fn path_of(node: &Node<'_>) -> Option<PathBuf> {
    let path = node.string(PATH)?;
    if path.contains('\0') {
        node.refuse("found a path with a NUL character", PATH, None);
        return None;
    }
    Some(PathBuf::from(path))
}

fn csv(table: &mut Cursor<'_>) -> Option<DataSource> {
    let path = path(table, "path");
    let header = table.flag_or("header", true);
    let classes = task(table);
    let expected = "a column's name or its place from 0, or an array of these";
    let target = match table.get("target") {
        None => Some(Vec::new()),
        Some(node) if node.is_array() => node
            .list(expected, |node| column(node, expected))
            .map(|columns| columns.into_iter().map(|column| column.value).collect()),
        Some(node) => column(&node, expected).map(|column| vec![column]),
    };
    let delimiter = match table.get("delimiter") {
        None => Some(','),
        Some(node) => {
            let expected = "one character, like `\",\"` or `\"\\t\"`";
            node.string(expected).and_then(|text| {
                let mut all = text.chars();
                let found = (all.next(), all.next());
                if let (Some(one), None) = found
                    && one.is_ascii()
                {
                    return Some(one);
                }
                node.refuse(format!("found {text:?}"), expected, None);
                None
            })
        }
    };
    Some(DataSource::Csv { path: path?, target: target?, classes, header, delimiter: delimiter? })
}

fn column(node: &Node<'_>, expected: &str) -> Option<Column> {
    if node.is_string() {
        return node.string(expected).map(|name| Column::Name(name.to_owned()));
    }
    let place = node.integer_or(0, LARGEST, expected)?;
    usize::try_from(place).ok().map(Column::Place)
}

const TASKS: &[(&str, bool)] = &[("classify", true), ("regress", false)];

/// Whether targets are classes.
fn task(table: &mut Cursor<'_>) -> bool {
    table.choice_or("task", TASKS, true)
}

fn arrays(table: &mut Cursor<'_>) -> Option<DataSource> {
    let path = path(table, "path");
    let targets = table.get("targets").and_then(|node| path_of(&node));
    let classes = task(table);
    let expected = "two names in the file, like `[\"x\", \"y\"]`";
    let keys = match table.get("keys") {
        None => Some(["x".to_owned(), "y".to_owned()]),
        Some(node) => {
            node.list(expected, |node| node.string(expected).map(str::to_owned)).and_then(|names| {
                let names: Vec<String> = names.into_iter().map(|name| name.value).collect();
                let count = names.len();
                let names: Result<[String; 2], _> = names.try_into();
                if names.is_err() {
                    node.refuse(format!("found an array of {count}"), expected, None);
                }
                names.ok()
            })
        }
    };
    Some(DataSource::Arrays { path: path?, targets, keys: keys?, classes })
}

pub(crate) fn data(root: &mut Cursor<'_>) -> Option<DataSpec> {
    let mut table = root.section("data")?;
    let names: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
    let node = table.require("source", &espalier_network::text::one_of(&names));
    let source = node.and_then(|node| {
        let read = node.choice(SOURCES)?;
        read(&mut table).map(|source| node.spanned(source))
    });
    let test_fraction = table.real_or("test_fraction", Bound::Inside, 0.2);
    let expected = "an array of classes, numbers that increase";
    let classes = table.get("classes").and_then(|node| {
        let classes = node.list(expected, |node| node.count(0))?;
        node.increasing(&classes);
        Some(node.spanned(classes.into_iter().map(|class| class.value).collect()))
    });
    let place = table.spanned(Normalize::Auto);
    let normalize = match table.get("normalize") {
        Some(node) => node.choice(NORMALIZE).map(|normalize| node.spanned(normalize)),
        None => Some(place),
    };
    let class_weights = table.get("class_weights").and_then(|node| weights(&node));
    let threads = table.get("threads").and_then(|node| node.integer(0, 64));
    let augment = table.optional_section("augment").map(|mut table| {
        let augment = Augment {
            shift: table.count_or("shift", 0, 0),
            flip: table.real_or("flip", Bound::Fraction, 0.0),
            crop: table.count_or("crop", 0, 0),
            rotate: table.real_or("rotate", Bound::NonNegative, 0.0),
        };
        table.finish();
        table.spanned(augment)
    });
    // What other sources would take is unknown only if the source is known.
    if source.is_some() {
        table.finish();
    }
    Some(DataSpec {
        source: source?,
        test_fraction,
        classes,
        normalize: normalize?,
        class_weights,
        threads: threads.and_then(|threads| usize::try_from(threads).ok()),
        augment,
    })
}

fn weights(node: &Node<'_>) -> Option<Spanned<ClassWeights>> {
    let expected = "`\"balanced\"` or an array of numbers above 0, one for each class";
    if node.is_string() {
        let text = node.string(expected)?;
        if text == "balanced" {
            return Some(node.spanned(ClassWeights::Balanced));
        }
        node.refuse(format!("found {text:?}"), expected, None);
        return None;
    }
    let weights = node.list(expected, |node| node.real(Bound::Positive))?;
    let weights = weights.into_iter().map(|weight| weight.value).collect();
    Some(node.spanned(ClassWeights::Given(weights)))
}

/// A count from 1, in words.
pub(super) fn count_text() -> String {
    integer_text(1, LARGEST)
}

//! Arrays of numpy and of every other format that the checkpoint crate reads.

use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};
use espalier_network::text::{did_you_mean, one_of};

use super::labels;
use crate::dataset::{Dataset, check_index};
use crate::error::{DataError, Place};
use crate::record::{IGNORED, Record, Targets};
use crate::schema::{Input, Schema, Target};

/// An array in a file.
///
/// ```
/// use espalier_data::ArrayFile;
/// let whole = ArrayFile::new("train_images.npy");
/// let member = ArrayFile::named("mnist.npz", "x_train");
/// assert_eq!((whole.key, member.key.as_deref()), (None, Some("x_train")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrayFile {
    /// The file: npy, npz, safetensors, HDF5 and more, told by the content.
    pub path: PathBuf,
    /// The array's name; not needed where the file has only one.
    pub key: Option<String>,
}

impl ArrayFile {
    /// The only array of a file.
    ///
    /// ```
    /// assert_eq!(espalier_data::ArrayFile::new("x.npy").key, None);
    /// ```
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), key: None }
    }

    /// The array of this name.
    ///
    /// ```
    /// assert!(espalier_data::ArrayFile::named("xy.npz", "x").key.is_some());
    /// ```
    pub fn named(path: impl Into<PathBuf>, key: impl Into<String>) -> Self {
        Self { path: path.into(), key: Some(key.into()) }
    }

    fn open(&self) -> Result<NamedTensor, DataError> {
        let mut checkpoint = Checkpoint::open(&self.path)?;
        let only = (checkpoint.len() == 1).then(|| checkpoint.names().next().map(str::to_owned));
        let key = self.key.clone().or(only.flatten());
        let found = key.as_ref().and_then(|key| checkpoint.remove(key));
        found.ok_or_else(|| {
            let names: Vec<&str> = checkpoint.names().collect();
            let key = key.unwrap_or_default();
            let expected =
                if names.is_empty() { "a file with arrays".into() } else { one_of(&names) };
            let help_text = did_you_mean(&key, &names).filter(|_| !key.is_empty());
            DataError::NoArray { path: self.path.clone(), key, expected, help_text }
        })
    }
}

/// How arrays are taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArrayOptions {
    /// What the targets are.
    pub target: ArrayTarget,
    /// The sizes of one input, `[1, 28, 28]` for rows of pixels; as it is, the array's without the first.
    pub dims: Option<Vec<usize>>,
    /// The vocabulary's size, if the inputs are tokens.
    pub vocabulary: Option<usize>,
}

/// What an array of targets holds.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum ArrayTarget {
    /// What its type and shape tell: classes of whole numbers `[n]` or `[n, 1]`, labels of whole numbers
    /// `[n, length]`, values of floating point.
    #[default]
    Auto,
    /// Classes from 0, `[n]` or `[n, 1]`.
    Class {
        /// Their names; as it is, the numbers from 0 to the largest.
        classes: Option<Vec<String>>,
    },
    /// Numbers, `[n]` or `[n, features]`.
    Values,
    /// Classes from 0, or [`IGNORED`], for each position, `[n, length]`.
    Labels {
        /// How many classes; as it is, one more than the largest.
        classes: Option<usize>,
    },
}

/// Inputs and targets in two arrays, whose first dimension is that of the examples.
///
/// Inputs are read from the file when they are asked for, if it holds them as they are: not deflated,
/// little-endian, in C order. Else, and targets always, they are read at once. Whole numbers without a sign
/// have the largest number of their type as [`Input::Values`]'s `largest`.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_npz};
/// use espalier_data::{ArrayFile, ArrayOptions, Arrays, Dataset, Target};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("xy.npz");
/// let mut file = Checkpoint::new();
/// file.push(NamedTensor::f32("x", vec![3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?)?;
/// file.push(NamedTensor::f32("y", vec![3], &[0.0, 0.5, 1.0])?)?;
/// write_npz(&path, &file)?;
///
/// let (x, y) = (ArrayFile::named(&path, "x"), ArrayFile::named(&path, "y"));
/// let data = Arrays::open(&x, &y, ArrayOptions::default())?;
/// assert_eq!((data.len(), &data.schema().target), (3, &Target::Values { features: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arrays {
    path: PathBuf,
    inputs: NamedTensor,
    targets: Targets,
    len: usize,
    schema: Schema,
}

impl Arrays {
    /// Opens the two files, which may be one.
    ///
    /// # Errors
    ///
    /// [`DataError::Arrays`], [`DataError::NoArray`] and [`DataError::Array`] for files, names, types and
    /// shapes that are wrong, [`DataError::Counts`] for different numbers of examples,
    /// [`DataError::Label`] and [`DataError::Value`] for wrong targets. A wrong input shows when it is
    /// read.
    pub fn open(
        inputs: &ArrayFile,
        targets: &ArrayFile,
        options: ArrayOptions,
    ) -> Result<Self, DataError> {
        let (x, y) = (inputs.open()?, targets.open()?);
        let fault = |file: &ArrayFile, array: &NamedTensor, expected: &str| DataError::Array {
            path: file.path.clone(),
            array: array.name().to_owned(),
            found: format!("{} {:?}", array.dtype(), array.shape()),
            expected: expected.to_owned(),
        };
        for (file, array) in [(inputs, &x), (targets, &y)] {
            if kind(array.dtype()) == Kind::Other {
                return Err(fault(file, array, "whole numbers or floating point from 16 bits on"));
            }
        }
        let (count, dims) = match x.shape() {
            [count, dims @ ..] if x.numel() > 0 => (*count, dims.to_vec()),
            _ => return Err(fault(inputs, &x, "[n, ...] of at least one number")),
        };
        let size = x.numel() / count;
        let dims = match options.dims {
            Some(dims) => {
                let wanted = dims.iter().try_fold(1usize, |all, dim| all.checked_mul(*dim));
                if wanted != Some(size) {
                    let expected =
                        format!("sizes whose product is {size}, the numbers of an input");
                    let found = format!("{dims:?}");
                    return Err(DataError::Option { option: "dims", found, expected });
                }
                dims
            }
            // `[n]` is `[n, 1]`.
            None if dims.is_empty() => vec![1],
            None => dims,
        };
        let found = y.shape().first().copied().unwrap_or(0);
        if found != count {
            return Err(DataError::Counts {
                inputs_path: inputs.path.clone(),
                inputs: count,
                targets_path: targets.path.clone(),
                targets: found,
            });
        }
        let each = y.numel() / count;
        let rank = y.shape().len();
        let whole = kind(y.dtype()) == Kind::Whole;
        let wanted = match options.target {
            ArrayTarget::Auto if whole && each == 1 => ArrayTarget::Class { classes: None },
            ArrayTarget::Auto if whole => ArrayTarget::Labels { classes: None },
            ArrayTarget::Auto => ArrayTarget::Values,
            wanted => wanted,
        };
        let expected = match &wanted {
            ArrayTarget::Class { .. } if each != 1 => Some("a class for each input, [n] or [n, 1]"),
            ArrayTarget::Labels { .. } if rank != 2 => {
                Some("a label for each position, [n, length]")
            }
            ArrayTarget::Values if rank > 2 => Some("numbers for each input, [n] or [n, features]"),
            _ => None,
        };
        if let Some(expected) = expected.or((each == 0).then_some("at least one number an input")) {
            return Err(fault(targets, &y, expected));
        }
        let (target, targets) = match wanted {
            ArrayTarget::Class { classes } => {
                classes.as_deref().map_or(Ok(()), labels::check_given)?;
                let bound = classes.as_ref().map(Vec::len);
                let (all, count) = class_numbers(&y, &targets.path, each, bound, false)?;
                let names = classes.unwrap_or_else(|| labels::numbered(count));
                (Target::Class { names }, Targets::Classes(all))
            }
            ArrayTarget::Labels { classes } => {
                let (all, classes) = class_numbers(&y, &targets.path, each, classes, true)?;
                (Target::Labels { length: each, classes }, Targets::Labels(all))
            }
            _ => {
                let all = y.to_f32_vec()?;
                check_finite(&all, |place| place / each, &targets.path)?;
                (Target::Values { features: each }, Targets::Values(all))
            }
        };
        let input = match options.vocabulary {
            Some(vocabulary) => Input::Tokens { vocabulary },
            None => Input::Values { largest: largest(x.dtype()) },
        };
        let x = if x.is_seekable() { x } else { x.load()? };
        let schema = Schema { dims, input, target };
        Ok(Self { path: inputs.path.clone(), inputs: x, targets, len: count, schema })
    }
}

impl Dataset for Arrays {
    fn len(&self) -> usize {
        self.len
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len)?;
        let mut bytes = vec![0; self.inputs.byte_len() / self.len];
        self.inputs.read_at(index as u64 * bytes.len() as u64, &mut bytes)?;
        let size = self.schema.size();
        let row = NamedTensor::new(self.inputs.name(), self.inputs.dtype(), vec![size], bytes)?;
        if let Input::Tokens { vocabulary } = self.schema.input {
            let mut tokens = Vec::with_capacity(size);
            for value in row.values()? {
                let token = whole(value).filter(|token| (0..vocabulary as i64).contains(token));
                tokens.push(token.ok_or_else(|| {
                    let expected = format!("tokens from 0 to {}", vocabulary.saturating_sub(1));
                    value_fault(&self.path, index, value, expected)
                })?);
            }
            record.set_tokens(tokens);
        } else {
            let values = row.to_f32_vec()?;
            check_finite(&values, |_| index, &self.path)?;
            record.set_values(values);
        }
        self.targets.give(index, self.schema.target.size(), record);
        Ok(())
    }

    fn class(&self, index: usize) -> Result<Option<usize>, DataError> {
        check_index(index, self.len)?;
        Ok(self.targets.class(index))
    }
}

#[derive(PartialEq)]
enum Kind {
    Whole,
    Real,
    Other,
}

fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Bool
        | Dtype::U8
        | Dtype::U16
        | Dtype::U32
        | Dtype::U64
        | Dtype::I8
        | Dtype::I16
        | Dtype::I32
        | Dtype::I64 => Kind::Whole,
        Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64 => Kind::Real,
        _ => Kind::Other,
    }
}

fn largest(dtype: Dtype) -> Option<f32> {
    match dtype {
        Dtype::Bool => Some(1.0),
        Dtype::U8 => Some(f32::from(u8::MAX)),
        Dtype::U16 => Some(f32::from(u16::MAX)),
        _ => None,
    }
}

/// The whole number that this is.
fn whole(value: f64) -> Option<i64> {
    // Whole numbers up to this one are exact.
    (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64)
}

fn value_fault(path: &Path, record: usize, value: f64, expected: String) -> DataError {
    let place = Box::new(Place::Record(record));
    DataError::Value { path: path.to_owned(), place, found: value.to_string(), expected }
}

fn check_finite(
    values: &[f32],
    record: impl Fn(usize) -> usize,
    path: &Path,
) -> Result<(), DataError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => {
            let expected = "finite numbers of single precision".to_owned();
            Err(value_fault(path, record(place), f64::from(values[place]), expected))
        }
    }
}

/// The classes in an array, and how many there are.
fn class_numbers(
    array: &NamedTensor,
    path: &Path,
    each: usize,
    classes: Option<usize>,
    may_be_ignored: bool,
) -> Result<(Vec<i64>, usize), DataError> {
    let bound = classes.unwrap_or(labels::MOST) as i64;
    let mut all = Vec::with_capacity(array.numel());
    for (place, value) in array.values()?.enumerate() {
        let known = |class: &i64| (0..bound).contains(class) || may_be_ignored && *class == IGNORED;
        let Some(class) = whole(value).filter(known) else {
            let ignored = if may_be_ignored { ", or -100 where none counts" } else { "" };
            return Err(DataError::Label {
                path: path.to_owned(),
                place: Box::new(Place::Record(place / each)),
                found: value.to_string(),
                expected: format!("a class from 0 to {}{ignored}", bound - 1),
                help_text: None,
            });
        };
        all.push(class);
    }
    let largest = all.iter().max().map_or(0, |most| (most + 1).max(1) as usize);
    Ok((all, classes.unwrap_or(largest)))
}

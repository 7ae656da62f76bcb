//! IDX, the format of MNIST: <http://yann.lecun.com/exdb/mnist/>.

use std::io::Read as _;
use std::path::Path;

use super::idx_fault::IdxFault;
use super::memory::{Memory, Store};
use super::{file, labels};
use crate::error::{DataError, Place};
use crate::record::Targets;
use crate::schema::{Input, Schema, Target};

/// Reads the images and labels of MNIST and its relatives, packed by gzip or not.
///
/// Images have the sizes `[n, height, width]`, which makes them `[1, height, width]`,
/// `[n, channels, height, width]` or, of vectors, `[n, features]`; labels have `[n]`. The elements of
/// images are of any of the format's types: bytes of either sign, whole numbers of 16 and 32 bits,
/// floating point of 32 and 64 bits. `classes` are their names; as it is, they are the numbers from 0
/// to the largest label.
///
/// # Errors
///
/// [`DataError::Idx`] with the [`IdxFault`], [`DataError::Counts`] for files of different parts, and
/// [`DataError::Label`] for a label outside the classes. Sizes are held against the files before memory is
/// taken for them.
///
/// ```
/// use espalier_data::{Dataset, read_idx};
///
/// # let directory = tempfile::tempdir()?;
/// # let (images, labels) = (directory.path().join("images"), directory.path().join("labels"));
/// std::fs::write(&images, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4])?;
/// std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 7, 0])?;
/// let data = read_idx(&images, &labels, None)?;
/// assert_eq!((data.len(), &data.schema().dims[..]), (2, &[1, 1, 2][..]));
/// assert_eq!(data.class(0)?, Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_idx(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: Option<Vec<String>>,
) -> Result<Memory, DataError> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    read_idx_bytes((&file::read(images)?, images), (&file::read(labels)?, labels), classes)
}

/// As [`read_idx`], from memory: the bytes of a file and what errors call it.
///
/// # Errors
///
/// As [`read_idx`].
///
/// ```
/// use espalier_data::{Dataset, read_idx_bytes};
/// let images = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2];
/// let labels = [0, 0, 8, 1, 0, 0, 0, 1, 0];
/// assert_eq!(read_idx_bytes((&images, "images"), (&labels, "labels"), None)?.len(), 1);
/// # Ok::<(), espalier_data::DataError>(())
/// ```
pub fn read_idx_bytes(
    (images, images_path): (&[u8], impl AsRef<Path>),
    (labels, labels_path): (&[u8], impl AsRef<Path>),
    classes: Option<Vec<String>>,
) -> Result<Memory, DataError> {
    let (images_path, labels_path) = (images_path.as_ref(), labels_path.as_ref());
    let wrap = |path: &Path, cause| DataError::Idx { path: path.to_owned(), cause };
    let array = Array::read(images).map_err(|cause| wrap(images_path, cause))?;
    let (count, dims) = match array.dims[..] {
        _ if array.dims.contains(&0) => {
            return Err(wrap(images_path, IdxFault::Inputs { dims: array.dims }));
        }
        [count, height, width] => (count, vec![1, height, width]),
        [count, ref dims @ ..] if matches!(dims.len(), 1 | 3) => (count, dims.to_vec()),
        _ => return Err(wrap(images_path, IdxFault::Inputs { dims: array.dims })),
    };
    let found = Array::read(labels).map_err(|cause| wrap(labels_path, cause))?;
    let [targets] = found.dims[..] else {
        return Err(wrap(labels_path, IdxFault::Labels { dims: found.dims }));
    };
    if matches!(found.kind, Kind::F32 | Kind::F64) {
        return Err(wrap(labels_path, IdxFault::LabelType { found: found.kind.code() }));
    }
    if targets != count {
        return Err(DataError::Counts {
            inputs_path: images_path.to_owned(),
            inputs: count,
            targets_path: labels_path.to_owned(),
            targets,
        });
    }
    let (numbers, names) = known(found.whole_numbers(), labels_path, classes)?;
    let largest = (array.kind == Kind::U8).then_some(f32::from(u8::MAX));
    let schema = Schema { dims, input: Input::Values { largest }, target: Target::Class { names } };
    let size = schema.size();
    let inputs = match array.kind {
        Kind::U8 => Store::Bytes(array.bytes),
        _ => {
            let values = array.values();
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(DataError::Value {
                    path: images_path.to_owned(),
                    place: Box::new(Place::Record(place / size)),
                    found: values[place].to_string(),
                    expected: "finite numbers".to_owned(),
                });
            }
            Store::Values(values)
        }
    };
    Memory::new(schema, inputs, Targets::Classes(numbers))
}

/// The classes' names, and the numbers if each is one of them.
fn known(
    numbers: Vec<i64>,
    path: &Path,
    classes: Option<Vec<String>>,
) -> Result<(Vec<i64>, Vec<String>), DataError> {
    classes.as_deref().map_or(Ok(()), labels::check_given)?;
    let bound = classes.as_ref().map_or(labels::MOST, Vec::len);
    let wrong = |number: &i64| !usize::try_from(*number).is_ok_and(|number| number < bound);
    if let Some(record) = numbers.iter().position(wrong) {
        return Err(DataError::Label {
            path: path.to_owned(),
            place: Box::new(Place::Record(record)),
            found: numbers[record].to_string(),
            expected: format!("a class from 0 to {}", bound as i64 - 1),
            help_text: None,
        });
    }
    let largest = numbers.iter().max().map_or(0, |most| *most as usize);
    let names = classes.unwrap_or_else(|| labels::numbered(largest + 1));
    Ok((numbers, names))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl Kind {
    const ALL: [Self; 6] = [Self::U8, Self::I8, Self::I16, Self::I32, Self::F32, Self::F64];

    fn code(self) -> u8 {
        match self {
            Self::U8 => 0x08,
            Self::I8 => 0x09,
            Self::I16 => 0x0b,
            Self::I32 => 0x0c,
            Self::F32 => 0x0d,
            Self::F64 => 0x0e,
        }
    }

    fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

/// An array as it is in the file: big-endian, in C order.
#[derive(Debug)]
struct Array {
    kind: Kind,
    dims: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    fn read(file: &[u8]) -> Result<Self, IdxFault> {
        let file::Unpacked { mut reader, most } = file::unpack(file);
        // Reads what there is, up to `count` bytes.
        let mut take = |count: usize| {
            let mut bytes = Vec::new();
            match reader.by_ref().take(count as u64).read_to_end(&mut bytes) {
                Ok(_) => Ok(bytes),
                Err(error) => Err(IdxFault::Gzip { cause: error.to_string() }),
            }
        };
        let magic = take(4)?;
        let Ok(magic) = <[u8; 4]>::try_from(&magic[..]) else {
            return Err(IdxFault::Short { found: magic.len(), expected: 4 });
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == magic[2]);
        let (Some(kind), [0, 0, _, rank]) = (kind, magic) else {
            return Err(IdxFault::Magic { found: magic });
        };
        let header = 4 * usize::from(rank);
        let sizes = take(header)?;
        if sizes.len() < header {
            return Err(IdxFault::Short { found: 4 + sizes.len(), expected: 4 + header });
        }
        let dims: Vec<usize> = sizes
            .chunks_exact(4)
            .map(|size| size.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)))
            .collect();
        let width = kind.width();
        let length = |expected: String, found: String| IdxFault::Length {
            dims: dims.clone(),
            width,
            expected,
            found,
        };
        let needed = dims.iter().try_fold(width, |all, dim| all.checked_mul(*dim));
        let needed = needed
            .ok_or_else(|| length("more than can be counted".to_owned(), file.len().to_string()))?;
        if needed as u64 > most {
            return Err(length(needed.to_string(), format!("at most {most}")));
        }
        // One more, to see that nothing follows.
        let mut bytes = take(needed.saturating_add(1))?;
        if bytes.len() > needed {
            return Err(length(needed.to_string(), "more".to_owned()));
        }
        if bytes.len() < needed {
            return Err(length(needed.to_string(), bytes.len().to_string()));
        }
        bytes.shrink_to_fit();
        Ok(Self { kind, dims, bytes })
    }

    fn values(&self) -> Vec<f32> {
        match self.kind {
            Kind::U8 => self.decode(|[byte]: [u8; 1]| f32::from(byte)),
            Kind::I8 => self.decode(|bytes| f32::from(i8::from_be_bytes(bytes))),
            Kind::I16 => self.decode(|bytes| f32::from(i16::from_be_bytes(bytes))),
            Kind::I32 => self.decode(|bytes| i32::from_be_bytes(bytes) as f32),
            Kind::F32 => self.decode(f32::from_be_bytes),
            Kind::F64 => self.decode(|bytes| f64::from_be_bytes(bytes) as f32),
        }
    }

    fn whole_numbers(&self) -> Vec<i64> {
        match self.kind {
            Kind::U8 => self.decode(|[byte]: [u8; 1]| i64::from(byte)),
            Kind::I8 => self.decode(|bytes| i64::from(i8::from_be_bytes(bytes))),
            Kind::I16 => self.decode(|bytes| i64::from(i16::from_be_bytes(bytes))),
            Kind::I32 => self.decode(|bytes| i64::from(i32::from_be_bytes(bytes))),
            Kind::F32 | Kind::F64 => Vec::new(),
        }
    }

    fn decode<T, const N: usize>(&self, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
        // A chunk always has the width of its type; were it not so, the element would read as zero.
        let element = |chunk: &[u8]| chunk.try_into().unwrap_or([0; N]);
        self.bytes.chunks_exact(N).map(|chunk| decode(element(chunk))).collect()
    }
}

//! Bytes of a text, each to be told from those before it.

use std::path::Path;

use super::file;
use crate::dataset::{Dataset, Order, check_index};
use crate::error::DataError;
use crate::record::Record;
use crate::schema::{Input, Schema, Target};

/// What a byte can be.
const BYTES: usize = 256;

/// A text as windows of `length` bytes; the target of each byte is the next one.
///
/// Tokens and labels are bytes, so the vocabulary is 256 and any file will do. Windows start every
/// `stride` bytes; what is left at the end and fills no window is not used. Held out are the last
/// windows, see [`Split`](crate::Split).
///
/// ```
/// use espalier_data::{Dataset, Record, Text};
/// let text = Text::from_bytes(b"espalier".to_vec(), "a word", 3, 3)?;
/// assert_eq!(text.len(), 2);
/// let mut record = Record::new(text.schema());
/// text.read(1, &mut record)?;
/// let bytes = |numbers: &[i64]| numbers.iter().map(|byte| *byte as u8 as char).collect::<String>();
/// assert_eq!(bytes(record.inputs.tokens().unwrap()), "ali");
/// assert_eq!(bytes(record.targets.classes().unwrap()), "lie");
/// # Ok::<(), espalier_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    bytes: Vec<u8>,
    stride: usize,
    len: usize,
    schema: Schema,
}

impl Text {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`DataError::Io`] and [`DataError::Kind`] for what cannot be read, and as
    /// [`from_bytes`](Self::from_bytes).
    ///
    /// ```
    /// use espalier_data::{Dataset, Text};
    /// # let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("verse.txt");
    /// std::fs::write(&path, "So long as men can breathe, or eyes can see,\n")?;
    /// assert_eq!(Text::open(&path, 16, 16)?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>, length: usize, stride: usize) -> Result<Self, DataError> {
        let path = path.as_ref();
        Self::from_bytes(file::read(path)?, path, length, stride)
    }

    /// Takes a text that is in memory. `origin` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`DataError::Option`] for a length or stride of 0, [`DataError::Empty`] for a text without a window
    /// and the byte after it.
    pub fn from_bytes(
        bytes: Vec<u8>,
        origin: impl AsRef<Path>,
        length: usize,
        stride: usize,
    ) -> Result<Self, DataError> {
        for (option, value) in [("length", length), ("stride", stride)] {
            if value == 0 {
                let expected = "a whole number from 1".to_owned();
                return Err(DataError::Option { option, found: "0".to_owned(), expected });
            }
        }
        if bytes.len() <= length {
            let path = origin.as_ref().to_owned();
            let found = bytes.len();
            let expected =
                format!("more than {length} bytes, the length of a window, and it has {found}");
            return Err(DataError::Empty { path, expected });
        }
        let len = (bytes.len() - 1 - length) / stride + 1;
        let schema = Schema {
            dims: vec![length],
            input: Input::Tokens { vocabulary: BYTES },
            target: Target::Labels { length, classes: BYTES },
        };
        Ok(Self { bytes, stride, len, schema })
    }
}

impl Dataset for Text {
    fn len(&self) -> usize {
        self.len
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn read(&self, index: usize, record: &mut Record) -> Result<(), DataError> {
        check_index(index, self.len)?;
        let (start, length) = (index * self.stride, self.schema.size());
        let numbers = |from: usize| self.bytes[from..from + length].iter().map(|at| i64::from(*at));
        record.set_tokens(numbers(start));
        record.set_labels(numbers(start + 1));
        Ok(())
    }

    fn order(&self) -> Order {
        // The byte after a window, its last target, is the next one's first input, and no target there.
        Order::Consecutive { overlap: (self.schema.size() - 1) / self.stride }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_fill_the_text() {
        let count = |bytes: usize, length, stride| {
            let text = Text::from_bytes(vec![b'x'; bytes], "x", length, stride).unwrap();
            let mut record = Record::new(text.schema());
            (0..text.len()).for_each(|index| text.read(index, &mut record).unwrap());
            (text.len(), text.order())
        };
        let overlap = |overlap| Order::Consecutive { overlap };
        assert_eq!(count(5, 4, 4), (1, overlap(0)));
        assert_eq!(count(8, 4, 4), (1, overlap(0)));
        assert_eq!(count(9, 4, 4), (2, overlap(0)));
        assert_eq!(count(9, 4, 1), (5, overlap(3)));
        assert_eq!(count(9, 4, 3), (2, overlap(1)));
        assert_eq!(count(9, 4, 100), (1, overlap(0)));
        let error = Text::from_bytes(vec![b'x'; 4], "x.txt", 4, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "x.txt holds no examples; expected more than 4 bytes, the length of a window, and it \
             has 4"
        );
    }
}

//! The built-in digits.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::memory::Memory;
use crate::error::DataError;
use crate::record::Targets;
use crate::schema::{Input, Schema, Target};

const SIDE: usize = 8;
const CLASSES: usize = 10;
const PIXELS: usize = SIDE * SIDE;
const COUNT: usize = 1797;
/// Magic and three sizes; see `data/README.md`.
const HEADER: usize = 20;
/// The darkest pixel.
const DARKEST: f32 = 16.0;

static PACKED: &[u8] = include_bytes!("../../data/digits.bin.gz");

/// The 1,797 grey images of hand-written digits that are built in: `[1, 8, 8]`, pixels from 0 to 16,
/// and which digit each shows.
///
/// They are the test set of *Optical Recognition of Handwritten Digits* by E. Alpaydin and C. Kaynak,
/// UCI Machine Learning Repository, 1998, DOI 10.24432/C50P49, under CC BY 4.0.
///
/// # Errors
///
/// None in fact: a test reads all of the built-in file.
///
/// ```
/// use espalier_data::{Dataset, digits};
/// let data = digits()?;
/// assert_eq!(data.len(), 1797);
/// assert_eq!(data.class(5)?, Some(5));
/// # Ok::<(), espalier_data::DataError>(())
/// ```
pub fn digits() -> Result<Memory, DataError> {
    let mut bytes = Vec::with_capacity(HEADER + COUNT * (PIXELS + 1));
    let damaged = |source| DataError::Io { path: "the built-in digits".into(), source };
    GzDecoder::new(PACKED).read_to_end(&mut bytes).map_err(damaged)?;
    let labels: Vec<i64> =
        bytes.iter().skip(HEADER + COUNT * PIXELS).map(|label| i64::from(*label)).collect();
    bytes.truncate(HEADER + COUNT * PIXELS);
    bytes.drain(..HEADER.min(bytes.len()));
    let schema = Schema {
        dims: vec![1, SIDE, SIDE],
        input: Input::Values { largest: Some(DARKEST) },
        target: Target::Class { names: (0..CLASSES).map(|digit| digit.to_string()).collect() },
    };
    Memory::new(schema, bytes, Targets::Classes(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::record::Record;

    #[test]
    fn the_file_is_what_its_readme_says() {
        let mut bytes = Vec::new();
        GzDecoder::new(PACKED).read_to_end(&mut bytes).unwrap();
        assert_eq!(&bytes[..8], b"ESPDIGIT");
        assert_eq!(bytes.len(), HEADER + COUNT * (PIXELS + 1));
        let sizes: Vec<u32> = bytes[8..HEADER]
            .chunks_exact(4)
            .map(|size| u32::from_le_bytes(size.try_into().unwrap()))
            .collect();
        assert_eq!(sizes, [COUNT as u32, SIDE as u32, SIDE as u32]);
    }

    #[test]
    fn the_images_are_where_they_were() {
        let data = digits().unwrap();
        let mut counts = [0; CLASSES];
        let mut record = Record::new(data.schema());
        for index in 0..COUNT {
            data.read(index, &mut record).unwrap();
            let pixels = record.inputs.values().unwrap();
            assert!(pixels.iter().all(|pixel| (0.0..=DARKEST).contains(pixel)));
            counts[data.class(index).unwrap().unwrap()] += 1;
        }
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        data.read(0, &mut record).unwrap();
        // The first row of the first image of the UCI file.
        assert_eq!(record.inputs.values().unwrap()[..8], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
    }
}

//! Text files that nothing is known of.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::ReadError;

/// Larger files are no recipes, 1 MiB.
const LARGEST_FILE: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// [`ReadError`]: the file cannot be read, is larger than 1 MiB or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(ReadError::TooLarge { path: path.to_owned(), limit: LARGEST_FILE });
    }
    String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}

//! How to mend what an error does not say itself, found by a look at the files it names.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use espalier_checkpoint::Error as CheckpointError;
use espalier_recipe::{PredictError, TrainError};

use crate::error::CliError;

/// The most files of a directory that are named.
const MOST_FILES: usize = 5;

/// The most of a file that is looked at, in bytes. Longer than any line of 64 pixels.
const LOOK: u64 = 4096;

/// What an error does not say itself of how to mend it.
pub(crate) fn help(error: &CliError) -> Option<String> {
    match error {
        CliError::Checkpoint(CheckpointError::NotAFile { path }) => checkpoints_in(path),
        CliError::Checkpoint(CheckpointError::Safetensors { path, .. }) => {
            let format = format_of(&start(path)?)?;
            Some(format!("this looks like {format}; espalier inspect reads safetensors files"))
        }
        CliError::Train(error) if matches!(**error, TrainError::Interrupted { .. }) => {
            Some("the same command starts anew in the same directory".to_owned())
        }
        CliError::Predict(error) => match &**error {
            PredictError::NotARun { directory } => run_around(directory),
            // A first line without a number is taken for a header, so it may be the only line.
            PredictError::Columns { path, found: 1, .. } | PredictError::Empty { path } => {
                let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
                let separator = is_csv.then(|| separator_of(&start(path)?)).flatten()?;
                Some(format!("separated by {separator}? expected commas"))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The checkpoint files in a directory that was given in place of one of them.
fn checkpoints_in(path: &Path) -> Option<String> {
    let mut files: Vec<String> = fs::read_dir(path)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension() == Some(OsStr::new("safetensors")))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    let more = files.len().saturating_sub(MOST_FILES);
    files.truncate(MOST_FILES);
    match (files.is_empty(), more) {
        (true, _) => Some("the directory holds no .safetensors file".to_owned()),
        (false, 0) => Some(format!("the directory holds {}", files.join(", "))),
        (false, more) => Some(format!("the directory holds {} and {more} more", files.join(", "))),
    }
}

/// The run directory whose file was given in place of it.
fn run_around(file: &Path) -> Option<String> {
    let parent = file.parent().filter(|_| file.is_file())?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let is_run = parent.join("recipe.toml").is_file();
    is_run.then(|| format!("give the run directory: {}", parent.display()))
}

/// The first bytes of a file. Of nothing else, for opening a pipe would wait for its writer.
fn start(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.is_file() {
        File::open(path).ok()?.take(LOOK).read_to_end(&mut bytes).ok()?;
    }
    Some(bytes)
}

/// The format, other than safetensors, of a file that starts so.
///
/// A safetensors file starts with a length in 8 bytes, the last of which are zero. It may be
/// damaged, so a length whose first bytes look like a pickle or like JSON must not be taken for one.
fn format_of(start: &[u8]) -> Option<&'static str> {
    match start {
        [b'P', b'K', 3, 4, ..] => Some("a zip archive (PyTorch .pt or NumPy .npz)"),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("a NumPy .npy array"),
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file (Keras)"),
        [b'G', b'G', b'U', b'F', ..] => Some("a GGUF file"),
        [b'{', rest @ ..] if !rest.iter().take(7).any(|&byte| byte == 0) => {
            Some("a JSON file (perhaps a shard index)")
        }
        [0x80, 2..=5, opcode, ..] if *opcode != 0 => Some("a pickle (an old PyTorch file)"),
        _ => None,
    }
}

/// What stands between the columns of a table that starts so and has no comma in its first line.
fn separator_of(start: &[u8]) -> Option<&'static str> {
    let line = start.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let has = |byte| line.contains(&byte);
    match (has(b','), has(b';'), has(b'\t')) {
        (false, true, _) => Some("`;`"),
        (false, false, true) => Some("tabs"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_their_first_bytes() {
        let cases: [(&[u8], Option<&str>); 15] = [
            (b"PK\x03\x04\0\0\0\0", Some("zip")),
            (b"\x93NUMPY\x01\0", Some(".npy")),
            (b"\x89HDF\r\n\x1a\n", Some("HDF5")),
            (b"GGUF\x03\0\0\0", Some("GGUF")),
            (b"{\"metadata\": {}}", Some("JSON")),
            (b"{}", Some("JSON")),
            (b"\x80\x02\x8a\nl\xfc\x9cF", Some("pickle")),
            (b"\x80\x05\x95\x1b\0\0\0\0", Some("pickle")),
            // Damaged safetensors files with headers of 640 and 123 bytes.
            (b"\x80\x02\0\0\0\0\0\0{", None),
            (b"{\0\0\0\0\0\0\0{", None),
            (b"\x80\x06\x8a\n", None),
            (b"\x80\x02", None),
            (b"PK", None),
            (b"", None),
            (b"\x40\0\0\0\0\0\0\0{}", None),
        ];
        for (start, expected) in cases {
            let found = format_of(start);
            let agrees = match (found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found == expected,
            };
            assert!(agrees, "{start:?}: {found:?}, not {expected:?}");
        }
    }

    #[test]
    fn separators_of_the_first_line() {
        let cases: [(&[u8], Option<&str>); 6] = [
            (b"1;2\n3,4", Some("`;`")),
            (b"1\t2\r\n", Some("tabs")),
            (b"0,5;1,5\n", None),
            (b"12\n3;4", None),
            (b"", None),
            (b"\n;", None),
        ];
        for (start, expected) in cases {
            assert_eq!(separator_of(start), expected, "{start:?}");
        }
    }
}

//! How to mend what an error does not say itself, found by a look at the files it names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use espalier_checkpoint::Error as CheckpointError;
use espalier_files::FilesError;
#[cfg(feature = "train")]
use espalier_recipe::{PredictError, TrainError};

use crate::error::CliError;

/// The most of a file that is looked at, in bytes. Longer than any line of 64 pixels.
const LOOK: u64 = 4096;

/// What an error does not say itself of how to mend it.
pub(crate) fn help(error: &CliError) -> Option<String> {
    match error {
        CliError::Checkpoint(CheckpointError::AlreadyExists { .. })
        | CliError::Files(FilesError::Checkpoint(CheckpointError::AlreadyExists { .. })) => {
            Some("--force replaces it".to_owned())
        }
        CliError::Files(FilesError::Checkpoint(CheckpointError::UnknownFormat { path })) => {
            Some(format!("this looks like {}", other_of(&start(path)?)?))
        }
        #[cfg(feature = "train")]
        CliError::Train(error) if matches!(**error, TrainError::Interrupted { .. }) => {
            Some("the same command starts anew in the same directory".to_owned())
        }
        #[cfg(feature = "train")]
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

/// The run directory whose file was given in place of it.
#[cfg(feature = "train")]
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

/// What a file is that starts so and is no checkpoint.
fn other_of(start: &[u8]) -> Option<&'static str> {
    match start.trim_ascii_start() {
        [] => Some("an empty file: was it cut off, as a download is that broke?"),
        text if text.starts_with(b"version https://git-lfs") => {
            Some("what Git LFS leaves in place of a file: fetch it with `git lfs pull`")
        }
        [b'<', ..] => Some("a page of HTML: was it downloaded from a link to a page?"),
        [b'{' | b'[', ..] => Some("JSON: a model's configuration and not its weights?"),
        [0x1f, 0x8b, ..] => Some("a gzip archive: unpack it first"),
        _ => None,
    }
}

/// What stands between the columns of a table that starts so and has no comma in its first line.
#[cfg(feature = "train")]
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
    fn what_is_no_checkpoint() {
        let cases: [(&[u8], Option<&str>); 7] = [
            (b"", Some("empty")),
            (b"\n  ", Some("empty")),
            (b"version https://git-lfs.github.com/spec/v1\n", Some("git lfs pull")),
            (b"\n<!DOCTYPE html>", Some("HTML")),
            (b"{\"hidden_size\": 768}", Some("configuration")),
            (b"\x1f\x8b\x08", Some("gzip")),
            (b"hello", None),
        ];
        for (start, expected) in cases {
            let found = other_of(start);
            let agrees = match (found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found == expected,
            };
            assert!(agrees, "{start:?}: {found:?}, not {expected:?}");
        }
    }

    #[cfg(feature = "train")]
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

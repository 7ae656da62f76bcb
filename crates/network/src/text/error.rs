//! What is wrong with a recipe, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// One thing that is wrong in a recipe.
///
/// Printed as `LINE:COLUMN: KEY: MESSAGE; expected EXPECTED; HELP`, without the parts it does not
/// have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Line of the first character at fault, from 1.
    pub line: usize,
    /// Column of that character in its line, in Unicode scalar values from 1.
    pub column: usize,
    /// The bytes at fault, as offsets into [`RecipeError::text`]; always on character boundaries.
    pub span: Range<usize>,
    /// The key at fault with its path, `layer[3].kernel`; indices count from 0. Empty for a syntax
    /// error.
    pub key: String,
    /// What was found.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// How to mend it, the nearest valid names for instance.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at `span` of `text`; a span outside the text is moved into it.
    pub fn new(
        text: &str,
        span: Range<usize>,
        key: String,
        message: String,
        expected: Option<String>,
        help: Option<String>,
    ) -> Self {
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.max(start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            span: start..end,
            key,
            message,
            expected,
            help,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write_parts(f, &self.message, self.expected.as_deref(), self.help.as_deref())
    }
}

/// Writes `MESSAGE; expected EXPECTED; HELP` without the parts that are not there.
pub(crate) fn write_parts(
    f: &mut fmt::Formatter<'_>,
    message: &str,
    expected: Option<&str>,
    help: Option<&str>,
) -> fmt::Result {
    f.write_str(message)?;
    if let Some(expected) = expected {
        write!(f, "; expected {expected}")?;
    }
    if let Some(help) = help {
        write!(f, "; {help}")?;
    }
    Ok(())
}

/// Everything that is wrong in one recipe.
///
/// Printed as one line a problem, each led by the file's name. The text travels along, so that a
/// program can show the places at fault.
///
/// ```
/// use espalier_network::{Architecture, RecipeError};
///
/// let text = "[[layer]]\ntype = 'linear'\nfeatures = 'ten'";
/// let error: RecipeError = Architecture::parse(text, "net.toml").unwrap_err();
/// let problem = &error.problems[0];
/// assert_eq!((problem.line, problem.column, problem.key.as_str()), (3, 12, "layer[0].features"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct RecipeError {
    /// The recipe's file name, as it was given.
    pub file: String,
    /// The recipe's text.
    pub text: Arc<str>,
    /// The problems in the order of their places; never empty.
    pub problems: Vec<Problem>,
    /// How many more problems there were than are kept; 0 unless a file has more than 200.
    pub omitted: usize,
}

impl RecipeError {
    /// The problems of one text, which a [`Log`](super::Log) collected.
    #[doc(hidden)]
    pub fn new(file: &str, text: Arc<str>, problems: Vec<Problem>, omitted: usize) -> Self {
        Self { file: file.to_owned(), text, problems, omitted }
    }
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{problem}", self.file)?;
        }
        if self.omitted > 0 {
            write!(f, "\n{}: {} more problems", self.file, self.omitted)?;
        }
        Ok(())
    }
}

/// Why a file with a recipe or a network could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any such.
    #[error("{} holds more than {limit} bytes; expected a recipe or a network, a text of some kilobytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size that is read, in bytes.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("{} is not UTF-8 text (first at byte {offset}); expected a recipe or a network", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is not UTF-8.
        offset: usize,
    },
    /// A change that was asked for has no place in it.
    #[error("{reason}")]
    Change {
        /// What was asked for, and what is in the way.
        reason: String,
    },
    /// The text is not a valid recipe or network.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

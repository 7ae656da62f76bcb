//! Arguments that several commands take.

use std::path::PathBuf;

use espalier_checkpoint::Format;
use espalier_files::{Destination, FilesError, Selection};

/// How a file is read.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadArgs {
    /// The state dict in a PyTorch training checkpoint, such as `model`
    ///
    /// Without it the one that holds tensors is taken; of several all are listed.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
}

/// Which tensors are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct SelectArgs {
    /// Only tensors whose names match; may be repeated
    ///
    /// In a glob `*` stands for any characters, dots too, `?` for one, `[ab]` for one of several, `{a,b}` for one of two.
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Not the tensors whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
}

impl SelectArgs {
    /// What they choose.
    pub(crate) fn selection(&self) -> Result<Selection, FilesError> {
        Selection::new(&self.include, &self.exclude)
    }
}

/// Where a result goes.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// The format, instead of that of the output's ending
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub(crate) to: Option<Format>,
    /// Replace the output if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

fn format(text: &str) -> Result<Format, String> {
    let known = Format::ALL.iter().find(|format| format.name() == text);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

impl OutputArgs {
    /// The file to write.
    pub(crate) fn destination(&self, path: &std::path::Path) -> Result<Destination, FilesError> {
        let path: PathBuf = path.to_owned();
        Ok(Destination::new(path, self.to)?.with_force(self.force))
    }
}

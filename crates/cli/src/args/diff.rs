//! Arguments of `espalier diff`.

use std::path::PathBuf;

use espalier_kernels::Tolerance;

use super::{ReadArgs, SelectArgs};

/// Show what differs between two checkpoint files: names, types, shapes and values
///
/// The files may be of two formats; metadata does not count. A tensor is renamed if type, shape and bytes are the same
/// under two names. Values are equal if |a - b| <= atol + rtol * |a|, and a NaN is equal to one of the same bits. A
/// type or shape that differs counts whatever the tolerance.
///
/// The exit code is 0 if nothing differs beyond the tolerance, 3 if something does, and 1 if a file cannot be compared.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier diff before.safetensors after.pt
  espalier diff model.safetensors model-bf16.safetensors --rtol 0.01
  espalier diff a.safetensors b.safetensors --include '*.weight' --json")]
pub(crate) struct DiffArgs {
    /// The first file; a directory stands for the checkpoint in it
    pub(crate) a: PathBuf,
    /// The second file
    pub(crate) b: PathBuf,
    /// How far values may be apart, as a share of the first
    #[arg(long, value_name = "R", default_value_t = 0.0, value_parser = amount)]
    pub(crate) rtol: f64,
    /// How far values may be apart
    #[arg(long, value_name = "A", default_value_t = 0.0, value_parser = amount)]
    pub(crate) atol: f64,
    /// Print one JSON document
    ///
    /// {"a", "b", "differs", "added": [{"name", "dtype", "shape"}], "removed": [...], "renamed": [{"from", "to", "dtype",
    /// "shape"}], "changed": [{"name", "dtype": [a, b], "shape": [a, b], "differs", "changed", "beyond", "nonfinite", "max_abs",
    /// "at", "relative", "cosine"}], "total": {"tensors", "equal", "different", "max_abs", "relative", "cosine"}}. Relative is
    /// |a - b| / |a| in Euclidean norms.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

impl DiffArgs {
    pub(crate) fn tolerance(&self) -> Tolerance {
        Tolerance { absolute: self.atol, relative: self.rtol }
    }
}

/// A number that is not negative.
pub(super) fn amount(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(amount) if (0.0..f64::INFINITY).contains(&amount) => Ok(amount),
        _ => Err("expected a number of 0 or more".to_owned()),
    }
}

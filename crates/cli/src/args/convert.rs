//! Arguments of `espalier convert`.

use std::path::PathBuf;

use clap::ValueEnum;
use espalier_checkpoint::{Dtype, KeyMap, KeyRule};
use espalier_files::{Conversion, Layout};

use super::{OutputArgs, ReadArgs, SelectArgs};

/// Write a file in another format, type or layout, or under other names
///
/// The format of the input is told by its content, that of the output by its ending: .safetensors,
/// .safetensors.index.json (several files), .pt, .npz, .npy, .msgpack (Flax), .h5 (Keras), .params (MXNet), .bpk (Burn). The
/// file may be larger than memory. Tied tensors stay tied where the format can say so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier convert model.pt model.safetensors
  espalier convert training.pt weights.safetensors --key model --rename '^module\\.=>'
  espalier convert model.safetensors half.safetensors --dtype bf16 --max-shard-size 2GB
  espalier convert model.pt model.bpk --layout burn
  espalier convert flax.msgpack model.safetensors --from-layout flax --layout torch")]
pub(crate) struct ConvertArgs {
    /// The file, in any format that is read
    pub(crate) input: PathBuf,
    /// The file to write
    pub(crate) output: PathBuf,
    /// The type of the tensors of floats; other tensors stay as they are
    ///
    /// Values are rounded to the nearest, half to even. Those beyond the range become infinite, and are counted on
    /// standard error.
    #[arg(long, value_enum, value_name = "TYPE")]
    dtype: Option<Float>,
    /// Several files of at most so many bytes each, as 2GB or 500MiB, and an index; safetensors only
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_shard_size: Option<u64>,
    /// New names: a regular expression and what becomes of what it matches, with $1 for its first group; may be
    /// repeated, each for the names that those before it gave
    #[arg(long, value_name = "REGEX=>NEW", value_parser = KeyRule::parse)]
    rename: Vec<KeyRule>,
    /// Whose names and order of axes it is to have; of a file in PyTorch's, or Burn's for PyTorch's
    ///
    /// Burn: a `weight` of two dimensions is turned, [out, in] to [in, out] and back, unless its name speaks of an embedding
    /// (emb, wte, wpe). For Burn, a `weight` of one dimension becomes `gamma`, and the `bias` beside it `beta`, if its
    /// layer has a `running_mean` or is named as a norm (norm, bn, ln).
    ///
    /// Flax and Keras: params/fc/kernel and fc/kernel:0 for fc.weight, turned, also of convolutions; embedding(s) of an
    /// embedding; scale, gamma and beta of norms; batch_stats/bn/mean and bn/moving_mean:0 for bn.running_mean. Names are
    /// those after --rename.
    #[arg(long, value_enum, value_name = "LAYOUT")]
    layout: Option<Whose>,
    /// Whose names and order of axes it has
    #[arg(long, value_enum, value_name = "LAYOUT", requires = "layout")]
    from_layout: Option<Whose>,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Float {
    /// Single precision
    F32,
    /// Half precision, up to 65504
    F16,
    /// Half the bits of single precision, its range
    Bf16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Whose {
    /// PyTorch's
    Torch,
    /// Burn's
    Burn,
    /// Flax's
    Flax,
    /// Keras': of version 2 as an output, of 2 or 3 as an input
    Keras,
}

impl Whose {
    fn layout(self) -> Layout {
        match self {
            Self::Torch => Layout::Torch,
            Self::Burn => Layout::Burn,
            Self::Flax => Layout::Flax,
            Self::Keras => Layout::Keras,
        }
    }
}

/// Bytes, with a unit or without.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("kib", 1 << 10),
        ("mib", 1 << 20),
        ("gib", 1 << 30),
        ("tib", 1 << 40),
        ("kb", 1_000),
        ("mb", 1_000_000),
        ("gb", 1_000_000_000),
        ("tb", 1_000_000_000_000),
        ("b", 1),
        ("", 1),
    ];
    let lower = text.trim().to_ascii_lowercase();
    let found = UNITS.iter().find_map(|(unit, bytes)| {
        let number: u64 = lower.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*bytes).filter(|bytes| *bytes > 0)
    });
    found.ok_or_else(|| "expected a number of bytes, as 2GB, 500MiB or 1000000".to_owned())
}

impl ConvertArgs {
    /// The conversion that is asked for.
    pub(crate) fn conversion(&self) -> Conversion {
        Conversion {
            rename: KeyMap::from_iter(self.rename.iter().cloned()),
            layout: self.layout.map(Whose::layout),
            from: self.from_layout.map(Whose::layout),
            dtype: self.dtype.map(|dtype| match dtype {
                Float::F32 => Dtype::F32,
                Float::F16 => Dtype::F16,
                Float::Bf16 => Dtype::BF16,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("500 MiB"), Ok(500 << 20));
        assert_eq!(size("77"), Ok(77));
        for wrong in ["", "GB", "-1", "1.5GB", "0", "99999999999TB", "3 apples"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}

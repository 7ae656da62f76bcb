//! Arguments of `espalier check`.

use std::path::PathBuf;

use espalier_files::Invariant;

use super::ReadArgs;
use super::diff::amount;

/// Check that a checkpoint file holds what it should: finite, orthogonal, sparse, tied or symmetric tensors
///
/// Without a check it is --finite. Every check may be repeated, and each names its worst element or tensor.
///
/// The exit code is 0 if all holds, 3 if something does not, and 1 if the file cannot be checked, a glob that matches no
/// tensor among that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  espalier check model.safetensors
  espalier check model.pt --finite --orthogonal 'encoder.*.weight' --sparsity 'head.weight=0.9'
  espalier check model.safetensors --nm '*.weight=2:4' --tied decoder.weight=embedding.weight")]
pub(crate) struct CheckArgs {
    /// The file; a directory stands for the checkpoint in it
    pub(crate) file: PathBuf,
    /// No element is infinite or not a number
    #[arg(long)]
    pub(crate) finite: bool,
    /// The rows or columns of the matching matrices, whichever are fewer, are orthonormal
    ///
    /// A convolution's weight is flattened to its first dimension by the others, or taken as matrices of its last two
    /// dimensions: one of both must hold. Vectors are left out. The tolerance is that of PyTorch, 10 n eps for the larger
    /// side n, in F32 for F16 and BF16, whose own four eps come on top.
    #[arg(long, value_name = "GLOB")]
    pub(crate) orthogonal: Vec<String>,
    /// At least this share of the elements of each matching tensor is zero, such as 'fc.*=0.9'
    #[arg(long, value_name = "GLOB=SHARE", value_parser = sparsity)]
    pub(crate) sparsity: Vec<Invariant>,
    /// Of every M elements along the last dimension at most N are not zero, such as 'fc.*=2:4'
    ///
    /// A shorter group at the end is free.
    #[arg(long, value_name = "GLOB=N:M", value_parser = n_of_m)]
    pub(crate) nm: Vec<Invariant>,
    /// Two tensors have the same type, shape and bytes
    #[arg(long, value_name = "A=B", value_parser = tied)]
    pub(crate) tied: Vec<Invariant>,
    /// The matching matrices are equal to their transpose, to rounding
    #[arg(long, value_name = "GLOB")]
    pub(crate) symmetric: Vec<String>,
    /// How far elements may be off in --orthogonal and --symmetric, instead of what goes with their type
    #[arg(long, value_name = "T", value_parser = amount)]
    pub(crate) tolerance: Option<f64>,
    /// Print one JSON document
    ///
    /// {"file", "holds", "checks": [{"check", "of", "holds", "tensors", "violations", "left_out", "worst": {"tensor",
    /// "position", "value", "expected", "tolerance", "says"}}]}.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
}

impl CheckArgs {
    /// What is asked, kind by kind.
    pub(crate) fn invariants(&self) -> Vec<Invariant> {
        let mut asked = Vec::new();
        let orthogonal =
            self.orthogonal.iter().map(|glob| Invariant::Orthogonal { glob: glob.clone() });
        let symmetric =
            self.symmetric.iter().map(|glob| Invariant::Symmetric { glob: glob.clone() });
        asked.extend(self.finite.then_some(Invariant::Finite));
        asked.extend(orthogonal);
        asked.extend(self.sparsity.iter().chain(&self.nm).chain(&self.tied).cloned());
        asked.extend(symmetric);
        if asked.is_empty() {
            asked.push(Invariant::Finite);
        }
        asked
    }
}

/// What stands before the last `=`, and after it.
fn split<'a>(text: &'a str, form: &str) -> Result<(String, &'a str), String> {
    match text.rsplit_once('=') {
        Some((glob, rest)) if !glob.is_empty() && !rest.is_empty() => Ok((glob.to_owned(), rest)),
        _ => Err(format!("expected {form}")),
    }
}

fn sparsity(text: &str) -> Result<Invariant, String> {
    let (glob, share) = split(text, "GLOB=SHARE, such as 'fc.*=0.9'")?;
    match share.parse() {
        Ok(least) if (0.0..=1.0).contains(&least) => Ok(Invariant::Sparsity { glob, least }),
        _ => Err(format!("the share is {share:?}, expected a number from 0 to 1")),
    }
}

fn n_of_m(text: &str) -> Result<Invariant, String> {
    let (glob, pattern) = split(text, "GLOB=N:M, such as 'fc.*=2:4'")?;
    let numbers = pattern.split_once(':').map(|(n, m)| (n.parse(), m.parse()));
    match numbers {
        Some((Ok(n), Ok(m))) if n <= m && m > 0 => Ok(Invariant::NOfM { glob, n, m }),
        _ => Err(format!("the pattern is {pattern:?}, expected N:M with N of M or fewer")),
    }
}

fn tied(text: &str) -> Result<Invariant, String> {
    let (a, b) = split(text, "A=B, the names of two tensors")?;
    Ok(Invariant::Tied { a, b: b.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_glob() {
        let sparse = Invariant::Sparsity { glob: "a=b.*".into(), least: 0.5 };
        assert_eq!(sparsity("a=b.*=0.5"), Ok(sparse));
        assert_eq!(n_of_m("*=2:4"), Ok(Invariant::NOfM { glob: "*".into(), n: 2, m: 4 }));
        for wrong in ["fc", "fc=", "=0.5", "fc=1.5", "fc=x", "fc=NaN"] {
            assert!(sparsity(wrong).is_err(), "{wrong}");
        }
        for wrong in ["fc=4:2", "fc=0:0", "fc=2", "fc=2:", "fc=-1:4"] {
            assert!(n_of_m(wrong).is_err(), "{wrong}");
        }
        assert!(tied("a").is_err() && tied("a=b").is_ok());
    }
}

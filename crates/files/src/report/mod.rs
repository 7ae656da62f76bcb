//! Everything that a report says of a checkpoint or a training run, as numbers.

mod histogram;
mod passes;
mod run;
mod spectrum;
mod statistics;
mod zeros;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use serde::Serialize;

use crate::error::FilesError;
use crate::observe::Observer;
use crate::open::open;
use crate::select::Selection;
pub use histogram::Histogram;
use passes::Passes;
pub use run::{Epoch, Round, Run, RunAccuracy, RunPruning, RunSummary};
pub use spectrum::Spectrum;
pub use statistics::Statistics;
pub use zeros::ZeroMap;
use zeros::Zeros;

/// How much is told of each tensor. More tensors are told less of, so that a page of them can be opened.
///
/// ```
/// let detail = espalier_files::Detail::default();
/// assert_eq!((detail.side, detail.cells, detail.points), (1024, 128, 256));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Singular values are computed of matrices whose smaller side is at most this and which have at most four times its
    /// square elements; 0 for none. Time grows with the cube.
    pub side: usize,
    /// The most rows and columns of a map of zeros.
    pub cells: usize,
    /// The most singular values that are kept of a tensor.
    pub points: usize,
}

impl Default for Detail {
    fn default() -> Self {
        Self { side: 1024, cells: 128, points: 256 }
    }
}

impl Detail {
    /// Less of each for many tensors: up to 64 have all, up to 512 half as many rows, columns and points, more a quarter.
    ///
    /// ```
    /// assert_eq!(espalier_files::Detail::default().among(10_000).cells, 32);
    /// ```
    #[must_use]
    pub fn among(self, tensors: usize) -> Self {
        let part = match tensors {
            0..=64 => 1,
            65..=512 => 2,
            _ => 4,
        };
        Self { cells: self.cells / part, points: self.points / part, ..self }
    }
}

/// What is measured of one tensor. Types that are not decoded (8-bit and smaller floats, complex numbers) have nothing.
///
/// ```
/// # use std::sync::Arc;
/// # use espalier_checkpoint::{Dtype, NamedTensor};
/// # use espalier_files::{Detail, Measured, Silent, measure};
/// let small = NamedTensor::new("b", Dtype::F8E4M3, vec![8], vec![0; 8])?;
/// let measured = measure(&small, Detail::default(), &Arc::new(Silent))?;
/// assert_eq!(measured, Measured::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Measured {
    /// Counts, moments and extremes.
    pub statistics: Option<Statistics>,
    /// How the values are spread; absent if none is finite.
    pub histogram: Option<Histogram>,
    /// The singular values, of floating-point numbers in two dimensions or more.
    pub spectrum: Option<Spectrum>,
    /// Where the zeros are, in two dimensions or more; absent if there are none.
    pub zeros: Option<ZeroMap>,
}

/// Measures a tensor, which is in memory piece by piece if it is large: once for the statistics and the zeros, once more
/// for the histogram, and a matrix that is decomposed a third time.
///
/// # Errors
///
/// What keeps it from being read, and [`FilesError::Cancelled`].
///
/// ```
/// # use std::sync::Arc;
/// # use espalier_checkpoint::NamedTensor;
/// # use espalier_files::{Detail, Silent, measure};
/// let tensor = NamedTensor::f32("w", vec![2], &[f32::NAN, 3.0])?;
/// let measured = measure(&tensor, Detail::default(), &Arc::new(Silent))?;
/// assert_eq!(measured.statistics.map(|found| found.nonfinite), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn measure<O: Observer>(
    tensor: &NamedTensor,
    detail: Detail,
    observer: &Arc<O>,
) -> Result<Measured, FilesError> {
    let passes = Passes::new(tensor, READS, observer)?;
    if !passes.decoded() {
        passes.finish();
        return Ok(Measured::default());
    }
    let cut = Zeros::new(tensor.shape(), detail.cells);
    let (found, zeros) = statistics::statistics(&passes, cut)?;
    let mut histogram = found.min.zip(found.max).map(|(min, max)| Histogram::new(min, max));
    if let Some(histogram) = &mut histogram {
        let ranges = histogram.clone();
        passes.each(|_, values| ranges.of(values), |counts| histogram.add(&counts))?;
    }
    passes.finish();
    let matrix = (tensor.dtype(), tensor.shape());
    let wanted = (detail.side, detail.points);
    let spectrum = spectrum::spectrum(&passes, matrix, found.nonfinite, wanted)?;
    let zeros = zeros.filter(|_| found.zeros > 0);
    Ok(Measured { statistics: Some(found), histogram, spectrum, zeros })
}

/// How often each tensor is gone through at least.
const READS: u64 = 2;

/// A tensor in a [`Report`].
///
/// ```
/// # use espalier_checkpoint::{Checkpoint, NamedTensor};
/// # use espalier_files::{Detail, Report, Silent};
/// # use std::sync::Arc;
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![1, 2], &[0.0, 1.0])?)?;
/// let report = Report::of(&checkpoint, Detail::default(), &Arc::new(Silent))?;
/// assert_eq!((report.tensors[0].numel, report.tensors[0].bytes), (2, 8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReportRow {
    /// The name.
    pub name: String,
    /// The element type, as safetensors spells it.
    pub dtype: String,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The number of elements.
    pub numel: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// The tensor that this one shares its elements with; everything but the statistics is told there.
    pub tied_to: Option<String>,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
}

/// Sums over tensors. A tied tensor counts as a tensor, but its elements count once, where it is tied to.
///
/// ```
/// assert_eq!(espalier_files::ReportTotal::default().sparsity, 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ReportTotal {
    /// The number of tensors.
    pub tensors: u64,
    /// Those of them that are tied to another.
    pub tied: u64,
    /// The number of elements.
    pub parameters: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// The elements that are zero, of the types that are decoded.
    pub zeros: u64,
    /// `zeros` divided by the number of elements of those types, or 0 if there are none.
    pub sparsity: f64,
    /// The elements that are infinite or not a number.
    pub nonfinite: u64,
    /// The size in bytes of the tensors of each type.
    pub dtypes: BTreeMap<String, u64>,
}

/// What is in a checkpoint, or what came of a training run.
///
/// See [`report`] for an example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was given: a file or a directory.
    pub file: String,
    /// The format of the checkpoint; absent if there is none, as in the directory of a run that has not ended.
    pub format: Option<String>,
    /// The sums over the tensors.
    pub total: ReportTotal,
    /// The training, of a run directory.
    pub run: Option<Run>,
    /// The tensors, in the order of the checkpoint.
    pub tensors: Vec<ReportRow>,
}

/// Measures the checkpoint in a file, or a run directory and the model in it. `key` is as for [`open`].
///
/// # Errors
///
/// As [`open`], [`Selection::of`] and [`Run::read`]; what keeps a tensor from being read; [`FilesError::Cancelled`].
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
/// use espalier_files::{Detail, Selection, Silent, report};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.safetensors");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc.weight", vec![2, 2], &[0.0, 1.0, 0.0, -1.0])?)?;
/// write_safetensors(&path, &checkpoint)?;
/// let report = report(&path, None, &Selection::default(), Detail::default(), &Arc::new(Silent))?;
/// assert_eq!((report.total.parameters, report.total.sparsity), (4, 0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn report<O: Observer>(
    path: impl AsRef<Path>,
    key: Option<&str>,
    selection: &Selection,
    detail: Detail,
    observer: &Arc<O>,
) -> Result<Report, FilesError> {
    let path = path.as_ref();
    let run = if Run::is_one(path) { Some(Run::read(path)?) } else { None };
    let file = path.display().to_string();
    let model: PathBuf = match &run {
        Some(_) => path.join(run::MODEL),
        None => path.to_owned(),
    };
    let opened = if run.is_some() && model.symlink_metadata().is_err() {
        // A run that has not ended.
        Checkpoint::new()
    } else {
        open(&model, key)?
    };
    let mut chosen = Checkpoint::new();
    chosen.origin.clone_from(&opened.origin);
    for (tensor, meant) in opened.iter().zip(selection.of(&opened)?) {
        if meant {
            chosen.push(tensor.clone())?;
        }
    }
    Ok(Report { file, run, ..Report::of(&chosen, detail, observer)? })
}

impl Report {
    /// Measures all tensors of a checkpoint.
    ///
    /// # Errors
    ///
    /// As [`measure`].
    ///
    /// See [`ReportRow`] for an example.
    pub fn of<O: Observer>(
        checkpoint: &Checkpoint,
        detail: Detail,
        observer: &Arc<O>,
    ) -> Result<Self, FilesError> {
        let detail = detail.among(checkpoint.len());
        let ties: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
        let own = checkpoint.iter().filter(|tensor| !ties.contains_key(tensor.name()));
        observer.begin("measuring", READS * own.map(|t| t.byte_len() as u64).sum::<u64>());
        let mut tensors: Vec<ReportRow> = Vec::with_capacity(checkpoint.len());
        let mut places: HashMap<&str, usize> = HashMap::new();
        for tensor in checkpoint {
            let tied_to = ties.get(tensor.name()).copied();
            let measured = match tied_to.and_then(|name| places.get(name)) {
                Some(first) => {
                    let statistics = tensors[*first].measured.statistics;
                    Measured { statistics, ..Measured::default() }
                }
                None => measure(tensor, detail, observer)?,
            };
            places.insert(tensor.name(), tensors.len());
            tensors.push(ReportRow {
                name: tensor.name().to_owned(),
                dtype: tensor.dtype().name().to_owned(),
                shape: tensor.shape().to_vec(),
                numel: tensor.numel() as u64,
                bytes: tensor.byte_len() as u64,
                tied_to: tied_to.map(str::to_owned),
                measured,
            });
        }
        let origin = checkpoint.origin.as_ref();
        Ok(Self {
            file: origin.map_or_else(String::new, |origin| origin.path.display().to_string()),
            format: origin.map(|origin| origin.format.to_string()),
            total: ReportTotal::of(&tensors),
            run: None,
            tensors,
        })
    }
}

impl ReportTotal {
    fn of(rows: &[ReportRow]) -> Self {
        let mut sums = Self { tensors: rows.len() as u64, ..Self::default() };
        let mut decoded = 0;
        for row in rows {
            if row.tied_to.is_some() {
                sums.tied += 1;
                continue;
            }
            sums.parameters += row.numel;
            sums.bytes += row.bytes;
            *sums.dtypes.entry(row.dtype.clone()).or_default() += row.bytes;
            if let Some(found) = row.measured.statistics {
                decoded += row.numel;
                sums.zeros += found.zeros;
                sums.nonfinite += found.nonfinite;
            }
        }
        sums.sparsity = if decoded == 0 { 0.0 } else { sums.zeros as f64 / decoded as f64 };
        sums
    }
}

#[cfg(test)]
mod tests;

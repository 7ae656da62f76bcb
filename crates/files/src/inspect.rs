//! What a checkpoint holds, in numbers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_kernels::Moments;
use serde::Serialize;

use crate::elements::elements;
use crate::error::FilesError;
use crate::observe::Observer;
use crate::sweep::{Track, sweep};

/// A checkpoint in numbers, as `espalier inspect --json` prints it.
///
/// Serializes to `{"file", "format", "tensors": [...], "total": {...}}`, keys in that order.
///
/// ```
/// use espalier_checkpoint::Checkpoint;
/// use espalier_files::headers;
/// assert_eq!(
///     serde_json::to_string(&headers(&Checkpoint::new()))?,
///     r#"{"file":"","format":"","tensors":[],"total":{"tensors":0,"parameters":0,"bytes":0,"zeros":0,"sparsity":0.0}}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The file that was opened; empty for a checkpoint that was made in memory.
    pub file: String,
    /// The format of the file, such as `safetensors`; empty for a checkpoint that was made in memory.
    pub format: String,
    /// The tensors, in the order of the checkpoint.
    pub tensors: Vec<TensorRow>,
    /// The sums over the tensors.
    pub total: Total,
}

/// One tensor in numbers.
///
/// Statistics are computed in `f64` over the finite elements; complex numbers count by their magnitude. What has no value
/// is `None`, in JSON `null`: every statistic if no element is finite, and those and the counts if the elements
/// were not read or are not decoded (floats of six bits, quantized blocks).
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Silent, inspect};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("b", vec![4], &[0.0, 1.0, 2.0, 5.0])?)?;
/// let row = &inspect(&checkpoint, &Arc::new(Silent))?.tensors[0];
/// assert_eq!((row.numel, row.zeros, row.sparsity), (4, Some(1), Some(0.25)));
/// assert_eq!((row.mean, row.min, row.max), (Some(2.0), Some(0.0), Some(5.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorRow {
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
    /// The number of elements that are zero, of either sign.
    pub zeros: Option<u64>,
    /// `zeros / numel`, from 0 to 1; 0 for an empty tensor.
    pub sparsity: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation of the elements themselves: divided by their number, as `numpy.std` and
    /// `torch.std(correction=0)` are, not by one less.
    pub std: Option<f64>,
    /// The smallest element.
    pub min: Option<f64>,
    /// The largest element.
    pub max: Option<f64>,
    /// The Euclidean norm; 0 if no element is finite, `None` if it is too large for a `f64`.
    pub l2: Option<f64>,
    /// The number of elements that are infinite or not a number.
    pub nonfinite: Option<u64>,
    /// The first tensor that this one shares its elements with, if the format says that it does.
    pub tied_to: Option<String>,
}

/// Sums over tensors. A tied tensor counts as a tensor, but its elements count once, where it is
/// tied to.
///
/// Zeros and sparsity are of the tensors for which they are known; both are 0 if there are none.
///
/// ```
/// use espalier_files::Total;
/// assert_eq!(Total::of(&[]).sparsity, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Total {
    /// The number of tensors.
    pub tensors: u64,
    /// The number of elements.
    pub parameters: u64,
    /// The size in bytes.
    pub bytes: u64,
    /// The number of elements that are zero, of the tensors for which it is known.
    pub zeros: u64,
    /// `zeros` divided by the elements of the tensors for which they are known, from 0 to 1; 0 if
    /// there are no such elements.
    pub sparsity: f64,
}

/// The order of the tensors of a [`Summary`].
///
/// ```
/// use espalier_files::{Sort, headers};
/// # let mut summary = headers(&espalier_checkpoint::Checkpoint::new());
/// summary.sort(Sort::Size);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By name, in the order of the characters' numbers.
    Name,
    /// The largest in bytes first.
    Size,
    /// Those with the largest share of zeros first, those where it is not known last.
    Sparsity,
}

/// Measures every tensor, in one pass over the bytes, on all threads. A tied tensor is read once.
///
/// A tensor whose kind is not read, such as a quantized one, is listed without statistics.
///
/// # Errors
///
/// What keeps a tensor from being read, and [`FilesError::Cancelled`].
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Silent, inspect};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 0.0, f32::NAN])?)?;
/// let summary = inspect(&checkpoint, &Arc::new(Silent))?;
/// assert_eq!((summary.total.parameters, summary.total.sparsity), (4, 0.5));
/// assert_eq!(summary.tensors[0].nonfinite, Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn inspect<O: Observer>(
    checkpoint: &Checkpoint,
    observer: &Arc<O>,
) -> Result<Summary, FilesError> {
    let ties: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
    let read: Vec<&NamedTensor> = checkpoint
        .iter()
        .filter(|tensor| !ties.contains_key(tensor.name()) && elements(tensor.dtype()).is_some())
        .collect();
    observer.begin("reading", read.iter().map(|tensor| tensor.byte_len() as u64).sum());
    let tracks: Vec<Track<'_>> = read.iter().map(|tensor| vec![*tensor]).collect();
    let measured = sweep(&tracks, &**observer, |moments: &mut Moments, piece| {
        if let Some(elements) = elements(read[piece.track].dtype()) {
            moments.add(elements, piece.bytes[0]);
        }
    })?;
    let mut known: HashMap<&str, Moments> = HashMap::new();
    for (tensor, parts) in read.iter().zip(measured) {
        if let Ok(parts) = parts {
            let mut moments = Moments::default();
            parts.iter().for_each(|part| moments.merge(part));
            known.insert(tensor.name(), moments);
        }
    }
    Ok(summary(checkpoint, |name| known.get(name)))
}

/// As [`inspect`], without a look at the elements: counts of zeros and statistics are `None`.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2], &[0.0, 1.0])?)?;
/// let summary = espalier_files::headers(&checkpoint);
/// assert_eq!((summary.total.bytes, summary.tensors[0].zeros), (8, None));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn headers(checkpoint: &Checkpoint) -> Summary {
    summary(checkpoint, |_| None)
}

fn summary<'a>(checkpoint: &Checkpoint, measured: impl Fn(&str) -> Option<&'a Moments>) -> Summary {
    let ties: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
    let row = |tensor: &NamedTensor| {
        let tied_to = ties.get(tensor.name()).copied();
        let moments = measured(tied_to.unwrap_or(tensor.name()));
        let numel = tensor.numel() as u64;
        TensorRow {
            name: tensor.name().to_owned(),
            dtype: tensor.dtype().name().to_owned(),
            shape: tensor.shape().to_vec(),
            numel,
            bytes: tensor.byte_len() as u64,
            zeros: moments.map(Moments::zeros),
            sparsity: moments.map(|moments| share(moments.zeros(), numel)),
            mean: moments.and_then(Moments::mean),
            std: moments.and_then(Moments::std),
            min: moments.and_then(Moments::min),
            max: moments.and_then(Moments::max),
            l2: moments.and_then(Moments::l2),
            nonfinite: moments.map(Moments::nonfinite),
            tied_to: tied_to.map(str::to_owned),
        }
    };
    let tensors: Vec<TensorRow> = checkpoint.iter().map(row).collect();
    let total = Total::of(&tensors);
    let origin = checkpoint.origin.as_ref();
    let file = origin.map(|origin| origin.path.display().to_string()).unwrap_or_default();
    let format = origin.map(|origin| origin.format.to_string()).unwrap_or_default();
    Summary { file, format, tensors, total }
}

impl Summary {
    /// Puts the tensors into an order; among equals that of the file stays.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// use espalier_files::{Sort, headers};
    /// let mut checkpoint = Checkpoint::new();
    /// for (name, size) in [("b", 1), ("a", 2)] {
    ///     checkpoint.push(NamedTensor::f32(name, vec![size], &vec![0.0; size])?)?;
    /// }
    /// let mut summary = headers(&checkpoint);
    /// summary.sort(Sort::Name);
    /// assert_eq!(summary.tensors[0].name, "a");
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn sort(&mut self, by: Sort) {
        match by {
            Sort::Name => self.tensors.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::Size => self.tensors.sort_by_key(|row| Reverse(row.bytes)),
            Sort::Sparsity => self.tensors.sort_by(|a, b| {
                let share = |row: &TensorRow| row.sparsity.unwrap_or(-1.0);
                share(b).total_cmp(&share(a))
            }),
        }
    }
}

impl Total {
    /// Sums rows.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// use espalier_files::{Total, headers};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("b", vec![2], &[0.0, 3.0])?)?;
    /// checkpoint.push(checkpoint.iter().next().map(|b| b.clone().with_name("tied")).ok_or("none")?)?;
    /// let total = Total::of(&headers(&checkpoint).tensors);
    /// assert_eq!((total.tensors, total.parameters, total.bytes), (2, 2, 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(rows: &[TensorRow]) -> Self {
        let own = || rows.iter().filter(|row| row.tied_to.is_none());
        // What was in memory can be summed; rows made otherwise must not overflow either.
        let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0u64, u64::saturating_add);
        let parameters = sum(&mut own().map(|row| row.numel));
        let zeros = sum(&mut own().filter_map(|row| row.zeros));
        let decoded = sum(&mut own().filter(|row| row.zeros.is_some()).map(|row| row.numel));
        Self {
            tensors: rows.len() as u64,
            parameters,
            bytes: sum(&mut own().map(|row| row.bytes)),
            zeros,
            sparsity: share(zeros, decoded),
        }
    }
}

/// A part of a whole, from 0 to 1; 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::Dtype;

    use super::*;
    use crate::Silent;

    fn checkpoint() -> Checkpoint {
        let tensors = [
            NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, -1.0, 2.0]),
            NamedTensor::f32("nan", vec![1], &[f32::NAN]),
            NamedTensor::new("f6", Dtype::F6E2M3, vec![4], vec![0, 1, 2]),
        ];
        let mut checkpoint = Checkpoint::new();
        for tensor in tensors {
            checkpoint.push(tensor.unwrap()).unwrap();
        }
        checkpoint
    }

    #[test]
    fn json_with_keys_in_order() {
        let json = serde_json::to_string(&inspect(&checkpoint(), &Arc::new(Silent)).unwrap());
        let std = 1.25f64.sqrt();
        let l2 = 6.0f64.sqrt();
        let expected = [
            r#"{"file":"","format":"","tensors":["#.to_owned(),
            r#"{"name":"w","dtype":"F32","shape":[2,2],"numel":4,"bytes":16,"zeros":1,"#.into(),
            format!(r#""sparsity":0.25,"mean":0.5,"std":{std},"min":-1.0,"max":2.0,"l2":{l2},"#),
            r#""nonfinite":0,"tied_to":null},"#.into(),
            r#"{"name":"nan","dtype":"F32","shape":[1],"numel":1,"bytes":4,"zeros":0,"#.into(),
            r#""sparsity":0.0,"mean":null,"std":null,"min":null,"max":null,"l2":0.0,"#.into(),
            r#""nonfinite":1,"tied_to":null},"#.into(),
            r#"{"name":"f6","dtype":"F6_E2M3","shape":[4],"numel":4,"bytes":3,"zeros":null,"#
                .into(),
            r#""sparsity":null,"mean":null,"std":null,"min":null,"max":null,"l2":null,"#.into(),
            r#""nonfinite":null,"tied_to":null}],"#.into(),
            r#""total":{"tensors":3,"parameters":9,"bytes":23,"zeros":1,"#.into(),
            format!(r#""sparsity":{}}}}}"#, 1.0 / 5.0),
        ];
        assert_eq!(json.unwrap(), expected.concat());
    }

    #[test]
    fn sums_of_made_up_rows_do_not_overflow() {
        let row = headers(&checkpoint()).tensors.swap_remove(0);
        let huge = TensorRow { numel: u64::MAX, ..row };
        assert_eq!(Total::of(&[huge.clone(), huge]).parameters, u64::MAX);
    }

    #[test]
    fn a_tied_tensor_counts_once_and_shows_its_numbers() {
        let mut checkpoint = checkpoint();
        let tied = checkpoint.get("w").unwrap().clone().with_name("tied");
        checkpoint.push(tied).unwrap();
        let summary = inspect(&checkpoint, &Arc::new(Silent)).unwrap();
        assert_eq!(summary.tensors[3].tied_to.as_deref(), Some("w"));
        assert_eq!(summary.tensors[3].l2, summary.tensors[0].l2);
        assert_eq!((summary.total.tensors, summary.total.parameters), (4, 9));
    }

    #[test]
    fn orders() {
        let mut summary = inspect(&checkpoint(), &Arc::new(Silent)).unwrap();
        let mut names = |by| {
            summary.sort(by);
            summary.tensors.iter().map(|row| row.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(Sort::Name), "f6 nan w");
        assert_eq!(names(Sort::Size), "w nan f6");
        assert_eq!(names(Sort::Sparsity), "w nan f6");
    }

    #[test]
    fn the_same_on_any_number_of_threads_and_from_any_format() {
        let dir = tempfile::tempdir().unwrap();
        let values: Vec<f32> = (0..3_000_001u32).map(|i| (i as f32 * 0.37).sin() + 0.1).collect();
        let mut checkpoint = Checkpoint::new();
        checkpoint.push(NamedTensor::f32("w", vec![3_000_001], &values).unwrap()).unwrap();
        let expected = inspect(&checkpoint, &Arc::new(Silent)).unwrap().tensors;
        let (plain, packed) = (dir.path().join("a.safetensors"), dir.path().join("a.npz"));
        espalier_checkpoint::write_safetensors(&plain, &checkpoint).unwrap();
        espalier_checkpoint::write_npz_compressed(&packed, &checkpoint).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for path in [&plain, &packed] {
                let opened = Checkpoint::open(path).unwrap();
                let found = pool.install(|| inspect(&opened, &Arc::new(Silent)).unwrap());
                assert_eq!(found.tensors, expected, "{threads} {}", path.display());
            }
        }
        let exact = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        assert!((expected[0].mean.unwrap() - exact).abs() < 1e-13);
    }

    #[test]
    fn a_cancel_ends_it() {
        struct Stop;
        impl Observer for Stop {
            fn cancelled(&self) -> bool {
                true
            }
        }
        let error = inspect(&checkpoint(), &Arc::new(Stop)).unwrap_err();
        assert!(matches!(error, FilesError::Cancelled));
    }
}

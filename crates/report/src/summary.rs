//! A checkpoint in numbers.

use espalier_checkpoint::{Checkpoint, NamedTensor};
use serde::Serialize;

use crate::stats::{Stats, measure};

/// A checkpoint in numbers, as `espalier inspect --json` prints it.
///
/// Serializes to `{"file", "format", "tensors": [...], "total": {...}}`, keys in that order.
///
/// ```
/// use espalier_checkpoint::Checkpoint;
/// let summary = espalier_report::summarize("a.safetensors", "safetensors", &Checkpoint::new());
/// assert_eq!(
///     serde_json::to_string(&summary)?,
///     r#"{"file":"a.safetensors","format":"safetensors","tensors":[],"total":{"tensors":0,"parameters":0,"bytes":0,"zeros":0,"sparsity":0.0}}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The file, as it was named by the caller.
    pub file: String,
    /// The format of the file, such as `safetensors`.
    pub format: String,
    /// The tensors, in the order of the checkpoint.
    pub tensors: Vec<TensorRow>,
    /// The sums over the tensors.
    pub total: Total,
}

/// One tensor in numbers.
///
/// Statistics are computed in `f64` over the finite elements. What has no value is `None`, in JSON
/// `null`: every statistic if no element is finite, and those and the counts if the type has no
/// conversion to real numbers (8-bit and smaller floats, complex numbers).
///
/// ```
/// use espalier_checkpoint::NamedTensor;
/// use espalier_report::TensorRow;
/// let row = TensorRow::of(&NamedTensor::f32("b", vec![4], &[0.0, 1.0, 2.0, 5.0])?);
/// assert_eq!((row.numel, row.zeros, row.sparsity), (4, Some(1), Some(0.25)));
/// assert_eq!((row.mean, row.min, row.max), (Some(2.0), Some(0.0), Some(5.0)));
/// # Ok::<(), espalier_checkpoint::Error>(())
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
    /// The standard deviation of the elements themselves (divided by their number, not one less).
    pub std: Option<f64>,
    /// The smallest element.
    pub min: Option<f64>,
    /// The largest element.
    pub max: Option<f64>,
    /// The Euclidean norm; 0 if no element is finite, `None` if it is too large for a `f64`.
    pub l2: Option<f64>,
    /// The number of elements that are infinite or not a number.
    pub nonfinite: Option<u64>,
    /// The tensor that this one shares its elements with, if a caller knows of one: see
    /// [`Summary::tie`].
    pub tied_to: Option<String>,
}

/// Sums over tensors. A tied tensor counts as a tensor, but its elements count once, where it is
/// tied to.
///
/// Zeros and sparsity are of the tensors whose type is decoded; both are 0 if there are none.
///
/// ```
/// use espalier_report::Total;
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

impl TensorRow {
    /// Measures a tensor.
    ///
    /// ```
    /// use espalier_checkpoint::NamedTensor;
    /// use espalier_report::TensorRow;
    /// let row = TensorRow::of(&NamedTensor::f32("b", vec![2], &[f32::NAN, 3.0])?);
    /// assert_eq!((row.nonfinite, row.mean), (Some(1), Some(3.0)));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn of(tensor: &NamedTensor) -> Self {
        let numel = tensor.numel() as u64;
        let stats: Option<Stats> = tensor.values().ok().map(measure);
        let zeros = stats.map(|stats| stats.zeros);
        Self {
            name: tensor.name().to_owned(),
            dtype: tensor.dtype().name().to_owned(),
            shape: tensor.shape().to_vec(),
            numel,
            bytes: tensor.byte_len() as u64,
            zeros,
            sparsity: zeros.map(|zeros| share(zeros, numel)),
            mean: stats.and_then(|stats| stats.mean),
            std: stats.and_then(|stats| stats.std),
            min: stats.and_then(|stats| stats.min),
            max: stats.and_then(|stats| stats.max),
            l2: stats.and_then(|stats| stats.l2),
            nonfinite: stats.map(|stats| stats.nonfinite),
            tied_to: None,
        }
    }
}

impl Total {
    /// Sums rows.
    ///
    /// ```
    /// use espalier_checkpoint::NamedTensor;
    /// use espalier_report::{TensorRow, Total};
    /// let row = TensorRow::of(&NamedTensor::f32("b", vec![2], &[0.0, 3.0])?);
    /// let tied = TensorRow { name: "c".into(), tied_to: Some("b".into()), ..row.clone() };
    /// let total = Total::of(&[row, tied]);
    /// assert_eq!((total.tensors, total.parameters, total.zeros), (2, 2, 1));
    /// # Ok::<(), espalier_checkpoint::Error>(())
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

impl Summary {
    /// Notes that one tensor shares the elements of another, and sums anew. Tells whether both are
    /// there and differ; nothing is changed otherwise.
    ///
    /// A safetensors file holds no such thing, so [`summarize`] leaves every tensor untied; formats and
    /// checkpoints that know better note it here.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("embedding", vec![2], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("decoder", vec![2], &[1.0, 2.0])?)?;
    /// let mut summary = espalier_report::summarize("m", "safetensors", &checkpoint);
    /// assert!(summary.tie("decoder", "embedding"));
    /// assert!(!summary.tie("decoder", "missing"));
    /// assert_eq!(summary.total.parameters, 2);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn tie(&mut self, name: &str, to: &str) -> bool {
        let known = name != to && self.tensors.iter().any(|row| row.name == to);
        let row = self.tensors.iter_mut().find(|row| row.name == name);
        let (true, Some(row)) = (known, row) else {
            return false;
        };
        row.tied_to = Some(to.to_owned());
        self.total = Total::of(&self.tensors);
        true
    }
}

/// Measures every tensor of a checkpoint. Takes no memory in proportion to the tensors.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, 0.0, 0.0])?)?;
/// let summary = espalier_report::summarize("model.safetensors", "safetensors", &checkpoint);
/// assert_eq!((summary.total.parameters, summary.total.sparsity), (4, 0.75));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn summarize(file: &str, format: &str, checkpoint: &Checkpoint) -> Summary {
    let tensors: Vec<TensorRow> = checkpoint.iter().map(TensorRow::of).collect();
    let total = Total::of(&tensors);
    Summary { file: file.to_owned(), format: format.to_owned(), tensors, total }
}

/// A part of a whole, from 0 to 1; 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::Dtype;

    use super::*;

    #[test]
    fn json_with_keys_in_order() {
        let mut checkpoint = Checkpoint::new();
        let w = NamedTensor::f32("w", vec![2, 2], &[0.0, 1.0, -1.0, 2.0]).unwrap();
        checkpoint.push(w).unwrap();
        let nan = NamedTensor::f32("nan", vec![1], &[f32::NAN]).unwrap();
        checkpoint.push(nan).unwrap();
        let small = NamedTensor::new("f8", Dtype::F8E4M3, vec![2], vec![0, 1]).unwrap();
        checkpoint.push(small).unwrap();
        let json = serde_json::to_string(&summarize("m.st", "safetensors", &checkpoint)).unwrap();
        let std = 1.25f64.sqrt();
        let l2 = 6.0f64.sqrt();
        let expected = [
            r#"{"file":"m.st","format":"safetensors","tensors":["#.to_owned(),
            r#"{"name":"w","dtype":"F32","shape":[2,2],"numel":4,"bytes":16,"zeros":1,"#.into(),
            format!(r#""sparsity":0.25,"mean":0.5,"std":{std},"min":-1.0,"max":2.0,"l2":{l2},"#),
            r#""nonfinite":0,"tied_to":null},"#.into(),
            r#"{"name":"nan","dtype":"F32","shape":[1],"numel":1,"bytes":4,"zeros":0,"#.into(),
            r#""sparsity":0.0,"mean":null,"std":null,"min":null,"max":null,"l2":0.0,"#.into(),
            r#""nonfinite":1,"tied_to":null},"#.into(),
            r#"{"name":"f8","dtype":"F8_E4M3","shape":[2],"numel":2,"bytes":2,"zeros":null,"#
                .into(),
            r#""sparsity":null,"mean":null,"std":null,"min":null,"max":null,"l2":null,"#.into(),
            r#""nonfinite":null,"tied_to":null}],"#.into(),
            r#""total":{"tensors":3,"parameters":7,"bytes":22,"zeros":1,"#.into(),
            format!(r#""sparsity":{}}}}}"#, 1.0 / 5.0),
        ];
        assert_eq!(json, expected.concat());
    }

    #[test]
    fn without_a_decoded_tensor_the_sums_are_zero() {
        let small = NamedTensor::new("f8", Dtype::F8E4M3, vec![2], vec![0, 1]).unwrap();
        let total = Total::of(&[TensorRow::of(&small)]);
        assert_eq!((total.parameters, total.zeros, total.sparsity), (2, 0, 0.0));
    }

    #[test]
    fn sums_of_made_up_rows_do_not_overflow() {
        let row = TensorRow::of(&NamedTensor::f32("a", vec![0], &[]).unwrap());
        let huge = TensorRow { numel: u64::MAX, ..row };
        assert_eq!(Total::of(&[huge.clone(), huge]).parameters, u64::MAX);
    }
}

//! What is made small, and how well a network does.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use espalier::{AnyTensor, Error};
use espalier_data::{IGNORED, Targets};

/// What a network is trained for.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// One of several classes for each example, or for each position: `[.., classes]` logits.
    Classes {
        classes: usize,
        /// Part of each target that is spread over all classes.
        smoothing: f64,
        /// How much each class counts, if not all the same.
        weights: Option<Vec<f32>>,
    },
    /// Numbers, by the mean of their differences' squares or sizes.
    Values { squared: bool },
    /// The input itself.
    Reconstruction,
}

/// The loss of a batch, and what the network found.
pub(crate) struct Outcome {
    /// The mean loss, to be differentiated.
    pub(crate) loss: Tensor<1>,
    /// Its value.
    pub(crate) value: f64,
    /// What the mean is over: examples, positions or classes' weights.
    pub(crate) weight: f64,
    /// How many classes were right, and of how many.
    pub(crate) right: Option<(usize, usize)>,
}

impl Task {
    /// Whether there is a right and a wrong.
    pub(crate) fn has_accuracy(&self) -> bool {
        matches!(self, Self::Classes { .. })
    }

    /// The shape of outputs for targets of one example, if the task asks for one.
    pub(crate) fn output(&self, target: &espalier_data::Target, input: &[usize]) -> Vec<usize> {
        use espalier_data::Target;
        match (self, target) {
            (Self::Reconstruction, _) => input.to_vec(),
            (_, Target::Class { names }) => vec![names.len()],
            (_, Target::Values { features }) => vec![*features],
            (_, Target::Labels { length, classes }) => vec![*length, *classes],
            (_, _) => Vec::new(),
        }
    }

    /// The loss of `output` against a batch's targets.
    ///
    /// # Errors
    ///
    /// If the output has not the shape that was checked before.
    pub(crate) fn outcome(
        &self,
        output: AnyTensor,
        input: &AnyTensor,
        targets: &Targets,
        device: &Device,
    ) -> Result<Outcome, Error> {
        match self {
            Self::Classes { classes, smoothing, weights } => {
                let labels = targets.classes().unwrap_or_default();
                let logits = output.reshape([labels.len(), *classes])?;
                cross_entropy(logits, labels, *smoothing, weights.as_deref(), device)
            }
            Self::Values { squared } => {
                let values = targets.values().unwrap_or_default().to_vec();
                let count = values.len();
                let wanted = Tensor::<1>::from_data(TensorData::new(values, [count]), device);
                difference(output.reshape([count])?, wanted, *squared)
            }
            Self::Reconstruction => {
                let count: usize = input.dims().iter().product();
                let wanted = input.clone().reshape([count])?;
                difference(output.reshape([count])?, wanted, true)
            }
        }
    }
}

fn difference(found: Tensor<1>, wanted: Tensor<1>, squared: bool) -> Result<Outcome, Error> {
    let count = found.dims()[0];
    let difference = found - wanted;
    let loss = if squared { difference.square().mean() } else { difference.abs().mean() };
    let value: f64 = loss.clone().detach().into_scalar();
    Ok(Outcome { loss, value, weight: count as f64, right: None })
}

/// PyTorch's `cross_entropy(logits, labels, weight, ignore_index=-100, label_smoothing)`.
///
/// With `p` the probabilities, `w` the weights, `e` the smoothing and `C` classes: the sum over the
/// labels `y` that count of `(1 - e) w_y (-ln p_y) + e / C sum_c w_c (-ln p_c)`, divided by the sum of
/// their `w_y`.
fn cross_entropy(
    logits: Tensor<2>,
    labels: &[i64],
    smoothing: f64,
    weights: Option<&[f32]>,
    device: &Device,
) -> Result<Outcome, Error> {
    let [_, classes] = logits.dims();
    let counts = |label: i64| usize::try_from(label).ok().filter(|class| *class < classes);
    let own: Vec<f32> = labels
        .iter()
        .map(|label| match (counts(*label), weights) {
            (None, _) => 0.0,
            (Some(_), None) => 1.0,
            (Some(class), Some(weights)) => weights.get(class).copied().unwrap_or(1.0),
        })
        .collect();
    let total: f64 = own.iter().map(|weight| f64::from(*weight)).sum();
    let all_count = own.iter().all(|weight| *weight == 1.0);
    let safe: Vec<i64> =
        labels.iter().map(|label| if *label == IGNORED { 0 } else { *label }).collect();
    let count = safe.len();
    let right = right(&logits, labels);

    let log = log_softmax(logits, 1);
    let index = Tensor::<1, Int>::from_data(TensorData::new(safe, [count]), device);
    let picked = log.clone().gather(1, index.unsqueeze_dim(1)).squeeze_dim::<1>(1);
    let on_device = |of: Vec<f32>| Tensor::<1>::from_data(TensorData::new(of, [count]), device);
    let mut loss = if all_count { picked.sum() } else { (picked * on_device(own)).sum() };
    if smoothing > 0.0 {
        let spread = match weights {
            Some(weights) => {
                let weights = Tensor::<1>::from_data(
                    TensorData::new(weights.to_vec(), [weights.len()]),
                    device,
                );
                (log * weights.unsqueeze_dim::<2>(0)).sum_dim(1).squeeze_dim::<1>(1)
            }
            None => log.sum_dim(1).squeeze_dim::<1>(1),
        };
        // Every label that counts does so once here, whatever its class weighs.
        let once: Vec<f32> =
            labels.iter().map(|label| if counts(*label).is_some() { 1.0 } else { 0.0 }).collect();
        let spread = (spread * on_device(once)).sum();
        loss = loss * (1.0 - smoothing) + spread * (smoothing / classes as f64);
    }
    let loss = loss * (-1.0 / total.max(f64::MIN_POSITIVE));
    let loss = if total == 0.0 { loss.zeros_like() } else { loss };
    let value: f64 = loss.clone().detach().into_scalar();
    Ok(Outcome { loss, value, weight: total, right: Some(right) })
}

/// How many labels have the largest logit, the first of equals, and how many count.
fn right(logits: &Tensor<2>, labels: &[i64]) -> (usize, usize) {
    let found = logits.clone().detach().argmax(1).into_data();
    let pairs = found.iter::<i64>().zip(labels).filter(|(_, label)| **label != IGNORED);
    pairs.fold((0, 0), |(right, all), (found, label)| {
        (right + usize::from(found == *label), all + 1)
    })
}

//! What does not fit, and the words for it.

use super::Limits;
use super::scope::Value;
use crate::layer::{Layer, LayerSpec};
use crate::text::{Span, Spanned};

/// Deeper nesting is no network, and would be deep recursion here.
pub(super) const DEEPEST: usize = 64;
/// With the batch, tensors have at most 8 dimensions.
const MOST_DIMS: usize = 7;

/// A layer as faults speak of it.
#[derive(Debug, Clone)]
pub(super) struct Blame {
    pub(super) span: Span,
    pub(super) key: String,
    pub(super) called: String,
}

impl Blame {
    /// Of a layer that stands at `key` and is used again by this one.
    pub(super) fn within(&self, spec: &LayerSpec, key: &str) -> Self {
        let called = format!("{}, at the {} of {key},", self.called, spec.called());
        Self { called, ..self.clone() }
    }
}

/// `is given [8, 8] by layer[3]`.
pub(super) fn given(inputs: &[Value]) -> String {
    let one = |input: &Value| format!("{:?} by {}", input.shape.dims, input.by);
    let all: Vec<String> = inputs.iter().map(one).collect();
    format!("is given {}", all.join(" and "))
}

/// What is wrong with a value of this shape, and what would not be.
pub(super) fn too_large(dims: &[usize], limits: &Limits) -> Option<(String, String)> {
    if dims.is_empty() || dims.contains(&0) {
        return Some((format!("{dims:?}"), "sizes of at least 1".to_owned()));
    }
    if dims.len() > MOST_DIMS {
        return Some((format!("{} dimensions", dims.len()), format!("at most {MOST_DIMS}")));
    }
    let batch = limits.batch.max(1) as u128;
    let values = dims.iter().fold(batch, |product, size| product.saturating_mul(*size as u128));
    let most = limits.values;
    (values > u128::from(most))
        .then(|| (format!("{dims:?}, {values} values a batch"), format!("at most {most}")))
}

/// The first written layer after `most`.
pub(super) fn excess(
    layers: &[Spanned<LayerSpec>],
    key: &str,
    depth: usize,
    count: &mut usize,
    most: usize,
) -> Option<Blame> {
    for (index, spec) in layers.iter().enumerate() {
        let key = format!("{key}layer[{index}]");
        if *count == most {
            let (span, called) = (spec.span.clone(), spec.value.called());
            return Some(Blame { span, key, called });
        }
        *count += 1;
        if let Layer::Block { layers } | Layer::Repeat { layers, .. } = &spec.value.layer
            && depth < DEEPEST
        {
            let found = excess(layers, &format!("{key}."), depth + 1, count, most);
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

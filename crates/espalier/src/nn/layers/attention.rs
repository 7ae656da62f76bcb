//! Attention of a sequence to itself, or to another.

use burn::nn::attention::{MhaInput, MultiHeadAttention, generate_autoregressive_mask};
use burn::tensor::Tensor;

use super::super::layer::{Layer, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// Burn's [`MultiHeadAttention`] as a layer on `[batch, time, features]`: `torch.nn.MultiheadAttention`
/// of a sequence to itself or, with three inputs, of queries to keys and values.
///
/// Parameters keep the names they have in the attention itself.
///
/// ```
/// use burn::nn::attention::MultiHeadAttentionConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{Layer, SelfAttention};
///
/// let device = Device::default();
/// let attention = MultiHeadAttentionConfig::new(8, 2).init(&device);
/// let layer = SelfAttention::causal(attention);
/// let y: Tensor<3> = layer.forward_any(Tensor::<3>::ones([1, 5, 8], &device).into())?.into_rank()?;
/// assert_eq!(y.dims(), [1, 5, 8]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SelfAttention {
    attention: MultiHeadAttention,
    causal: bool,
}

impl SelfAttention {
    /// Every position sees all.
    pub fn new(attention: MultiHeadAttention) -> Self {
        Self { attention, causal: false }
    }

    /// Every position sees itself and what is before it.
    pub fn causal(attention: MultiHeadAttention) -> Self {
        Self { attention, causal: true }
    }

    /// Burn's layer.
    pub fn attention(&self) -> &MultiHeadAttention {
        &self.attention
    }

    fn attend(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> AnyTensor {
        let [batch, time, _] = query.dims();
        let mask = (self.causal && time == key.dims()[1])
            .then(|| generate_autoregressive_mask(batch, time, &query.device()));
        let mut input = MhaInput::new(query, key, value);
        if let Some(mask) = mask {
            input = input.mask_attn(mask);
        }
        self.attention.forward(input).context.into()
    }
}

impl Layer for SelfAttention {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        WidthError::check_rank(input, 3, "[batch, time, features]")?;
        WidthError::check(input, 2, self.attention.d_model, "features")?;
        Ok(input.to_vec())
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let input: Tensor<3> = input.into_rank()?;
        Ok(self.attend(input.clone(), input.clone(), input))
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        for input in inputs {
            self.output_dims(input)?;
        }
        let first = inputs.first().copied().unwrap_or_default();
        match inputs {
            [_] => Ok(first.to_vec()),
            // Keys and values are of one length, whatever that of the queries.
            [_, keys, values] if keys[1] == values[1] && keys[0] == first[0] => Ok(first.to_vec()),
            _ => Err(WidthError {
                expected: "one input, or queries, and keys and values of one length".to_owned(),
                found: format!("{inputs:?}"),
                input: first.to_vec(),
                inside: None,
            }),
        }
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, Error> {
        let tensors: Result<Vec<Tensor<3>>, Error> =
            inputs.into_iter().map(AnyTensor::into_rank).collect();
        let mut tensors = tensors?.into_iter();
        match (tensors.next(), tensors.next(), tensors.next()) {
            (Some(query), Some(key), Some(value)) => Ok(self.attend(query, key, value)),
            (Some(only), ..) => Ok(self.attend(only.clone(), only.clone(), only)),
            _ => Err(Error::Rank { expected: 3, found: Vec::new() }),
        }
    }
    fn kind(&self) -> &'static str {
        burn::module::extract_type_name::<MultiHeadAttention>()
    }
}

super::transparent!(SelfAttention, attention);

#[cfg(test)]
mod tests {
    use burn::nn::attention::MultiHeadAttentionConfig;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::ParameterTree;

    #[test]
    fn a_causal_layer_does_not_see_what_comes() {
        let device = Device::default();
        let attention = MultiHeadAttentionConfig::new(8, 2).init(&device);
        let x = Tensor::<3>::random([1, 4, 8], Distribution::Normal(0.0, 1.0), &device);
        let changed =
            Tensor::cat(vec![x.clone().narrow(1, 0, 3), Tensor::ones([1, 1, 8], &device)], 1);
        let run = |layer: &SelfAttention, x: Tensor<3>| -> Vec<f32> {
            let y: Tensor<3> = layer.forward_any(x.into()).unwrap().into_rank().unwrap();
            y.narrow(1, 0, 3).into_data().try_to_vec().unwrap()
        };
        let causal = SelfAttention::causal(attention.clone());
        assert_eq!(run(&causal, x.clone()), run(&causal, changed.clone()));
        let all = SelfAttention::new(attention);
        assert_ne!(run(&all, x), run(&all, changed));
        let names: Vec<String> = all.named_parameters().into_iter().map(|i| i.path).collect();
        assert_eq!(names[0], "query.weight");
    }
}

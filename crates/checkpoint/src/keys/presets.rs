//! The names and layouts of frameworks.

use super::KeyMap;
use super::fault::KeyFault;
use super::rule::KeyRule;
use super::turn::Turn;

/// Names of embeddings: tables of rows that no framework turns.
const EMBEDDING: &str = r"(?i)emb|(^|\.)wte\.|(^|\.)wpe\.";

/// Layers that are named as norms.
const NORM: &str = r"^((?:.*\.)?[^.]*(?i:norm|bn|ln)[^.]*)";

/// Names of pruned weights and their masks follow the weight.
const WEIGHT: &str = r"^((?:.*\.)?weight(?:_orig|_mask)?)$";

fn rule(pattern: &str, replacement: &str) -> Result<KeyRule, KeyFault> {
    KeyRule::new(pattern, replacement)
}

impl KeyMap {
    /// Flax's names as PyTorch's.
    ///
    /// | Flax | PyTorch | turned |
    /// | --- | --- | --- |
    /// | `params/...`, `batch_stats/...` | `...` | |
    /// | `/` | `.` | |
    /// | `kernel` of two or more dimensions | `weight` | `[..., in, out]` to `[out, in, ...]` |
    /// | `embedding`, `scale` | `weight` | |
    /// | `mean`, `var` | `running_mean`, `running_var` | |
    ///
    /// Kernels of depthwise convolutions and of attention, whose axes mean something else, are turned as any other:
    /// turn them back with a rule of their own, or leave them out.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("params/Dense_0/kernel", vec![1, 2], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("batch_stats/BatchNorm_0/mean", vec![1], &[0.5])?)?;
    /// let mapped = checkpoint.mapped(&KeyMap::flax_to_torch()?)?;
    /// assert_eq!(mapped.names().collect::<Vec<_>>(), ["Dense_0.weight", "BatchNorm_0.running_mean"]);
    /// assert_eq!(mapped.get("Dense_0.weight").map(|weight| weight.shape()), Some(&[2, 1][..]));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn flax_to_torch() -> Result<Self, KeyFault> {
        Ok(Self::from_iter([
            rule(r"^(?:params|batch_stats)[/.]", "")?,
            rule("/", ".")?,
            rule(r"(^|\.)kernel$", "${1}weight")?.turned(Turn::FromLast).of_rank(2..=usize::MAX),
            rule(r"(^|\.)(?:embedding|scale)$", "${1}weight")?,
            rule(r"(^|\.)(mean|var)$", "${1}running_$2")?,
        ]))
    }

    /// PyTorch's names as Flax's: [`flax_to_torch`](Self::flax_to_torch) the other way.
    ///
    /// A `weight` of one dimension is taken for a `scale`; one of two or more for a `kernel`, which is turned, unless
    /// its name speaks of an embedding. What Flax has not, as `num_batches_tracked`, keeps its name: leave it out.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![1, 2], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("embed.weight", vec![1, 2], &[1.0, 2.0])?)?;
    /// let mapped = checkpoint.mapped(&KeyMap::torch_to_flax()?)?;
    /// assert_eq!(mapped.names().collect::<Vec<_>>(), ["params/fc/kernel", "params/embed/embedding"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn torch_to_flax() -> Result<Self, KeyFault> {
        Ok(Self::from_iter([
            rule(r"^(.*)\.running_(mean|var)$", "batch_stats.$1.$2")?,
            rule(r"^(.*)\.weight$", "params.$1.embedding")?.of_rank(2..=2).only(EMBEDDING)?,
            rule(r"^(.*)\.weight$", "params.$1.kernel")?
                .turned(Turn::ToLast)
                .of_rank(2..=usize::MAX),
            rule(r"^(.*)\.weight$", "params.$1.scale")?.of_rank(1..=1),
            rule("^(.*)$", "params.$1")?.except(r"^(?:params|batch_stats)\.")?,
            rule(r"\.", "/")?,
        ]))
    }

    /// The names of Keras 2 and 3 as PyTorch's.
    ///
    /// | Keras | PyTorch | turned |
    /// | --- | --- | --- |
    /// | `/`, and `:0` at the end | `.`, and nothing | |
    /// | `kernel`, `vars/0` of two or more dimensions | `weight` | `[..., in, out]` to `[out, in, ...]` |
    /// | `embeddings`, `gamma` | `weight` | |
    /// | `vars/0` of a layer named as an embedding | `weight` | |
    /// | `beta`, `vars/1` | `bias` | |
    /// | `moving_mean`, `moving_variance` | `running_mean`, `running_var` | |
    /// | `vars/0` to `vars/3` of one dimension each | as gamma, beta, mean and variance | |
    ///
    /// Kernels of depthwise and recurrent layers have axes of their own; give rules for them.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("layers/dense/vars/0", vec![1, 2], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("layers/dense/vars/1", vec![2], &[0.0; 2])?)?;
    /// let mapped = checkpoint.mapped(&KeyMap::keras_to_torch()?)?;
    /// assert_eq!(mapped.names().collect::<Vec<_>>(), ["layers.dense.weight", "layers.dense.bias"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn keras_to_torch() -> Result<Self, KeyFault> {
        let vars = |number: u8| format!(r"^(.*)\.vars\.{number}$");
        Ok(Self::from_iter([
            rule(":0$", "")?,
            rule("/", ".")?,
            rule(&vars(0), "$1.embeddings")?.of_rank(2..=2).only(EMBEDDING)?,
            rule(&vars(0), "$1.kernel")?.of_rank(2..=usize::MAX).except(r"^optimizer\.")?,
            rule(&vars(0), "$1.gamma")?.of_rank(1..=1).except(r"^optimizer\.")?,
            rule(&vars(1), "$1.beta")?.of_rank(1..=1).except(r"^optimizer\.")?,
            rule(&vars(2), "$1.moving_mean")?.of_rank(1..=1).beside("$1.gamma")?,
            rule(&vars(3), "$1.moving_variance")?.of_rank(1..=1).beside("$1.gamma")?,
            rule(r"(^|\.)kernel$", "${1}weight")?.turned(Turn::FromLast).of_rank(2..=usize::MAX),
            rule(r"(^|\.)(?:embeddings|gamma)$", "${1}weight")?,
            rule(r"(^|\.)beta$", "${1}bias")?,
            rule(r"(^|\.)moving_mean$", "${1}running_mean")?,
            rule(r"(^|\.)moving_variance$", "${1}running_var")?,
        ]))
    }

    /// PyTorch's names as those of Keras 2, `dense/kernel:0`: [`keras_to_torch`](Self::keras_to_torch) the other way.
    ///
    /// A `weight` of one dimension is taken for a `gamma`, and the `bias` beside it for a `beta`; one of two or more
    /// for a `kernel`, which is turned, unless its name speaks of an embedding.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// for name in ["norm.weight", "norm.bias", "norm.running_mean"] {
    ///     checkpoint.push(NamedTensor::f32(name, vec![1], &[1.0])?)?;
    /// }
    /// let mapped = checkpoint.mapped(&KeyMap::torch_to_keras()?)?;
    /// assert_eq!(mapped.names().collect::<Vec<_>>(), ["norm/gamma:0", "norm/beta:0", "norm/moving_mean:0"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn torch_to_keras() -> Result<Self, KeyFault> {
        Ok(Self::from_iter([
            rule(r"(^|\.)running_mean$", "${1}moving_mean")?,
            rule(r"(^|\.)running_var$", "${1}moving_variance")?,
            rule(r"(^|\.)weight$", "${1}embeddings")?.of_rank(2..=2).only(EMBEDDING)?,
            rule(r"(^|\.)weight$", "${1}kernel")?.turned(Turn::ToLast).of_rank(2..=usize::MAX),
            rule(r"^((?:.*\.)?)weight$", "${1}gamma")?.of_rank(1..=1),
            rule(r"^((?:.*\.)?)bias$", "${1}beta")?.of_rank(1..=1).beside("${1}gamma")?,
            rule(r"\.", "/")?,
            rule("$", ":0")?,
        ]))
    }

    /// PyTorch's layout as Burn's.
    ///
    /// Which layer a tensor belongs to is not known from a name, so it is told by this rule:
    ///
    /// - A `weight` (or `weight_orig`, `weight_mask`) of two dimensions is that of a linear layer, and is turned
    ///   from `[out, in]` to `[in, out]`; unless its name has `emb`, or is that of `wte` or `wpe`: an embedding.
    /// - A `weight` of one dimension is that of a norm, and becomes `gamma`, if its layer has a `running_mean` or is
    ///   named as one: its name has `norm`, `bn` or `ln`. The `bias` beside it becomes `beta`.
    ///
    /// All else is the same in both. [`changes`](Self::changes) tells what it comes to.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("embed.weight", vec![2, 1], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![2, 1], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("ln_1.weight", vec![1], &[1.0])?)?;
    /// checkpoint.push(NamedTensor::f32("ln_1.bias", vec![1], &[1.0])?)?;
    /// let mapped = checkpoint.mapped(&KeyMap::torch_to_burn()?)?;
    /// let found: Vec<_> = mapped.iter().map(|tensor| (tensor.name(), tensor.shape())).collect();
    /// assert_eq!(found[0], ("embed.weight", &[2, 1][..]));
    /// assert_eq!(found[1], ("fc.weight", &[1, 2][..]));
    /// assert_eq!(found[2..], [("ln_1.gamma", &[1][..]), ("ln_1.beta", &[1][..])]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn torch_to_burn() -> Result<Self, KeyFault> {
        Ok(Self::from_iter([
            rule(r"^(.*)\.weight$", "$1.gamma")?.of_rank(1..=1).beside("$1.running_mean")?,
            rule(&format!(r"{NORM}\.weight$"), "$1.gamma")?.of_rank(1..=1),
            rule(r"^(.*)\.bias$", "$1.beta")?.of_rank(1..=1).beside("$1.gamma")?,
            rule(WEIGHT, "$1")?.turned(Turn::ToLast).of_rank(2..=2).except(EMBEDDING)?,
        ]))
    }

    /// Burn's layout as PyTorch's: [`torch_to_burn`](Self::torch_to_burn) the other way, `gamma` and `beta` of
    /// whatever layer.
    ///
    /// # Errors
    ///
    /// None: the rules are fixed.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![2, 1], &[1.0, 2.0])?)?;
    /// checkpoint.push(NamedTensor::f32("norm.gamma", vec![1], &[1.0])?)?;
    /// let there_and_back =
    ///     checkpoint.mapped(&KeyMap::burn_to_torch()?)?.mapped(&KeyMap::torch_to_burn()?)?;
    /// assert_eq!(there_and_back, checkpoint);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn burn_to_torch() -> Result<Self, KeyFault> {
        Ok(Self::from_iter([
            rule(r"^((?:.*\.)?)gamma$", "${1}weight")?.of_rank(1..=1),
            rule(r"^((?:.*\.)?)beta$", "${1}bias")?.of_rank(1..=1),
            rule(WEIGHT, "$1")?.turned(Turn::FromLast).of_rank(2..=2).except(EMBEDDING)?,
        ]))
    }
}

#[cfg(test)]
mod tests {
    use crate::checkpoint::Checkpoint;
    use crate::keys::KeyMap;
    use crate::tensor::NamedTensor;

    fn checkpoint(tensors: &[(&str, &[usize])]) -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        for (name, shape) in tensors {
            let numel = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..numel).map(|i| i as f32).collect();
            checkpoint.push(NamedTensor::f32(*name, shape.to_vec(), &values).unwrap()).unwrap();
        }
        checkpoint
    }

    fn shapes(checkpoint: &Checkpoint) -> Vec<(&str, &[usize])> {
        checkpoint.iter().map(|tensor| (tensor.name(), tensor.shape())).collect()
    }

    fn torch() -> Checkpoint {
        checkpoint(&[
            ("tok_emb.weight", &[7, 3]),
            ("conv.weight", &[4, 2, 3, 5]),
            ("conv.bias", &[4]),
            ("bn.weight", &[4]),
            ("bn.bias", &[4]),
            ("bn.running_mean", &[4]),
            ("bn.running_var", &[4]),
            ("layers.0.fc.weight", &[6, 4]),
            ("layers.0.fc.bias", &[6]),
        ])
    }

    #[test]
    fn torch_there_and_back() {
        let pairs = [
            (KeyMap::torch_to_flax(), KeyMap::flax_to_torch()),
            (KeyMap::torch_to_keras(), KeyMap::keras_to_torch()),
            (KeyMap::torch_to_burn(), KeyMap::burn_to_torch()),
        ];
        for (there, back) in pairs {
            let (there, back) = (there.unwrap(), back.unwrap());
            let other = torch().mapped(&there).unwrap();
            assert_ne!(other, torch());
            assert_eq!(other.mapped(&back).unwrap(), torch());
        }
    }

    #[test]
    fn names_of_flax_and_keras() {
        let flax = torch().mapped(&KeyMap::torch_to_flax().unwrap()).unwrap();
        let expected: [(&str, &[usize]); 9] = [
            ("params/tok_emb/embedding", &[7, 3]),
            ("params/conv/kernel", &[3, 5, 2, 4]),
            ("params/conv/bias", &[4]),
            ("params/bn/scale", &[4]),
            ("params/bn/bias", &[4]),
            ("batch_stats/bn/mean", &[4]),
            ("batch_stats/bn/var", &[4]),
            ("params/layers/0/fc/kernel", &[4, 6]),
            ("params/layers/0/fc/bias", &[6]),
        ];
        assert_eq!(shapes(&flax), expected);
        let keras = torch().mapped(&KeyMap::torch_to_keras().unwrap()).unwrap();
        let names: Vec<&str> = keras.names().collect();
        assert_eq!(names[0], "tok_emb/embeddings:0");
        assert_eq!(names[2..5], ["conv/bias:0", "bn/gamma:0", "bn/beta:0"]);
    }

    #[test]
    fn variables_of_keras_3() {
        let keras = checkpoint(&[
            ("layers/batch_normalization/vars/0", &[3]),
            ("layers/batch_normalization/vars/1", &[3]),
            ("layers/batch_normalization/vars/2", &[3]),
            ("layers/batch_normalization/vars/3", &[3]),
            ("layers/conv2d/vars/0", &[2, 2, 1, 3]),
            ("layers/conv2d/vars/1", &[3]),
            ("layers/embedding/vars/0", &[9, 3]),
        ]);
        let torch = keras.mapped(&KeyMap::keras_to_torch().unwrap()).unwrap();
        let expected: [(&str, &[usize]); 7] = [
            ("layers.batch_normalization.weight", &[3]),
            ("layers.batch_normalization.bias", &[3]),
            ("layers.batch_normalization.running_mean", &[3]),
            ("layers.batch_normalization.running_var", &[3]),
            ("layers.conv2d.weight", &[3, 1, 2, 2]),
            ("layers.conv2d.bias", &[3]),
            ("layers.embedding.weight", &[9, 3]),
        ];
        assert_eq!(shapes(&torch), expected);
    }

    #[test]
    fn ties_stay() {
        let embedding = NamedTensor::f32("fc.weight", vec![1, 2], &[1.0, 2.0]).unwrap();
        let mut tied = Checkpoint::new();
        tied.push(embedding.clone()).unwrap();
        tied.push(embedding.clone().with_name("head.weight")).unwrap();
        tied.push(embedding.with_name("embed.weight")).unwrap();
        let mapped = tied.mapped(&KeyMap::torch_to_burn().unwrap()).unwrap();
        // The last one is not turned, so it is a tensor of its own.
        assert_eq!(mapped.ties(), [("head.weight", "fc.weight")]);
    }
}

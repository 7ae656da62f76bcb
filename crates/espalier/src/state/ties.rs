//! Tensors that a file has under several names.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use espalier_checkpoint::{Dtype, NamedTensor};

use super::StateDict;

impl StateDict {
    /// The names under which one tensor is saved several times: same type, shape and bytes.
    ///
    /// PyTorch saves a tied parameter under every name it has and keeps no note of that; this is
    /// what can be seen of it. Groups and names are in the state dict's order. Tensors of one
    /// element and those whose elements are all equal (biases of zeros, scales of ones) are equal
    /// by chance and are left out. Equal values are evidence, not proof: layers made as copies of
    /// one another are equal until they are trained.
    ///
    /// Takes time linear in the bytes.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::state::StateDict;
    /// use espalier::Parametrized;
    ///
    /// let linear = || LinearConfig::new(4, 4).init(&Device::default());
    /// let mut net = Parametrized::new(Sequential::new().with(linear()).with(linear()));
    /// net.tie("1.weight", "0.weight")?;
    /// let state = StateDict::for_torch(&net);
    /// assert_eq!(state.ties(), [["0.weight", "1.weight"]]);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn ties(&self) -> Vec<Vec<String>> {
        // Tensors of one key are equal but for collisions of the hash, which are told apart.
        let mut seen: BTreeMap<(Dtype, &[usize], u64), Vec<usize>> = BTreeMap::new();
        let mut groups: Vec<Vec<&NamedTensor>> = Vec::new();
        for tensor in self.0.iter().filter(|tensor| !is_constant(tensor)) {
            let mut hasher = DefaultHasher::new();
            tensor.loaded().hash(&mut hasher);
            let key = (tensor.dtype(), tensor.shape(), hasher.finish());
            let alike = seen.entry(key).or_default();
            match alike.iter().find(|group| groups[**group][0].loaded() == tensor.loaded()) {
                Some(&group) => groups[group].push(tensor),
                None => {
                    alike.push(groups.len());
                    groups.push(vec![tensor]);
                }
            }
        }
        groups.retain(|group| group.len() > 1);
        let names = |group: Vec<&NamedTensor>| {
            group.into_iter().map(|tensor| tensor.name().to_owned()).collect()
        };
        groups.into_iter().map(names).collect()
    }
}

/// Whether a tensor has fewer than two elements, or only equal ones.
fn is_constant(tensor: &NamedTensor) -> bool {
    let width = (tensor.dtype().size_bits() / 8).max(1);
    let mut elements = tensor.loaded().unwrap_or_default().chunks(width);
    let first = elements.next();
    tensor.numel() < 2 || elements.all(|element| Some(element) == first)
}

//! Names of one framework as those of another.

mod fault;
mod presets;
mod rule;
mod turn;

use std::collections::{HashMap, HashSet};

pub use self::fault::KeyFault;
pub use self::rule::KeyRule;
pub use self::turn::Turn;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::tensor::NamedTensor;

/// Rules for names, each for the names that those before it gave.
///
/// Maps for the names and layouts of frameworks are made by [`flax_to_torch`](Self::flax_to_torch) and its siblings;
/// they are built of the same rules, and more can be put after them.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("module.encoder.0.weight", vec![1], &[1.0])?)?;
/// let map: KeyMap = "^module\\.=>".parse()?;
/// let map = map.then(&r"^encoder\.(\d+)=>layers.$1".parse()?);
/// assert_eq!(checkpoint.mapped(&map)?.names().collect::<Vec<_>>(), ["layers.0.weight"]);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    rules: Vec<KeyRule>,
}

/// What a map does to a tensor.
///
/// See [`KeyMap::changes`] for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyChange {
    /// The name before.
    pub from: String,
    /// The name after.
    pub to: String,
    /// How its axes are turned, one turn after the other.
    pub turns: Vec<Turn>,
}

impl FromIterator<KeyRule> for KeyMap {
    fn from_iter<I: IntoIterator<Item = KeyRule>>(rules: I) -> Self {
        Self { rules: rules.into_iter().collect() }
    }
}

impl std::str::FromStr for KeyMap {
    type Err = KeyFault;

    /// The map of one rule, see [`KeyRule::parse`].
    fn from_str(text: &str) -> Result<Self, KeyFault> {
        Ok(Self { rules: vec![KeyRule::parse(text)?] })
    }
}

impl KeyMap {
    /// The rules of this map, then those of another.
    ///
    /// See [`KeyMap`] for an example.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.rules.extend_from_slice(&other.rules);
        self
    }

    /// The rules, in order.
    ///
    /// ```
    /// assert!(espalier_checkpoint::KeyMap::default().rules().is_empty());
    /// ```
    pub fn rules(&self) -> &[KeyRule] {
        &self.rules
    }

    /// What it does to the tensors of a checkpoint that it changes, in order.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, NamedTensor, Turn};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("params/Dense_0/kernel", vec![3, 2], &[0.0; 6])?)?;
    /// let changes = KeyMap::flax_to_torch()?.changes(&checkpoint);
    /// assert_eq!(changes[0].to, "Dense_0.weight");
    /// assert_eq!(changes[0].turns, [Turn::FromLast]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn changes(&self, checkpoint: &Checkpoint) -> Vec<KeyChange> {
        let is_change = |change: &KeyChange| change.from != change.to || !change.turns.is_empty();
        self.run(checkpoint).0.into_iter().filter(is_change).collect()
    }

    /// The rules that are for no tensor of a checkpoint.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap};
    /// let map: KeyMap = "a=>b".parse()?;
    /// assert_eq!(map.unused(&Checkpoint::new())[0].pattern(), "a");
    /// # Ok::<(), espalier_checkpoint::KeyFault>(())
    /// ```
    pub fn unused(&self, checkpoint: &Checkpoint) -> Vec<&KeyRule> {
        let (_, hits) = self.run(checkpoint);
        self.rules.iter().zip(hits).filter(|(_, hits)| *hits == 0).map(|(rule, _)| rule).collect()
    }

    /// What becomes of each tensor, and to how many each rule applies.
    fn run(&self, checkpoint: &Checkpoint) -> (Vec<KeyChange>, Vec<usize>) {
        let as_it_is =
            |name: &str| KeyChange { from: name.into(), to: name.into(), turns: Vec::new() };
        let mut changes: Vec<KeyChange> = checkpoint.names().map(as_it_is).collect();
        let ranks: Vec<usize> = checkpoint.iter().map(|tensor| tensor.shape().len()).collect();
        let mut hits = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let names: HashSet<&str> = changes.iter().map(|change| change.to.as_str()).collect();
            let found: Vec<_> = changes
                .iter()
                .zip(&ranks)
                .map(|(change, rank)| rule.apply(&change.to, *rank, &names))
                .collect();
            hits.push(found.iter().flatten().count());
            for (change, (name, turn)) in
                changes.iter_mut().zip(found).filter_map(|(change, found)| Some((change, found?)))
            {
                change.to = name;
                change.turns.extend(turn);
            }
        }
        (changes, hits)
    }
}

impl Checkpoint {
    /// The same tensors under the names that a map gives them, turned where it says so when they are read. The
    /// order, the metadata and ties stay.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Collision`] if two tensors get one name, [`KeyFault::Empty`] if nothing is left of one,
    /// [`KeyFault::SmallElements`] for a tensor that cannot be turned, all within [`Error::Keys`].
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, Error, KeyFault, KeyMap, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// for name in ["encoder.weight", "decoder.weight"] {
    ///     checkpoint.push(NamedTensor::f32(name, vec![1], &[1.0])?)?;
    /// }
    /// let map: KeyMap = "^(en|de)coder=>coder".parse()?;
    /// let error = checkpoint.mapped(&map).unwrap_err();
    /// assert!(matches!(error, Error::Keys(KeyFault::Collision { .. })));
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn mapped(&self, map: &KeyMap) -> Result<Self, Error> {
        let mut out = Self::new();
        out.metadata.clone_from(&self.metadata);
        out.origin.clone_from(&self.origin);
        let firsts = self.firsts();
        let (changes, _) = map.run(self);
        let mut sources: HashMap<&str, &str> = HashMap::new();
        let mut made: Vec<NamedTensor> = Vec::with_capacity(changes.len());
        for (place, (tensor, change)) in self.iter().zip(&changes).enumerate() {
            let KeyChange { from, to, turns } = change;
            if to.is_empty() {
                return Err(KeyFault::Empty { name: from.clone() }.into());
            }
            if let Some(first) = sources.insert(to, from) {
                let (first, second, name) = (first.to_owned(), from.clone(), to.clone());
                return Err(KeyFault::Collision { first, second, name }.into());
            }
            let first = firsts[place];
            let turned = if first != place && changes[first].turns == *turns {
                made[first].clone()
            } else {
                turns.iter().try_fold(tensor.clone(), |tensor, turn| turn.of(&tensor))?
            };
            made.push(turned.clone());
            out.push(turned.with_name(to.as_str()))?;
        }
        Ok(out)
    }
}

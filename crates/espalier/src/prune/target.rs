//! A tensor on its way to being pruned.

use espalier_kernels::{Bits, Candidate, Lines, Order, Scores, Slices};

use super::PruneError;
use crate::host::Numbers;
use crate::tree::Layout;

/// A tensor on its way to being pruned: its scores, and what is still kept.
///
/// Positions and shapes are those of PyTorch's layout (output features first), whatever the layout
/// in memory. What is pruned stays pruned: there is no way back.
#[derive(Debug, Clone)]
pub struct Target {
    scores: Numbers,
    /// Whether the scores are importances given for the values, not the values themselves.
    given: bool,
    kept: Bits,
    /// In memory.
    dims: Vec<usize>,
    layout: Layout,
    /// Told from other targets of one pruning by this.
    stream: u64,
}

impl Target {
    pub(crate) fn new(
        scores: Numbers,
        given: bool,
        kept: Bits,
        dims: Vec<usize>,
        layout: Layout,
    ) -> Self {
        Self { scores, given, kept, dims, layout, stream: 0 }
    }

    /// Random methods draw for each name anew.
    pub(crate) fn named(mut self, name: &str) -> Self {
        // FNV-1a: fixed, unlike the standard library's hash.
        self.stream = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        self
    }

    /// The shape, in PyTorch's layout.
    pub fn shape(&self) -> Vec<usize> {
        self.layout.torch_shape(&self.dims)
    }

    /// The shape in memory.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scores, row-major: the values themselves (zero where pruned already) unless importance
    /// scores were given.
    pub fn scores(&self) -> Vec<f64> {
        let mut scores = self.scores.to_f64();
        if !self.given {
            for (score, kept) in scores.iter_mut().zip(self.kept.iter()) {
                if !kept {
                    *score = 0.0;
                }
            }
        }
        match self.swapped() {
            None => scores,
            Some((rows, columns)) => {
                let at = |place: usize| scores[(place % rows) * columns + place / rows];
                (0..scores.len()).map(at).collect()
            }
        }
    }

    /// Whether the value at a row-major position is not pruned.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    pub fn is_kept(&self, position: usize) -> bool {
        self.kept.get(self.stored(position))
    }

    /// Prunes the value at a row-major position.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    pub fn prune(&mut self, position: usize) {
        let place = self.stored(position);
        self.kept.set(place, false);
    }

    /// Number of values that are not pruned.
    pub fn count_kept(&self) -> usize {
        self.kept.count()
    }

    /// Rows and columns in memory of what is stored as its transpose.
    fn swapped(&self) -> Option<(usize, usize)> {
        match self.dims[..] {
            [rows, columns] if self.layout == Layout::Transposed => Some((rows, columns)),
            _ => None,
        }
    }

    /// The place in memory of a position.
    fn stored(&self, position: usize) -> usize {
        assert!(position < self.len(), "position {position} of {}", self.len());
        match self.swapped() {
            None => position,
            Some((rows, columns)) => (position % rows) * columns + position / rows,
        }
    }

    pub(super) fn order(&self) -> Order {
        match self.swapped() {
            None => Order::Stored,
            Some((rows, columns)) => Order::Transposed { batch: 1, rows, columns },
        }
    }

    pub(super) fn magnitudes(&self) -> Scores<'_> {
        Scores::Magnitude(self.scores.values())
    }

    pub(super) fn stream(&self) -> u64 {
        self.stream
    }

    pub(super) fn is_given(&self) -> bool {
        self.given
    }

    pub(super) fn kept(&self) -> &Bits {
        &self.kept
    }

    pub(super) fn kept_mut(&mut self) -> &mut Bits {
        &mut self.kept
    }

    pub(crate) fn into_kept(self) -> Bits {
        self.kept
    }

    /// The scores to compete with others, and the mask to clear.
    pub(super) fn candidate(&mut self, random: Option<u64>) -> Candidate<'_> {
        let order = self.order();
        let scores = match random {
            Some(seed) => Scores::Random { seed: seed ^ self.stream },
            None => Scores::Magnitude(self.scores.values()),
        };
        Candidate { scores, order, kept: &mut self.kept }
    }

    /// The axis in memory of a dimension of PyTorch's layout, negative ones from the end.
    fn axis(&self, dim: isize) -> Result<usize, PruneError> {
        let rank = self.dims.len();
        let found = PruneError::Dim { dim, rank };
        let dim = if dim < 0 { rank.checked_add_signed(dim) } else { usize::try_from(dim).ok() };
        let dim = dim.filter(|dim| *dim < rank).ok_or(found)?;
        Ok(if self.swapped().is_some() { 1 - dim } else { dim })
    }

    /// The channels along a dimension.
    pub(super) fn channels(&self, dim: isize) -> Result<Slices, PruneError> {
        if self.dims.len() < 2 {
            return Err(PruneError::Rank { found: self.dims.len() });
        }
        let Lines { outer, length, inner } = self.lines(dim)?;
        Ok(Slices { outer, kept: length, inner })
    }

    /// The lines along a dimension.
    pub(super) fn lines(&self, dim: isize) -> Result<Lines, PruneError> {
        let axis = self.axis(dim)?;
        Ok(Lines {
            outer: self.dims[..axis].iter().product(),
            length: self.dims[axis],
            inner: self.dims[axis + 1..].iter().product(),
        })
    }

    /// The rows: everything for one output feature.
    pub(super) fn rows(&self) -> Result<Lines, PruneError> {
        if self.dims.len() < 2 {
            return Err(PruneError::Rank { found: self.dims.len() });
        }
        Ok(match self.swapped() {
            Some((length, inner)) => Lines { outer: 1, length, inner },
            None => {
                Lines { outer: self.dims[0], length: self.dims[1..].iter().product(), inner: 1 }
            }
        })
    }

    /// All as one vector in PyTorch's order, for a method that knows nothing of several.
    pub(super) fn pooled(targets: &[Self]) -> Self {
        let scores: Vec<f64> = targets.iter().flat_map(Self::scores).collect();
        let kept: Bits = targets
            .iter()
            .flat_map(|target| (0..target.len()).map(|position| target.is_kept(position)))
            .collect();
        let dims = vec![scores.len()];
        let data = burn::tensor::TensorData::new(scores, dims.clone());
        Self::new(Numbers::of_data(data), true, kept, dims, Layout::Torch)
    }
}

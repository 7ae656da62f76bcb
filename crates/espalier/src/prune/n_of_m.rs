//! So many of every few.

use espalier_kernels::{Candidate, prune_n_of_m};

use super::{BasePruningMethod, PruneError, PruningType, Target};

/// Keeps `n` of every `m` values that follow one another along the input features: 2 of 4 is what
/// some hardware multiplies faster.
///
/// Those of largest magnitude stay. Groups start at the first input feature; a shorter last group
/// stays dense. Values that are pruned already count as pruned.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use espalier::prune::{BasePruningMethod, NOfM};
///
/// let w = Tensor::<2>::from_floats([[4.0, -1.0, 3.0, 2.0, 0.5]], &Device::default());
/// let pruned = NOfM::new(2, 4).prune(w, None, None)?;
/// assert_eq!(pruned.into_data().try_into_vec::<f32>()?, [4.0, 0.0, 3.0, 0.0, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NOfM {
    n: usize,
    m: usize,
    dim: isize,
}

impl NOfM {
    /// `n` of every `m` stay.
    pub fn new(n: usize, m: usize) -> Self {
        Self { n, m, dim: 1 }
    }

    /// Along another dimension of PyTorch's layout than the second.
    pub fn dim(mut self, dim: isize) -> Self {
        self.dim = dim;
        self
    }
}

impl BasePruningMethod for NOfM {
    fn pruning_type(&self) -> PruningType {
        PruningType::Global
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        let Self { n, m, dim } = *self;
        if m == 0 || n > m {
            return Err(PruneError::Group { n, m });
        }
        let lines = target.lines(dim)?;
        let Candidate { scores, kept, .. } = target.candidate(None);
        prune_n_of_m(&scores, kept, &lines, n, m);
        Ok(())
    }
}

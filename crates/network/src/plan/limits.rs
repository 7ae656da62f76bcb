//! How large a network may be.

/// What a network may not exceed; checked before anything is allocated.
///
/// ```
/// use espalier_network::Limits;
///
/// let limits = Limits::default().batch(64).parameters(1 << 30);
/// assert_eq!((limits.batch, limits.layers), (64, 1000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Layers written; 1000.
    pub layers: usize,
    /// Layers after repeats and reuses; 10,000.
    pub expanded: usize,
    /// Parameters of the whole network; 2^28, 1 GiB of single-precision numbers.
    pub parameters: u64,
    /// Values between two layers for a batch; 2^28.
    pub values: u64,
    /// The largest batch that the network is meant for; 1.
    pub batch: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { layers: 1000, expanded: 10_000, parameters: 1 << 28, values: 1 << 28, batch: 1 }
    }
}

impl Limits {
    /// With batches of up to this many examples.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// With so many parameters at most.
    #[must_use]
    pub fn parameters(self, parameters: u64) -> Self {
        Self { parameters, ..self }
    }

    /// With so many values between two layers at most, for a batch.
    #[must_use]
    pub fn values(self, values: u64) -> Self {
        Self { values, ..self }
    }
}

//! Which elements of a tensor stay, piece by piece.

use std::sync::Arc;

use espalier_checkpoint::Dtype;
use espalier_kernels::{
    Bits, Cut, Lines, Scores, Share, Slices, Stretch, clear_channels_in, mask, prune_n_of_m,
};
use half::{bf16, f16};

use crate::mapped::PieceMap;
use crate::pieces::{Cuts, values};

/// What elements are ranked by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rank {
    /// Their magnitude.
    Magnitude,
    /// A number of their own, from this seed.
    Random(u64),
}

impl Rank {
    /// The rank of a piece.
    pub(super) fn stretch(self, dtype: Dtype, start: usize, bytes: &[u8]) -> Stretch<'_> {
        let values = values(dtype, bytes);
        match self {
            Self::Magnitude => Stretch::Magnitude(values),
            Self::Random(seed) => Stretch::Random { seed, start, len: values.len() },
        }
    }
}

/// What is pruned of a tensor.
#[derive(Debug)]
pub(super) enum Rule {
    /// Everything up to a cut, with the share of each piece.
    Lowest { rank: Rank, cut: Cut, shares: Vec<Share> },
    /// All but `n` of every `m` along a row.
    Groups { rank: Rank, n: usize, m: usize, row: usize },
    /// These channels.
    Channels { slices: Slices, gone: Vec<bool> },
}

impl Rule {
    /// What stays of a piece.
    fn kept(&self, dtype: Dtype, (piece, start): (usize, usize), bytes: &[u8]) -> Bits {
        let values = values(dtype, bytes);
        let mut kept = Bits::all(values.len());
        match self {
            Self::Lowest { rank, cut, shares } => {
                if let Some(share) = shares.get(piece) {
                    cut.clear(&rank.stretch(dtype, start, bytes), share, &mut kept);
                }
            }
            Self::Groups { rank, n, m, row } => {
                let scores = match rank {
                    Rank::Magnitude => Scores::Magnitude(values),
                    // The positions of a piece are counted from its start.
                    Rank::Random(seed) => Scores::Random {
                        seed: seed.wrapping_add((start as u64).wrapping_mul(0x2545_f491_4f6c_dd1d)),
                    },
                };
                let length = if values.len().is_multiple_of(*row) { *row } else { values.len() };
                let lines = Lines { outer: values.len() / length.max(1), length, inner: 1 };
                prune_n_of_m(&scores, &mut kept, &lines, *n, *m);
            }
            Self::Channels { slices, gone } => clear_channels_in(&mut kept, start, slices, gone),
        }
        kept
    }

    /// How a tensor must be cut for the rule.
    pub(super) fn cuts(&self, numel: usize) -> Cuts {
        match self {
            Self::Groups { m, row, .. } => Cuts::between_groups(numel, *row, *m),
            _ => Cuts::anywhere(numel),
        }
    }

    /// Puts zeros where a piece is pruned.
    pub(super) fn apply(&self, dtype: Dtype, place: (usize, usize), bytes: &mut [u8]) {
        let kept = self.kept(dtype, place, bytes);
        match dtype.size_bits() {
            16 => mask(bytemuck::cast_slice_mut::<_, u16>(bytes), &kept),
            32 => mask(bytemuck::cast_slice_mut::<_, u32>(bytes), &kept),
            _ => mask(bytemuck::cast_slice_mut::<_, u64>(bytes), &kept),
        }
    }
}

/// The number of zeros.
pub(super) fn zeros(dtype: Dtype, bytes: &[u8]) -> usize {
    // All bits but the sign.
    match dtype.size_bits() {
        16 => bytemuck::cast_slice::<_, u16>(bytes).iter().filter(|x| **x << 1 == 0).count(),
        32 => bytemuck::cast_slice::<_, u32>(bytes).iter().filter(|x| **x << 1 == 0).count(),
        _ => bytemuck::cast_slice::<_, u64>(bytes).iter().filter(|x| **x << 1 == 0).count(),
    }
}

/// The number of NaNs.
pub(super) fn nans(dtype: Dtype, bytes: &[u8]) -> usize {
    use espalier_kernels::Values;
    match values(dtype, bytes) {
        Values::F16(x) => x.iter().filter(|x| x.is_nan()).count(),
        Values::BF16(x) => x.iter().filter(|x| x.is_nan()).count(),
        Values::F32(x) => x.iter().filter(|x| x.is_nan()).count(),
        Values::F64(x) => x.iter().filter(|x| x.is_nan()).count(),
    }
}

/// Makes the pruned values of a tensor.
#[derive(Debug)]
pub(super) struct PrunedValues {
    pub(super) rule: Arc<Rule>,
    pub(super) dtype: Dtype,
}

impl PieceMap for PrunedValues {
    fn width(&self) -> usize {
        self.dtype.size_bits() / 8
    }

    fn map(&self, piece: usize, start: usize, bytes: &mut [u8], out: &mut [u8]) {
        self.rule.apply(self.dtype, (piece, start), bytes);
        out.copy_from_slice(bytes);
    }
}

/// Makes the mask of a tensor: one or zero, in its type.
#[derive(Debug)]
pub(super) struct Mask {
    pub(super) rule: Arc<Rule>,
    pub(super) dtype: Dtype,
}

impl PieceMap for Mask {
    fn width(&self) -> usize {
        self.dtype.size_bits() / 8
    }

    fn map(&self, piece: usize, start: usize, bytes: &mut [u8], out: &mut [u8]) {
        let kept = self.rule.kept(self.dtype, (piece, start), bytes);
        let one: &[u8] = match self.dtype {
            Dtype::F16 => &f16::ONE.to_bits().to_ne_bytes(),
            Dtype::BF16 => &bf16::ONE.to_bits().to_ne_bytes(),
            Dtype::F32 => &1f32.to_ne_bytes(),
            _ => &1f64.to_ne_bytes(),
        };
        out.fill(0);
        for (out, kept) in out.chunks_exact_mut(one.len()).zip(kept.iter()) {
            if kept {
                out.copy_from_slice(one);
            }
        }
    }
}

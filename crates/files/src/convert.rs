//! Whole files under other names, in other types and layouts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use espalier_checkpoint::{Checkpoint, Dtype, KeyChange, KeyFault, KeyMap, NamedTensor};
use espalier_kernels::{ValuesMut, cast};
use half::slice::HalfBitsSliceExt as _;

use crate::error::FilesError;
use crate::mapped::{Mapped, PieceMap};
use crate::nearest::nearest;
use crate::pieces::{Cuts, is_real, values};
use crate::select::Selection;

/// Whose names and order of axes a file has, or is to have.
///
/// ```
/// assert_ne!(espalier_files::Layout::Torch, espalier_files::Layout::Burn);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// PyTorch's.
    Torch,
    /// Burn's: see [`KeyMap::torch_to_burn`] and [`KeyMap::burn_to_torch`].
    Burn,
    /// Flax's: see [`KeyMap::torch_to_flax`] and [`KeyMap::flax_to_torch`].
    Flax,
    /// Keras': see [`KeyMap::torch_to_keras`], which gives the names of Keras 2, and [`KeyMap::keras_to_torch`], which takes
    /// those of Keras 3 too.
    Keras,
}

impl Layout {
    /// That which is taken for the layout of the file, unless it is told: Burn's for PyTorch's, PyTorch's for all others.
    fn usual_source(self) -> Self {
        if self == Self::Torch { Self::Burn } else { Self::Torch }
    }

    /// From this layout to another, by way of PyTorch's.
    fn to(self, other: Self) -> Result<KeyMap, KeyFault> {
        if self == other {
            return Ok(KeyMap::default());
        }
        let there = match self {
            Self::Torch => KeyMap::default(),
            Self::Burn => KeyMap::burn_to_torch()?,
            Self::Flax => KeyMap::flax_to_torch()?,
            Self::Keras => KeyMap::keras_to_torch()?,
        };
        let on = match other {
            Self::Torch => KeyMap::default(),
            Self::Burn => KeyMap::torch_to_burn()?,
            Self::Flax => KeyMap::torch_to_flax()?,
            Self::Keras => KeyMap::torch_to_keras()?,
        };
        Ok(there.then(&on))
    }
}

/// What is to become of a file.
///
/// Of the tensors that are selected, under the names that they have in the file: first `rename`, then `layout`, then
/// `dtype`. The order of the file, its metadata and its ties stay.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};
/// use espalier_files::{Conversion, Selection};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("module.w", vec![2], &[1.0, 1e6])?)?;
/// checkpoint.push(NamedTensor::boolean("module.m", vec![1], &[true])?)?;
/// let conversion = Conversion { rename: "^module\\.=>".parse()?, dtype: Some(Dtype::F16), ..Default::default() };
/// let converted = conversion.of(&checkpoint, &Selection::default())?;
/// let types: Vec<_> = converted.checkpoint.iter().map(|tensor| (tensor.name(), tensor.dtype())).collect();
/// assert_eq!(types, [("w", Dtype::F16), ("m", Dtype::Bool)]);
/// // Told once the tensors are written.
/// assert_eq!(converted.checkpoint.get("w").map(|w| w.to_f32_vec()).transpose()?, Some(vec![1.0, f32::INFINITY]));
/// assert_eq!(converted.overflowed(), [("w", 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Conversion {
    /// New names. A rule that is for no tensor is an error.
    pub rename: KeyMap,
    /// The layout that it is to have.
    pub layout: Option<Layout>,
    /// The layout that it has; without it Burn's where PyTorch's is asked for, and else PyTorch's. Nothing without a layout
    /// that is asked for.
    pub from: Option<Layout>,
    /// The type of the tensors of floats (F16, BF16, F32, F64): F16, BF16 or F32. What it cannot hold is rounded to the
    /// nearest, half to even, and becomes infinite beyond its range.
    pub dtype: Option<Dtype>,
}

/// A checkpoint that is converted as it is written.
///
/// See [`Conversion`] for an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Converted {
    /// The tensors.
    pub checkpoint: Checkpoint,
    /// What the layout changed, in order: names after renaming.
    pub changes: Vec<KeyChange>,
    /// Tensors of small floats or complex numbers, which stay in their type.
    pub left: Vec<String>,
    lost: Vec<(String, Arc<Lost>)>,
}

impl Converted {
    /// The tensors with finite values that have become infinite, and how many these are; known once they are
    /// written.
    ///
    /// See [`Conversion`] for an example.
    pub fn overflowed(&self) -> Vec<(&str, usize)> {
        let counts = self.lost.iter().map(|(name, lost)| (name.as_str(), lost.count()));
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

impl Conversion {
    /// Converts a checkpoint; its tensors are read when those of the result are.
    ///
    /// # Errors
    ///
    /// [`FilesError::NoMatch`] and [`FilesError::NoRename`] for globs and rules that are for no tensor,
    /// [`FilesError::NotAFloat`] for a type that is not written, and an
    /// [`Error::Keys`](espalier_checkpoint::Error::Keys) for names that collide.
    ///
    /// See [`Conversion`] for an example.
    pub fn of(
        &self,
        checkpoint: &Checkpoint,
        selection: &Selection,
    ) -> Result<Converted, FilesError> {
        let meant = selection.of(checkpoint)?;
        let mut chosen = Checkpoint::new();
        chosen.metadata.clone_from(&checkpoint.metadata);
        chosen.origin.clone_from(&checkpoint.origin);
        for (tensor, _) in checkpoint.iter().zip(meant).filter(|(_, meant)| *meant) {
            chosen.push(tensor.clone())?;
        }
        if let Some(rule) = self.rename.unused(&chosen).first() {
            let pattern = rule.pattern().to_owned();
            let names = nearest(&pattern, chosen.names());
            return Err(FilesError::NoRename { pattern, names });
        }
        let renamed = chosen.mapped(&self.rename)?;
        let layout = match self.layout {
            None => KeyMap::default(),
            Some(layout) => {
                let from = self.from.unwrap_or(layout.usual_source());
                from.to(layout).map_err(espalier_checkpoint::Error::from)?
            }
        };
        let changes = layout.changes(&renamed);
        let turned = renamed.mapped(&layout)?;
        let mut converted =
            Converted { checkpoint: turned, changes, left: Vec::new(), lost: Vec::new() };
        if let Some(dtype) = self.dtype {
            converted.cast(dtype)?;
        }
        Ok(converted)
    }
}

impl Converted {
    fn cast(&mut self, to: Dtype) -> Result<(), FilesError> {
        if !matches!(to, Dtype::F16 | Dtype::BF16 | Dtype::F32) {
            return Err(FilesError::NotAFloat { dtype: to.to_string() });
        }
        let ties: HashMap<&str, &str> = self.checkpoint.ties().into_iter().collect();
        let mut out = Checkpoint::new();
        out.metadata.clone_from(&self.checkpoint.metadata);
        out.origin.clone_from(&self.checkpoint.origin);
        for tensor in &self.checkpoint {
            let (name, dtype) = (tensor.name(), tensor.dtype());
            if !is_real(dtype) || dtype == to {
                if is_unread(dtype) {
                    self.left.push(name.to_owned());
                }
                out.push(tensor.clone())?;
                continue;
            }
            let tied = ties.get(name).and_then(|first| out.get(first)).cloned();
            if let Some(tied) = tied {
                out.push(tied.with_name(name))?;
                continue;
            }
            let cuts = Cuts::anywhere(tensor.numel());
            let lost = Arc::new(Lost((0..cuts.len()).map(|_| AtomicU32::new(0)).collect()));
            self.lost.push((name.to_owned(), Arc::clone(&lost)));
            let map = Cast { from: dtype, to, lost };
            let provider = Arc::new(Mapped { tensor: tensor.clone(), cuts, map });
            out.push(NamedTensor::lazy(name, to, tensor.shape().to_vec(), provider)?)?;
        }
        self.checkpoint = out;
        Ok(())
    }
}

/// Floats and complex numbers that are not cast.
fn is_unread(dtype: Dtype) -> bool {
    matches!(
        dtype,
        Dtype::F4
            | Dtype::F6E2M3
            | Dtype::F6E3M2
            | Dtype::F8E5M2
            | Dtype::F8E4M3
            | Dtype::F8E8M0
            | Dtype::F8E4M3Fnuz
            | Dtype::F8E5M2Fnuz
            | Dtype::C32
            | Dtype::C64
            | Dtype::C128
    )
}

/// How many became infinite in each piece: a piece that is made again is not counted twice.
#[derive(Debug)]
struct Lost(Vec<AtomicU32>);

impl Lost {
    fn count(&self) -> usize {
        self.0.iter().map(|piece| piece.load(Ordering::Relaxed) as usize).sum()
    }
}

/// Makes the values of a tensor in another type.
#[derive(Debug)]
struct Cast {
    from: Dtype,
    to: Dtype,
    lost: Arc<Lost>,
}

impl PieceMap for Cast {
    fn width(&self) -> usize {
        self.to.size_bits() / 8
    }

    fn map(&self, piece: usize, _: usize, bytes: &mut [u8], out: &mut [u8]) {
        let out = match self.to {
            Dtype::F16 => {
                ValuesMut::F16(bytemuck::cast_slice_mut::<_, u16>(out).reinterpret_cast_mut())
            }
            Dtype::BF16 => {
                ValuesMut::BF16(bytemuck::cast_slice_mut::<_, u16>(out).reinterpret_cast_mut())
            }
            _ => ValuesMut::F32(bytemuck::cast_slice_mut(out)),
        };
        let lost = cast(&values(self.from, bytes), out);
        if let Some(count) = self.lost.0.get(piece) {
            count.store(u32::try_from(lost).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }
}

//! Axes of tensors turned, without the whole tensor in memory where it can be read in parts.

use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use super::fault::KeyFault;
use crate::data::{Provider, hand};
use crate::error::Error;
use crate::source::zeroed;
use crate::tensor::NamedTensor;

/// Larger tensors are turned band by band.
const WHOLE: usize = 64 << 20;

/// Bytes that are turned together.
const BAND: usize = 4 << 20;

/// Bytes of a larger tensor that are read together: runs must not be too short.
const WIDE_BAND: usize = 32 << 20;

/// Rows and columns that are turned together: so many lines stay in the cache.
const TILE: usize = 16;

/// Another order of the axes of a tensor.
///
/// ```
/// use espalier_checkpoint::Turn;
/// // A convolution's kernel of Flax or Keras, and PyTorch's.
/// assert_eq!(Turn::FromLast.shape(&[3, 5, 16, 32]), [32, 16, 3, 5]);
/// assert_eq!(Turn::ToLast.shape(&[32, 16, 3, 5]), [3, 5, 16, 32]);
/// // A dense layer, in both directions.
/// assert_eq!(Turn::FromLast.shape(&[784, 10]), [10, 784]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// `[spatial..., in, out]` to `[out, in, spatial...]`.
    FromLast,
    /// `[out, in, spatial...]` to `[spatial..., in, out]`.
    ToLast,
}

impl Turn {
    /// The other way.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Turn::ToLast.inverse(), espalier_checkpoint::Turn::FromLast);
    /// ```
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::FromLast => Self::ToLast,
            Self::ToLast => Self::FromLast,
        }
    }

    /// The shape after it. Fewer than two dimensions stay as they are.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Turn::FromLast.shape(&[7]), [7]);
    /// ```
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        match (self, shape) {
            (Self::FromLast, [spatial @ .., a, b]) => [&[*b, *a], spatial].concat(),
            (Self::ToLast, [a, b, spatial @ ..]) => [spatial, &[*b, *a]].concat(),
            (_, shape) => shape.to_vec(),
        }
    }

    /// The sizes as three axes, which change their order to the last one first.
    fn axes(self, shape: &[usize]) -> [usize; 3] {
        match (self, shape) {
            (Self::FromLast, [spatial @ .., a, b]) => [spatial.iter().product(), *a, *b],
            (Self::ToLast, [a, b, spatial @ ..]) => [*a, *b, spatial.iter().product()],
            (_, shape) => [1, 1, shape.iter().product()],
        }
    }

    /// The tensor turned, when it is read.
    pub(super) fn of(self, tensor: &NamedTensor) -> Result<NamedTensor, Error> {
        if tensor.shape().len() < 2 {
            return Ok(tensor.clone());
        }
        let (name, dtype) = (tensor.name().to_owned(), tensor.dtype());
        if dtype.size_bits() % 8 != 0 {
            return Err(KeyFault::SmallElements { name, dtype }.into());
        }
        let axes = self.axes(tensor.shape());
        let provider = Arc::new(Turned { tensor: tensor.clone(), axes });
        NamedTensor::lazy(name, dtype, self.shape(tensor.shape()), provider)
    }
}

/// A tensor of three axes in the opposite order.
#[derive(Debug)]
struct Turned {
    tensor: NamedTensor,
    axes: [usize; 3],
}

impl Turned {
    fn width(&self) -> usize {
        self.tensor.dtype().size_bits() / 8
    }

    /// Turns `count` indices of the last axis, which `bytes` hold from `first` on of every `stride` elements.
    fn turn(&self, bytes: &[u8], (stride, first): (usize, usize), count: usize, out: &mut [u8]) {
        let [p, q, _] = self.axes;
        match self.width() {
            1 => turn::<1>(bytes, (p, q), (stride, first), count, out),
            2 => turn::<2>(bytes, (p, q), (stride, first), count, out),
            4 => turn::<4>(bytes, (p, q), (stride, first), count, out),
            8 => turn::<8>(bytes, (p, q), (stride, first), count, out),
            _ => turn::<16>(bytes, (p, q), (stride, first), count, out),
        }
    }
}

impl Provider for Turned {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(self.tensor.byte_len());
        self.stream(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        let [p, q, r] = self.axes;
        let column = p * q * self.width();
        if column * r == 0 {
            return Ok(());
        }
        let in_bands = self.tensor.is_seekable() && self.tensor.byte_len() > WHOLE;
        let step = (if in_bands { WIDE_BAND } else { BAND } / column).clamp(1, r);
        let mut out = zeroed(column * step).map_err(|e| self.no_memory(e))?;
        if !in_bands {
            let bytes = self.tensor.bytes()?;
            for first in (0..r).step_by(step) {
                let count = step.min(r - first);
                let out = &mut out[..column * count];
                self.turn(&bytes, (r, first), count, out);
                hand(out, take)?;
            }
            return Ok(());
        }
        let mut band = zeroed(column * step).map_err(|e| self.no_memory(e))?;
        for first in (0..r).step_by(step) {
            let count = step.min(r - first);
            let (run, width) = (count * self.width(), self.width());
            let (band, out) = (&mut band[..column * count], &mut out[..column * count]);
            band.par_chunks_mut(run).enumerate().try_for_each(|(row, run)| {
                self.tensor.read_at(((row * r + first) * width) as u64, run)
            })?;
            self.turn(band, (count, 0), count, out);
            hand(out, take)?;
        }
        Ok(())
    }
}

impl Turned {
    fn no_memory(&self, cause: io::Error) -> Error {
        Error::io(self.tensor.name().as_ref(), crate::error::Action::Read, cause)
    }
}

fn turn<const WIDTH: usize>(
    bytes: &[u8],
    (p, q): (usize, usize),
    (stride, first): (usize, usize),
    count: usize,
    out: &mut [u8],
) {
    let (from, _) = bytes.as_chunks::<WIDTH>();
    let (to, _) = out.as_chunks_mut::<WIDTH>();
    // Each index of the last axis is a part of its own.
    to.par_chunks_mut(TILE * p * q).enumerate().for_each(|(tile, to)| {
        let k0 = tile * TILE;
        let columns = TILE.min(count - k0);
        for j in 0..q {
            for i0 in (0..p).step_by(TILE) {
                for k in 0..columns {
                    for i in i0..(i0 + TILE).min(p) {
                        to[(k * q + j) * p + i] = from[(i * q + j) * stride + first + k0 + k];
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;
    use proptest::prelude::*;

    fn tensor(shape: &[usize], width: usize) -> NamedTensor {
        let numel: usize = shape.iter().product();
        let bytes: Vec<u8> =
            (0..numel).flat_map(|i| (i as u128).to_le_bytes()[..width].to_vec()).collect();
        let dtype = match width {
            1 => Dtype::U8,
            2 => Dtype::BF16,
            4 => Dtype::F32,
            8 => Dtype::F64,
            _ => Dtype::C128,
        };
        NamedTensor::new("a", dtype, shape.to_vec(), bytes).unwrap()
    }

    proptest! {
        #[test]
        fn there_and_back(
            shape in prop::collection::vec(0usize..20, 0..5),
            width in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
        ) {
            let tensor = tensor(&shape, width);
            for turn in [Turn::FromLast, Turn::ToLast] {
                let turned = turn.of(&tensor).unwrap();
                prop_assert_eq!(turned.shape(), &turn.shape(&shape)[..]);
                let back = turn.inverse().of(&turned).unwrap();
                prop_assert_eq!(&back, &tensor);
            }
        }

        #[test]
        fn each_element_where_it_belongs(a in 1usize..5, b in 1usize..40, h in 1usize..4, w in 1usize..40) {
            let tensor = tensor(&[h, w, a, b], 4);
            let turned = Turn::FromLast.of(&tensor).unwrap();
            let (from, to) = (tensor.bytes().unwrap(), turned.bytes().unwrap());
            for (i, found) in to.chunks(4).enumerate() {
                let (ib, ia, ih, iw) = (i / (a * h * w), i / (h * w) % a, i / w % h, i % w);
                let place = ((ih * w + iw) * a + ia) * b + ib;
                prop_assert_eq!(found, &from[4 * place..][..4]);
            }
        }
    }

    #[test]
    fn large_ones_in_bands() {
        let (rows, columns) = (4100, 4100);
        let large = tensor(&[rows, columns], 4);
        assert!(large.byte_len() > WHOLE);
        let turned = Turn::ToLast.of(&large).unwrap();
        let (from, to) = (large.bytes().unwrap(), turned.bytes().unwrap());
        let at = |bytes: &[u8], row: usize, column: usize, stride: usize| {
            bytes[4 * (row * stride + column)..][..4].to_vec()
        };
        for row in (0..rows).step_by(7) {
            for column in (0..columns).step_by(11) {
                assert_eq!(at(&from, row, column, columns), at(&to, column, row, rows));
            }
        }
    }
}

//! Tensors read in pieces, by all threads.

use std::io;
use std::ops::Range;

use espalier_checkpoint::{Dtype, Error, NamedTensor};
use espalier_kernels::Values;
use half::slice::HalfBitsSliceExt as _;
use rayon::prelude::*;

use crate::error::FilesError;
use crate::observe::{Cancel, Observer};

/// Elements in a piece: it stays in the cache from its reading to its last use.
const PIECE: usize = 1 << 16;

/// How a tensor is cut: pieces of `size` elements, the last of every `run` elements shorter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cuts {
    numel: usize,
    run: usize,
    size: usize,
}

impl Cuts {
    /// Wherever it is.
    pub(crate) fn anywhere(numel: usize) -> Self {
        Self { numel, run: numel, size: PIECE }
    }

    /// So that no group of `m` elements of a row is cut, whose last group may be shorter.
    pub(crate) fn between_groups(numel: usize, row: usize, m: usize) -> Self {
        let groups = (PIECE / m * m).max(m);
        if row.is_multiple_of(m) {
            Self { numel, run: numel, size: groups }
        } else if row <= PIECE {
            Self { numel, run: numel, size: (PIECE / row).max(1) * row }
        } else {
            Self { numel, run: row, size: groups }
        }
    }

    fn in_run(&self) -> usize {
        self.run.div_ceil(self.size)
    }

    /// The number of pieces.
    pub(crate) fn len(&self) -> usize {
        self.numel.checked_div(self.run).unwrap_or(0) * self.in_run()
    }

    /// The elements of a piece.
    pub(crate) fn get(&self, piece: usize) -> Range<usize> {
        let run = piece / self.in_run() * self.run;
        let start = run + piece % self.in_run() * self.size;
        start..(run + self.run).min(start + self.size)
    }
}

/// Bytes that may be seen as numbers of any width.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<u64>);

impl Buffer {
    /// So many of its bytes, of any content.
    pub(crate) fn bytes(&mut self, length: usize) -> &mut [u8] {
        let words = length.div_ceil(8);
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..length]
    }
}

/// Bytes of a file as this machine has them, and the other way round.
pub(crate) fn swap(bytes: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}

/// Whether numbers of this type can be reckoned with.
pub(crate) fn is_real(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

/// Bytes of a [`Buffer`] as floats; none for another type.
pub(crate) fn values(dtype: Dtype, bytes: &[u8]) -> Values<'_> {
    match dtype {
        Dtype::F16 => Values::F16(bytemuck::cast_slice::<_, u16>(bytes).reinterpret_cast()),
        Dtype::BF16 => Values::BF16(bytemuck::cast_slice::<_, u16>(bytes).reinterpret_cast()),
        Dtype::F32 => Values::F32(bytemuck::cast_slice(bytes)),
        Dtype::F64 => Values::F64(bytemuck::cast_slice(bytes)),
        _ => Values::F32(&[]),
    }
}

/// A tensor and how it is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) tensor: &'a NamedTensor,
    pub(crate) cuts: Cuts,
}

/// A piece of one of several tensors, and its bytes.
pub(crate) struct Piece<'a> {
    /// Which tensor.
    pub(crate) at: usize,
    /// Which of its pieces.
    pub(crate) piece: usize,
    /// The first of its elements.
    pub(crate) start: usize,
    pub(crate) bytes: &'a mut [u8],
}

/// What `work` gives for each piece of each tensor, by all threads, the results in order.
///
/// Memory is bounded by a piece a thread, but for tensors that cannot be read in parts and do not stream.
pub(crate) fn each_piece<R: Send, O: Observer>(
    tensors: &[Whole<'_>],
    observer: &O,
    work: impl Fn(Piece<'_>) -> R + Sync + Send,
) -> Result<Vec<Vec<R>>, FilesError> {
    let tasks: Vec<(usize, Range<usize>)> = tensors
        .iter()
        .enumerate()
        .flat_map(|(at, whole)| {
            let n = whole.cuts.len();
            let step = if whole.tensor.is_seekable() { 1 } else { n.max(1) };
            (0..n).step_by(step).map(move |piece| (at, piece..(piece + step).min(n)))
        })
        .collect();
    let done: Vec<Vec<R>> = tasks
        .par_iter()
        .map_init(Buffer::default, |buffer, (at, pieces)| {
            let mut results = Vec::with_capacity(pieces.len());
            read(&tensors[*at], pieces.clone(), buffer, &mut |piece, start, bytes| {
                if observer.cancelled() {
                    return Err(io::Error::other(Cancel));
                }
                let read = bytes.len() as u64;
                results.push(work(Piece { at: *at, piece, start, bytes }));
                observer.advance(read);
                Ok(())
            })?;
            Ok(results)
        })
        .collect::<Result<_, Error>>()?;
    let mut by_tensor: Vec<Vec<R>> = tensors.iter().map(|_| Vec::new()).collect();
    for ((at, _), results) in tasks.iter().zip(done) {
        by_tensor[*at].extend(results);
    }
    Ok(by_tensor)
}

/// Takes a piece: its number, its first element and its bytes.
pub(crate) type Take<'a> = dyn FnMut(usize, usize, &mut [u8]) -> io::Result<()> + 'a;

/// Reads pieces that follow each other and gives them to `take`.
pub(crate) fn read(
    whole: &Whole<'_>,
    pieces: Range<usize>,
    buffer: &mut Buffer,
    take: &mut Take<'_>,
) -> Result<(), Error> {
    let width = whole.tensor.dtype().size_bits() / 8;
    if whole.tensor.is_seekable() {
        for piece in pieces {
            let range = whole.cuts.get(piece);
            let bytes = buffer.bytes(range.len() * width);
            whole.tensor.read_at((range.start * width) as u64, bytes)?;
            swap(bytes, width);
            take(piece, range.start, bytes).map_err(taken)?;
        }
        return Ok(());
    }
    let (mut piece, mut filled) = (pieces.start, 0);
    whole.tensor.stream(|mut part| {
        while !part.is_empty() {
            let range = whole.cuts.get(piece);
            let bytes = buffer.bytes(range.len() * width);
            let some = part.len().min(bytes.len() - filled);
            bytes[filled..filled + some].copy_from_slice(&part[..some]);
            (filled, part) = (filled + some, &part[some..]);
            if filled == bytes.len() {
                swap(bytes, width);
                take(piece, range.start, bytes)?;
                (piece, filled) = (piece + 1, 0);
            }
        }
        Ok(())
    })
}

/// The error of one who took a piece.
pub(crate) fn taken(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(cause) => Error::Io {
            path: "the destination".into(),
            action: espalier_checkpoint::Action::Write,
            cause,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(cuts: Cuts, numel: usize) -> Vec<Range<usize>> {
        let pieces: Vec<_> = (0..cuts.len()).map(|piece| cuts.get(piece)).collect();
        let mut end = 0;
        for piece in &pieces {
            assert_eq!(piece.start, end);
            assert!(!piece.is_empty());
            end = piece.end;
        }
        assert_eq!(end, numel);
        pieces
    }

    proptest! {
        #[test]
        fn pieces_cover_and_groups_stay_whole(
            rows in 0usize..4,
            row in prop_oneof![1usize..300, PIECE - 5..PIECE + 5, 150_000usize..150_010],
            m in prop_oneof![1usize..9, Just(70_000usize)],
        ) {
            check(Cuts::anywhere(rows * row), rows * row);
            for piece in check(Cuts::between_groups(rows * row, row, m), rows * row) {
                let (start, end) = (piece.start % row, piece.end % row);
                prop_assert!(start % m == 0 || row % m == 0);
                prop_assert!(end % m == 0 || row % m == 0);
            }
        }
    }
}

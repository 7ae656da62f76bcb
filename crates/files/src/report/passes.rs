//! The elements of a tensor from first to last, in blocks that are worked on by all threads.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use espalier_checkpoint::{Dtype, Error, NamedTensor};
use rayon::prelude::*;

use crate::error::FilesError;
use crate::observe::{Cancel, Observer};

/// Elements of a block.
const BLOCK: usize = 1 << 15;

/// A tensor of at most so many bytes is read once, a larger one anew for each pass.
const HELD: usize = 32 << 20;

/// A tensor that is gone through several times.
pub(crate) struct Passes<'a, O> {
    tensor: NamedTensor,
    observer: &'a Arc<O>,
    /// Bytes of which the observer is yet to be told.
    untold: Cell<u64>,
}

impl<'a, O: Observer> Passes<'a, O> {
    /// The observer is told of the bytes of the first `told` times.
    pub(crate) fn new(
        tensor: &NamedTensor,
        told: u64,
        observer: &'a Arc<O>,
    ) -> Result<Self, FilesError> {
        let untold = Cell::new(told * tensor.byte_len() as u64);
        let tensor = tensor.clone();
        let tensor = if tensor.byte_len() <= HELD { tensor.load()? } else { tensor };
        Ok(Self { tensor, observer, untold })
    }

    /// Tells the observer of all bytes that are left.
    pub(crate) fn finish(&self) {
        self.observer.advance(self.untold.take());
    }

    fn advance(&self, bytes: usize) {
        let told = self.untold.get().min(bytes as u64);
        self.untold.set(self.untold.get() - told);
        self.observer.advance(told);
    }

    /// Whether elements of that type have a value as a real number.
    pub(crate) fn decoded(&self) -> bool {
        NamedTensor::new("", self.tensor.dtype(), vec![0], Vec::new())
            .is_ok_and(|empty| empty.values().is_ok())
    }

    /// `block(first, values)` of each block, where `first` is the number of elements before it, and `fold` of what
    /// these gave, in order.
    pub(crate) fn each<T: Send>(
        &self,
        block: impl Fn(usize, &[f64]) -> T + Sync,
        mut fold: impl FnMut(T),
    ) -> Result<(), FilesError> {
        let dtype = self.tensor.dtype();
        let width = (dtype.size_bits() / 8).max(1);
        let mut first = 0;
        let mut whole = |bytes: &[u8]| -> Result<(), Error> {
            let parts: Vec<T> = bytes
                .par_chunks(BLOCK * width)
                .enumerate()
                .map(|(at, bytes)| Ok(block(first + at * BLOCK, &decode(dtype, bytes, width)?)))
                .collect::<Result<_, Error>>()?;
            parts.into_iter().for_each(&mut fold);
            first += bytes.len() / width;
            Ok(())
        };
        // Of an element that a piece ends within.
        let mut rest: Vec<u8> = Vec::new();
        self.tensor.stream(|mut piece| {
            if self.observer.cancelled() {
                return Err(io::Error::other(Cancel));
            }
            self.advance(piece.len());
            if !rest.is_empty() {
                let (head, tail) = piece.split_at(piece.len().min(width - rest.len()));
                rest.extend_from_slice(head);
                piece = tail;
                if rest.len() == width {
                    whole(&rest).map_err(io::Error::other)?;
                    rest.clear();
                }
            }
            let (elements, tail) = piece.split_at(piece.len() / width * width);
            whole(elements).map_err(io::Error::other)?;
            rest.extend_from_slice(tail);
            Ok(())
        })?;
        Ok(())
    }
}

fn decode(dtype: Dtype, bytes: &[u8], width: usize) -> Result<Vec<f64>, Error> {
    let count = bytes.len() / width;
    Ok(NamedTensor::new("", dtype, vec![count], bytes.to_vec())?.values()?.collect())
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::Provider;

    use super::*;
    use crate::Silent;

    /// Hands its bytes on in pieces of a size that no element has.
    #[derive(Debug)]
    struct Torn(Vec<u8>, usize);

    impl Provider for Torn {
        fn read(&self) -> Result<Vec<u8>, Error> {
            Ok(self.0.clone())
        }

        fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
            for piece in self.0.chunks(self.1) {
                take(piece).map_err(|cause| Error::Io {
                    path: "torn".into(),
                    action: espalier_checkpoint::Action::Read,
                    cause,
                })?;
            }
            Ok(())
        }
    }

    struct Stop;

    impl Observer for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }

    fn torn(size: usize) -> NamedTensor {
        let bytes = (0..1000).flat_map(|i| (i as f32).to_le_bytes()).collect();
        NamedTensor::lazy("t", Dtype::F32, vec![1000], Arc::new(Torn(bytes, size))).unwrap()
    }

    #[test]
    fn elements_come_whole_and_in_order() {
        for size in [1, 2, 3, 5, 7, 4000, 9999] {
            let observer = Arc::new(Silent);
            // Not `new`, which would hold so small a tensor.
            let passes = Passes { tensor: torn(size), observer: &observer, untold: Cell::new(0) };
            let mut found = Vec::new();
            passes.each(|first, values| (first, values.to_vec()), |part| found.push(part)).unwrap();
            let mut next = 0;
            for (first, values) in found {
                assert_eq!(first, next);
                next += values.len();
                assert!(values.iter().enumerate().all(|(at, value)| *value == (first + at) as f64));
            }
            assert_eq!(next, 1000);
        }
    }

    #[test]
    fn an_observer_can_stop_it() {
        let observer = Arc::new(Stop);
        let passes = Passes::new(&torn(7), 1, &observer).unwrap();
        assert!(matches!(passes.each(|_, _| (), |()| {}), Err(FilesError::Cancelled)));
    }
}

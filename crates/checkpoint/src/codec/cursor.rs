//! Walking through a file from field to field, past what is not looked at.

use std::marker::PhantomData;
use std::ops::Range;

use crate::error::Error;
use crate::source::Source;

/// The bytes read at once. Headers are short, and what follows them is mostly passed over.
const WINDOW: u64 = 8 << 10;

/// A fault of a format that knows what to say of a file that ends too early.
pub(crate) trait CutFault {
    /// Something of `needed` bytes begins at `position`, and the file ends within it.
    fn cut(position: u64, needed: u64) -> Self;
}

/// Why a walk ended: the file is not acceptable, or cannot be read.
#[derive(Debug)]
pub(crate) enum Stop<F> {
    Fault(F),
    Error(Error),
}

impl<F> From<Error> for Stop<F> {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl<F> Stop<F> {
    /// The error of the crate, made by `wrap` of a fault.
    pub(crate) fn into_error(self, wrap: impl FnOnce(F) -> Error) -> Error {
        match self {
            Self::Fault(fault) => wrap(fault),
            Self::Error(error) => error,
        }
    }
}

/// A place in a range of a file. Numbers are little-endian unless the name says otherwise.
#[derive(Debug)]
pub(crate) struct Cursor<'a, F> {
    source: &'a Source,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_start: u64,
    fault: PhantomData<fn() -> F>,
}

impl<'a, F: CutFault> Cursor<'a, F> {
    /// At the start of `range`, which is cut to the length of the file.
    pub(crate) fn new(source: &'a Source, range: Range<u64>) -> Self {
        let end = range.end.min(source.len());
        let at = range.start.min(end);
        Self { source, at, end, window: Vec::new(), window_start: at, fault: PhantomData }
    }

    /// The place, in bytes from the start of the file.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The bytes that are left of the range.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The range of the next `length` bytes, which are passed over.
    pub(crate) fn skip(&mut self, length: u64) -> Result<Range<u64>, Stop<F>> {
        let start = self.at;
        if length > self.left() {
            return Err(Stop::Fault(F::cut(start, length)));
        }
        self.at += length;
        Ok(start..self.at)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop<F>> {
        let range = self.skip(N as u64)?;
        if range.start < self.window_start
            || range.end > self.window_start + self.window.len() as u64
        {
            let end = self.end.min(range.start + WINDOW.max(N as u64));
            self.window = self.source.read(range.start..end)?;
            self.window_start = range.start;
        }
        let start = (range.start - self.window_start) as usize;
        let mut out = [0; N];
        out.copy_from_slice(&self.window[start..start + N]);
        Ok(out)
    }

    /// The next `length` bytes. Who calls has a limit for `length`, or keeps no copy of many of them.
    pub(crate) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Stop<F>> {
        let range = self.skip(length)?;
        let window_end = self.window_start + self.window.len() as u64;
        if range.start >= self.window_start && range.end <= window_end {
            let start = (range.start - self.window_start) as usize;
            return Ok(self.window[start..start + length as usize].to_vec());
        }
        Ok(self.source.read(range)?)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Stop<F>> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Stop<F>> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Stop<F>> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Stop<F>> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Stop<F>> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Stop<F>> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A big-endian number of 1, 2, 4 or 8 bytes.
    pub(crate) fn big(&mut self, width: usize) -> Result<u64, Stop<F>> {
        Ok(match width {
            1 => u64::from(self.u8()?),
            2 => u64::from(u16::from_be_bytes(self.array()?)),
            4 => u64::from(u32::from_be_bytes(self.array()?)),
            _ => u64::from_be_bytes(self.array()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl CutFault for (u64, u64) {
        fn cut(position: u64, needed: u64) -> Self {
            (position, needed)
        }
    }

    #[test]
    fn numbers_and_ranges_over_the_edge_of_a_window() {
        let bytes: Vec<u8> = (0..3 * WINDOW).map(|i| (i % 251) as u8).collect();
        let source = Source::from_bytes(bytes.clone(), "x");
        for start in [0, 1, WINDOW - 3, WINDOW, 2 * WINDOW + 5] {
            let mut cursor = Cursor::<(u64, u64)>::new(&source, 1..3 * WINDOW);
            assert_eq!(cursor.u8().unwrap(), 1);
            cursor.skip(start).unwrap();
            let at = start as usize + 2;
            let eight: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
            assert_eq!(cursor.u64().unwrap(), u64::from_le_bytes(eight));
            let four: [u8; 4] = bytes[at + 8..at + 12].try_into().unwrap();
            assert_eq!(cursor.big(4).unwrap(), u64::from(u32::from_be_bytes(four)));
            assert_eq!(cursor.bytes(700).unwrap(), bytes[at + 12..at + 712]);
            assert_eq!(cursor.position(), at as u64 + 712);
        }
    }

    #[test]
    fn nothing_is_read_past_the_range() {
        let source = Source::from_bytes(vec![7; 10], "x");
        let mut cursor = Cursor::<(u64, u64)>::new(&source, 2..5);
        assert_eq!(cursor.u16().unwrap(), 0x0707);
        assert!(matches!(cursor.u16(), Err(Stop::Fault((4, 2)))));
        assert!(matches!(cursor.bytes(u64::MAX), Err(Stop::Fault((4, u64::MAX)))));
        assert_eq!((cursor.u8().unwrap(), cursor.left()), (7, 0));
    }
}

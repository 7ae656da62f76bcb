//! Vectors that are written once, without zeros before.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pieces::Cut;

/// A vector of `n` elements that `fill` writes through writers.
///
/// Filling memory with zeros first costs as much as a light kernel itself.
///
/// # Panics
///
/// If an element was left out.
pub(crate) fn fresh<T: Copy>(n: usize, fill: impl FnOnce(Slots<'_, T>)) -> Vec<T> {
    let mut values = Vec::with_capacity(n);
    let written = AtomicUsize::new(0);
    fill(Slots { slots: &mut values.spare_capacity_mut()[..n], written: &written });
    assert_eq!(written.into_inner(), n, "every element is written");
    // SAFETY: `n` slots of the capacity were handed out. Each belongs to one `Slots`, or to the one
    // writer that consumed it, and a writer counts a slot only after writing it, once: so all of
    // them are written. The exclusive borrow has ended, so that no other thread still writes.
    #[allow(unsafe_code)]
    unsafe {
        values.set_len(n);
    }
    values
}

/// Elements still to be written.
pub(crate) struct Slots<'a, T> {
    slots: &'a mut [MaybeUninit<T>],
    written: &'a AtomicUsize,
}

impl<T: Send> Cut for Slots<'_, T> {
    #[inline(always)]
    fn cut(self, at: usize) -> (Self, Self) {
        let (first, rest) = self.slots.split_at_mut(at);
        let written = self.written;
        (Self { slots: first, written }, Self { slots: rest, written })
    }
}

impl<'a, T> Slots<'a, T> {
    /// Writes them one after the other.
    #[inline(always)]
    pub(crate) fn writer(self) -> Writer<'a, T> {
        Writer { slots: self, at: 0 }
    }
}

/// Writes elements in their order.
pub(crate) struct Writer<'a, T> {
    slots: Slots<'a, T>,
    /// How many are written.
    at: usize,
}

impl<T> Writer<'_, T> {
    /// Writes what `values` gives, as far as there are places.
    #[inline(always)]
    pub(crate) fn extend(&mut self, values: impl Iterator<Item = T>) {
        let mut count = 0;
        for (slot, value) in self.slots.slots[self.at..].iter_mut().zip(values) {
            slot.write(value);
            count += 1;
        }
        self.at += count;
    }

    /// Writes `N` elements at once if there are as many places, else nothing.
    #[inline(always)]
    pub(crate) fn push<const N: usize>(&mut self, values: &[T; N])
    where
        T: Copy,
    {
        if let Some(slots) = self.slots.slots[self.at..].first_chunk_mut::<N>() {
            slots.write_copy_of_slice(values);
            self.at += N;
        }
    }
}

impl<T> Drop for Writer<'_, T> {
    fn drop(&mut self) {
        self.slots.written.fetch_add(self.at, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::{PIECE, pieces};

    #[test]
    fn what_is_written_is_there() {
        let source: Vec<u32> = (0..3 * PIECE as u32 + 5).collect();
        let copy = fresh(source.len(), |slots| {
            pieces(source.len(), (slots, &source[..]), |(slots, source)| {
                let (first, rest) = source.split_at(source.len() / 3);
                let mut writer = slots.writer();
                writer.extend(first.iter().copied());
                let (fours, rest) = rest.as_chunks::<4>();
                fours.iter().for_each(|four| writer.push(four));
                writer.extend(rest.iter().copied());
            });
        });
        assert_eq!(copy, source);
        assert_eq!(fresh::<u32>(0, |_| ()), []);
        // More than there is place for is left out.
        assert_eq!(fresh(2, |slots| slots.writer().extend(0..9)), [0, 1]);
    }

    #[test]
    #[should_panic(expected = "every element is written")]
    fn a_gap_is_noticed() {
        let _ = fresh(3, |slots| slots.writer().extend([1, 2].into_iter()));
    }
}

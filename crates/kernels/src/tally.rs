//! Elements counted by size.

use crate::elements::{Decoded, Elements, Ordered};

/// Counts elements from `low` to `high` in bins of one width, each of which holds its lower edge, and the last its upper
/// one too. Elements outside, NaN among them, are not counted. A complex number counts by its magnitude.
///
/// ```
/// use espalier_kernels::{Elements, tally};
/// let mut counts = [0; 2];
/// tally(Elements::I8, &[0, 1, 2, 3, 4, 9], 0.0, 4.0, &mut counts);
/// assert_eq!(counts, [2, 3]);
/// ```
pub fn tally(elements: Elements, bytes: &[u8], low: f64, high: f64, counts: &mut [u64]) {
    struct Tally<'a> {
        low: f64,
        high: f64,
        counts: &'a mut [u64],
    }
    impl Decoded<()> for Tally<'_> {
        fn take<T: Ordered, const N: usize>(
            self,
            elements: &[[u8; N]],
            decode: impl Fn([u8; N]) -> T + Copy,
        ) {
            let Self { low, high, counts } = self;
            let Some(last) = counts.len().checked_sub(1) else { return };
            // Half of each, for the whole width may be no number.
            let width = high / 2.0 - low / 2.0;
            let by = if width > 0.0 { counts.len() as f64 / width } else { 0.0 };
            for element in elements {
                let x = decode(*element).wide();
                if (low..=high).contains(&x) {
                    let at = (x / 2.0 - low / 2.0) * by;
                    counts[(at as usize).min(last)] += 1;
                }
            }
        }
    }
    elements.decoded(bytes, Tally { low, high, counts });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_in_its_bin() {
        let values = [f64::NAN, -1.0, -0.5, 0.0, 0.999, 1.0, 1.5, f64::INFINITY];
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut counts = [0; 4];
        tally(Elements::F64, &bytes, -1.0, 1.0, &mut counts);
        assert_eq!(counts, [1, 1, 1, 2]);
        let mut one = [0; 3];
        tally(Elements::F64, &bytes, 1.5, 1.5, &mut one);
        assert_eq!(one, [1, 0, 0]);
        let ends: Vec<u8> = [-f64::MAX, f64::MAX].iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut two = [0; 2];
        tally(Elements::F64, &ends, -f64::MAX, f64::MAX, &mut two);
        assert_eq!(two, [1, 1]);
        tally(Elements::F64, &ends, 0.0, 1.0, &mut []);
    }
}

//! How two tensors of one shape differ.

use crate::elements::Elements;

/// How far elements may be apart and still count as equal: `|a - b| <= absolute + relative * |a|`.
///
/// ```
/// assert_eq!(espalier_kernels::Tolerance::default().relative, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    /// In units of the elements.
    pub absolute: f64,
    /// In units of the first of the two.
    pub relative: f64,
}

/// What was found of two tensors of one shape, of any two types, element by element.
///
/// Equal are numbers whose difference is within the tolerance, among them zeros of both signs, infinities of one sign,
/// and NaN of the same bits. A complex number counts as its two parts. Integers of 64 bits are compared as such.
///
/// ```
/// use espalier_kernels::{Contrast, Elements, Tolerance};
/// let [a, b] = [[1.0f32, 2.0], [1.0, 2.5]].map(|values| values.map(f32::to_le_bytes).concat());
/// let mut contrast = Contrast::default();
/// contrast.add((Elements::F32, &a), (Elements::F32, &b), 0, &Tolerance::default());
/// assert_eq!((contrast.beyond(), contrast.largest()), (1, Some((1, 0.5))));
/// assert_eq!(contrast.relative(), Some(0.5 / 5f64.sqrt()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Contrast {
    changed: u64,
    beyond: u64,
    incomparable: u64,
    largest: Option<(u64, f64)>,
    first: Option<u64>,
    dot: f64,
    squares: [f64; 2],
    apart: f64,
}

impl Contrast {
    /// Adds elements, the first of which stands at `place`: the types and the bytes of both.
    ///
    /// ```
    /// # use espalier_kernels::{Contrast, Elements, Tolerance};
    /// let mut contrast = Contrast::default();
    /// contrast.add((Elements::U8, &[1]), (Elements::I8, &[1]), 7, &Tolerance::default());
    /// assert_eq!(contrast.beyond(), 0);
    /// ```
    pub fn add(
        &mut self,
        (a_type, a): (Elements, &[u8]),
        (b_type, b): (Elements, &[u8]),
        place: u64,
        tolerance: &Tolerance,
    ) {
        let (mut a_values, mut b_values): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        a_type.parts().decode(a, &mut a_values);
        if a_type == b_type && a == b {
            let square: f64 = a_values.iter().filter(|x| x.is_finite()).map(|x| x * x).sum();
            self.dot += square;
            self.squares = self.squares.map(|sum| sum + square);
            return;
        }
        b_type.parts().decode(b, &mut b_values);
        // A real number stands beside a complex one as that without its other part.
        let per = |kind: Elements| if kind == kind.parts() { 1 } else { 2 };
        let parts = per(a_type).max(per(b_type));
        widen(&mut a_values, parts / per(a_type));
        widen(&mut b_values, parts / per(b_type));
        let whole = |kind, bytes, at| integer(kind, bytes, at);
        for (at, (x, y)) in a_values.into_iter().zip(b_values).enumerate() {
            let here = place + (at / parts) as u64;
            let exact = match (whole(a_type, a, at), whole(b_type, b, at)) {
                (Some(x), Some(y)) => Some((x - y).unsigned_abs() as f64),
                _ => None,
            };
            let same_bits = || a_type == b_type && element(a_type, a, at) == element(b_type, b, at);
            self.pair(x, y, exact, here, tolerance, same_bits);
        }
    }

    fn pair(
        &mut self,
        x: f64,
        y: f64,
        exact: Option<f64>,
        here: u64,
        tolerance: &Tolerance,
        same_bits: impl Fn() -> bool,
    ) {
        if x.is_finite() && y.is_finite() {
            let apart = exact.unwrap_or((x - y).abs());
            self.dot += x * y;
            self.squares[0] += x * x;
            self.squares[1] += y * y;
            self.apart += apart * apart;
            if apart > 0.0 {
                self.changed += 1;
                if self.largest.is_none_or(|(_, most)| apart > most) {
                    self.largest = Some((here, apart));
                }
                if apart > tolerance.absolute + tolerance.relative * x.abs() {
                    self.beyond += 1;
                }
            }
            return;
        }
        if x == y || x.is_nan() && y.is_nan() && same_bits() {
            return;
        }
        self.changed += 1;
        self.beyond += 1;
        self.incomparable += 1;
        self.first = self.first.or(Some(here));
    }

    /// Adds what another one has found further on.
    ///
    /// ```
    /// # use espalier_kernels::Contrast;
    /// let mut contrast = Contrast::default();
    /// contrast.merge(&Contrast::default());
    /// assert_eq!(contrast, Contrast::default());
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.changed += other.changed;
        self.beyond += other.beyond;
        self.incomparable += other.incomparable;
        self.first = self.first.or(other.first);
        self.largest = match (self.largest, other.largest) {
            (Some(a), Some(b)) => Some(if b.1 > a.1 { b } else { a }),
            (a, b) => a.or(b),
        };
        self.dot += other.dot;
        self.squares = [0, 1].map(|at| self.squares[at] + other.squares[at]);
        self.apart += other.apart;
    }

    /// How many elements differ at all.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().changed(), 0);
    /// ```
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// How many elements differ by more than the tolerance.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().beyond(), 0);
    /// ```
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// How many elements differ of which one is infinite or not a number.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().incomparable(), 0);
    /// ```
    pub fn incomparable(&self) -> u64 {
        self.incomparable
    }

    /// The place of the first of [`incomparable`](Self::incomparable), if there are any.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().first(), None);
    /// ```
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// The place and the size of the largest difference between finite numbers, if there is one.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().largest(), None);
    /// ```
    pub fn largest(&self) -> Option<(u64, f64)> {
        self.largest
    }

    /// `|a - b| / |a|` in Euclidean norms over the elements that are finite in both; 0 for two zeros, `None` if only the
    /// first is zero.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().relative(), Some(0.0));
    /// ```
    pub fn relative(&self) -> Option<f64> {
        if self.apart == 0.0 {
            return Some(0.0);
        }
        let relative = self.apart.sqrt() / self.squares[0].sqrt();
        relative.is_finite().then_some(relative)
    }

    /// The cosine of the angle between both over the elements that are finite in both; 1 for two equal tensors, `None` if
    /// one alone is zero.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Contrast::default().cosine(), Some(1.0));
    /// ```
    pub fn cosine(&self) -> Option<f64> {
        if self.apart == 0.0 {
            return Some(1.0);
        }
        let cosine = self.dot / (self.squares[0].sqrt() * self.squares[1].sqrt());
        cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0))
    }
}

/// Puts zeros behind real numbers where complex ones stand beside them.
fn widen(values: &mut Vec<f64>, by: usize) {
    if by == 2 {
        *values = values.iter().flat_map(|x| [*x, 0.0]).collect();
    }
}

/// The bytes of a part; none for those smaller than a byte.
fn element(kind: Elements, bytes: &[u8], at: usize) -> &[u8] {
    let width = kind.parts().bits() / 8;
    bytes.get(at * width..(at + 1) * width).unwrap_or_default()
}

/// An integer that double precision may not hold.
fn integer(kind: Elements, bytes: &[u8], at: usize) -> Option<i128> {
    let bytes = element(kind, bytes, at);
    match kind {
        Elements::I64 => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
        Elements::U64 => Some(i128::from(u64::from_le_bytes(bytes.try_into().ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn of(a: &[f32], b: &[f32], tolerance: &Tolerance) -> Contrast {
        let (a, b) = (single(a), single(b));
        let mut contrast = Contrast::default();
        contrast.add((Elements::F32, &a), (Elements::F32, &b), 100, tolerance);
        contrast
    }

    #[test]
    fn differences_and_their_places() {
        let exact = Tolerance::default();
        let found = of(&[1.0, 2.0, 3.0], &[1.0, 1.0, 3.5], &exact);
        assert_eq!((found.changed(), found.beyond(), found.largest()), (2, 2, Some((101, 1.0))));
        assert_eq!(found.relative(), Some(1.25f64.sqrt() / 14f64.sqrt()));
        let cosine = 13.5 / (14f64.sqrt() * 14.25f64.sqrt());
        assert!((found.cosine().unwrap() - cosine).abs() < 1e-15);
        let loose = Tolerance { absolute: 0.1, relative: 0.45 };
        let found = of(&[1.0, 2.0, 3.0], &[1.0, 1.0, 3.5], &loose);
        assert_eq!((found.changed(), found.beyond()), (2, 0));
    }

    #[test]
    fn what_is_not_finite() {
        let exact = Tolerance::default();
        let nan = f32::from_bits(0x7fc0_0001);
        let same = of(&[nan, f32::INFINITY, 0.0], &[nan, f32::INFINITY, -0.0], &exact);
        assert_eq!((same.changed(), same.incomparable()), (0, 0));
        let other = of(
            &[0.0, nan, 1.0, f32::INFINITY],
            &[0.0, f32::NAN, f32::NAN, f32::NEG_INFINITY],
            &Tolerance { absolute: f64::INFINITY, relative: 0.0 },
        );
        assert_eq!((other.beyond(), other.incomparable(), other.first()), (3, 3, Some(101)));
        assert_eq!((other.largest(), other.relative()), (None, Some(0.0)));
    }

    #[test]
    fn zeros_have_no_direction() {
        let found = of(&[0.0], &[2.0], &Tolerance::default());
        assert_eq!((found.relative(), found.cosine()), (None, None));
        let found = of(&[2.0], &[0.0], &Tolerance::default());
        assert_eq!((found.relative(), found.cosine()), (Some(1.0), None));
    }

    #[test]
    fn other_types_beside_each_other() {
        let exact = Tolerance::default();
        let large = [i64::MAX, i64::MAX - 1].map(i64::to_le_bytes);
        let mut contrast = Contrast::default();
        contrast.add((Elements::I64, &large[0]), (Elements::I64, &large[1]), 0, &exact);
        assert_eq!(contrast.largest(), Some((0, 1.0)), "beyond double precision");
        let mut contrast = Contrast::default();
        let complex = single(&[1.0, 0.0, 2.0, 1.0]);
        contrast.add((Elements::C64, &complex), (Elements::F32, &single(&[1.0, 2.0])), 5, &exact);
        assert_eq!((contrast.changed(), contrast.largest()), (1, Some((6, 1.0))));
        let mut contrast = Contrast::default();
        contrast.add((Elements::BF16, &[0x80, 0x3f]), (Elements::F32, &single(&[1.0])), 0, &exact);
        assert_eq!(contrast.changed(), 0);
    }

    #[test]
    fn in_pieces_as_in_one() {
        let exact = Tolerance::default();
        let (a, b) = (single(&[1.0, 2.0, 4.0]), single(&[1.5, 2.0, 3.0]));
        let mut whole = Contrast::default();
        whole.add((Elements::F32, &a), (Elements::F32, &b), 0, &exact);
        let (mut first, mut rest) = (Contrast::default(), Contrast::default());
        first.add((Elements::F32, &a[..4]), (Elements::F32, &b[..4]), 0, &exact);
        rest.add((Elements::F32, &a[4..]), (Elements::F32, &b[4..]), 1, &exact);
        first.merge(&rest);
        assert_eq!(first, whole);
    }
}

//! What bytes stand for: the element types of files, decoded.

use half::f16;

/// Values of an 8-bit type, by their byte.
type Table = [f32; 256];

/// The type of elements that lie in a file as little-endian bytes.
///
/// ```
/// use espalier_kernels::Elements;
/// let mut values: Vec<f64> = Vec::new();
/// Elements::BF16.decode(&[0x80, 0x3f, 0, 0], &mut values);
/// assert_eq!(values, [1.0, 0.0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Elements {
    /// Truth values: every byte but 0 is 1.
    Bool,
    /// Unsigned bytes.
    U8,
    /// Signed bytes.
    I8,
    /// Unsigned 16-bit integers.
    U16,
    /// Signed 16-bit integers.
    I16,
    /// Unsigned 32-bit integers.
    U32,
    /// Signed 32-bit integers.
    I32,
    /// Unsigned 64-bit integers.
    U64,
    /// Signed 64-bit integers.
    I64,
    /// 4-bit floats, two in a byte, the lower half first: 2 bits of exponent, 1 of mantissa; always finite.
    F4,
    /// 8-bit floats: 4 bits of exponent, 3 of mantissa; no infinity, a NaN.
    F8E4M3,
    /// 8-bit floats: 5 bits of exponent, 2 of mantissa, as IEEE would have them.
    F8E5M2,
    /// As [`F8E4M3`](Self::F8E4M3) with a bias of 8: one zero, one NaN.
    F8E4M3Fnuz,
    /// As [`F8E5M2`](Self::F8E5M2) with a bias of 16: one zero, one NaN, no infinity.
    F8E5M2Fnuz,
    /// Powers of two: 8 bits of exponent and nothing else; a NaN.
    F8E8M0,
    /// IEEE half precision.
    F16,
    /// The upper half of IEEE single precision.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// Complex numbers of two halves.
    C32,
    /// Complex numbers of two singles.
    C64,
    /// Complex numbers of two doubles.
    C128,
}

/// A float whose bits order it.
pub(crate) trait Ordered: crate::Real {
    /// An integer that is ordered as the floats are, a negative zero below the other.
    type Key: Ord + Copy;
    /// The least and the largest of these.
    const LEAST: Self::Key;
    const MOST: Self::Key;

    fn key(self) -> Self::Key;

    fn of_key(key: Self::Key) -> Self;
}

impl Ordered for f32 {
    type Key = i32;
    const LEAST: i32 = i32::MIN;
    const MOST: i32 = i32::MAX;

    #[inline(always)]
    fn key(self) -> i32 {
        let bits = self.to_bits().cast_signed();
        bits ^ ((bits >> 31) & i32::MAX)
    }

    fn of_key(key: i32) -> Self {
        Self::from_bits((key ^ ((key >> 31) & i32::MAX)).cast_unsigned())
    }
}

impl Ordered for f64 {
    type Key = i64;
    const LEAST: i64 = i64::MIN;
    const MOST: i64 = i64::MAX;

    #[inline(always)]
    fn key(self) -> i64 {
        let bits = self.to_bits().cast_signed();
        bits ^ ((bits >> 63) & i64::MAX)
    }

    fn of_key(key: i64) -> Self {
        Self::from_bits((key ^ ((key >> 63) & i64::MAX)).cast_unsigned())
    }
}

/// What is done with elements once they are decoded, in the narrower of the two types that holds them all.
pub(crate) trait Decoded<R> {
    /// `decode` turns each of `elements` into a number.
    fn take<T: Ordered, const N: usize>(
        self,
        elements: &[[u8; N]],
        decode: impl Fn([u8; N]) -> T + Copy,
    ) -> R;

    /// As [`take`](Self::take), for floats of 16 bits, which are ordered by these as longer ones are.
    #[inline(always)]
    fn take_short(self, elements: &[[u8; 2]], decode: impl Fn([u8; 2]) -> f32 + Copy) -> R
    where
        Self: Sized,
    {
        self.take(elements, decode)
    }
}

impl Elements {
    /// The bits of an element.
    ///
    /// ```
    /// assert_eq!(espalier_kernels::Elements::F4.bits(), 4);
    /// ```
    pub const fn bits(self) -> usize {
        match self {
            Self::F4 => 4,
            Self::Bool
            | Self::U8
            | Self::I8
            | Self::F8E4M3
            | Self::F8E5M2
            | Self::F8E4M3Fnuz
            | Self::F8E5M2Fnuz
            | Self::F8E8M0 => 8,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 16,
            Self::U32 | Self::I32 | Self::F32 | Self::C32 => 32,
            Self::U64 | Self::I64 | Self::F64 | Self::C64 => 64,
            Self::C128 => 128,
        }
    }

    /// The type of the two parts of a complex number; the type itself if it is real.
    ///
    /// ```
    /// use espalier_kernels::Elements;
    /// assert_eq!((Elements::C64.parts(), Elements::I8.parts()), (Elements::F32, Elements::I8));
    /// ```
    pub const fn parts(self) -> Self {
        match self {
            Self::C32 => Self::F16,
            Self::C64 => Self::F32,
            Self::C128 => Self::F64,
            real => real,
        }
    }

    /// The distance from 1 to the next larger number; 0 for a type without fractions.
    ///
    /// ```
    /// use espalier_kernels::Elements;
    /// assert_eq!(Elements::F32.epsilon(), f64::from(f32::EPSILON));
    /// ```
    pub const fn epsilon(self) -> f64 {
        match self {
            Self::F4 => 0.5,
            Self::F8E4M3 | Self::F8E4M3Fnuz => 0.125,
            Self::F8E5M2 | Self::F8E5M2Fnuz => 0.25,
            Self::F8E8M0 => 1.0,
            Self::F16 | Self::C32 => 9.765_625e-4,
            Self::BF16 => 7.812_5e-3,
            Self::F32 | Self::C64 => f32::EPSILON as f64,
            Self::F64 | Self::C128 => f64::EPSILON,
            _ => 0.0,
        }
    }

    /// Appends the elements as numbers, rounded to what holds them; of a complex number the magnitude. Bytes at the end
    /// that are no whole element are left out.
    ///
    /// ```
    /// use espalier_kernels::Elements;
    /// let mut values: Vec<f64> = Vec::new();
    /// Elements::F8E4M3.decode(&[0x38, 0xb8, 0x7f], &mut values);
    /// assert!(values[..2] == [1.0, -1.0] && values[2].is_nan());
    /// ```
    pub fn decode<R: crate::Real>(self, bytes: &[u8], values: &mut Vec<R>) {
        struct Append<'a, R>(&'a mut Vec<R>);
        impl<R: crate::Real> Decoded<()> for Append<'_, R> {
            fn take<T: Ordered, const N: usize>(
                self,
                elements: &[[u8; N]],
                decode: impl Fn([u8; N]) -> T + Copy,
            ) {
                self.0.extend(elements.iter().map(|&element| R::of(decode(element).wide())));
            }
        }
        self.decoded(bytes, Append(values));
    }

    /// Hands the elements on, with the function that decodes them.
    #[inline(always)]
    pub(crate) fn decoded<R>(self, bytes: &[u8], to: impl Decoded<R>) -> R {
        match self {
            Self::Bool => to.take(chunks(bytes), |b: [u8; 1]| f32::from(u8::from(b != [0]))),
            Self::U8 => to.take(chunks(bytes), |[b]: [u8; 1]| f32::from(b)),
            Self::I8 => to.take(chunks(bytes), |b| f32::from(i8::from_le_bytes(b))),
            Self::U16 => to.take(chunks(bytes), |b| f32::from(u16::from_le_bytes(b))),
            Self::I16 => to.take(chunks(bytes), |b| f32::from(i16::from_le_bytes(b))),
            Self::U32 => to.take(chunks(bytes), |b| f64::from(u32::from_le_bytes(b))),
            Self::I32 => to.take(chunks(bytes), |b| f64::from(i32::from_le_bytes(b))),
            Self::U64 => to.take(chunks(bytes), |b| u64::from_le_bytes(b) as f64),
            Self::I64 => to.take(chunks(bytes), |b| i64::from_le_bytes(b) as f64),
            Self::F4 => {
                let nibbles: Vec<[u8; 1]> =
                    bytes.iter().flat_map(|byte| [[byte & 15], [byte >> 4]]).collect();
                to.take(&nibbles, |[b]: [u8; 1]| small(u32::from(b), 2, 1, 1))
            }
            Self::F8E4M3 => by_table(bytes, to, |b| match b & 0x7f {
                0x7f => f32::NAN,
                _ => small(b, 4, 3, 7),
            }),
            Self::F8E5M2 => by_table(bytes, to, |b| f16::from_bits((b as u16) << 8).to_f32()),
            Self::F8E4M3Fnuz => by_table(bytes, to, |b| match b {
                0x80 => f32::NAN,
                _ => small(b, 4, 3, 8),
            }),
            Self::F8E5M2Fnuz => by_table(bytes, to, |b| match b {
                0x80 => f32::NAN,
                _ => small(b, 5, 2, 16),
            }),
            // The least, 2^-127, has no exponent in single precision but its bits.
            Self::F8E8M0 => by_table(bytes, to, |b| match b {
                255 => f32::NAN,
                0 => f32::from_bits(1 << 22),
                _ => f32::from_bits(b << 23),
            }),
            Self::F16 => to.take_short(chunks(bytes), |b| half(u16::from_le_bytes(b))),
            Self::BF16 => to.take_short(chunks(bytes), |b| {
                f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
            }),
            Self::F32 => to.take(chunks(bytes), f32::from_le_bytes),
            Self::F64 => to.take(chunks(bytes), f64::from_le_bytes),
            Self::C32 => to.take(chunks(bytes), |[a, b, c, d]: [u8; 4]| {
                let part = |bytes| f64::from(half(u16::from_le_bytes(bytes)));
                part([a, b]).hypot(part([c, d]))
            }),
            Self::C64 => to.take(chunks(bytes), |b: [u8; 8]| {
                let [re, im] = split::<4, 8>(b).map(|part| f64::from(f32::from_le_bytes(part)));
                re.hypot(im)
            }),
            Self::C128 => to.take(chunks(bytes), |b: [u8; 16]| {
                let [re, im] = split::<8, 16>(b).map(f64::from_le_bytes);
                re.hypot(im)
            }),
        }
    }
}

/// The whole elements.
#[inline(always)]
fn chunks<const N: usize>(bytes: &[u8]) -> &[[u8; N]] {
    bytes.as_chunks().0
}

/// The two halves of an element.
fn split<const HALF: usize, const WHOLE: usize>(bytes: [u8; WHOLE]) -> [[u8; HALF]; 2] {
    let (parts, _) = bytes.as_chunks::<HALF>();
    [parts[0], parts[1]]
}

#[inline(always)]
fn by_table<R>(bytes: &[u8], to: impl Decoded<R>, value: fn(u32) -> f32) -> R {
    let mut table: Table = [0.0; 256];
    for (byte, entry) in (0u32..).zip(&mut table) {
        *entry = value(byte);
    }
    let table = &table;
    to.take(chunks(bytes), move |[b]: [u8; 1]| table[usize::from(b)])
}

/// A float of a sign, `exponent` and `mantissa` bits, without infinities and NaN.
fn small(bits: u32, exponent: u32, mantissa: u32, bias: i32) -> f32 {
    let power = (bits >> mantissa) & ((1 << exponent) - 1);
    let fraction = (bits & ((1 << mantissa) - 1)) as f32 / (1u32 << mantissa) as f32;
    let magnitude = match power {
        0 => fraction * 2f32.powi(1 - bias),
        _ => (1.0 + fraction) * 2f32.powi(power as i32 - bias),
    };
    if bits >> (exponent + mantissa) & 1 == 1 { -magnitude } else { magnitude }
}

/// A half in single precision, in operations that a compiler turns into those on vectors.
#[inline(always)]
fn half(bits: u16) -> f32 {
    /// 2^112, by which the exponents of both types differ.
    const APART: f32 = f32::from_bits((112 + 127) << 23);
    let bits = u32::from(bits);
    let (sign, magnitude) = ((bits & 0x8000) << 16, (bits & 0x7fff) << 13);
    // As single precision it is that much too small, also where it is subnormal in both.
    let finite = (f32::from_bits(magnitude) * APART).to_bits();
    let special = if magnitude >= 31 << 23 { 0x7f80_0000 } else { 0 };
    f32::from_bits(sign | special | finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(elements: Elements, bytes: &[u8]) -> Vec<f64> {
        let mut values = Vec::new();
        elements.decode(bytes, &mut values);
        values
    }

    #[test]
    fn every_half_is_what_another_library_says() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (half(bits), f16::from_bits(bits).to_f32());
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{bits:04x}: {found}, {expected}");
        }
    }

    #[test]
    fn the_largest_and_least_of_each_small_float() {
        // Of the OCP's specifications of 8-bit and of microscaling formats, and of those with one zero.
        let cases = [
            (Elements::F8E4M3, 0x7e, 448.0),
            (Elements::F8E4M3, 0x01, 2f64.powi(-9)),
            (Elements::F8E4M3, 0xfe, -448.0),
            (Elements::F8E5M2, 0x7b, 57344.0),
            (Elements::F8E5M2, 0x01, 2f64.powi(-16)),
            (Elements::F8E5M2, 0xfc, f64::NEG_INFINITY),
            (Elements::F8E4M3Fnuz, 0x7f, 240.0),
            (Elements::F8E4M3Fnuz, 0x01, 2f64.powi(-10)),
            (Elements::F8E5M2Fnuz, 0x7f, 57344.0),
            (Elements::F8E5M2Fnuz, 0x01, 2f64.powi(-17)),
            (Elements::F8E8M0, 0, 2f64.powi(-127)),
            (Elements::F8E8M0, 127, 1.0),
            (Elements::F8E8M0, 254, 2f64.powi(127)),
        ];
        for (elements, byte, expected) in cases {
            assert_eq!(values(elements, &[byte]), [expected], "{elements:?} {byte:02x}");
        }
        for (elements, byte) in [
            (Elements::F8E4M3, 0xff),
            (Elements::F8E5M2, 0x7e),
            (Elements::F8E4M3Fnuz, 0x80),
            (Elements::F8E5M2Fnuz, 0x80),
            (Elements::F8E8M0, 255),
        ] {
            assert!(values(elements, &[byte])[0].is_nan(), "{elements:?}");
        }
        let all: Vec<u8> = (0..8).map(|byte| (byte * 2) | ((byte * 2 + 1) << 4)).collect();
        let positive = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        assert_eq!(values(Elements::F4, &all)[..8], positive);
        assert_eq!(values(Elements::F4, &all)[8..], positive.map(|x| -x));
    }

    #[test]
    fn integers_and_complex_numbers() {
        assert_eq!(values(Elements::Bool, &[0, 1, 2]), [0.0, 1.0, 1.0]);
        assert_eq!(values(Elements::I8, &[0x80, 0x7f]), [-128.0, 127.0]);
        assert_eq!(values(Elements::U16, &[0xff, 0xff, 9]), [65535.0], "no half element");
        assert_eq!(values(Elements::I64, &i64::MIN.to_le_bytes()), [i64::MIN as f64]);
        assert_eq!(values(Elements::U32, &u32::MAX.to_le_bytes()), [f64::from(u32::MAX)]);
        let single = [3f32, -4.0].map(f32::to_le_bytes).concat();
        let double = [3f64, -4.0].map(f64::to_le_bytes).concat();
        let halves = [3f32, -4.0].map(|x| f16::from_f32(x).to_le_bytes()).concat();
        assert_eq!(values(Elements::C64, &single), [5.0]);
        assert_eq!(values(Elements::C128, &double), [5.0]);
        assert_eq!(values(Elements::C32, &halves), [5.0]);
    }
}

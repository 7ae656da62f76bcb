//! Floats as floats of another type.

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use crate::Values;

/// A place for floats of a type.
///
/// ```
/// use espalier_kernels::ValuesMut;
/// assert_eq!(ValuesMut::F32(&mut [0.0; 3]).len(), 3);
/// ```
#[derive(Debug)]
pub enum ValuesMut<'a> {
    /// Single precision.
    F32(&'a mut [f32]),
    /// Half precision.
    F16(&'a mut [f16]),
    /// Half the bits of single precision, its range.
    BF16(&'a mut [bf16]),
}

impl ValuesMut<'_> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(x) => x.len(),
            Self::F16(x) => x.len(),
            Self::BF16(x) => x.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values in another type, rounded to the nearest, of two as near to the even one. How many were finite and are
/// no more: those beyond the range of the type become infinite.
///
/// ```
/// use espalier_kernels::{Values, ValuesMut, cast};
/// let mut halves = [half::f16::ZERO; 3];
/// // 65520 is half way to what would be the next one after the greatest.
/// let lost = cast(&Values::F32(&[1.0, 65519.0, 65520.0]), ValuesMut::F16(&mut halves));
/// assert_eq!(halves.map(f32::from), [1.0, 65504.0, f32::INFINITY]);
/// assert_eq!(lost, 1);
/// ```
///
/// # Panics
///
/// If the lengths differ.
pub fn cast(values: &Values<'_>, out: ValuesMut<'_>) -> usize {
    assert_eq!(values.len(), out.len(), "as many places");
    match (values, out) {
        (Values::F32(x), ValuesMut::F32(out)) => {
            out.copy_from_slice(x);
            0
        }
        (Values::F16(x), ValuesMut::F32(out)) => {
            x.convert_to_f32_slice(out);
            0
        }
        (Values::BF16(x), ValuesMut::F32(out)) => {
            x.convert_to_f32_slice(out);
            0
        }
        (Values::F64(x), ValuesMut::F32(out)) => {
            each(x, out, |x| x as f32, f64_ok, f32::is_infinite)
        }
        (Values::F32(x), ValuesMut::F16(out)) => {
            out.convert_from_f32_slice(x);
            x.iter().zip(&*out).filter(|(x, out)| x.is_finite() && out.is_infinite()).count()
        }
        // Not by way of single precision, which would round twice.
        (Values::F64(x), ValuesMut::F16(out)) => {
            each(x, out, f16::from_f64, f64_ok, f16::is_infinite)
        }
        (Values::F16(x), ValuesMut::F16(out)) => {
            out.copy_from_slice(x);
            0
        }
        (Values::BF16(x), ValuesMut::F16(out)) => {
            each(x, out, |x| f16::from_f32(x.into()), bf16::is_finite, f16::is_infinite)
        }
        (Values::F32(x), ValuesMut::BF16(out)) => {
            each(x, out, bf16::from_f32, f32::is_finite, bf16::is_infinite)
        }
        (Values::F64(x), ValuesMut::BF16(out)) => {
            each(x, out, bf16::from_f64, f64_ok, bf16::is_infinite)
        }
        (Values::F16(x), ValuesMut::BF16(out)) => {
            each(x, out, |x| bf16::from_f32(x.into()), f16::is_finite, bf16::is_infinite)
        }
        (Values::BF16(x), ValuesMut::BF16(out)) => {
            out.copy_from_slice(x);
            0
        }
    }
}

fn f64_ok(x: f64) -> bool {
    x.is_finite()
}

#[inline(always)]
fn each<A: Copy, B: Copy>(
    values: &[A],
    out: &mut [B],
    cast: impl Fn(A) -> B,
    is_finite: impl Fn(A) -> bool,
    is_infinite: impl Fn(B) -> bool,
) -> usize {
    let mut lost = 0;
    for (x, out) in values.iter().zip(out) {
        *out = cast(*x);
        lost += usize::from(is_finite(*x) && is_infinite(*out));
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By trying the neighbours: none is nearer, and none as near is even.
    fn is_nearest(x: f64, found: f64, bits: u16, neighbour: impl Fn(u16) -> f64, greatest: f64) {
        if found.is_infinite() {
            assert!(x.abs() >= greatest);
            return;
        }
        for near in [bits.wrapping_sub(1), bits.wrapping_add(1)] {
            let other = neighbour(near);
            if other.is_nan() || other.is_infinite() || other.signum() != found.signum() {
                continue;
            }
            let (here, there) = ((found - x).abs(), (other - x).abs());
            assert!(here < there || here == there && bits & 1 == 0, "{x}: {found}, {other}");
        }
    }

    proptest! {
        #[test]
        fn to_the_nearest(bits in any::<u64>(), scale in -30i32..30) {
            let wide = f64::from_bits((bits % (1 << 52)) | 1f64.to_bits()) * 2f64.powi(scale);
            let single = wide as f32;
            let mut halves = [f16::ZERO];
            let mut brains = [bf16::ZERO];
            let lost = cast(&Values::F64(&[wide]), ValuesMut::F16(&mut halves));
            prop_assert_eq!(lost == 1, halves[0].is_infinite());
            // Half way from the greatest, 65504, to the next power of two.
            is_nearest(wide, halves[0].into(), halves[0].to_bits(), |b| f16::from_bits(b).into(), 65520.0);
            cast(&Values::F64(&[wide]), ValuesMut::BF16(&mut brains));
            is_nearest(wide, brains[0].into(), brains[0].to_bits(), |b| bf16::from_bits(b).into(), 3e38);
            cast(&Values::F32(&[single]), ValuesMut::BF16(&mut brains));
            is_nearest(single.into(), brains[0].into(), brains[0].to_bits(), |b| bf16::from_bits(b).into(), 3e38);
            cast(&Values::F32(&[single]), ValuesMut::F16(&mut halves));
            is_nearest(single.into(), halves[0].into(), halves[0].to_bits(), |b| f16::from_bits(b).into(), 65520.0);
            // What the narrower types hold comes back.
            let mut back = [0f32];
            cast(&Values::F16(&halves), ValuesMut::F32(&mut back));
            prop_assert_eq!(back[0], f32::from(halves[0]));
        }
    }

    #[test]
    fn what_is_not_finite_stays_so_and_is_not_lost() {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -1e6];
        let mut halves = [f16::ZERO; 5];
        assert_eq!(cast(&Values::F32(&x), ValuesMut::F16(&mut halves)), 2);
        assert!(halves[0].is_nan() && halves[1] == f16::INFINITY && halves[4] == f16::NEG_INFINITY);
        let mut brains = [bf16::ZERO; 5];
        assert_eq!(cast(&Values::F32(&x), ValuesMut::BF16(&mut brains)), 1);
        let mut single = [0f32; 2];
        assert_eq!(cast(&Values::F64(&[1e300, f64::INFINITY]), ValuesMut::F32(&mut single)), 1);
    }
}

use proptest::prelude::*;

use super::*;
use crate::test::numbers;

fn of(values: &[f64]) -> Moments {
    let mut moments = Moments::default();
    moments.add(Elements::F64, &bytes(values));
    moments
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn singles(values: &[f32]) -> Moments {
    let mut moments = Moments::default();
    moments.add(Elements::F32, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>());
    moments
}

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    let found = found.unwrap();
    assert!((found - expected).abs() <= 1e-13 * expected.abs(), "{found}, {expected}");
}

#[test]
fn a_plain_tensor() {
    let moments = of(&[1.0, -2.0, 0.0, 5.0, -0.0, 2.0]);
    assert_eq!((moments.zeros(), moments.nonfinite(), moments.count()), (2, 0, 6));
    assert_eq!((moments.min(), moments.max()), (Some(-2.0), Some(5.0)));
    assert_eq!(moments.mean(), Some(1.0));
    // Squares of the deviations: 0 9 1 16 1 1.
    assert_close(moments.std(), (28.0f64 / 6.0).sqrt());
    assert_close(moments.l2(), 34.0f64.sqrt());
}

#[test]
fn a_large_mean_takes_no_digits() {
    let values = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
    let many = values.repeat(5000);
    for moments in [of(&values), of(&many)] {
        assert_eq!(moments.mean(), Some(1e9 + 10.0));
        assert_close(moments.std(), 22.5f64.sqrt());
    }
    let ones: Vec<f32> = (0..100_000).map(|i| 1.0 + (i % 2) as f32 * f32::EPSILON).collect();
    assert_close(singles(&ones).std(), f64::from(f32::EPSILON) / 2.0);
}

#[test]
fn equal_elements_have_no_deviation() {
    let moments = singles(&[0.1; 100_003]);
    assert_eq!((moments.mean(), moments.std()), (Some(f64::from(0.1f32)), Some(0.0)));
    assert_eq!(of(&[0.1; 1000]).mean(), Some(0.1));
}

#[test]
fn a_large_element_hides_no_other() {
    let mut values = vec![1.0; 20_000];
    values[7] = 1e8;
    values[13_000] = -1e8;
    let moments = of(&values);
    assert_close(moments.mean(), 19_998.0 / 20_000.0);
    assert_close(moments.l2(), (2e16 + 19_998.0f64).sqrt());
    assert_close(moments.std(), (2e16f64 / 20_000.0).sqrt());
}

#[test]
fn only_finite_values_count() {
    let moments = of(&[f64::NAN, 3.0, f64::INFINITY, 1.0, f64::NEG_INFINITY]);
    assert_eq!((moments.nonfinite(), moments.mean()), (3, Some(2.0)));
    assert_eq!((moments.min(), moments.max(), moments.std()), (Some(1.0), Some(3.0), Some(1.0)));
    let mut values = vec![0.5f32; 10_000];
    (values[0], values[9999]) = (f32::NAN, f32::NEG_INFINITY);
    let moments = singles(&values);
    assert_eq!((moments.nonfinite(), moments.mean(), moments.std()), (2, Some(0.5), Some(0.0)));
}

#[test]
fn nothing_finite() {
    for (values, nonfinite) in [(&[][..], 0), (&[f64::NAN, f64::INFINITY][..], 2)] {
        let moments = of(values);
        assert_eq!((moments.zeros(), moments.nonfinite()), (0, nonfinite));
        assert_eq!([moments.mean(), moments.std(), moments.min(), moments.max()], [None; 4]);
        assert_eq!(moments.l2(), Some(0.0));
    }
}

#[test]
fn the_ends_of_the_range() {
    let moments = of(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX]);
    assert_eq!((moments.mean(), moments.std()), (Some(0.0), Some(f64::MAX)));
    // Twice the largest number: there is no such number.
    assert_eq!(moments.l2(), None);
    let moments = of(&[3e-200, 4e-200]);
    assert_close(moments.l2(), 5e-200);
    assert_close(moments.std(), 5e-201);
    let least = f64::from_bits(1);
    assert_eq!(of(&[least]).l2(), Some(least));
    // Blocks of different sizes, zeros among them.
    let mut values = vec![0.0; 3 * BLOCK];
    (values[0], values[2 * BLOCK]) = (3e-200, 4e-200);
    assert_close(of(&values).l2(), 5e-200);
    (values[1], values[2 * BLOCK]) = (3.0, 4.0);
    assert_close(of(&values).l2(), 5.0);
}

#[test]
fn every_type_is_measured() {
    let halves: Vec<u8> =
        [0x3c00u16, 0xc000, 0x8000].iter().flat_map(|x| x.to_le_bytes()).collect();
    let upper: Vec<u8> = [0x3f80u16, 0xc000, 0x8000].iter().flat_map(|x| x.to_le_bytes()).collect();
    let cases: [(Elements, &[u8]); 5] = [
        (Elements::F16, &halves),
        (Elements::BF16, &upper),
        (Elements::I8, &[1, 254, 0]),
        (Elements::F8E4M3, &[0x38, 0xc0, 0x80]),
        (Elements::F8E5M2, &[0x3c, 0xc0, 0x80]),
    ];
    for (elements, bytes) in cases {
        let mut moments = Moments::default();
        moments.add(elements, bytes);
        let found = (moments.count(), moments.zeros(), moments.min(), moments.max());
        assert_eq!(found, (3, 1, Some(-2.0), Some(1.0)), "{elements:?}");
        assert_close(moments.l2(), 5f64.sqrt());
    }
    let mut moments = Moments::default();
    moments.add(Elements::C64, &[3f32, 4.0, 0.0, -0.0].map(f32::to_le_bytes).concat());
    assert_eq!((moments.count(), moments.zeros(), moments.max()), (2, 1, Some(5.0)));
}

proptest! {
    /// Against sums in two passes, however the elements are cut.
    #[test]
    fn as_in_two_passes(
        n in 1usize..20_000, seed: u64, cut in 0.0..1.0, scale in -3i32..4, shift in -3i32..5,
    ) {
        let (scale, shift) = (10f64.powi(scale), 10f64.powi(shift));
        let values: Vec<f64> =
            numbers(n, seed).iter().map(|x| x * scale + shift).collect();
        let at = (cut * n as f64) as usize;
        let (mut moments, mut rest) = (of(&values[..at]), of(&values[at..]));
        std::mem::swap(&mut moments, &mut rest);
        moments.merge(&rest);
        let mean = values.iter().sum::<f64>() / n as f64;
        let deviations: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        let (std, l2) = ((deviations / n as f64).sqrt(), values.iter().map(|x| x * x).sum::<f64>().sqrt());
        let near = |found: Option<f64>, expected: f64, of: f64| (found.unwrap() - expected).abs() <= 1e-11 * of;
        prop_assert!(near(moments.mean(), mean, shift + scale));
        // What the mean leaves of the digits of an element.
        prop_assert!(near(moments.std(), std, scale + 1e-3 * shift), "{:?} {std}", moments.std());
        prop_assert!(near(moments.l2(), l2, l2));
        prop_assert_eq!(moments.count(), n as u64);
    }
}

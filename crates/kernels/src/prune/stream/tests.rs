//! Searches in stretches, held against those in memory.

use super::*;
use crate::test::{numbers, single};
use crate::{Candidate, prune_lowest};
use half::{bf16, f16};
use proptest::prelude::*;

/// Prunes stretches, each counted apart, and tells the threshold.
fn found(stretches: &[Stretch<'_>], fineness: Fineness, count: usize) -> (Vec<Bits>, Cut) {
    let mut search = LowestSearch::new(fineness, count);
    loop {
        let mut counts = search.counts();
        for stretch in stretches {
            let mut own = search.counts();
            own.add(stretch);
            counts.merge(own);
        }
        if search.narrow(counts) {
            break;
        }
    }
    let mut places: Vec<_> = stretches.iter().map(|stretch| search.place(stretch)).collect();
    let (cut, shares) = search.cut(&mut places);
    let clear = |(stretch, share): (&Stretch<'_>, &Share)| {
        let mut kept = Bits::all(stretch.len());
        cut.clear(stretch, share, &mut kept);
        assert_eq!(kept.count(), stretch.len() - share.pruned());
        kept
    };
    (stretches.iter().zip(&shares).map(clear).collect(), cut)
}

fn check(values: &[Values<'_>], fineness: Fineness, count: usize) {
    let stretches: Vec<_> = values.iter().map(|values| Stretch::Magnitude(*values)).collect();
    let mut expected: Vec<Bits> = values.iter().map(|values| Bits::all(values.len())).collect();
    let mut candidates: Vec<_> = values
        .iter()
        .zip(&mut expected)
        .map(|(values, kept)| Candidate {
            scores: Scores::Magnitude(*values),
            order: Order::Stored,
            kept,
        })
        .collect();
    let threshold = prune_lowest(&mut candidates, count);
    let (kept, cut) = found(&stretches, fineness, count);
    assert_eq!(kept, expected);
    if let Some(threshold) = threshold {
        assert_eq!(cut.threshold(), threshold);
    }
}

proptest! {
    #[test]
    fn as_in_memory(
        sizes in prop::collection::vec(0usize..300, 0..5),
        seed in 0u64..1000,
        steps in 1u32..1000,
        fraction in 0.0..1.0f64,
    ) {
        let all: Vec<Vec<f64>> = sizes
            .iter()
            .zip(seed..)
            .map(|(n, seed)| numbers(*n, seed).iter().map(|x| (x * f64::from(steps)).round() / 7.0).collect())
            .collect();
        let total: usize = sizes.iter().sum();
        let singles: Vec<Vec<f32>> = all.iter().map(|x| single(x)).collect();
        let halves: Vec<Vec<f16>> = all.iter().map(|x| x.iter().map(|x| f16::from_f64(*x)).collect()).collect();
        let brains: Vec<Vec<bf16>> = all.iter().map(|x| x.iter().map(|x| bf16::from_f64(*x)).collect()).collect();
        for count in [0, (fraction * total as f64) as usize, total] {
            check(&singles.iter().map(|x| Values::F32(x)).collect::<Vec<_>>(), Fineness::Single, count);
            check(&all.iter().map(|x| Values::F64(x)).collect::<Vec<_>>(), Fineness::Double, count);
            check(&halves.iter().map(|x| Values::F16(x)).collect::<Vec<_>>(), Fineness::Half, count);
            check(&brains.iter().map(|x| Values::BF16(x)).collect::<Vec<_>>(), Fineness::Brain, count);
            let mixed: Vec<Values<'_>> = (0..sizes.len())
                .map(|i| match i % 4 {
                    0 => Values::F32(&singles[i]),
                    1 => Values::F64(&all[i]),
                    2 => Values::BF16(&brains[i]),
                    _ => Values::F16(&halves[i]),
                })
                .collect();
            check(&mixed, Fineness::Double, count);
            let short: Vec<Values<'_>> = (0..sizes.len())
                .map(|i| if i % 2 == 0 { Values::BF16(&brains[i]) } else { Values::F16(&halves[i]) })
                .collect();
            check(&short, Fineness::Brain.join(Fineness::Half), count);
        }
    }
}

#[test]
fn equal_ones_beyond_what_is_noted_go_in_order() {
    let x = vec![0.3f32; 1 << 16];
    let stretches = vec![Stretch::Magnitude(Values::F32(&x)); (NOTED >> 16) + 2];
    let count = (5 << 16) + 77;
    let (kept, cut) = found(&stretches, Fineness::Single, count);
    assert_eq!(cut.threshold(), f64::from(0.3f32));
    assert!(kept[..5].iter().all(|kept| kept.count() == 0));
    assert_eq!(kept[5].iter().position(|kept| kept), Some(77));
    assert_eq!(kept[5..].iter().map(Bits::count).sum::<usize>(), stretches.len() * x.len() - count);
}

#[test]
fn random_ones_are_spread_however_they_are_cut() {
    let n = 200_000;
    let cut = |size: usize| -> Vec<Stretch<'_>> {
        (0..n)
            .step_by(size)
            .map(|start| Stretch::Random { seed: 9, start, len: size.min(n - start) })
            .collect()
    };
    let (whole, _) = found(&cut(n), Fineness::Single, n / 4);
    let (parts, _) = found(&cut(777), Fineness::Single, n / 4);
    let parts: Bits = parts.iter().flat_map(|kept| kept.iter().collect::<Vec<_>>()).collect();
    assert_eq!(whole[0], parts);
    for part in parts.words().chunks(64) {
        let kept: u32 = part.iter().map(|word| word.count_ones()).sum();
        assert!(part.len() < 64 || (kept as i64 - 64 * 48).abs() < 200, "{kept}");
    }
}

#[test]
fn nan_is_seen() {
    let search = LowestSearch::new(Fineness::Single, 1);
    let mut counts = search.counts();
    counts.add(&Stretch::Magnitude(Values::F32(&[1.0, f32::INFINITY])));
    assert!(!counts.saw_nan());
    let mut other = search.counts();
    other.add(&Stretch::Magnitude(Values::BF16(&[bf16::NAN])));
    counts.merge(other);
    assert!(counts.saw_nan());
    for (value, is_nan) in [(f16::INFINITY, false), (f16::NAN, true), (-f16::NAN, true)] {
        let mut counts = LowestSearch::new(Fineness::Half, 1).counts();
        counts.add(&Stretch::Magnitude(Values::F16(&[f16::ONE, value])));
        assert_eq!(counts.saw_nan(), is_nan);
    }
}

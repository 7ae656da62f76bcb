//! Searches in stretches, held against those in memory; guesses from samples against what is found without.

use super::*;
use crate::test::{numbers, single};
use crate::{Bits, Candidate, LowestSearch, Order, Sample, Scores, Values, prune_lowest};
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
    pruned(stretches, &search.bracket()).unwrap()
}

/// What is kept of stretches, and the cut, if it is in the bracket.
fn pruned(stretches: &[Stretch<'_>], bracket: &Bracket) -> Option<(Vec<Bits>, Cut)> {
    let mut places: Vec<_> = stretches.iter().map(|stretch| bracket.place(stretch)).collect();
    let (cut, shares) = bracket.cut(&mut places)?;
    let clear = |(stretch, share): (&Stretch<'_>, &Share)| {
        let mut kept = Bits::all(stretch.len());
        cut.clear(stretch, share, &mut kept);
        assert_eq!(kept.count(), stretch.len() - share.pruned());
        kept
    };
    Some((stretches.iter().zip(&shares).map(clear).collect(), cut))
}

/// A guess from these positions of each stretch gives the same, or nothing. Whether it gives something.
fn guessed(
    stretches: &[Stretch<'_>],
    fineness: Fineness,
    count: usize,
    some: &[Stretch<'_>],
) -> bool {
    let mut sample = Sample::new(fineness);
    some.iter().for_each(|stretch| sample.add(stretch));
    let total = stretches.iter().map(Stretch::len).sum();
    let Some(bracket) = sample.bracket(count, total) else { return false };
    let guess = pruned(stretches, &bracket);
    let is_some = guess.is_some();
    if let Some(guess) = guess {
        assert_eq!(guess, found(stretches, fineness, count));
    }
    is_some
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
    // All of them as the sample: it cannot be wrong.
    assert!(
        stretches.iter().all(Stretch::is_empty) || guessed(&stretches, fineness, count, &stretches)
    );
    // The first of them: it may be.
    guessed(&stretches, fineness, count, &stretches[..stretches.len().min(1)]);
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
    let stretches = vec![Stretch::Magnitude(Values::F32(&x)); (Fineness::Single.noted() >> 16) + 2];
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
    let seen = |fineness, values: Values<'_>| {
        let stretch = Stretch::Magnitude(values);
        LowestSearch::new(fineness, 1).bracket().place(&stretch).saw_nan()
    };
    assert!(!seen(Fineness::Single, Values::F32(&[1.0, f32::INFINITY])));
    assert!(seen(Fineness::Single, Values::BF16(&[bf16::NAN])));
    assert!(seen(Fineness::Double, Values::F64(&[0.0, -f64::NAN])));
    for (value, is_nan) in [(f16::INFINITY, false), (f16::NAN, true), (-f16::NAN, true)] {
        assert_eq!(seen(Fineness::Half, Values::F16(&[f16::ONE, value])), is_nan);
        let brain = bf16::from_f32(value.to_f32());
        assert_eq!(seen(Fineness::Brain, Values::BF16(&[brain])), is_nan);
    }
}

/// Every 64th run of 16 positions.
fn some<'a, T>(x: &'a [T], of: impl Fn(&'a [T]) -> Values<'a>) -> Vec<Stretch<'a>> {
    x.chunks(16).step_by(64).map(|x| Stretch::Magnitude(of(x))).collect()
}

#[test]
fn an_even_sample_is_enough() {
    let n = 1 << 18;
    let wide = numbers(n, 3);
    let x = single(&wide);
    let halves: Vec<f16> = x.iter().map(|x| f16::from_f32(*x)).collect();
    let brains: Vec<bf16> = x.iter().map(|x| bf16::from_f32(*x)).collect();
    for count in [1, 77, n / 3, n / 2, n - 1] {
        let check = |values: Values<'_>, fineness, sample: Vec<Stretch<'_>>| {
            assert!(guessed(&[Stretch::Magnitude(values)], fineness, count, &sample), "{count}");
        };
        check(Values::F32(&x), Fineness::Single, some(&x, Values::F32));
        check(Values::F64(&wide), Fineness::Double, some(&wide, Values::F64));
        check(Values::F16(&halves), Fineness::Half, some(&halves, Values::F16));
        check(Values::BF16(&brains), Fineness::Brain, some(&brains, Values::BF16));
    }
}

#[test]
fn a_sample_of_others_is_found_out() {
    // The first half is smaller than the sample, the other larger.
    let x: Vec<f32> =
        (0..40_000).map(|i| if i < 20_000 { 1.0 } else { 3.0 } + i as f32 * 1e-6).collect();
    let stretches = [Stretch::Magnitude(Values::F32(&x))];
    let others: Vec<f32> = (0..1000).map(|i| 2.0 + i as f32 * 1e-6).collect();
    let others = [Stretch::Magnitude(Values::F32(&others))];
    for count in [10_000, 20_000, 20_001, 30_000] {
        assert!(!guessed(&stretches, Fineness::Single, count, &others), "{count}");
    }
}

#[test]
fn no_more_is_noted_than_fits() {
    let x: Vec<f32> = (0..1 << 16).map(|i| 1.0 + (i % 2) as f32 * f32::EPSILON).collect();
    let stretches = vec![Stretch::Magnitude(Values::F32(&x)); (Fineness::Single.noted() >> 16) + 2];
    let count = stretches.len() << 15;
    // A sample that is all there is knows it before.
    let mut sample = Sample::new(Fineness::Single);
    sample.add(&stretches[0]);
    assert!(sample.bracket(count, stretches.len() << 16).is_none());
    let (low, high) = (1f32.to_bits(), (1.0 + f32::EPSILON).to_bits());
    let bracket = Bracket::new(Fineness::Single, count, low.into()..=high.into());
    let mut places: Vec<_> = stretches.iter().map(|stretch| bracket.place(stretch)).collect();
    assert!(bracket.cut(&mut places).is_none());
    assert_eq!(found(&stretches, Fineness::Single, count).1.threshold(), 1.0);
}

proptest! {
    /// Few values, so that many are equal, and a sample of whatever there is.
    #[test]
    fn a_guess_is_never_wrong(
        sizes in prop::collection::vec(1usize..3000, 1..4),
        seed in 0u64..1000,
        values in 1u32..50,
        fraction in 0.0..=1.0f64,
        from in 0.0..1.0f64,
        step in 1usize..20,
    ) {
        let all: Vec<Vec<f32>> = sizes
            .iter()
            .zip(seed..)
            .map(|(n, seed)| numbers(*n, seed).iter().map(|x| (x * f64::from(values)).round() as f32).collect())
            .collect();
        let stretches: Vec<_> = all.iter().map(|x| Stretch::Magnitude(Values::F32(x))).collect();
        let flat: Vec<f32> = all.concat();
        let start = (from * flat.len() as f64) as usize;
        let sample: Vec<f32> = flat[start..].iter().step_by(step).copied().collect();
        let count = (fraction * flat.len() as f64) as usize;
        guessed(&stretches, Fineness::Single, count, &[Stretch::Magnitude(Values::F32(&sample))]);
    }
}

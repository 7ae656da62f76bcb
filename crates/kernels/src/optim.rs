//! Updates of optimizers, fused: one pass over a tensor reads and writes everything once.
//!
//! A pass is bound by memory: AdamW reads four numbers and writes three for each weight.

use pulp::Arch;

use crate::Real;
use crate::pieces::{PIECE, Pieces, each};
use crate::prune::apply::{blocks, mask_piece, words_by_piece};
use crate::prune::bits::Bits;

/// The numbers of one Adam or AdamW step.
///
/// With `t` the number of this step, from 1: `step_size` is `rate / (1 - beta1^t)` and `root_scale`
/// is `1 / sqrt(1 - beta2^t)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// What the weight is multiplied by before the update: `1 - rate * decay` for AdamW, else 1.
    pub shrink: f64,
    /// What is added to the gradient for each unit of weight: the decay of plain Adam, else 0.
    pub l2: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// The rate, corrected for the bias of the first moment.
    pub step_size: f64,
    /// The correction for the bias of the second moment, applied to its root.
    pub root_scale: f64,
}

/// One step of Adam (Kingma and Ba, 2015) or AdamW (Loshchilov and Hutter, 2019), in place.
///
/// `m` and `v` are the moments; `peak` is the greatest second moment so far, for AMSGrad. Weights that
/// are not `kept` become zero.
///
/// ```
/// use espalier_kernels::{AdamStep, adam};
/// let step = AdamStep {
///     shrink: 1.0, l2: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
///     step_size: 0.01 / 0.1, root_scale: 1.0 / 0.001f64.sqrt(),
/// };
/// let (mut w, mut m, mut v) = ([1.0f64], [0.0], [0.0]);
/// adam(&step, &mut w, &[3.0], &mut m, &mut v, None, None);
/// assert!((w[0] - 0.99).abs() < 1e-9, "the first step goes one rate down");
/// ```
///
/// # Panics
///
/// If the slices differ in length.
pub fn adam<T: Real>(
    step: &AdamStep,
    weight: &mut [T],
    gradient: &[T],
    m: &mut [T],
    v: &mut [T],
    peak: Option<&mut [T]>,
    kept: Option<&Bits>,
) {
    let n = weight.len();
    assert!(kept.is_none_or(|kept| kept.len() == n), "one bit for each weight");
    assert!(gradient.len() == n && m.len() == n && v.len() == n, "slices of one length");
    match peak {
        None => {
            let tasks = Pieces::new(PIECE, n, (weight, gradient, m, v)).zip(words_by_piece(kept));
            each(n, tasks, |((w, g, m, v), words)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for ((w, g, m, v), words) in blocks(w.len(), (w, g, m, v), words) {
                            if step.l2 == 0.0 {
                                adam_piece::<T, false>(step, w, g, m, v);
                            } else {
                                adam_piece::<T, true>(step, w, g, m, v);
                            }
                            mask_piece(w, words);
                        }
                    },
                );
            });
        }
        Some(peak) => {
            assert!(peak.len() == n, "slices of one length");
            let slices = (weight, gradient, m, v, peak);
            let tasks = Pieces::new(PIECE, n, slices).zip(words_by_piece(kept));
            each(n, tasks, |((w, g, m, v, peak), words)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let slices = (w, g, m, v, peak);
                        for ((w, g, m, v, peak), words) in blocks(slices.0.len(), slices, words) {
                            if step.l2 == 0.0 {
                                amsgrad_piece::<T, false>(step, w, g, m, v, peak);
                            } else {
                                amsgrad_piece::<T, true>(step, w, g, m, v, peak);
                            }
                            mask_piece(w, words);
                        }
                    },
                );
            });
        }
    }
}

#[inline(always)]
fn adam_piece<T: Real, const L2: bool>(
    step: &AdamStep,
    w: &mut [T],
    g: &[T],
    m: &mut [T],
    v: &mut [T],
) {
    let adam = Adam::<T>::new(step);
    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        adam.moments::<L2>(*w, *g, m, v);
        *w = adam.update(*w, *m, *v);
    }
}

#[inline(always)]
fn amsgrad_piece<T: Real, const L2: bool>(
    step: &AdamStep,
    w: &mut [T],
    g: &[T],
    m: &mut [T],
    v: &mut [T],
    peak: &mut [T],
) {
    let adam = Adam::<T>::new(step);
    for ((((w, g), m), v), peak) in w.iter_mut().zip(g).zip(m).zip(v).zip(peak) {
        adam.moments::<L2>(*w, *g, m, v);
        *peak = peak.greater(*v);
        *w = adam.update(*w, *m, *peak);
    }
}

/// [`AdamStep`] in the type of the weights.
struct Adam<T> {
    shrink: T,
    l2: T,
    beta1: T,
    rest1: T,
    beta2: T,
    rest2: T,
    epsilon: T,
    step_size: T,
    root_scale: T,
}

impl<T: Real> Adam<T> {
    #[inline(always)]
    fn new(step: &AdamStep) -> Self {
        Self {
            shrink: T::of(step.shrink),
            l2: T::of(step.l2),
            beta1: T::of(step.beta1),
            rest1: T::of(1.0 - step.beta1),
            beta2: T::of(step.beta2),
            rest2: T::of(1.0 - step.beta2),
            epsilon: T::of(step.epsilon),
            step_size: T::of(step.step_size),
            root_scale: T::of(step.root_scale),
        }
    }

    #[inline(always)]
    fn moments<const L2: bool>(&self, w: T, g: T, m: &mut T, v: &mut T) {
        // Without decay nothing is added: zero times an infinite weight is NaN.
        let g = if L2 { g + self.l2 * w } else { g };
        *m = self.beta1 * *m + self.rest1 * g;
        *v = self.beta2 * *v + self.rest2 * (g * g);
    }

    #[inline(always)]
    fn update(&self, w: T, m: T, v: T) -> T {
        let denominator = v.root() * self.root_scale + self.epsilon;
        w * self.shrink - self.step_size * (m / denominator)
    }
}

/// The numbers of one SGD step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// The rate.
    pub rate: f64,
    /// What is added to the gradient for each unit of weight.
    pub l2: f64,
    /// Decay of the velocity.
    pub momentum: f64,
    /// What the gradient's part in the velocity is less than 1.
    pub dampening: f64,
    /// Whether the update looks one step ahead.
    pub nesterov: bool,
}

/// One step of stochastic gradient descent, in place.
///
/// `velocity` is `momentum * velocity + (1 - dampening) * gradient`; without one the gradient is
/// followed itself. `nesterov` adds `momentum * velocity` to the gradient and follows that. Weights that
/// are not `kept` become zero.
///
/// ```
/// use espalier_kernels::{SgdStep, sgd};
/// let step = SgdStep { rate: 0.1, l2: 0.0, momentum: 0.5, dampening: 0.0, nesterov: false };
/// let (mut w, mut velocity) = ([1.0f64], [2.0]);
/// sgd(&step, &mut w, &[3.0], Some(&mut velocity), None);
/// assert_eq!((w[0], velocity[0]), (0.6, 4.0));
/// ```
///
/// # Panics
///
/// If the slices differ in length.
pub fn sgd<T: Real>(
    step: &SgdStep,
    weight: &mut [T],
    gradient: &[T],
    velocity: Option<&mut [T]>,
    kept: Option<&Bits>,
) {
    let n = weight.len();
    assert!(kept.is_none_or(|kept| kept.len() == n), "one bit for each weight");
    assert!(gradient.len() == n, "slices of one length");
    match velocity {
        None => {
            let tasks = Pieces::new(PIECE, n, (weight, gradient)).zip(words_by_piece(kept));
            each(n, tasks, |((w, g), words)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let (rate, l2) = (T::of(step.rate), T::of(step.l2));
                        for ((w, g), words) in blocks(w.len(), (w, g), words) {
                            // Without decay nothing is added: zero times an infinite weight is NaN.
                            if step.l2 == 0.0 {
                                for (w, g) in w.iter_mut().zip(g) {
                                    *w -= rate * *g;
                                }
                            } else {
                                for (w, g) in w.iter_mut().zip(g) {
                                    *w -= rate * (*g + l2 * *w);
                                }
                            }
                            mask_piece(w, words);
                        }
                    },
                );
            });
        }
        Some(velocity) => {
            assert!(velocity.len() == n, "slices of one length");
            let slices = (weight, gradient, velocity);
            let tasks = Pieces::new(PIECE, n, slices).zip(words_by_piece(kept));
            each(n, tasks, |((w, g, velocity), words)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for ((w, g, velocity), words) in blocks(w.len(), (w, g, velocity), words) {
                            if step.l2 == 0.0 {
                                momentum_piece::<T, false>(step, w, g, velocity);
                            } else {
                                momentum_piece::<T, true>(step, w, g, velocity);
                            }
                            mask_piece(w, words);
                        }
                    },
                );
            });
        }
    }
}

#[inline(always)]
fn momentum_piece<T: Real, const L2: bool>(
    step: &SgdStep,
    w: &mut [T],
    g: &[T],
    velocity: &mut [T],
) {
    let (rate, l2, momentum) = (T::of(step.rate), T::of(step.l2), T::of(step.momentum));
    let rest = T::of(1.0 - step.dampening);
    let ahead = T::of(if step.nesterov { 1.0 } else { 0.0 });
    let along = T::of(if step.nesterov { step.momentum } else { 1.0 });
    for ((w, g), velocity) in w.iter_mut().zip(g).zip(velocity) {
        let g = if L2 { *g + l2 * *w } else { *g };
        *velocity = momentum * *velocity + rest * g;
        *w -= rate * (ahead * g + along * *velocity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::{PARALLEL, PIECE};
    use crate::test::numbers;

    const STEP: AdamStep = AdamStep {
        shrink: 0.99,
        l2: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        step_size: 0.1,
        root_scale: 3.0,
    };

    /// The formula, one element at a time in double precision.
    fn plain(step: &AdamStep, w: f64, g: f64, m: f64, v: f64) -> (f64, f64, f64) {
        let g = g + step.l2 * w;
        let m = step.beta1 * m + (1.0 - step.beta1) * g;
        let v = step.beta2 * v + (1.0 - step.beta2) * g * g;
        let w = w * step.shrink - step.step_size * m / (v.sqrt() * step.root_scale + step.epsilon);
        (w, m, v)
    }

    #[test]
    fn pieces_on_threads_give_what_one_element_after_the_other_gives() {
        for n in [0, 1, 7, PIECE, PARALLEL - 1, PARALLEL, PARALLEL + PIECE + 3] {
            let (w, g, m) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
            let v: Vec<f64> = numbers(n, 4).iter().map(|v| v.abs()).collect();
            let (mut w2, mut m2, mut v2) = (w.clone(), m.clone(), v.clone());
            adam(&STEP, &mut w2, &g, &mut m2, &mut v2, None, None);
            let mut peak = v.clone();
            let (mut w3, mut m3, mut v3) = (w.clone(), m.clone(), v.clone());
            adam(&STEP, &mut w3, &g, &mut m3, &mut v3, Some(&mut peak), None);
            for i in 0..n {
                let (we, me, ve) = plain(&STEP, w[i], g[i], m[i], v[i]);
                assert!((w2[i] - we).abs() < 1e-13 && (m2[i] - me).abs() < 1e-15, "{n}: {i}");
                assert!((v2[i] - ve).abs() < 1e-15);
                assert_eq!((m3[i], v3[i], peak[i]), (m2[i], v2[i], v2[i].max(v[i])));
                assert!(peak[i] > v2[i] || w3[i] == w2[i]);
            }
        }
    }

    #[test]
    fn an_infinite_weight_is_no_nan_without_decay() {
        let adam_step = AdamStep { l2: 0.0, shrink: 1.0, ..STEP };
        let sgd_step =
            SgdStep { rate: 0.1, l2: 0.0, momentum: 0.9, dampening: 0.0, nesterov: true };
        let infinite = [f64::NEG_INFINITY];
        let (mut a, mut b, mut c, mut d) = (infinite, infinite, infinite, infinite);
        adam(&adam_step, &mut a, &[1.0], &mut [0.0], &mut [0.0], None, None);
        adam(&adam_step, &mut b, &[1.0], &mut [0.0], &mut [0.0], Some(&mut [0.0]), None);
        sgd(&sgd_step, &mut c, &[1.0], Some(&mut [0.0]), None);
        sgd(&sgd_step, &mut d, &[1.0], None, None);
        assert_eq!([a, b, c, d], [infinite; 4]);
    }

    #[test]
    fn single_precision_is_the_rounded_double() {
        let n = PARALLEL + 5;
        let single = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();
        let (mut w, g) = (single(numbers(n, 1)), single(numbers(n, 2)));
        let (mut m, mut v) = (vec![0f32; n], vec![0f32; n]);
        let before = w.clone();
        adam(&STEP, &mut w, &g, &mut m, &mut v, None, None);
        for i in 0..n {
            let (we, ..) = plain(&STEP, f64::from(before[i]), f64::from(g[i]), 0.0, 0.0);
            assert!((f64::from(w[i]) - we).abs() < 1e-6, "{i}: {} and {we}", w[i]);
        }
    }

    #[test]
    fn sgd_with_and_without_velocity() {
        let n = PARALLEL + 1;
        let (w, g, velocity) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
        for nesterov in [false, true] {
            let step = SgdStep { rate: 0.1, l2: 0.2, momentum: 0.9, dampening: 0.3, nesterov };
            let (mut w2, mut velocity2) = (w.clone(), velocity.clone());
            sgd(&step, &mut w2, &g, Some(&mut velocity2), None);
            let mut w3 = w.clone();
            sgd(&step, &mut w3, &g, None, None);
            for i in 0..n {
                let d = g[i] + 0.2 * w[i];
                let expected = 0.9 * velocity[i] + 0.7 * d;
                let along = if nesterov { d + 0.9 * expected } else { expected };
                assert!((velocity2[i] - expected).abs() < 1e-15);
                assert!((w2[i] - (w[i] - 0.1 * along)).abs() < 1e-15);
                assert!((w3[i] - (w[i] - 0.1 * d)).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn what_is_not_kept_is_zero_and_the_rest_as_without_a_mask() {
        for n in [5, PIECE, PARALLEL + PIECE + 3] {
            let kept = Bits::collect(n, (0..n).map(|i| i * i % 7 < 4));
            let (w, g) = (numbers(n, 1), numbers(n, 2));
            let v: Vec<f64> = numbers(n, 4).iter().map(|v| v.abs()).collect();
            let sgd_step =
                SgdStep { rate: 0.1, l2: 0.2, momentum: 0.9, dampening: 0.0, nesterov: true };
            let run = |which: usize, kept: Option<&Bits>| {
                let (mut w, mut m, mut v, mut peak) = (w.clone(), w.clone(), v.clone(), v.clone());
                match which {
                    0 => adam(&STEP, &mut w, &g, &mut m, &mut v, None, kept),
                    1 => adam(&STEP, &mut w, &g, &mut m, &mut v, Some(&mut peak), kept),
                    2 => sgd(&sgd_step, &mut w, &g, None, kept),
                    _ => sgd(&sgd_step, &mut w, &g, Some(&mut m), kept),
                }
                (w, m)
            };
            for which in 0..4 {
                let (plain, moved) = run(which, None);
                let (masked, also_moved) = run(which, Some(&kept));
                assert_eq!(moved, also_moved, "only the weights are masked");
                for (i, kept) in kept.iter().enumerate() {
                    let expected = if kept { plain[i] } else { 0.0 };
                    assert_eq!(masked[i].to_bits(), expected.to_bits(), "{which}, {n}: {i}");
                }
            }
        }
    }
}

//! Clipping gradients, and steps whose gradients are not finite.
//!
//! To be called between [`grads`](crate::Parametrized::grads) and the optimizer's step. Gradients
//! are taken out of their container and put back, for so they can be read and changed in place:
//! where a function returns an error, they are all there, unchanged.

mod gradient;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use gradient::{Gradient, Held, Norm, slice_norm};

use crate::error::Error;
use crate::tree::{Walk, follow_walk};

/// Which norm of all gradients together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum NormKind {
    /// The sum of absolute values.
    L1,
    /// The root of the sum of squares.
    #[default]
    L2,
    /// The largest absolute value.
    Inf,
    /// `(sum |x|^p)^(1/p)`, p positive and finite.
    P(f64),
}

/// What to do about a gradient that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NonFinite {
    /// An error that names the parameters.
    #[default]
    Error,
    /// Leave the gradients alone and tell the caller to skip the step.
    Skip,
    /// Go on: clipping by a norm then makes gradients zero or NaN, as PyTorch does by default.
    Pass,
}

/// What [`clip_grad_norm`] did.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "it tells whether to skip the step"]
pub struct Clipped {
    /// The norm before.
    pub norm: f64,
    /// What the gradients were multiplied by: 1 if they were short enough.
    pub coefficient: f64,
    /// Whether the optimizer should not step: gradients were not finite, under
    /// [`NonFinite::Skip`].
    pub skip: bool,
}

/// Scales all gradients so that their norm is at most `max_norm`: `torch.nn.utils.clip_grad_norm_`.
///
/// One norm over all gradients together, those of all groups. They are multiplied by
/// `max_norm / (norm + 1e-6)` if that is below 1. A gradient of a parameter that `module` visits
/// twice counts once.
///
/// On the CPU norms are summed in f64; elsewhere in the gradient's precision, at least f32.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::clip::{NonFinite, NormKind, clip_grad_norm, grad_norm};
///
/// let device = Device::default().autodiff();
/// let net = Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let loss = net.effective().forward(Tensor::<2>::ones([3, 4], &device) * 100.0).sum();
/// let mut grads = net.grads(loss.backward())?;
/// let clipped = clip_grad_norm(&net, &mut grads, 1.0, NormKind::L2, NonFinite::Error)?;
/// assert!(clipped.norm > 800.0 && !clipped.skip);
/// assert!((grad_norm(&net, &mut grads, NormKind::L2)? - 1.0).abs() < 1e-5);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NonFiniteGradient`] under [`NonFinite::Error`]; [`Error::Clip`] if `max_norm` is negative
/// or not a number, or the norm's p not positive and finite.
pub fn clip_grad_norm<M: Module>(
    module: &M,
    grads: &mut GradientsParams,
    max_norm: f64,
    norm: NormKind,
    non_finite: NonFinite,
) -> Result<Clipped, Error> {
    let function = "clip_grad_norm";
    check_bound(function, "max_norm", max_norm)?;
    check_norm(function, norm)?;
    let mut taken = Taken::take(module, grads, true);
    let clipped = taken.clip_norm(max_norm, norm, non_finite);
    taken.put(grads);
    clipped
}

/// Cuts every number of every gradient to `-limit..=limit`: `torch.nn.utils.clip_grad_value_`.
///
/// A NaN stays.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::clip::{NormKind, clip_grad_value, grad_norm};
///
/// let device = Device::default().autodiff();
/// let net = Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let loss = net.effective().forward(Tensor::<2>::ones([3, 4], &device)).sum();
/// let mut grads = net.grads(loss.backward())?;
/// clip_grad_value(&net, &mut grads, 0.5)?;
/// assert_eq!(grad_norm(&net, &mut grads, NormKind::Inf)?, 0.5);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Clip`] if `limit` is negative or not a number.
pub fn clip_grad_value<M: Module>(
    module: &M,
    grads: &mut GradientsParams,
    limit: f64,
) -> Result<(), Error> {
    check_bound("clip_grad_value", "the limit", limit)?;
    let mut taken = Taken::take(module, grads, true);
    taken.0.iter_mut().for_each(|(_, gradient)| gradient.clamp(limit));
    taken.put(grads);
    Ok(())
}

/// The norm of all gradients together, as [`clip_grad_norm`] computes it.
///
/// 0 if there are none. The gradients are the same afterwards: `&mut` only saves copies.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::clip::{NormKind, grad_norm};
///
/// let device = Device::default().autodiff();
/// let net = Parametrized::new(LinearConfig::new(4, 2).with_bias(false).init(&device));
/// let loss = net.effective().forward(Tensor::<2>::ones([1, 4], &device)).sum();
/// let mut grads = net.grads(loss.backward())?;
/// assert_eq!(grad_norm(&net, &mut grads, NormKind::L1)?, 8.0);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Clip`] if the norm's p is not positive and finite.
pub fn grad_norm<M: Module>(
    module: &M,
    grads: &mut GradientsParams,
    norm: NormKind,
) -> Result<f64, Error> {
    check_norm("grad_norm", norm)?;
    let taken = Taken::take(module, grads, true);
    let total = total(&taken.norms(norm), norm);
    taken.put(grads);
    Ok(total)
}

/// Whether the optimizer may step: whether all gradients are finite, or that does not matter.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::Parametrized;
/// use espalier::clip::{NonFinite, check_finite};
///
/// let device = Device::default().autodiff();
/// let net = Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let input = Tensor::<2>::full([1, 4], f32::INFINITY, &device);
/// let mut grads = net.grads(net.effective().forward(input).sum().backward())?;
/// assert!(!check_finite(&net, &mut grads, NonFinite::Skip)?);
/// let error = check_finite(&net, &mut grads, NonFinite::Error).unwrap_err();
/// assert!(error.to_string().starts_with("the gradient of `weight` is NaN or infinite"));
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::NonFiniteGradient`] under [`NonFinite::Error`].
pub fn check_finite<M: Module>(
    module: &M,
    grads: &mut GradientsParams,
    non_finite: NonFinite,
) -> Result<bool, Error> {
    if non_finite == NonFinite::Pass {
        return Ok(true);
    }
    let taken = Taken::take(module, grads, true);
    let paths = taken.non_finite();
    taken.put(grads);
    match (paths.is_empty(), non_finite) {
        (true, _) => Ok(true),
        (false, NonFinite::Error) => Err(Error::NonFiniteGradient { paths }),
        (false, _) => Ok(false),
    }
}

fn check_bound(function: &'static str, what: &str, bound: f64) -> Result<(), Error> {
    // Infinity only measures.
    if bound >= 0.0 {
        return Ok(());
    }
    Err(Error::Clip { function, reason: format!("{what} is 0 or more, found {bound}") })
}

fn check_norm(function: &'static str, norm: NormKind) -> Result<(), Error> {
    match norm {
        NormKind::P(p) if !(p > 0.0 && p.is_finite()) => {
            Err(Error::Clip { function, reason: format!("p is positive and finite, found {p}") })
        }
        _ => Ok(()),
    }
}

/// The gradients of a module, out of their container, with the paths of their parameters.
struct Taken(Vec<(String, Box<dyn Gradient>)>);

impl Taken {
    /// Those that live on the CPU as plain numbers, if `host`.
    fn take<M: Module>(module: &M, grads: &mut GradientsParams, host: bool) -> Self {
        let walk = Walk::default();
        let mut take = Take { grads, host, walk, seen: BTreeSet::new(), taken: Self(Vec::new()) };
        crate::frame::visit_parameters(module, &mut take);
        take.taken
    }

    fn put(self, grads: &mut GradientsParams) {
        self.0.into_iter().for_each(|(_, gradient)| gradient.put(grads));
    }

    /// The norm of each.
    fn norms(&self, norm: NormKind) -> Vec<f64> {
        let mut norms = vec![0.0; self.0.len()];
        // What other devices computed, read once a device and dtype.
        let mut waiting: Vec<(Vec<usize>, Vec<Tensor<1>>)> = Vec::new();
        for (index, (_, gradient)) in self.0.iter().enumerate() {
            match gradient.norm(norm) {
                Norm::Here(found) => norms[index] = found,
                Norm::There(found) => {
                    let like = |other: &Tensor<1>| {
                        other.device() == found.device() && other.dtype() == found.dtype()
                    };
                    match waiting.iter_mut().find(|(_, tensors)| tensors.iter().all(like)) {
                        Some((indices, tensors)) => {
                            indices.push(index);
                            tensors.push(*found);
                        }
                        None => waiting.push((vec![index], vec![*found])),
                    }
                }
            }
        }
        for (indices, tensors) in waiting {
            let found = Tensor::cat(tensors, 0).into_data();
            for (index, found) in indices.into_iter().zip(found.iter::<f64>()) {
                norms[index] = found;
            }
        }
        norms
    }

    /// The paths of those with a number that is not finite.
    fn non_finite(&self) -> Vec<String> {
        let norms = self.norms(NormKind::Inf);
        let paths = self.0.iter().zip(norms).filter(|(_, largest)| !largest.is_finite());
        paths.map(|((path, _), _)| path.clone()).collect()
    }

    fn clip_norm(
        &mut self,
        max_norm: f64,
        norm: NormKind,
        non_finite: NonFinite,
    ) -> Result<Clipped, Error> {
        let total = total(&self.norms(norm), norm);
        let clipped = Clipped { norm: total, coefficient: 1.0, skip: false };
        if !total.is_finite() {
            match non_finite {
                NonFinite::Skip => return Ok(Clipped { skip: true, ..clipped }),
                NonFinite::Error => {
                    let paths = self.non_finite();
                    return Err(if paths.is_empty() {
                        let reason = "the norm of finite gradients is too large to be a number";
                        Error::Clip { function: "clip_grad_norm", reason: reason.to_owned() }
                    } else {
                        Error::NonFiniteGradient { paths }
                    });
                }
                NonFinite::Pass => {}
            }
        }
        let coefficient = max_norm / (total + 1e-6);
        if coefficient >= 1.0 {
            return Ok(clipped);
        }
        self.0.iter_mut().for_each(|(_, gradient)| gradient.scale(coefficient));
        Ok(Clipped { coefficient, ..clipped })
    }
}

/// The norm of what has these norms.
fn total(norms: &[f64], norm: NormKind) -> f64 {
    slice_norm(norms, norm)
}

struct Take<'a> {
    grads: &'a mut GradientsParams,
    host: bool,
    walk: Walk,
    seen: BTreeSet<u64>,
    taken: Taken,
}

impl ModuleVisitor for Take<'_> {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.seen.insert(param.id.val()) {
            return;
        }
        if let Some(tensor) = self.grads.remove::<D>(param.id) {
            let held = Held::new(param.id, tensor, self.host);
            self.taken.0.push((self.walk.path(), Box::new(held)));
        }
    }
}

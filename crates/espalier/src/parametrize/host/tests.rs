//! Each operation equals its tensor-op twin, values and gradients, in both float types.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;
use crate::host::{binary, unary};
use crate::init::Rng;
use crate::parametrize::skew::skewed_by_tensors;
use crate::parametrize::spectrum::congruence_by_tensors;
use crate::parametrize::symmetric::symmetrized_by_tensors;
use crate::parametrize::weight_norm::normed_by_tensors;

/// Leaves with normal numbers, the same for a seed.
pub(crate) fn leaf<const D: usize>(dims: [usize; D], dtype: DType, seed: u64) -> Tensor<D> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    let data = TensorData::new(values, dims).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
}

#[track_caller]
pub(crate) fn assert_near<const D: usize>(what: &str, a: Tensor<D>, b: Tensor<D>) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    // A sum of products is off by roundings of its largest terms.
    let allowed = if a.dtype() == DType::F64 { 1e-13 } else { 1e-5 };
    let (a, b) = (a.into_data(), b.into_data());
    let largest = b.iter::<f64>().filter(|b| b.is_finite()).fold(1.0, |m: f64, b| m.max(b.abs()));
    for (a, b) in a.iter::<f64>().zip(b.iter::<f64>()) {
        let near = (a - b).abs() <= allowed * largest || (a.is_nan() && b.is_nan());
        assert!(near, "{what}: {a:e} {b:e}, of up to {largest:e}");
    }
}

/// Compares two ways to compute something of the same leaves: the values, and the gradients that
/// flow back to the leaves for random ones of the value.
pub(crate) fn compare<const D: usize, const N: usize>(
    what: &str,
    leaves: impl Fn() -> [Tensor<D>; N],
    ours: impl Fn(&[Tensor<D>; N]) -> Tensor<D>,
    twin: impl Fn(&[Tensor<D>; N]) -> Tensor<D>,
) {
    let run = |compute: &dyn Fn(&[Tensor<D>; N]) -> Tensor<D>| {
        let leaves = leaves();
        let value = compute(&leaves);
        let given = leaf(value.dims(), value.dtype(), 99).detach().set_require_grad(false);
        let mut grads = (value.clone() * given).sum().backward();
        (value, leaves.map(|leaf| leaf.grad_remove(&mut grads).unwrap()))
    };
    let ((value, grads), (expected, others)) = (run(&ours), run(&twin));
    assert_near(what, value, expected);
    for (index, (grad, other)) in grads.into_iter().zip(others).enumerate() {
        assert_near(&format!("{what}: gradient {index}"), grad, other);
    }
}

#[test]
fn weight_norm_equals_its_twin() {
    for dtype in [DType::F32, DType::F64] {
        for dims in [[3, 4, 5], [1, 7, 1], [40, 3, 33], [2, 1, 2]] {
            for dim in [None, Some(0), Some(1), Some(2)] {
                let mut lengths = [1; 3];
                if let Some(dim) = dim {
                    lengths[dim] = dims[dim];
                }
                compare(
                    &format!("{dims:?}, {dim:?}, {dtype:?}"),
                    || [leaf(lengths, dtype, 1), leaf(dims, dtype, 2)],
                    |[g, v]| binary(g, v, Normed(dim)).unwrap(),
                    |[g, v]| normed_by_tensors(dim, g.clone(), v.clone()),
                );
            }
        }
    }
}

#[test]
fn symmetric_matrices_equal_their_twin() {
    for dtype in [DType::F32, DType::F64] {
        for dims in [[1, 1, 1], [3, 4, 4], [1, 70, 70]] {
            for lower in [false, true] {
                compare(
                    &format!("{dims:?}, {lower}, {dtype:?}"),
                    || [leaf(dims, dtype, 3)],
                    |[x]| unary(x, Symmetrized { lower }).unwrap(),
                    |[x]| symmetrized_by_tensors(lower, x.clone()),
                );
                compare(
                    &format!("skew, {dims:?}, {lower}, {dtype:?}"),
                    || [leaf(dims, dtype, 3)],
                    |[x]| unary(x, Skewed { lower }).unwrap(),
                    |[x]| skewed_by_tensors(lower, x.clone()),
                );
            }
        }
    }
}

#[test]
fn symmetric_matrices_of_eigenvectors_equal_their_twin() {
    for dtype in [DType::F32, DType::F64] {
        for dims in [[1, 1, 1], [2, 6, 6], [2, 7, 3], [1, 70, 65]] {
            let l = || leaf([dims[0], 1, dims[2]], dtype, 6);
            compare(
                &format!("{dims:?}, {dtype:?}"),
                || [leaf(dims, dtype, 5), l()],
                |[q, l]| binary(q, l, Congruence { transposed: false }).unwrap(),
                |[q, l]| congruence_by_tensors(q.clone(), l.clone()),
            );
            compare(
                &format!("{dims:?}, {dtype:?}, transposed"),
                || [leaf([dims[0], dims[2], dims[1]], dtype, 5), l()],
                |[q, l]| binary(q, l, Congruence { transposed: true }).unwrap(),
                |[q, l]| congruence_by_tensors(q.clone().swap_dims(1, 2), l.clone()),
            );
        }
    }
}

#[test]
fn spectral_norm_equals_its_twin() {
    use crate::parametrize::{Rule, Site, SpectralNorm, SpectralNormLink};
    use crate::tree::Layout;

    for dtype in [DType::F32, DType::F64] {
        for (dims, layout, dim) in [
            ([3, 5], Layout::Torch, 0),
            ([3, 5], Layout::Torch, 1),
            ([3, 5], Layout::Transposed, 0),
            ([3, 5], Layout::Transposed, 1),
            ([70, 90], Layout::Transposed, 0),
        ] {
            let what = format!("{dims:?}, {layout:?}, {dim}, {dtype:?}");
            let value = leaf(dims, dtype, 4);
            let site = Site {
                shape: dims.to_vec(),
                layout,
                dtype,
                device: value.device(),
                layer: "Linear".to_owned(),
                value: Some(value.detach().into()),
            };
            let link = SpectralNorm::new().dim(dim).link(&site).unwrap();
            let link = link.get::<SpectralNormLink>().unwrap();
            compare(
                &what,
                || [leaf(dims, dtype, 4)],
                |[x]| {
                    let (u, v) = (link.u().unwrap(), link.v().unwrap());
                    unary(x, Normalized(link.vectors::<2>(&u, &v).unwrap())).unwrap()
                },
                |[x]| link.normalized_by_tensors(x.clone()),
            );
            let x = leaf(dims, dtype, 6);
            let (u, v) = (link.u().unwrap(), link.v().unwrap());
            let ours = link.iterated(x.clone(), u.clone(), v.clone(), 3);
            let twin = link.iterated_by_tensors(&link.matrix(x.detach()), u, v, 3);
            for (ours, twin) in ours.into_iter().zip(twin) {
                assert_near(&what, ours.inner(), twin.inner());
            }
        }
    }
}

#[test]
fn orthogonal_maps_equal_their_twins() {
    use crate::parametrize::OrthogonalMap;
    use crate::parametrize::stiefel::by_tensors;

    for dtype in [DType::F32, DType::F64] {
        for map in [OrthogonalMap::Exp, OrthogonalMap::Cayley, OrthogonalMap::Householder] {
            // Square, tall, thin; with a large one, whose exponential is squared.
            for (dims, scale) in [
                ([1, 1, 1], 1.0),
                ([2, 6, 6], 1.0),
                ([1, 7, 4], 1.0),
                ([2, 12, 2], 1.0),
                ([1, 40, 40], 0.3),
                ([1, 6, 6], 8.0),
            ] {
                for based in [false, true] {
                    let what = format!("{map:?}, {dims:?}, {based}, {dtype:?}");
                    let base = based.then(|| {
                        let square = [dims[0], dims[1], dims[1]];
                        leaf(square, dtype, 8).detach().set_require_grad(false) * 0.3
                    });
                    let constant = base.as_ref().and_then(crate::host::Constant::of);
                    compare(
                        &what,
                        || [leaf(dims, dtype, 7)],
                        |[x]| {
                            let op = Orthonormal::new(map, constant.clone(), false);
                            unary(&(x.clone() * scale), op).unwrap()
                        },
                        |[x]| by_tensors(map, x.clone() * scale, base.clone()),
                    );
                    // Stored as transposes.
                    compare(
                        &format!("{what}, transposed"),
                        || [leaf([dims[0], dims[2], dims[1]], dtype, 7)],
                        |[x]| {
                            let op = Orthonormal::new(map, constant.clone(), true);
                            unary(&(x.clone() * scale), op).unwrap()
                        },
                        |[x]| {
                            let tall = x.clone().swap_dims(1, 2) * scale;
                            by_tensors(map, tall, base.clone()).swap_dims(1, 2)
                        },
                    );
                }
            }
        }
    }
}

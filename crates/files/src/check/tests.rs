use espalier_checkpoint::Dtype;
use half::{bf16, f16};

use super::*;
use crate::Silent;

fn checkpoint(tensors: Vec<NamedTensor>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    for tensor in tensors {
        checkpoint.push(tensor).unwrap();
    }
    checkpoint
}

fn of(checkpoint: &Checkpoint, invariant: Invariant) -> Check {
    let mut found = check(checkpoint, &[invariant], None, &Arc::new(Silent)).unwrap();
    found.checks.remove(0)
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor::f32(name, shape.to_vec(), values).unwrap()
}

/// A product of rotations in all neighbouring planes: orthogonal, and no element is zero by construction.
fn rotation(n: usize) -> Vec<f64> {
    let mut q = vec![0.0; n * n];
    (0..n).for_each(|i| q[i * n + i] = 1.0);
    for round in 0..3 {
        for i in 0..n - 1 {
            let (sin, cos) = (0.3 + 0.1 * (i + round) as f64).sin_cos();
            for k in 0..n {
                let (a, b) = (q[k * n + i], q[k * n + i + 1]);
                (q[k * n + i], q[k * n + i + 1]) = (cos * a - sin * b, sin * a + cos * b);
            }
        }
    }
    q
}

fn orthogonal(glob: &str) -> Invariant {
    Invariant::Orthogonal { glob: glob.into() }
}

#[test]
fn the_tensor_with_most_that_is_not_finite() {
    let a = tensor("a", &[2, 2], &[1.0, f32::INFINITY, 0.0, 0.0]);
    let b = tensor("b", &[3], &[f32::NAN, f32::NEG_INFINITY, 0.0]);
    let six = NamedTensor::new("s", Dtype::F6E2M3, vec![4], vec![0; 3]).unwrap();
    let found = of(&checkpoint(vec![a, b, six]), Invariant::Finite);
    assert_eq!((found.holds, found.tensors, found.violations, found.left_out), (false, 2, 2, 1));
    let worst = found.worst.unwrap();
    assert_eq!((&*worst.tensor, worst.position), ("b", Some(vec![0])));
    assert_eq!(worst.says, "b is NaN at [0]; 2 of 3 elements are not finite");
    let sound = of(&checkpoint(vec![tensor("a", &[1], &[1.0])]), Invariant::Finite);
    assert_eq!((sound.holds, sound.worst), (true, None));
}

#[test]
fn in_every_precision_a_rounded_rotation_is_orthogonal_and_a_scaled_one_is_not() {
    let n = 48;
    let q = rotation(n);
    let bytes = |dtype: Dtype, scale: f64| -> Vec<u8> {
        let one = |x: &f64| match dtype {
            Dtype::F64 => (x * scale).to_le_bytes().to_vec(),
            Dtype::F32 => ((x * scale) as f32).to_le_bytes().to_vec(),
            Dtype::F16 => f16::from_f64(x * scale).to_le_bytes().to_vec(),
            _ => bf16::from_f64(x * scale).to_le_bytes().to_vec(),
        };
        q.iter().flat_map(one).collect()
    };
    for dtype in [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16] {
        for (rows, columns) in [(n, n), (n / 2, n), (n, n / 2)] {
            // Whole rows are orthonormal; whole columns of a part of each row are those of the transpose.
            let part = |scale| {
                let all = bytes(dtype, scale);
                let width = dtype.size_bits() / 8;
                let row = |i: usize| all[i * n * width..][..columns * width].to_vec();
                let some: Vec<u8> = (0..rows).flat_map(row).collect();
                checkpoint(vec![NamedTensor::new("w", dtype, vec![rows, columns], some).unwrap()])
            };
            assert!(of(&part(1.0), orthogonal("w")).holds, "{dtype} {rows} x {columns}");
            let found = of(&part(1.05), orthogonal("w"));
            assert!(!found.holds, "{dtype} {rows} x {columns}: {found:?}");
            let worst = found.worst.unwrap();
            let position = worst.position.unwrap();
            assert_eq!((position[0], worst.expected), (position[1], Some(1.0)));
            assert!((worst.value.unwrap() - 1.1025).abs() < 0.02, "{}", worst.says);
        }
    }
}

#[test]
fn convolutions_are_flattened_or_taken_apart() {
    let q: Vec<f32> = rotation(12).iter().map(|x| *x as f32).collect();
    let flat = tensor("flat", &[12, 3, 2, 2], &q);
    let small: Vec<f32> = rotation(2).iter().map(|x| *x as f32).collect();
    let apart = tensor("apart", &[5, 2, 2], &small.repeat(5));
    let mut broken = small.repeat(5);
    broken[13] += 0.5;
    let broken = tensor("broken", &[5, 2, 2], &broken);
    let checkpoint = checkpoint(vec![flat, apart, broken, tensor("bias", &[3], &[1.0; 3])]);
    assert!(of(&checkpoint, orthogonal("flat")).holds);
    assert!(of(&checkpoint, orthogonal("apart")).holds);
    assert!(!of(&checkpoint, orthogonal("broken")).holds);
    let all = of(&checkpoint, orthogonal("*"));
    assert_eq!((all.tensors, all.violations, all.left_out), (3, 1, 1));
    let error = check(&checkpoint, &[orthogonal("bias")], None, &Arc::new(Silent)).unwrap_err();
    assert!(error.to_string().contains("bias is F32 [3]"), "{error}");
}

#[test]
fn sparsity_rounds_half_to_even() {
    let five = tensor("w", &[5], &[0.0, 0.0, 1.0, 1.0, 1.0]);
    let checkpoint = checkpoint(vec![five, tensor("v", &[2], &[0.0, 1.0])]);
    let sparse = |glob: &str, least| Invariant::Sparsity { glob: glob.into(), least };
    assert!(of(&checkpoint, sparse("w", 0.5)).holds, "2.5 is 2");
    assert!(!of(&checkpoint, sparse("w", 0.6)).holds);
    let both = of(&checkpoint, sparse("*", 0.5));
    assert_eq!((both.holds, both.worst.map(|worst| worst.tensor)), (true, Some("w".into())));
}

#[test]
fn groups_along_the_last_dimension() {
    let nm = |glob: &str, n, m| Invariant::NOfM { glob: glob.into(), n, m };
    let rows = [1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 0.0, 3.0, 0.0, 4.0, 1.0, 1.0];
    let checkpoint = checkpoint(vec![tensor("w", &[2, 6], &rows), tensor("b", &[2], &[1.0; 2])]);
    assert!(of(&checkpoint, nm("w", 2, 4)).holds, "shorter groups at the ends are free");
    let found = of(&checkpoint, nm("*", 1, 4));
    assert_eq!((found.holds, found.tensors, found.left_out), (false, 1, 1));
    let worst = found.worst.unwrap();
    assert_eq!((worst.position, worst.value), (Some(vec![0, 0]), Some(2.0)));
    let found = of(&checkpoint, nm("w", 1, 2));
    assert_eq!(found.worst.unwrap().position, Some(vec![0, 4]));
    assert!(check(&checkpoint, &[nm("b", 1, 4)], None, &Arc::new(Silent)).is_err());
}

#[test]
fn rows_longer_than_a_piece() {
    let mut values = vec![0.0; 3 * 1_100_000];
    values[1_100_000 + 1_048_574..][..4].fill(1.0);
    let checkpoint = checkpoint(vec![tensor("w", &[3, 1_100_000], &values)]);
    let found = of(&checkpoint, Invariant::NOfM { glob: "w".into(), n: 1, m: 4 });
    let worst = found.worst.unwrap();
    assert_eq!((worst.position, worst.value), (Some(vec![1, 1_048_572]), Some(2.0)));
}

#[test]
fn ties() {
    let a = tensor("a", &[2], &[1.0, 2.0]);
    let tied = a.clone().with_name("tied");
    let far = tensor("far", &[2], &[1.0, 2.5]);
    let turned = tensor("turned", &[1, 2], &[1.0, 2.0]);
    let copy = tensor("copy", &[2], &[1.0, 2.0]);
    let zeros = [tensor("zero", &[1], &[0.0]), tensor("minus", &[1], &[-0.0])];
    let mut all = vec![a, tied, far, turned, copy];
    all.extend(zeros);
    let checkpoint = checkpoint(all);
    let to = |a: &str, b: &str| of(&checkpoint, Invariant::Tied { a: a.into(), b: b.into() });
    assert!(to("a", "tied").holds && to("a", "copy").holds);
    let far = to("a", "far").worst.unwrap();
    assert_eq!((far.position, far.value), (Some(vec![1]), Some(0.5)));
    assert!(to("a", "turned").worst.unwrap().says.contains("F32 [1, 2]"));
    assert!(to("zero", "minus").worst.unwrap().says.contains("not in bits"));
    let missing = [Invariant::Tied { a: "a".into(), b: "tide".into() }];
    let error = check(&checkpoint, &missing, None, &Arc::new(Silent)).unwrap_err();
    assert!(error.to_string().contains("`tide`") && error.to_string().contains("tied"), "{error}");
}

#[test]
fn symmetry() {
    let symmetric = |glob: &str| Invariant::Symmetric { glob: glob.into() };
    let near = tensor("near", &[2, 2], &[1.0, 2.0, 2.0 + f32::EPSILON * 2.0, 1.0]);
    let off = tensor("off", &[2, 2, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.5, 1.0]);
    let wide = tensor("wide", &[1, 2], &[1.0, 1.0]);
    let nan = tensor("nan", &[2, 2], &[1.0, f32::NAN, f32::NAN, 1.0]);
    let checkpoint = checkpoint(vec![near, off, wide, nan]);
    assert!(of(&checkpoint, symmetric("near")).holds);
    let worst = of(&checkpoint, symmetric("off")).worst.unwrap();
    assert_eq!((worst.position, worst.value), (Some(vec![1, 1, 0]), Some(2.5)));
    assert!(of(&checkpoint, symmetric("wide")).worst.unwrap().says.contains("square"));
    assert!(!of(&checkpoint, symmetric("nan")).holds);
    let strict = check(&checkpoint, &[symmetric("near")], Some(0.0), &Arc::new(Silent)).unwrap();
    assert!(!strict.holds);
}

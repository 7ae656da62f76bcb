//! Whole checkpoints measured.

use espalier_checkpoint::{Dtype, write_safetensors};
use tempfile::tempdir;

use super::*;
use crate::Silent;

fn checkpoint(tensors: Vec<NamedTensor>) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    for tensor in tensors {
        checkpoint.push(tensor).unwrap();
    }
    checkpoint
}

fn measured(tensor: &NamedTensor) -> Measured {
    measure(tensor, Detail::default(), &Arc::new(Silent)).unwrap()
}

#[test]
fn a_tied_tensor_counts_once() {
    let a = NamedTensor::f32("a", vec![2, 2], &[0.0, 1.0, 2.0, 3.0]).unwrap();
    let b = a.clone().with_name("b");
    let c = NamedTensor::new("c", Dtype::F8E4M3, vec![2], vec![0, 0]).unwrap();
    let all = checkpoint(vec![a, b, c]);
    let report = Report::of(&all, Detail::default(), &Arc::new(Silent)).unwrap();
    let total = &report.total;
    assert_eq!((total.tensors, total.tied, total.parameters, total.bytes), (3, 1, 6, 18));
    assert_eq!((total.zeros, total.sparsity), (1, 0.25));
    assert_eq!(total.dtypes, BTreeMap::from([("F32".into(), 16), ("F8_E4M3".into(), 2)]));
    let [a, b, c] = &report.tensors[..] else { panic!() };
    assert_eq!((a.tied_to.as_deref(), b.tied_to.as_deref()), (None, Some("a")));
    assert_eq!(a.measured.statistics, b.measured.statistics);
    assert!(a.measured.histogram.is_some() && b.measured.histogram.is_none());
    assert_eq!(c.measured, Measured::default());
}

#[test]
fn halves_are_measured_as_singles_are() {
    let values = [0.5f32, -1.0, 0.0, 2.0, 0.25, -0.125];
    let single = NamedTensor::f32("w", vec![2, 3], &values).unwrap();
    let bytes = values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
    let half = NamedTensor::new("w", Dtype::BF16, vec![2, 3], bytes).unwrap();
    assert_eq!(measured(&single), measured(&half));
}

#[test]
fn a_convolution_is_decomposed_as_a_matrix() {
    // Rows of 1, 2 and 4, in three directions.
    let mut values = [0.0f32; 3 * 2 * 2];
    (values[0], values[5], values[10]) = (1.0, 2.0, 4.0);
    let tensor = NamedTensor::f32("conv", vec![3, 1, 2, 2], &values).unwrap();
    let Some(Spectrum::Values { rows, columns, count, rank, values }) = measured(&tensor).spectrum
    else {
        panic!("no spectrum");
    };
    assert_eq!((rows, columns, count, rank), (3, 4, 3, 3));
    assert_eq!(values, [4.0, 2.0, 1.0]);
}

#[test]
fn what_rounding_leaves_is_no_rank() {
    let rank = |tensor: NamedTensor| match measured(&tensor).spectrum {
        Some(Spectrum::Values { rank, .. }) => Some(rank),
        _ => None,
    };
    let values: Vec<f32> =
        (0..300).map(|i| (i / 20) as f32 * 0.1 * ((i % 20) as f32).sin()).collect();
    assert_eq!(rank(NamedTensor::f32("w", vec![15, 20], &values).unwrap()), Some(1));
    assert_eq!(rank(NamedTensor::f32("w", vec![2, 3], &[0.0; 6]).unwrap()), Some(0));
}

#[test]
fn why_a_matrix_is_not_decomposed() {
    let why = |tensor: &NamedTensor, side| {
        let detail = Detail { side, ..Detail::default() };
        match measure(tensor, detail, &Arc::new(Silent)).unwrap().spectrum {
            Some(Spectrum::LeftOut { left_out }) => Some(left_out),
            _ => None,
        }
    };
    let wide = NamedTensor::f32("w", vec![3, 40], &[1.0; 120]).unwrap();
    assert!(why(&wide, 2).unwrap().contains("3 x 40"));
    assert!(why(&wide, 3).unwrap().contains("at most 36 elements"));
    assert_eq!(why(&wide, 6), None);
    assert_eq!(why(&wide, 0), None);
    let nan = NamedTensor::f64("w", vec![1, 2], &[1.0, f64::NAN]).unwrap();
    assert!(why(&nan, 6).unwrap().contains("not finite"));
    // Neither vectors nor integers.
    for shape in [vec![120], vec![3, 40]] {
        let tensor = NamedTensor::boolean("m", shape, &[true; 120]).unwrap();
        assert_eq!(measured(&tensor).spectrum, None);
    }
}

#[test]
fn scalars_and_tensors_without_elements() {
    let scalar = measured(&NamedTensor::f32("s", vec![], &[2.0]).unwrap());
    assert_eq!(scalar.histogram, Some(Histogram { min: 2.0, max: 2.0, counts: vec![1] }));
    for shape in [vec![0], vec![0, 3], vec![2, 0, 2]] {
        let empty = measured(&NamedTensor::f32("e", shape, &[]).unwrap());
        assert_eq!((empty.histogram, empty.spectrum, empty.zeros), (None, None, None));
        assert_eq!(empty.statistics.map(|found| found.sparsity), Some(0.0));
    }
}

#[test]
fn a_large_tensor_is_read_piece_by_piece() {
    // More than is held in memory, with a zero in every third place.
    let (rows, columns) = (3000, 3001);
    let values: Vec<f32> = (0..rows * columns).map(|i| (i % 3) as f32).collect();
    let directory = tempdir().unwrap();
    let path = directory.path().join("large.safetensors");
    let large = NamedTensor::f32("w", vec![rows, columns], &values).unwrap();
    write_safetensors(&path, &checkpoint(vec![large])).unwrap();
    let all = Selection::default();
    let report = report(&path, None, &all, Detail::default(), &Arc::new(Silent)).unwrap();
    let row = &report.tensors[0];
    let found = row.measured.statistics.unwrap();
    assert_eq!(found.zeros, (rows * columns) as u64 / 3);
    assert!((found.mean.unwrap() - 1.0).abs() < 1e-12);
    let zeros = row.measured.zeros.as_ref().unwrap();
    assert_eq!((zeros.rows, zeros.columns), (128, 128));
    assert!(zeros.shares.iter().all(|share| (share - 1.0 / 3.0).abs() < 0.05));
    let histogram = row.measured.histogram.as_ref().unwrap();
    assert_eq!(histogram.counts.iter().sum::<u64>(), (rows * columns) as u64 / 3 * 2);
    assert!(matches!(row.measured.spectrum, Some(Spectrum::LeftOut { .. })));
}

#[test]
fn a_run_without_a_model_yet() {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("recipe.toml"), "name = 'a'").unwrap();
    std::fs::write(directory.path().join("metrics.jsonl"), "{\"epoch\":1}\n").unwrap();
    let (all, silent) = (Selection::default(), Arc::new(Silent));
    let report = report(directory.path(), None, &all, Detail::default(), &silent).unwrap();
    assert_eq!((report.format, report.tensors.len()), (None, 0));
    assert_eq!(report.run.map(|run| run.epochs.len()), Some(1));
}

//! The numbers of a report against numpy's.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use espalier_files::{Detail, Report, Selection, Silent, Spectrum, report};
use serde_json::Value;

fn data() -> (Report, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/report");
    let detail = Detail { cells: 4, ..Detail::default() };
    let (path, all) = (folder.join("tensors.safetensors"), Selection::default());
    let found = report(path, None, &all, detail, &Arc::new(Silent)).unwrap();
    let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    (found, serde_json::from_str(&expected).unwrap())
}

fn near(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs().max(1e-3)
}

#[test]
fn statistics_and_histograms() {
    let (found, expected) = data();
    assert_eq!(found.tensors.len(), 7);
    for row in &found.tensors {
        let name = &row.name;
        let expected = &expected[name];
        let statistics = row.measured.statistics.unwrap();
        assert_eq!(statistics.zeros, expected["zeros"], "{name}");
        assert_eq!(statistics.nonfinite, expected["nonfinite"], "{name}");
        let numbers = [
            ("mean", statistics.mean),
            ("std", statistics.std),
            ("min", statistics.min),
            ("max", statistics.max),
            ("l2", statistics.l2),
        ];
        for (what, found) in numbers {
            let (found, expected) = (found.unwrap(), expected[what].as_f64().unwrap());
            assert!(near(found, expected, 1e-12), "{name}: {what} {found}, {expected}");
        }
        let counts = &row.measured.histogram.as_ref().unwrap().counts;
        assert_eq!(serde_json::to_value(counts).unwrap(), expected["counts"], "{name}");
    }
}

#[test]
fn singular_values_and_ranks() {
    let (found, expected) = data();
    for row in &found.tensors {
        let name = &row.name;
        let Some(wanted) = expected[name]["singular"].as_array() else {
            assert!(!matches!(row.measured.spectrum, Some(Spectrum::Values { .. })), "{name}");
            continue;
        };
        let Some(Spectrum::Values { count, rank, values, .. }) = &row.measured.spectrum else {
            panic!("{name} has no singular values");
        };
        assert_eq!((*count, values.len()), (wanted.len(), wanted.len()), "{name}");
        assert_eq!(*rank, expected[name]["rank"], "{name}");
        let largest = wanted[0].as_f64().unwrap();
        for (found, wanted) in values.iter().zip(wanted) {
            let apart = (found - wanted.as_f64().unwrap()).abs();
            assert!(apart <= 6e-6 * largest, "{name}: {found}, {wanted}");
        }
    }
}

#[test]
fn zeros_by_block() {
    let (found, expected) = data();
    for row in &found.tensors {
        let wanted = &expected[&row.name];
        match &row.measured.zeros {
            Some(map) => {
                let wanted = wanted["blocks"].as_array().unwrap();
                assert_eq!(map.shares.len(), wanted.len());
                for (found, wanted) in map.shares.iter().zip(wanted) {
                    assert!(near(*found, wanted.as_f64().unwrap(), 1e-12), "{}", row.name);
                }
            }
            None => assert!(wanted["zeros"] == 0 || wanted["blocks"] == Value::Null),
        }
    }
}

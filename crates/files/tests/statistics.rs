//! Statistics and checks held against what PyTorch says: see `tools/golden/files/statistics_files.py`.

// Helpers are not tests in the eyes of the linter.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::Arc;

use espalier_files::{Invariant, Silent, check, inspect, open};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/statistics").join(name)
}

#[test]
fn every_type_is_measured_as_pytorch_measures_it() {
    let text = std::fs::read_to_string(data("types.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let summary =
        inspect(&open(data("types.safetensors"), None).unwrap(), &Arc::new(Silent)).unwrap();
    assert_eq!(summary.tensors.len(), expected.as_object().unwrap().len());
    for row in summary.tensors {
        let expected = &expected[&row.name];
        assert_eq!(expected["numel"], row.numel, "{}", row.name);
        assert_eq!(expected["zeros"], row.zeros.unwrap(), "{}", row.name);
        assert_eq!(expected["nonfinite"], row.nonfinite.unwrap(), "{}", row.name);
        // Magnitudes of complex numbers are rounded by PyTorch to F32.
        let near = if row.name == "complex64" { 1e-7 } else { 1e-12 };
        let size = expected["max"].as_f64().unwrap().abs();
        for (what, found) in [
            ("mean", row.mean),
            ("std", row.std),
            ("min", row.min),
            ("max", row.max),
            ("l2", row.l2),
        ] {
            let (found, expected) = (found.unwrap(), expected[what].as_f64().unwrap());
            let off = (found - expected).abs();
            assert!(
                off <= near * expected.abs().max(size),
                "{} {what}: {found}, {expected}",
                row.name
            );
        }
    }
}

#[test]
fn what_pytorch_makes_orthogonal_is() {
    let checkpoint = open(data("orthogonal.safetensors"), None).unwrap();
    let all = [Invariant::Orthogonal { glob: "*".into() }];
    let found = check(&checkpoint, &all, None, &Arc::new(Silent)).unwrap();
    assert_eq!((found.checks[0].tensors, found.checks[0].left_out), (29, 0));
    assert!(found.holds, "{:?}", found.checks[0].worst);
}

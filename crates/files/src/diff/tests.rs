use espalier_checkpoint::Dtype;
use proptest::prelude::*;

use super::*;
use crate::Silent;

fn checkpoint(tensors: &[NamedTensor]) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    for tensor in tensors {
        checkpoint.push(tensor.clone()).unwrap();
    }
    checkpoint
}

fn single(name: &str, values: &[f32]) -> NamedTensor {
    NamedTensor::f32(name, vec![values.len()], values).unwrap()
}

fn of(a: &[NamedTensor], b: &[NamedTensor], tolerance: &Tolerance) -> Diff {
    diff(&checkpoint(a), &checkpoint(b), tolerance, &Arc::new(Silent)).unwrap()
}

const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

#[test]
fn nothing_differs() {
    let a = [single("w", &[1.0, f32::NAN, 0.0]), single("b", &[])];
    let b = [single("b", &[]), single("w", &[1.0, f32::NAN, -0.0])];
    let found = of(&a, &b, &EXACT);
    assert!(!found.differs);
    assert_eq!((found.total.tensors, found.total.equal, found.total.different), (2, 2, 0));
    assert_eq!((found.total.max_abs, found.total.cosine), (Some(0.0), Some(1.0)));
}

#[test]
fn types_and_shapes_are_named() {
    let a = [single("w", &[1.0, 2.0]), single("s", &[1.0, 2.0])];
    let wide = NamedTensor::f64("w", vec![2], &[1.0, 2.5]).unwrap();
    let turned = NamedTensor::f32("s", vec![2, 1], &[1.0, 2.0]).unwrap();
    let loose = Tolerance { absolute: 10.0, relative: 0.0 };
    let found = of(&a, &[wide, turned], &loose);
    assert_eq!(found.changed[0].dtype, ["F32", "F64"]);
    assert_eq!((found.changed[0].max_abs, found.changed[0].beyond), (Some(0.5), Some(0)));
    assert_eq!(found.changed[1].shape, [vec![2], vec![2, 1]]);
    assert_eq!((found.changed[1].max_abs, found.changed[1].changed), (None, None));
    assert!(found.changed.iter().all(|changed| changed.differs), "whatever the tolerance");
}

#[test]
fn within_the_tolerance() {
    let (a, b) = ([single("w", &[1.0, 2.0])], [single("w", &[1.0, 2.25])]);
    let found = of(&a, &b, &Tolerance { absolute: 0.0, relative: 0.125 });
    assert!(!found.differs && !found.changed[0].differs);
    assert_eq!((found.changed[0].changed, found.changed[0].beyond), (Some(1), Some(0)));
    assert!(of(&a, &b, &Tolerance { absolute: 0.2, relative: 0.0 }).differs);
}

#[test]
fn a_new_name_needs_type_shape_and_bytes() {
    let a = [single("a", &[1.0, 2.0]), single("b", &[1.0, 2.0]), single("c", &[3.0, 4.0])];
    let bytes = a[2].bytes().unwrap().into_owned();
    let b = [
        single("x", &[1.0, 2.0]),
        NamedTensor::f32("y", vec![1, 2], &[1.0, 2.0]).unwrap(),
        NamedTensor::new("z", Dtype::I32, vec![2], bytes).unwrap(),
        single("n", &[-0.0, 4.0]),
    ];
    let found = of(&a, &b, &EXACT);
    let renamed: Vec<_> = found.renamed.iter().map(|r| (&*r.from, &*r.to)).collect();
    assert_eq!(renamed, [("a", "x")]);
    let names =
        |lone: &[Lone]| lone.iter().map(|lone| lone.name.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!((&*names(&found.added), &*names(&found.removed)), ("y z n", "b c"));
    assert_eq!(found.total.different, 6);
}

#[test]
fn elements_that_are_not_decoded_are_held_against_each_other_as_bytes() {
    let six =
        |bytes: [u8; 3]| NamedTensor::new("s", Dtype::F6E2M3, vec![4], bytes.to_vec()).unwrap();
    assert!(!of(&[six([1, 2, 3])], &[six([1, 2, 3])], &EXACT).differs);
    let found = of(&[six([1, 2, 3])], &[six([1, 2, 4])], &EXACT);
    assert!(found.differs && found.changed[0].max_abs.is_none());
}

#[test]
fn files_of_two_formats() {
    let dir = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..1_500_000).map(|i| i as f32).collect();
    let a = checkpoint(&[single("w", &values)]);
    let (path_a, path_b) = (dir.path().join("a.safetensors"), dir.path().join("b.npz"));
    espalier_checkpoint::write_safetensors(&path_a, &a).unwrap();
    let mut values = values;
    values[1_400_000] += 2.0;
    espalier_checkpoint::write_npz_compressed(&path_b, &checkpoint(&[single("w", &values)]))
        .unwrap();
    let [a, b] = [&path_a, &path_b].map(|path| Checkpoint::open(path).unwrap());
    let found = diff(&a, &b, &EXACT, &Arc::new(Silent)).unwrap();
    assert_eq!((found.changed[0].max_abs, found.changed[0].changed), (Some(2.0), Some(1)));
    assert_eq!(found.changed[0].at, Some(vec![1_400_000]));
    assert_eq!((found.a, found.b), (path_a.display().to_string(), path_b.display().to_string()));
}

#[test]
fn places_in_each_dimension() {
    assert_eq!(position(&[2, 3, 4], 23), [1, 2, 3]);
    assert_eq!(position(&[2, 3, 4], 5), [0, 1, 1]);
    assert_eq!(position(&[], 0), [0; 0]);
}

proptest! {
    /// Backwards the same tensors differ, added is removed, and the largest difference is as large.
    #[test]
    fn backwards(
        a in prop::collection::vec((0u8..6, prop::collection::vec(-2i8..3, 1..4)), 0..6),
        b in prop::collection::vec((0u8..6, prop::collection::vec(-2i8..3, 1..4)), 0..6),
    ) {
        let build = |tensors: &[(u8, Vec<i8>)]| {
            let mut checkpoint = Checkpoint::new();
            for (name, values) in tensors {
                let values: Vec<f32> = values.iter().map(|x| f32::from(*x)).collect();
                // A name that is there stays.
                let _ = checkpoint.push(single(&name.to_string(), &values));
            }
            checkpoint
        };
        let (a, b) = (build(&a), build(&b));
        let there = diff(&a, &b, &EXACT, &Arc::new(Silent)).unwrap();
        let back = diff(&b, &a, &EXACT, &Arc::new(Silent)).unwrap();
        prop_assert_eq!(there.differs, back.differs);
        prop_assert_eq!(there.differs, a.iter().any(|x| b.get(x.name()) != Some(x)) || a.len() != b.len());
        prop_assert_eq!(there.added.len(), back.removed.len());
        prop_assert_eq!(there.renamed.len(), back.renamed.len());
        prop_assert_eq!(there.total.max_abs, back.total.max_abs);
        prop_assert_eq!(there.changed.len(), back.changed.len());
        let all = there.total.tensors as usize + there.renamed.len();
        prop_assert_eq!(all + there.removed.len(), a.len());
        prop_assert_eq!(all + there.added.len(), b.len());
    }
}

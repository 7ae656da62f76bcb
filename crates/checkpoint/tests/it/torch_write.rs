//! Writing PyTorch files and reading them back. That PyTorch reads them too is shown by
//! `tools/golden/files/torch_files.py --check-written`.

use espalier_checkpoint::{Checkpoint, Dtype, Error, NamedTensor, TorchFault, write_torch};
use proptest::prelude::*;

fn torch_types() -> Vec<Dtype> {
    let others = [Dtype::F4, Dtype::F6E2M3, Dtype::F6E3M2];
    Dtype::ALL.into_iter().filter(|dtype| !others.contains(dtype)).collect()
}

#[test]
fn types_that_pytorch_has_not_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pt");
    for dtype in [Dtype::F4, Dtype::F6E2M3, Dtype::F6E3M2] {
        let mut checkpoint = Checkpoint::new();
        let bytes = vec![0; dtype.size_bits()];
        checkpoint.push(NamedTensor::new("w", dtype, vec![8], bytes).unwrap()).unwrap();
        let Error::Torch { cause, .. } = write_torch(&path, &checkpoint).unwrap_err() else {
            panic!()
        };
        assert_eq!(cause, TorchFault::NoSuchDtype { tensor: "w".into(), dtype });
        assert!(!path.exists());
    }
}

#[test]
fn equal_checkpoints_give_equal_bytes_and_every_member_is_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.pt"), dir.path().join("another name.pt"));
    let mut checkpoint = Checkpoint::new();
    for index in 0..300 {
        let values: Vec<f32> = (0..index % 7).map(|v| v as f32).collect();
        let tensor = NamedTensor::f32(format!("layer.{index}"), vec![values.len()], &values);
        checkpoint.push(tensor.unwrap()).unwrap();
    }
    checkpoint.metadata.insert("note".into(), "a\nb".into());
    write_torch(&a, &checkpoint).unwrap();
    write_torch(&b, &checkpoint).unwrap();
    let bytes = std::fs::read(&a).unwrap();
    assert_eq!(bytes, std::fs::read(&b).unwrap());
    let headers = bytes.windows(4).enumerate().filter(|(_, w)| *w == b"PK\x03\x04");
    let mut members = 0;
    for (at, _) in headers {
        let length = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        assert_eq!((at + 30 + length(at + 26) + length(at + 28)) % 64, 0);
        members += 1;
    }
    assert_eq!(members, 300 + 4);
    assert_eq!(Checkpoint::open(&a).unwrap(), checkpoint);
}

#[test]
fn tensors_are_streamed_from_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.pt"), dir.path().join("b.pt"));
    let mut checkpoint = Checkpoint::new();
    let first = NamedTensor::f32("a", vec![3], &[1.0, f32::NAN, -0.0]).unwrap();
    checkpoint.push(first.clone()).unwrap();
    checkpoint.push(NamedTensor::f32("b", vec![], &[2.0]).unwrap()).unwrap();
    checkpoint.push(first.with_name("c")).unwrap();
    write_torch(&a, &checkpoint).unwrap();
    let lazy = Checkpoint::open(&a).unwrap();
    assert!(lazy.iter().all(|tensor| !tensor.is_loaded()));
    write_torch(&b, &lazy).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    assert_eq!(Checkpoint::open(&b).unwrap().ties(), [("c", "a")]);
}

#[test]
fn a_tensor_that_cannot_be_read_is_the_error_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a.pt"), dir.path().join("b.pt"));
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("a", vec![3], &[1.0, 2.0, 3.0]).unwrap()).unwrap();
    write_torch(&a, &checkpoint).unwrap();
    let lazy = Checkpoint::open(&a).unwrap();
    let mut bytes = std::fs::read(&a).unwrap();
    let at = bytes.windows(4).position(|w| w == 2.0f32.to_le_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&a, bytes).unwrap();
    let error = write_torch(&b, &lazy).unwrap_err();
    assert!(matches!(error, Error::Zip { .. }), "{error}");
    assert!(!b.exists());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Type, shape and bytes of a tensor, and which of the earlier ones it is tied to instead.
type Drawn = (Dtype, Vec<usize>, Vec<u8>, Option<prop::sample::Index>);

fn tensors() -> impl Strategy<Value = Vec<Drawn>> {
    let shape = prop::collection::vec(0usize..4, 0..=4);
    let tensor = (prop::sample::select(torch_types()), shape).prop_flat_map(|(dtype, shape)| {
        let length = shape.iter().product::<usize>() * dtype.size_bits() / 8;
        let bytes = prop::collection::vec(any::<u8>(), length);
        (Just(dtype), Just(shape), bytes, prop::option::weighted(0.3, any::<prop::sample::Index>()))
    });
    prop::collection::vec(tensor, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_come_back_to_the_bit(
        tensors in tensors(),
        names in prop::collection::btree_set("[a-zé.]{1,12}", 8),
        metadata in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..4),
    ) {
        let mut checkpoint = Checkpoint::new();
        for (tensor, name) in tensors.into_iter().zip(names) {
            let (dtype, shape, bytes, tie) = tensor;
            let earlier: Vec<NamedTensor> = checkpoint.iter().cloned().collect();
            let tensor = match tie.filter(|_| !earlier.is_empty()) {
                Some(index) => index.get(&earlier).clone().with_name(name),
                None => NamedTensor::new(name, dtype, shape, bytes).unwrap(),
            };
            checkpoint.push(tensor).unwrap();
        }
        checkpoint.metadata = metadata;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pt");
        write_torch(&path, &checkpoint).unwrap();
        let back = Checkpoint::open(&path).unwrap();
        prop_assert_eq!(&back, &checkpoint);
        prop_assert_eq!(back.names().collect::<Vec<_>>(), checkpoint.names().collect::<Vec<_>>());
        prop_assert_eq!(back.ties(), checkpoint.ties());
        prop_assert_eq!(&back.load().unwrap(), &checkpoint);
    }
}

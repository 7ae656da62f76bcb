//! Tensors, conversions and the list of tensors.

use espalier_checkpoint::{
    Checkpoint, Dtype, Error, NamedTensor, TensorFault, read_safetensors_bytes, write_safetensors,
};

fn cause(result: Result<NamedTensor, Error>) -> TensorFault {
    match result.unwrap_err() {
        Error::Tensor { name, cause } => {
            assert_eq!(name, "t");
            cause
        }
        other => panic!("{other}"),
    }
}

#[test]
fn sizes_are_checked() {
    let new = |dtype, shape: &[usize], bytes| {
        cause(NamedTensor::new("t", dtype, shape.to_vec(), vec![0; bytes]))
    };
    assert!(matches!(new(Dtype::F32, &[2], 9), TensorFault::ByteCount { needed: 8, found: 9, .. }));
    assert!(matches!(new(Dtype::F32, &[usize::MAX, 2], 8), TensorFault::Overflow { .. }));
    assert!(matches!(new(Dtype::F32, &[usize::MAX], 8), TensorFault::Overflow { .. }));
    assert!(matches!(new(Dtype::F4, &[3], 2), TensorFault::PartialByte { .. }));
    let few = cause(NamedTensor::f64("t", vec![2, 2], &[0.0]));
    assert!(matches!(few, TensorFault::ElementCount { needed: 4, found: 1, .. }));
    let many = cause(NamedTensor::boolean("t", vec![usize::MAX, 2], &[true]));
    assert!(matches!(many, TensorFault::Overflow { .. }));
}

#[test]
fn every_real_type_converts() {
    let cases: [(Dtype, Vec<u8>, f64); 13] = [
        (Dtype::Bool, vec![2], 1.0),
        (Dtype::U8, vec![255], 255.0),
        (Dtype::I8, vec![255], -1.0),
        (Dtype::U16, vec![0xff, 0xff], 65535.0),
        (Dtype::I16, vec![0xfe, 0xff], -2.0),
        (Dtype::U32, vec![0xff; 4], 4_294_967_295.0),
        (Dtype::I32, vec![0xff; 4], -1.0),
        (Dtype::U64, vec![0xff; 8], 18_446_744_073_709_551_615.0),
        (Dtype::I64, vec![0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -3.0),
        (Dtype::F16, vec![0x00, 0x3e], 1.5),
        (Dtype::BF16, vec![0xc0, 0xbf], -1.5),
        (Dtype::F32, 0.1f32.to_le_bytes().to_vec(), f64::from(0.1f32)),
        (Dtype::F64, 0.1f64.to_le_bytes().to_vec(), 0.1),
    ];
    for (dtype, bytes, expected) in cases {
        let tensor = NamedTensor::new("t", dtype, vec![1], bytes).unwrap();
        assert_eq!(tensor.to_f64_vec().unwrap(), [expected], "{dtype}");
        assert_eq!(tensor.to_f32_vec().unwrap(), [expected as f32], "{dtype}");
        assert_eq!(tensor.values().unwrap().len(), 1);
    }
}

#[test]
fn other_types_are_carried_but_not_converted() {
    for dtype in Dtype::ALL {
        let bytes = vec![0; dtype.size_bits()];
        let tensor = NamedTensor::new("t", dtype, vec![8], bytes).unwrap();
        let unreal = dtype.name().starts_with("F8_")
            || dtype.name().starts_with("F6_")
            || matches!(dtype, Dtype::F4 | Dtype::C32 | Dtype::C64 | Dtype::C128);
        assert_eq!(tensor.to_f32_vec().is_err(), unreal, "{dtype}");
        let expected = TensorFault::NoConversion { dtype };
        if unreal {
            assert!(
                matches!(tensor.to_f64_vec(), Err(Error::Tensor { cause, .. }) if cause == expected)
            );
        }
    }
}

#[test]
fn names_agree_with_the_safetensors_library() {
    for dtype in crate::safetensors_types() {
        let library: safetensors::Dtype = serde_json::from_str(&format!("\"{dtype}\"")).unwrap();
        assert_eq!(library.bitsize(), dtype.size_bits(), "{dtype}");
        assert_eq!(library.to_string(), dtype.name());
        assert_eq!(Dtype::from_name(dtype.name()), Some(dtype));
    }
}

#[test]
fn a_checkpoint_keeps_order_and_names() {
    let tensor = |name: &str| NamedTensor::f32(name, vec![1], &[1.0]).unwrap();
    let mut checkpoint = Checkpoint::new();
    for name in ["c", "a", "b"] {
        checkpoint.push(tensor(name)).unwrap();
    }
    let error = checkpoint.push(tensor("a")).unwrap_err();
    assert!(matches!(error, Error::DuplicateName { name } if name == "a"));
    assert_eq!(checkpoint.len(), 3);
    assert_eq!(checkpoint.remove("c").unwrap().name(), "c");
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(checkpoint.get("b").unwrap().name(), "b");
    checkpoint.push(tensor("c")).unwrap();
    assert_eq!(checkpoint.get("c").unwrap().name(), "c");
    assert_eq!(checkpoint.into_iter().map(|t| t.name().to_owned()).collect::<String>(), "abc");
}

#[test]
fn debug_never_prints_elements() {
    let tensor = NamedTensor::f32("w", vec![2], &[1.0, 2.0]).unwrap();
    assert_eq!(format!("{tensor:?}"), "NamedTensor(\"w\", F32, [2])");
}

#[test]
fn a_type_that_safetensors_has_not_is_refused_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.safetensors");
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::new("z", Dtype::C128, vec![1], vec![0; 16]).unwrap()).unwrap();
    let error = write_safetensors(&path, &checkpoint).unwrap_err();
    assert!(error.to_string().contains("\"z\" is C128, which safetensors has not"), "{error}");
    assert!(!path.exists());
    let header = br#"{"z":{"dtype":"C128","shape":[1],"data_offsets":[0,16]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 16]].concat();
    let error = read_safetensors_bytes(&file, "mem").unwrap_err();
    assert!(error.to_string().contains("unknown type \"C128\""), "{error}");
}

#[test]
fn tensors_that_share_their_bytes_are_tied_and_stay_so_when_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.safetensors");
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("a", vec![2], &[1.0, 2.0]).unwrap()).unwrap();
    write_safetensors(&path, &checkpoint).unwrap();
    let mut lazy = Checkpoint::open(&path).unwrap();
    let alias = lazy.get("a").unwrap().clone().with_name("b");
    assert!(!alias.is_loaded());
    lazy.push(alias).unwrap();
    lazy.push(NamedTensor::f32("c", vec![2], &[1.0, 2.0]).unwrap()).unwrap();
    assert_eq!(lazy.ties(), [("b", "a")]);
    let loaded = lazy.clone().load().unwrap();
    assert_eq!(loaded, lazy);
    assert!(loaded.iter().all(NamedTensor::is_loaded));
    assert_eq!(loaded.ties(), [("b", "a")]);
}

#[test]
fn a_provider_that_gives_too_few_or_too_many_bytes_is_an_error() {
    #[derive(Debug)]
    struct Some(usize);
    impl espalier_checkpoint::Provider for Some {
        fn read(&self) -> Result<Vec<u8>, Error> {
            Ok(vec![0; self.0])
        }
    }
    for found in [3, 5] {
        let provider = std::sync::Arc::new(Some(found));
        let tensor = NamedTensor::lazy("m", Dtype::U8, vec![4], provider).unwrap();
        let expected =
            TensorFault::ByteCount { dtype: Dtype::U8, shape: vec![4], needed: 4, found };
        let is = |error: Error| matches!(error, Error::Tensor { cause, .. } if cause == expected);
        assert!(is(tensor.bytes().unwrap_err()));
        assert!(is(tensor.clone().load().unwrap_err()));
        let mut out = Vec::new();
        assert!(tensor.write_to(&mut out).is_err());
        // What is too much is not handed on.
        assert!(out.len() <= 4);
    }
}

//! Tensors, conversions and the list of tensors.

use espalier_checkpoint::{Checkpoint, Dtype, Error, NamedTensor, TensorFault};

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
            || matches!(dtype, Dtype::F4 | Dtype::C64);
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
    for dtype in Dtype::ALL {
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

//! What is written is read back, to the bit, and agrees with the safetensors library.

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, read_safetensors, read_safetensors_bytes,
    read_safetensors_header, write_safetensors,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{TensorView, serialize};

/// A type, a shape of rank 0 to 4 with sizes from 0, and any bits.
fn tensor() -> impl Strategy<Value = (Dtype, Vec<usize>, Vec<u8>)> {
    let types = proptest::sample::select(crate::safetensors_types());
    (types, vec(0usize..4, 0..=4)).prop_flat_map(|(dtype, mut shape)| {
        let bits = |shape: &[usize]| shape.iter().product::<usize>() * dtype.size_bits();
        // Types smaller than a byte must fill the last one.
        if bits(&shape) % 8 != 0 {
            shape.push(4);
        }
        let bytes = bits(&shape) / 8;
        (Just(dtype), Just(shape), vec(any::<u8>(), bytes))
    })
}

pub(crate) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let tensors = btree_map(".{0,12}", tensor(), 0..8);
    (tensors, btree_map(".{0,8}", ".{0,8}", 0..4), any::<bool>()).prop_map(
        |(tensors, metadata, reversed)| {
            let mut tensors: Vec<_> = tensors.into_iter().collect();
            if reversed {
                tensors.reverse();
            }
            let mut checkpoint = Checkpoint::new();
            checkpoint.metadata = metadata;
            for (name, (dtype, shape, bytes)) in tensors {
                checkpoint.push(NamedTensor::new(name, dtype, shape, bytes).unwrap()).unwrap();
            }
            checkpoint
        },
    )
}

fn bytes_of(checkpoint: &Checkpoint) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.safetensors");
    write_safetensors(&path, checkpoint).unwrap();
    assert_eq!(read_safetensors(&path).unwrap().metadata, checkpoint.metadata);
    std::fs::read(&path).unwrap()
}

/// The order of the file: larger elements first, otherwise as given.
fn in_file_order(checkpoint: &Checkpoint) -> Vec<&NamedTensor> {
    let mut tensors: Vec<_> = checkpoint.iter().collect();
    tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.dtype().size_bits().max(8)));
    tensors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_come_back_to_the_bit(checkpoint in checkpoint()) {
        let bytes = bytes_of(&checkpoint);
        let back = read_safetensors_bytes(&bytes, "c").unwrap();
        prop_assert_eq!(&back.metadata, &checkpoint.metadata);
        prop_assert_eq!(back.iter().collect::<Vec<_>>(), in_file_order(&checkpoint));
        // Written again, it gives the same file.
        prop_assert_eq!(bytes_of(&back), bytes);
    }

    #[test]
    fn the_library_reads_what_is_written(checkpoint in checkpoint()) {
        let bytes = bytes_of(&checkpoint);
        let library = SafeTensors::deserialize(&bytes).unwrap();
        prop_assert_eq!(library.len(), checkpoint.len());
        for tensor in &checkpoint {
            let view = library.tensor(tensor.name()).unwrap();
            prop_assert_eq!(view.dtype().to_string(), tensor.dtype().name());
            prop_assert_eq!(view.shape(), tensor.shape());
            prop_assert_eq!(view.data(), &*tensor.bytes().unwrap());
        }
    }

    #[test]
    fn any_bytes_after_a_change_never_panic(
        checkpoint in checkpoint(), place in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = bytes_of(&checkpoint);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let ours = read_safetensors_bytes(&bytes, "c");
        // Stricter than the library, never laxer.
        if ours.is_ok() {
            prop_assert!(SafeTensors::deserialize(&bytes).is_ok());
        }
    }
}

#[test]
fn what_the_library_writes_is_read() {
    let data: Vec<u8> = (0..24).collect();
    let weight = TensorView::new(safetensors::Dtype::F32, vec![2, 2], &data[..16]).unwrap();
    let scale = TensorView::new(safetensors::Dtype::F8_E4M3, vec![8], &data[16..]).unwrap();
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = serialize([("scale", &scale), ("weight", &weight)], Some(metadata)).unwrap();
    let checkpoint = read_safetensors_bytes(&bytes, "library").unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["weight", "scale"]);
    assert_eq!(checkpoint.get("scale").unwrap().dtype(), Dtype::F8E4M3);
    assert_eq!(&*checkpoint.get("weight").unwrap().bytes().unwrap(), &data[..16]);
    assert_eq!(checkpoint.metadata["format"], "pt");
}

#[test]
fn nan_payloads_and_negative_zero_keep_their_bits() {
    let values = [f32::from_bits(0x7fa0_1234), f32::from_bits(0xffc0_0001), -0.0, f32::INFINITY];
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![4], &values).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f32("scalar", vec![], &[-0.0]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f32("empty", vec![3, 0], &[]).unwrap()).unwrap();
    let back = read_safetensors_bytes(&bytes_of(&checkpoint), "c").unwrap();
    assert_eq!(back, checkpoint);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back.get("w").unwrap().to_f32_vec().unwrap()), bits(&values));
}

#[test]
fn the_file_is_as_expected() {
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::boolean("m", vec![1], &[true]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f32("w", vec![1], &[1.0]).unwrap()).unwrap();
    checkpoint.metadata.insert("z".into(), "1".into());
    checkpoint.metadata.insert("a".into(), "2".into());
    let bytes = bytes_of(&checkpoint);
    let header = concat!(
        r#"{"__metadata__":{"a":"2","z":"1"},"#,
        r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#,
        r#""m":{"dtype":"BOOL","shape":[1],"data_offsets":[4,5]}}"#
    );
    let padded = header.len().next_multiple_of(8);
    assert_eq!(bytes[..8], (padded as u64).to_le_bytes());
    assert_eq!(&bytes[8..8 + header.len()], header.as_bytes());
    assert!(bytes[8 + header.len()..8 + padded].iter().all(|&byte| byte == b' '));
    assert_eq!(bytes[8 + padded..], [0, 0, 0x80, 0x3f, 1]);
}

#[test]
fn empty_tensors_at_one_offset_keep_their_order() {
    let names: Vec<String> = (0..20).rev().map(|i| format!("e{i}")).collect();
    let mut checkpoint = Checkpoint::new();
    for name in &names {
        checkpoint.push(NamedTensor::f32(name, vec![0], &[]).unwrap()).unwrap();
    }
    let back = read_safetensors_bytes(&bytes_of(&checkpoint), "c").unwrap();
    assert_eq!(back.names().collect::<Vec<_>>(), names);
}

#[test]
fn the_header_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.safetensors");
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![2], &[1.0, 2.0]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f64("d", vec![], &[3.0]).unwrap()).unwrap();
    write_safetensors(&path, &checkpoint).unwrap();
    let header = read_safetensors_header(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(header.tensors.len(), 2);
    for tensor in &header.tensors {
        let range = tensor.range.start as usize..tensor.range.end as usize;
        assert_eq!(&whole[range], &*checkpoint.get(&tensor.name).unwrap().bytes().unwrap());
    }
}

//! Writes a few checkpoints in every format that is written, and what is in them as JSON beside, so that the
//! libraries the formats come from can be asked whether they find the same:
//!
//! ```sh
//! cargo run -p espalier-checkpoint --example write_samples -- /tmp/samples
//! python tools/golden/files/torch_files.py --check-written /tmp/samples
//! ```

use std::error::Error;
use std::path::Path;

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_torch};
use serde_json::json;

/// Bytes that are all different, or truth values.
fn bytes(dtype: Dtype, length: usize) -> Vec<u8> {
    let of = |i: usize| if dtype == Dtype::Bool { i % 2 } else { (37 * i + 11) % 251 };
    (0..length).map(|i| of(i) as u8).collect()
}

/// A tensor of each type, a scalar, an empty one, and NaNs whose bits matter.
fn every_type(types: &[Dtype]) -> Result<Checkpoint, Box<dyn Error>> {
    let mut checkpoint = Checkpoint::new();
    for &dtype in types {
        let data = bytes(dtype, 6 * dtype.size_bits() / 8);
        checkpoint.push(NamedTensor::new(dtype.name(), dtype, vec![2, 3], data)?)?;
    }
    checkpoint.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
    checkpoint.push(NamedTensor::f32("empty", vec![0, 3], &[])?)?;
    let nan = [0x7fc1_2345u32, 0xffff_ffff, 0x7f80_0001].map(u32::to_le_bytes);
    checkpoint.push(NamedTensor::new("nan", Dtype::F32, vec![3], nan.concat())?)?;
    checkpoint.metadata.insert("note".into(), "line one\nline two".into());
    checkpoint.metadata.insert("empty".into(), String::new());
    Ok(checkpoint)
}

/// Tied tensors, also of a shape without elements.
fn tied() -> Result<Checkpoint, Box<dyn Error>> {
    let embedding = NamedTensor::f32("embedding.weight", vec![2, 2], &[1.0, 2.0, 3.0, 4.0])?;
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(embedding.clone())?;
    checkpoint.push(NamedTensor::f32("bias", vec![1], &[0.5])?)?;
    checkpoint.push(embedding.with_name("decoder.weight"))?;
    Ok(checkpoint)
}

/// More tensors than one byte counts, in an order that is not that of their names.
fn many() -> Result<Checkpoint, Box<dyn Error>> {
    let mut checkpoint = Checkpoint::new();
    for index in (0..700).rev() {
        let values = vec![index as f32; index % 11];
        checkpoint.push(NamedTensor::f32(format!("layer.{index}"), vec![index % 11], &values)?)?;
    }
    Ok(checkpoint)
}

fn describe(checkpoint: &Checkpoint) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut tensors = Vec::new();
    for tensor in checkpoint {
        let hex: String = tensor.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, dtype) = (tensor.name(), tensor.dtype().name());
        tensors.push(json!({"name": name, "dtype": dtype, "shape": tensor.shape(), "bytes": hex}));
    }
    Ok(json!({"tensors": tensors, "metadata": checkpoint.metadata, "ties": checkpoint.ties()}))
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give a folder to write into")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let small = [Dtype::F4, Dtype::F6E2M3, Dtype::F6E3M2];
    let types: Vec<Dtype> = Dtype::ALL.into_iter().filter(|dtype| !small.contains(dtype)).collect();
    let samples = [
        ("torch_types", every_type(&types)?),
        ("torch_tied", tied()?),
        ("torch_many", many()?),
        ("torch_none", Checkpoint::new()),
    ];
    for (name, checkpoint) in samples {
        write_torch(folder.join(name).with_extension("pt"), &checkpoint)?;
        let text = serde_json::to_string(&describe(&checkpoint)?)?;
        std::fs::write(folder.join(name).with_extension("json"), text)?;
    }
    Ok(())
}

//! Writes samples of HDF5 files into a folder, with `samples.json` telling what is in them, for the script
//! `tools/golden/files/hdf5.py` to read with h5py and Keras.
//!
//! ```sh
//! cargo run -p espalier-checkpoint --example write_hdf5 -- FOLDER
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_keras_weights};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("give a folder")?.into();
    std::fs::create_dir_all(&folder)?;
    hdf5(&folder)
}

fn describe(checkpoint: &Checkpoint) -> Result<Vec<Value>, Box<dyn Error>> {
    let one = |tensor: &NamedTensor| -> Result<Value, Box<dyn Error>> {
        let hex: String = tensor.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, dtype, shape) = (tensor.name(), tensor.dtype().name(), tensor.shape());
        Ok(json!({ "name": name, "dtype": dtype, "shape": shape, "hex": hex }))
    };
    checkpoint.iter().map(one).collect()
}

/// Every type that HDF5 files of Keras have, scalars, empty tensors, ties, and a file of Keras written anew.
fn hdf5(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut checkpoint = Checkpoint::new();
    for dtype in Dtype::ALL {
        use Dtype::{
            BF16, Bool, C32, C64, C128, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64,
        };
        let written =
            [U8, U16, U32, U64, I8, I16, I32, I64, F16, F32, F64, BF16, C32, C64, C128, Bool];
        if !written.contains(&dtype) {
            continue;
        }
        for (rank, shape) in
            [vec![], vec![3], vec![2, 2], vec![0], vec![2, 0, 3]].into_iter().enumerate()
        {
            let length = shape.iter().product::<usize>() * dtype.size_bits() / 8;
            let byte = |i: usize| if dtype == Bool { (i % 2) as u8 } else { (i * 37 + 3) as u8 };
            let bytes = (0..length).map(byte).collect();
            let name = format!("types/{}/{rank}", dtype.name());
            checkpoint.push(NamedTensor::new(name, dtype, shape, bytes)?)?;
        }
    }
    let names = ["zebra", "10", "apple", "9", "ümlaut", "a b.c:0"];
    for name in names {
        checkpoint.push(NamedTensor::f32(format!("ordered/{name}"), vec![1], &[1.0])?)?;
    }
    // More links than the HDF5 library would keep in a header itself.
    for number in 0..1000 {
        let name = format!("many/weight_{number}");
        checkpoint.push(NamedTensor::f32(name, vec![1], &[number as f32])?)?;
    }
    let first = checkpoint.get("ordered/zebra").ok_or("no tensor")?.clone();
    checkpoint.push(first.clone().with_name("tied/one"))?;
    checkpoint.push(first.with_name("also tied"))?;
    checkpoint.metadata.insert("title".into(), "über alles".into());
    checkpoint.metadata.insert("long".into(), "long text ".repeat(20_000));
    checkpoint.metadata.insert("empty".into(), String::new());
    checkpoint.metadata.insert("ordered@name".into(), "a group".into());
    write_keras_weights(folder.join("samples.h5"), &checkpoint)?;
    let samples = json!({
        "tensors": describe(&checkpoint)?,
        "ties": checkpoint.ties(),
        "metadata": checkpoint.metadata,
        "order": names,
    });
    std::fs::write(folder.join("samples.json"), samples.to_string())?;

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5/tiny.weights.h5");
    write_keras_weights(folder.join("tiny.weights.h5"), &Checkpoint::open(golden)?)?;
    Ok(())
}

//! Writes a file of each format that Espalier writes and other libraries read, and beside each, as JSON,
//! what it holds. The scripts in `tools/golden/files` read them with `--check-written DIR`.
//!
//! ```sh
//! cargo run -p espalier-checkpoint --example write_samples -- DIR
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, write_burnpack, write_flax, write_mxnet, write_npy_tensor,
    write_npz, write_npz_compressed,
};
use serde_json::json;

const NUMPY: [Dtype; 14] = [
    Dtype::Bool,
    Dtype::U8,
    Dtype::I8,
    Dtype::U16,
    Dtype::I16,
    Dtype::U32,
    Dtype::I32,
    Dtype::U64,
    Dtype::I64,
    Dtype::F16,
    Dtype::F32,
    Dtype::F64,
    Dtype::C64,
    Dtype::C128,
];
/// Those of `NUMPY` that MXNet's Python has too.
const MXNET: [Dtype; 8] =
    [Dtype::Bool, Dtype::U8, Dtype::I8, Dtype::I32, Dtype::I64, Dtype::F16, Dtype::F32, Dtype::F64];
/// What Flax has besides `NUMPY`.
const JAX: [Dtype; 6] = [
    Dtype::BF16,
    Dtype::F8E4M3,
    Dtype::F8E5M2,
    Dtype::F8E8M0,
    Dtype::F8E4M3Fnuz,
    Dtype::F8E5M2Fnuz,
];

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args_os().nth(1).ok_or("give the directory to write to")?);
    std::fs::create_dir_all(&dir)?;

    let mut numpy = typed("", &NUMPY)?;
    numpy.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
    numpy.push(NamedTensor::f32("a/b.c ü", vec![0, 3], &[])?)?;
    numpy.push(NamedTensor::f32("zeros", vec![20, 20], &[0.0; 400])?)?;
    save(&dir.join("all.npz"), &numpy, write_npz)?;
    save(&dir.join("all_compressed.npz"), &numpy, write_npz_compressed)?;
    for tensor in &numpy {
        let stem = tensor.name().replace('/', "_");
        let path = dir.join(format!("{stem}.npy"));
        write_npy_tensor(&path, tensor)?;
        let mut one = Checkpoint::new();
        one.push(tensor.clone().with_name(stem))?;
        describe(&path, &one)?;
    }

    let mut flax = typed("params/types/", &[&NUMPY[..], &JAX].concat())?;
    flax.push(NamedTensor::f32("params/scalar", vec![], &[-0.0])?)?;
    flax.push(NamedTensor::f32("params/empty", vec![0, 3], &[])?)?;
    flax.push(NamedTensor::f32("params/large", vec![300], &[0.5; 300])?)?;
    flax.push(NamedTensor::new("step", Dtype::I64, vec![], 70_000i64.to_le_bytes().to_vec())?)?;
    flax.push(NamedTensor::f64("rate", vec![], &[0.1])?)?;
    let notes = [("kind:step", "int"), ("kind:rate", "float"), ("text:name", "adam")];
    for (key, value) in notes.into_iter().chain([("node:opt/0", "empty"), ("node:ema", "none")]) {
        flax.metadata.insert(format!("flax.{key}"), value.to_owned());
    }
    save(&dir.join("flax.msgpack"), &flax, write_flax)?;
    let mut params = Checkpoint::new();
    let kernel = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    params.push(NamedTensor::f32("params/Dense_0/kernel", vec![3, 2], &kernel)?)?;
    params.push(NamedTensor::f32("params/Dense_0/bias", vec![2], &[0.5, -0.5])?)?;
    save(&dir.join("flax_params.msgpack"), &params, write_flax)?;

    let mut mxnet = typed("arg:", &MXNET)?;
    mxnet.push(NamedTensor::f32("aux:running_mean", vec![4], &[1.0, -0.0, 0.5, 2.0])?)?;
    save(&dir.join("mxnet.params"), &mxnet, write_mxnet)?;
    mxnet.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
    mxnet.push(NamedTensor::f32("empty", vec![0, 3], &[])?)?;
    save(&dir.join("mxnet_numpy.params"), &mxnet, write_mxnet)?;

    let real: Vec<Dtype> =
        NUMPY.into_iter().filter(|dtype| !matches!(dtype, Dtype::C64 | Dtype::C128)).collect();
    save(&dir.join("burn.bpk"), &typed("", &real)?, write_burnpack)
}

/// A tensor of each type, named after it, with bytes that differ.
fn typed(prefix: &str, dtypes: &[Dtype]) -> Result<Checkpoint, espalier_checkpoint::Error> {
    let mut checkpoint = Checkpoint::new();
    for dtype in dtypes {
        let length = 6 * dtype.size_bits() / 8;
        let byte = |i: usize| if *dtype == Dtype::Bool { i % 2 } else { i * 37 + 11 };
        let bytes = (0..length).map(|i| byte(i) as u8).collect();
        let name = format!("{prefix}{}", dtype.name().to_lowercase());
        checkpoint.push(NamedTensor::new(name, *dtype, vec![2, 3], bytes)?)?;
    }
    Ok(checkpoint)
}

fn save<'a>(
    path: &'a Path,
    checkpoint: &Checkpoint,
    write: impl FnOnce(&'a Path, &Checkpoint) -> Result<(), espalier_checkpoint::Error>,
) -> Result<(), Box<dyn Error>> {
    write(path, checkpoint)?;
    describe(path, checkpoint)
}

fn describe(path: &Path, checkpoint: &Checkpoint) -> Result<(), Box<dyn Error>> {
    let mut tensors = Vec::new();
    for tensor in checkpoint {
        let hex: String = tensor.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
        tensors.push(json!([tensor.name(), tensor.dtype().name(), tensor.shape(), hex]));
    }
    let described = json!({ "tensors": tensors, "metadata": checkpoint.metadata });
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".json");
    std::fs::write(path.with_file_name(name), serde_json::to_string_pretty(&described)?)?;
    Ok(())
}

//! Writes files of every format that Espalier writes, and beside each, as JSON, what it holds, so that the libraries
//! that the formats come from can be asked whether they find the same: see `tools/golden/README.md`.
//!
//! ```sh
//! cargo run -p espalier-checkpoint --example write_samples -- DIR
//! ```
//!
//! Without a directory it writes into one that is removed at the end. Either way it reads all of them back.

use std::error::Error;
use std::path::{Path, PathBuf};

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, write_burnpack, write_flax, write_keras_weights, write_mxnet,
    write_npy_tensor, write_npz, write_npz_compressed, write_safetensors,
    write_safetensors_sharded, write_torch,
};
use serde_json::json;

type Written<T> = Result<T, Box<dyn Error>>;

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
/// What HDF5 files of Keras have besides `NUMPY`.
const HDF5: [Dtype; 2] = [Dtype::BF16, Dtype::C32];
/// The types that PyTorch has not.
const SMALL: [Dtype; 3] = [Dtype::F4, Dtype::F6E2M3, Dtype::F6E3M2];

fn main() -> Written<()> {
    let own = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let mut samples = Samples { dir: given.unwrap_or(own.path().into()), files: 0, tensors: 0 };
    std::fs::create_dir_all(&samples.dir)?;
    samples.safetensors()?;
    samples.numpy()?;
    samples.torch()?;
    samples.hdf5()?;
    samples.flax()?;
    samples.mxnet()?;
    samples.burn()?;
    println!("{} files, read back: {} tensors are as written", samples.files, samples.tensors);
    Ok(())
}

struct Samples {
    dir: PathBuf,
    files: usize,
    tensors: usize,
}

impl Samples {
    fn safetensors(&mut self) -> Written<()> {
        let checkpoint = odd_numbers()?;
        self.save("whole.safetensors", &checkpoint, |path, all| write_safetensors(path, all))?;
        let sharded = self.dir.join("sharded");
        std::fs::create_dir_all(&sharded)?;
        write_safetensors_sharded(&sharded, &checkpoint, 50)?;
        self.compare(&sharded, &checkpoint)
    }

    fn numpy(&mut self) -> Written<()> {
        let mut all = typed("", &NUMPY)?;
        all.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
        all.push(NamedTensor::f32("a/b.c ü", vec![0, 3], &[])?)?;
        all.push(NamedTensor::f32("zeros", vec![20, 20], &[0.0; 400])?)?;
        self.save("all.npz", &all, |path, all| write_npz(path, all))?;
        self.save("all_compressed.npz", &all, |path, all| write_npz_compressed(path, all))?;
        for tensor in &all {
            let stem = tensor.name().replace('/', "_");
            let mut one = Checkpoint::new();
            one.push(tensor.clone().with_name(&*stem))?;
            self.save(&format!("{stem}.npy"), &one, |path, _| write_npy_tensor(path, tensor))?;
        }
        Ok(())
    }

    fn torch(&mut self) -> Written<()> {
        let types: Vec<Dtype> =
            Dtype::ALL.into_iter().filter(|dtype| !SMALL.contains(dtype)).collect();
        let mut all = typed("", &types)?;
        all.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
        all.push(NamedTensor::f32("empty", vec![0, 3], &[])?)?;
        let nan = [0x7fc1_2345u32, 0xffff_ffff, 0x7f80_0001].map(u32::to_le_bytes);
        all.push(NamedTensor::new("nan", Dtype::F32, vec![3], nan.concat())?)?;
        all.metadata.insert("note".into(), "line one\nline two".into());
        all.metadata.insert("empty".into(), String::new());

        let embedding = NamedTensor::f32("embedding.weight", vec![2, 2], &[1.0, 2.0, 3.0, 4.0])?;
        let mut tied = Checkpoint::new();
        tied.push(embedding.clone())?;
        tied.push(NamedTensor::f32("bias", vec![1], &[0.5])?)?;
        tied.push(embedding.with_name("decoder.weight"))?;

        // More tensors than one byte counts, in an order that is not that of their names.
        let mut many = Checkpoint::new();
        for index in (0..700).rev() {
            let values = vec![index as f32; index % 11];
            many.push(NamedTensor::f32(format!("layer.{index}"), vec![index % 11], &values)?)?;
        }
        for (name, checkpoint) in
            [("types", all), ("tied", tied), ("many", many), ("none", Checkpoint::new())]
        {
            let name = format!("torch_{name}.pt");
            self.save(&name, &checkpoint, |path, checkpoint| write_torch(path, checkpoint))?;
        }
        Ok(())
    }

    /// Every type, scalars, empty tensors and ties, and a file of Keras written anew.
    fn hdf5(&mut self) -> Written<()> {
        let mut all = Checkpoint::new();
        for dtype in NUMPY.into_iter().chain(HDF5) {
            let shapes = [vec![], vec![3], vec![2, 2], vec![0], vec![2, 0, 3]];
            for (place, shape) in shapes.into_iter().enumerate() {
                all.push(tensor(format!("types/{}/{place}", dtype.name()), dtype, shape)?)?;
            }
        }
        for name in ["zebra", "10", "apple", "9", "ümlaut", "a b.c:0"] {
            all.push(NamedTensor::f32(format!("ordered/{name}"), vec![1], &[1.0])?)?;
        }
        // More links than the HDF5 library would keep in a header itself.
        for number in 0..1000 {
            let name = format!("many/weight_{number}");
            all.push(NamedTensor::f32(name, vec![1], &[number as f32])?)?;
        }
        let first = all.get("ordered/zebra").ok_or("no tensor")?.clone();
        all.push(first.clone().with_name("tied/one"))?;
        all.push(first.with_name("also tied"))?;
        all.metadata.insert("title".into(), "über alles".into());
        all.metadata.insert("long".into(), "long text ".repeat(20_000));
        all.metadata.insert("empty".into(), String::new());
        all.metadata.insert("ordered@name".into(), "a group".into());
        self.save("samples.h5", &all, |path, all| write_keras_weights(path, all))?;

        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5/tiny.weights.h5");
        let keras = Checkpoint::open(golden)?;
        self.save("tiny.weights.h5", &keras, |path, keras| write_keras_weights(path, keras))
    }

    fn flax(&mut self) -> Written<()> {
        let mut all = typed("params/types/", &[&NUMPY[..], &JAX].concat())?;
        all.push(NamedTensor::f32("params/scalar", vec![], &[-0.0])?)?;
        all.push(NamedTensor::f32("params/empty", vec![0, 3], &[])?)?;
        all.push(NamedTensor::f32("params/large", vec![300], &[0.5; 300])?)?;
        all.push(NamedTensor::new("step", Dtype::I64, vec![], 70_000i64.to_le_bytes().to_vec())?)?;
        all.push(NamedTensor::f64("rate", vec![], &[0.1])?)?;
        let notes = [
            ("kind:step", "int"),
            ("kind:rate", "float"),
            ("text:name", "adam"),
            ("node:opt/0", "empty"),
            ("node:ema", "none"),
        ];
        for (key, value) in notes {
            all.metadata.insert(format!("flax.{key}"), value.to_owned());
        }
        self.save("flax.msgpack", &all, |path, all| write_flax(path, all))?;
        let mut params = Checkpoint::new();
        let kernel = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        params.push(NamedTensor::f32("params/Dense_0/kernel", vec![3, 2], &kernel)?)?;
        params.push(NamedTensor::f32("params/Dense_0/bias", vec![2], &[0.5, -0.5])?)?;
        self.save("flax_params.msgpack", &params, |path, params| write_flax(path, params))
    }

    fn mxnet(&mut self) -> Written<()> {
        let mut all = typed("arg:", &MXNET)?;
        all.push(NamedTensor::f32("aux:running_mean", vec![4], &[1.0, -0.0, 0.5, 2.0])?)?;
        self.save("mxnet.params", &all, |path, all| write_mxnet(path, all))?;
        all.push(NamedTensor::f32("scalar", vec![], &[-0.0])?)?;
        all.push(NamedTensor::f32("empty", vec![0, 3], &[])?)?;
        self.save("mxnet_numpy.params", &all, |path, all| write_mxnet(path, all))
    }

    fn burn(&mut self) -> Written<()> {
        let complex = [Dtype::C64, Dtype::C128];
        let real: Vec<Dtype> = NUMPY.into_iter().filter(|dtype| !complex.contains(dtype)).collect();
        self.save("burn.bpk", &typed("", &real)?, |path, all| write_burnpack(path, all))
    }

    /// Writes a file and its description, and reads it back.
    fn save(
        &mut self,
        name: &str,
        checkpoint: &Checkpoint,
        write: impl FnOnce(&Path, &Checkpoint) -> Result<(), espalier_checkpoint::Error>,
    ) -> Written<()> {
        let path = self.dir.join(name);
        write(&path, checkpoint)?;
        std::fs::write(self.dir.join(format!("{name}.json")), describe(checkpoint)?)?;
        self.compare(&path, checkpoint)
    }

    fn compare(&mut self, path: &Path, written: &Checkpoint) -> Written<()> {
        let read = Checkpoint::open(path)?;
        assert_eq!(read.len(), written.len(), "{}", path.display());
        for tensor in written {
            assert_eq!(read.get(tensor.name()), Some(tensor), "{}", path.display());
        }
        self.files += 1;
        self.tensors += read.len();
        Ok(())
    }
}

/// Numbers that are easily lost, and tensors of several types.
fn odd_numbers() -> Written<Checkpoint> {
    let mut checkpoint = Checkpoint::new();
    checkpoint.metadata.insert("format".into(), "pt".into());
    let odd = [-0.0, f32::NAN, f32::INFINITY, f32::from_bits(1), f32::from_bits(0x7fa0_1234), 1.5];
    checkpoint.push(NamedTensor::f32("fc1.weight", vec![2, 3], &odd)?)?;
    checkpoint.push(NamedTensor::f32("fc1.bias", vec![12], &[0.25; 12])?)?;
    checkpoint.push(NamedTensor::boolean("fc1.mask", vec![1, 3], &[true, false, true])?)?;
    checkpoint.push(NamedTensor::f32("empty", vec![0, 2], &[])?)?;
    let half = vec![0x80, 0x3f, 0, 0x80, 0xc1, 0x7f];
    checkpoint.push(NamedTensor::new("fc2.weight", Dtype::BF16, vec![3], half)?)?;
    let step = 7i64.to_le_bytes().to_vec();
    checkpoint.push(NamedTensor::new("step", Dtype::I64, vec![], step)?)?;
    Ok(checkpoint)
}

/// A tensor of each type, named after it.
fn typed(prefix: &str, dtypes: &[Dtype]) -> Written<Checkpoint> {
    let mut checkpoint = Checkpoint::new();
    for dtype in dtypes {
        let name = format!("{prefix}{}", dtype.name().to_lowercase());
        checkpoint.push(tensor(name, *dtype, vec![2, 3])?)?;
    }
    Ok(checkpoint)
}

/// A tensor with bytes that differ, or truth values.
fn tensor(
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
) -> Result<NamedTensor, espalier_checkpoint::Error> {
    let length = shape.iter().product::<usize>() * dtype.size_bits() / 8;
    let byte = |i: usize| if dtype == Dtype::Bool { i % 2 } else { i * 37 + 11 };
    let bytes = (0..length).map(|i| byte(i) as u8).collect();
    NamedTensor::new(name, dtype, shape, bytes)
}

fn describe(checkpoint: &Checkpoint) -> Written<String> {
    let mut tensors = Vec::new();
    for tensor in checkpoint {
        let hex: String = tensor.bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
        tensors.push(json!([tensor.name(), tensor.dtype().name(), tensor.shape(), hex]));
    }
    let (metadata, ties) = (&checkpoint.metadata, checkpoint.ties());
    let described = json!({ "tensors": tensors, "metadata": metadata, "ties": ties });
    Ok(serde_json::to_string_pretty(&described)?)
}

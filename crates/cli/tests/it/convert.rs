//! `espalier convert`

use std::path::Path;

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_safetensors, write_torch};
use tempfile::tempdir;

use crate::{espalier, failure_of, names, stdout_of};

fn checkpoint() -> Checkpoint {
    let embedding = NamedTensor::f32("module.embed.weight", vec![2, 1], &[1.0, 2.0]).unwrap();
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(embedding.clone()).unwrap();
    checkpoint.push(embedding.with_name("module.decoder.weight")).unwrap();
    let tensors = [
        NamedTensor::f32("module.fc.weight", vec![2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 1e6]),
        NamedTensor::f32("module.norm.weight", vec![2], &[1.0, 1.0]),
        NamedTensor::f32("module.norm.bias", vec![2], &[0.0, 0.0]),
        NamedTensor::new("module.steps", Dtype::I64, vec![], vec![7, 0, 0, 0, 0, 0, 0, 0]),
    ];
    tensors.into_iter().for_each(|tensor| checkpoint.push(tensor.unwrap()).unwrap());
    checkpoint
}

/// Runs `convert in.pt OUT` and tells what stands on standard error.
fn convert(directory: &Path, out: &str, options: &[&str]) -> String {
    let mut command = espalier();
    command.args(["convert", "in.pt", out]).args(options).current_dir(directory);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert_eq!(output.stdout, b"");
    errors
}

#[test]
fn to_every_format_that_is_written() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    write_torch(directory.join("in.pt"), &checkpoint()).unwrap();
    for out in [
        "a.safetensors",
        "a.safetensors.index.json",
        "a.pt",
        "a.npz",
        "a.msgpack",
        "a.h5",
        "a.params",
        "a.bpk",
    ] {
        let errors = convert(directory, out, &[]);
        assert!(errors.contains(&format!("{out} is written: 6 tensors")), "{errors}");
        let found = Checkpoint::open(directory.join(out)).unwrap();
        assert_eq!(found.len(), 6, "{out}");
        for tensor in &checkpoint() {
            assert_eq!(found.get(tensor.name()), Some(tensor), "{out}");
        }
    }
    let tied = Checkpoint::open(directory.join("a.pt")).unwrap();
    assert_eq!(tied.ties(), [("module.decoder.weight", "module.embed.weight")]);
    convert(directory, "a.npy", &["--include", "*.steps"]);
    convert(directory, "other", &["--to", "npz"]);
    assert!(Checkpoint::open(directory.join("other")).is_ok());
}

#[test]
fn types_names_and_layout() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    write_torch(directory.join("in.pt"), &checkpoint()).unwrap();
    let options = [
        "--dtype",
        "f16",
        "--layout",
        "burn",
        "--rename",
        "^module\\.=>",
        "--rename",
        "^(fc)=>${1}_0",
    ];
    let errors = convert(directory, "out.safetensors", &options);
    let expected = "\
turned 2: decoder.weight, fc_0.weight
renamed 2: norm.weight to norm.gamma, norm.bias to norm.beta
warning: 1 value has become infinite: fc_0.weight (1)
out.safetensors is written: 6 tensors, safetensors
";
    assert_eq!(errors, expected);
    let found = Checkpoint::open(directory.join("out.safetensors")).unwrap();
    let weight = found.get("fc_0.weight").unwrap();
    assert_eq!((weight.dtype(), weight.shape()), (Dtype::F16, &[3, 2][..]));
    assert_eq!(weight.to_f32_vec().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, f32::INFINITY]);
    assert_eq!(found.get("embed.weight").unwrap().shape(), [2, 1]);
    assert_eq!(found.get("norm.gamma").unwrap().dtype(), Dtype::F16);
    assert_eq!(found.get("steps").unwrap().dtype(), Dtype::I64);

    convert(directory, "back.safetensors", &["--layout", "torch", "--quiet"]);
    let mut command = espalier();
    let line =
        ["convert", "out.safetensors", "plain.safetensors", "--dtype", "f32", "--layout", "torch"];
    stdout_of(command.args(line).current_dir(directory));
    let plain = Checkpoint::open(directory.join("plain.safetensors")).unwrap();
    assert_eq!(plain.get("fc_0.weight").unwrap().shape(), [2, 3]);
    assert_eq!(plain.get("norm.bias").unwrap().dtype(), Dtype::F32);
}

#[test]
fn names_of_other_frameworks() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut checkpoint = Checkpoint::new();
    let tensors = [
        NamedTensor::f32("fc.weight", vec![2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        NamedTensor::f32("bn.weight", vec![2], &[1.0, 1.5]),
        NamedTensor::f32("bn.bias", vec![2], &[0.5, 0.0]),
        NamedTensor::f32("bn.running_mean", vec![2], &[0.25, 0.0]),
    ];
    tensors.into_iter().for_each(|tensor| checkpoint.push(tensor.unwrap()).unwrap());
    write_torch(directory.join("in.pt"), &checkpoint).unwrap();
    let run = |input: &str, out: &str, options: &[&str]| {
        let mut command = espalier();
        stdout_of(command.args(["convert", input, out]).args(options).current_dir(directory));
        Checkpoint::open(directory.join(out)).unwrap()
    };
    let cases = [
        (
            "flax",
            "a.msgpack",
            ["params/fc/kernel", "params/bn/scale", "params/bn/bias", "batch_stats/bn/mean"],
        ),
        ("keras", "b.safetensors", ["fc/kernel:0", "bn/gamma:0", "bn/beta:0", "bn/moving_mean:0"]),
        ("burn", "c.safetensors", ["fc.weight", "bn.gamma", "bn.beta", "bn.running_mean"]),
    ];
    for (layout, out, names) in cases {
        let there = run("in.pt", out, &["--layout", layout]);
        for name in names {
            assert!(
                there.get(name).is_some(),
                "{layout} {name}: {:?}",
                there.names().collect::<Vec<_>>()
            );
        }
        let weight = there.get(names[0]).unwrap();
        assert_eq!(weight.to_f32_vec().unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let back = format!("{layout}.npz");
        let back = run(out, &back, &["--layout", "torch", "--from-layout", layout]);
        for tensor in &checkpoint {
            assert_eq!(back.get(tensor.name()), Some(tensor), "{layout}");
        }
    }
    let burn = run("a.msgpack", "d.safetensors", &["--from-layout", "flax", "--layout", "burn"]);
    assert_eq!(burn.get("fc.weight").unwrap().shape(), [3, 2]);
    assert!(burn.get("bn.gamma").is_some());
    let line = ["convert", "in.pt", "e.pt", "--from-layout", "flax"];
    let text = failure_of(espalier().args(line).current_dir(directory), 2);
    assert!(text.contains("--layout"), "{text}");
}

#[test]
fn shards() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    write_torch(directory.join("in.pt"), &checkpoint()).unwrap();
    convert(directory, "out.safetensors", &["--max-shard-size", "16B"]);
    let shards = names(directory).iter().filter(|name| name.contains("-save")).count();
    assert!(shards > 1, "{:?}", names(directory));
    let found = Checkpoint::open(directory.join("out.safetensors.index.json")).unwrap();
    assert_eq!(found.len(), 6);
    let line = ["convert", "in.pt", "b.npz", "--max-shard-size", "2GB"];
    let text = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(text.contains("only safetensors is written as several files"), "{text}");
}

#[test]
fn keys_of_a_training_checkpoint() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    write_torch(directory.join("in.pt"), &checkpoint()).unwrap();
    convert(directory, "a.safetensors", &["--exclude", "*.steps"]);
    let line = ["convert", "a.safetensors", "b.pt", "--key", "model"];
    let text = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(text.contains("--key chooses in PyTorch files"), "{text}");
    let line = ["convert", "in.pt", "b.pt", "--key", "model"];
    let text = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(text.contains("model"), "{text}");
}

#[test]
fn what_cannot_be_converted_leaves_nothing() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut checkpoint = checkpoint();
    let small = NamedTensor::new("module.small", Dtype::F8E4M3, vec![2], vec![0; 2]).unwrap();
    checkpoint.push(small).unwrap();
    write_safetensors(directory.join("in.safetensors"), &checkpoint).unwrap();
    let run = |out: &str, options: &[&str], code: i32| {
        let mut command = espalier();
        let command = command.args(["convert", "in.safetensors", out]).args(options);
        failure_of(command.current_dir(directory), code)
    };
    let cases: [(&str, &[&str], i32, &str); 10] = [
        ("out.npz", &[], 1, "out.npz: cannot be written as npz"),
        ("out.params", &["--dtype", "f16"], 1, "module.small"),
        ("out.npy", &[], 1, "holds one tensor"),
        ("out.xyz", &[], 1, "--to FORMAT"),
        ("out.gguf", &[], 1, "is read, and not written"),
        ("out.pt", &["--rename", "^modul\\.=>"], 1, "module.fc.weight"),
        ("out.pt", &["--rename", "(fc|norm)=>a"], 1, "would both be called \"module.a.weight\""),
        ("out.pt", &["--rename", "(.*)=>$1_new"], 2, "${1}"),
        ("out.pt", &["--rename", "(=>x"], 2, "regular expression"),
        ("out.pt", &["--dtype", "int8"], 2, "possible values"),
    ];
    for (out, options, code, part) in cases {
        let text = run(out, options, code);
        assert!(text.contains(part), "{options:?}: {text}");
        assert_eq!(names(directory), ["in.safetensors"]);
    }
    let mut command = espalier();
    command.args(["convert", "in.safetensors", "out.pt", "--dtype", "bf16"]).current_dir(directory);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("not converted stay as they are: module.small"), "{errors}");
}

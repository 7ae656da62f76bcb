//! Standard output that is closed or full.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
use tempfile::tempdir;

use crate::{TINY, names, program, recipe, text};

/// A file whose table is larger than any pipe.
fn large_model(directory: &Path) -> PathBuf {
    let mut checkpoint = Checkpoint::new();
    for index in 0..3000 {
        let tensor = NamedTensor::f32(format!("layer.{index}.bias"), vec![1], &[1.0]).unwrap();
        checkpoint.push(tensor).unwrap();
    }
    let path = directory.join("model.safetensors");
    write_safetensors(&path, &checkpoint).unwrap();
    path
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = tempdir().unwrap();
    let path = large_model(directory.path());
    for options in [&[][..], &["--json"]] {
        let mut child = Command::new(program())
            .arg("inspect")
            .arg(&path)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output.stderr), "");
        assert!(output.status.success(), "{:?}", output.status);
    }
}

#[test]
fn training_goes_on_without_a_reader() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let mut child = Command::new(program())
        .args(["train", "net.toml", "--out", "run", "--quiet"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success(), "{:?}", output.status);
    assert!(names(&directory.path().join("run")).contains(&"summary.json".to_owned()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let directory = tempdir().unwrap();
    let path = large_model(directory.path());
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(program()).arg("inspect").arg(path).stdout(full).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("cannot write to standard output"), "{errors}");
}

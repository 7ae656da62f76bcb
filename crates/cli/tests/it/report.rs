//! `espalier report`

use std::fs;

use espalier_checkpoint::{Checkpoint, NamedTensor, write_torch};
use serde_json::Value;
use tempfile::tempdir;

use crate::inspect::model;
use crate::{espalier, failure_of, names, stdout_of, text};

#[test]
fn a_page_is_written_and_its_numbers_are_printed() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    model(directory);
    let mut command = espalier();
    command.args(["report", "model.safetensors", "-o", "report.html", "--json"]);
    let output = command.current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "report.html: 2 tensors\n");
    let numbers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(numbers["file"], "model.safetensors");
    assert_eq!(numbers["format"], "safetensors");
    assert_eq!(numbers["total"]["parameters"], 6);
    let weight = &numbers["tensors"][0];
    assert_eq!(
        (&weight["name"], &weight["statistics"]["sparsity"]),
        (&"fc.weight".into(), &0.5.into())
    );
    assert_eq!(weight["spectrum"]["count"], 2);
    assert_eq!(weight["zeros"]["shares"], "z0z0");

    let page = fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), numbers);
    assert_eq!(names(directory), ["model.safetensors", "report.html"]);
}

#[test]
fn quiet_says_nothing() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    model(directory);
    let mut command = espalier();
    command.args(["report", "model.safetensors", "-o", "report.html", "--quiet"]);
    let output = command.current_dir(directory).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn only_some_tensors_and_no_singular_values() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    model(directory);
    let mut command = espalier();
    command.args(["report", "model.safetensors", "-o", "a.html", "--json", "--exclude", "*.bias"]);
    let numbers = stdout_of(command.args(["--singular-values", "0"]).current_dir(directory));
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    assert_eq!(numbers["total"]["tensors"], 1);
    assert_eq!(numbers["tensors"][0]["spectrum"], Value::Null);

    let mut command = espalier();
    command.args(["report", "model.safetensors", "-o", "b.html", "--include", "fc.wieght"]);
    let said = failure_of(command.current_dir(directory), 1);
    assert!(said.contains("`fc.wieght` matches no tensor") && said.contains("fc.weight"), "{said}");
    assert_eq!(names(directory), ["a.html", "model.safetensors"]);
}

#[test]
fn a_state_dict_is_chosen_by_its_key() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("w", vec![1], &[1.0]).unwrap()).unwrap();
    write_torch(directory.join("model.pt"), &checkpoint).unwrap();
    let line = ["report", "model.pt", "-o", "report.html", "--key", "ema"];
    let said = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(said.contains("ema"), "{said}");
    model(directory);
    let line = ["report", "model.safetensors", "-o", "report.html", "--key", "ema"];
    let said = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(said.contains("--key chooses in PyTorch files"), "{said}");
    assert_eq!(names(directory), ["model.pt", "model.safetensors"]);
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    model(directory);
    fs::write(directory.join("report.html"), "mine").unwrap();
    let line = ["report", "model.safetensors", "-o", "report.html"];
    let said = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(said.contains("report.html exists") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(directory.join("report.html")).unwrap(), b"mine");
    stdout_of(espalier().args(line).arg("--force").current_dir(directory));
    assert!(fs::read(directory.join("report.html")).unwrap().len() > 50_000);
}

#[test]
fn no_checkpoint_becomes_a_page() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let before = fs::read(model(directory)).unwrap();
    for output in ["model.safetensors", "report", "report.txt"] {
        let line = ["report", "model.safetensors", "--force", "-o", output];
        let said = failure_of(espalier().args(line).current_dir(directory), 1);
        assert!(said.contains("end its name in .html"), "{said}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("model.safetensors", directory.join("link.html")).unwrap();
        let line = ["report", "model.safetensors", "--force", "-o", "link.html"];
        failure_of(espalier().args(line).current_dir(directory), 1);
        fs::remove_file(directory.join("link.html")).unwrap();
    }
    assert_eq!(fs::read(directory.join("model.safetensors")).unwrap(), before);
    assert_eq!(names(directory), ["model.safetensors"]);
}

#[test]
fn a_file_that_breaks_off_leaves_no_page() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let path = model(directory);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let line = ["report", "model.safetensors", "-o", "report.html"];
    let said = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(said.contains("model.safetensors"), "{said}");
    assert_eq!(names(directory), ["model.safetensors"]);
}

#[test]
fn a_run() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let run = directory.join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("recipe.toml"), "name = 'tiny'\n").unwrap();
    fs::write(
        run.join("metrics.jsonl"),
        "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2,\"loss\":0.25}\n",
    )
    .unwrap();
    model(&run);
    let line = ["report", "run", "-o", "report.html", "--json"];
    let numbers = stdout_of(espalier().args(line).current_dir(directory));
    let numbers: Value = serde_json::from_str(&numbers).unwrap();
    assert_eq!(numbers["run"]["epochs"][1]["loss"], 0.25);
    assert_eq!(numbers["total"]["tensors"], 2);
    let page = fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains("<h1>tiny</h1>"));

    fs::write(run.join("metrics.jsonl"), "loss\n").unwrap();
    let line = ["report", "run", "-o", "other.html"];
    let said = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(said.contains("metrics.jsonl:1: expected an object"), "{said}");
    assert_eq!(names(directory), ["report.html", "run"]);
}

#[test]
fn help_has_an_example() {
    let said = stdout_of(espalier().args(["report", "--help"]));
    assert!(said.contains("Example:\n  espalier report runs/digits -o report.html"), "{said}");
    failure_of(espalier().args(["report", "a"]), 2);
}

/// A file of one tensor of so many zeros, which takes no room on the disk.
#[cfg(unix)]
fn hollow(path: &std::path::Path, elements: u64) {
    use std::io::Write as _;
    let bytes = 4 * elements;
    let header =
        format!(r#"{{"w":{{"dtype":"F32","shape":[{elements}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_page() {
    use std::process::{Command, Stdio};
    let directory = tempdir().unwrap();
    let directory = directory.path();
    // Many seconds of reading.
    hollow(&directory.join("large.safetensors"), 8 << 30);
    let mut child = Command::new(crate::program())
        .args(["report", "large.safetensors", "-o", "report.html"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("interrupted; nothing was written"), "{said}");
    assert_eq!(names(directory), ["large.safetensors"]);
}

//! Ctrl-C.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;

use crate::{TINY, espalier, failure_of, names, program, recipe, stdout_of};

/// A training that would take hours.
fn endless(directory: &Path) -> Child {
    recipe(directory, &TINY.replace("epochs = 3", "epochs = 100000"));
    Command::new(program())
        .args(["train", "net.toml", "--out", "run"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}

/// Waits for an end, but not for ever.
fn code(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("still running");
}

#[test]
fn an_interrupted_run_leaves_a_directory_that_can_be_read() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut child = endless(directory);
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("epoch 2/") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "ended by itself");
    }
    interrupt(&child);
    assert_eq!(code(&mut child), Some(1));
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("interrupted; run holds the metrics so far and no model"), "{rest}");
    assert!(rest.contains("help: "), "{rest}");

    let run = directory.join("run");
    assert_eq!(names(&run), ["metrics.jsonl", "recipe.toml"]);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for (index, line) in metrics.lines().enumerate() {
        let metrics: Value = serde_json::from_str(line).unwrap();
        assert_eq!(metrics["epoch"], index + 1);
    }
    assert!(metrics.lines().count() >= 2);

    let line = ["predict", "run", "--data", "a.csv"];
    let answer = failure_of(espalier().args(line).current_dir(directory), 1);
    assert!(answer.contains("has no model.safetensors"), "{answer}");

    // The directory serves the next run.
    recipe(directory, TINY);
    let line = ["train", "net.toml", "--out", "run", "--quiet"];
    stdout_of(espalier().args(line).current_dir(directory));
    assert!(run.join("model.safetensors").is_file());
}

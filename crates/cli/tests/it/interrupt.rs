//! Ctrl-C.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::tempdir;

use crate::{TINY, espalier, failure_of, names, program, recipe, stdout_of};

/// A run that ends with the test, however that ends.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail if it has ended, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A training that would take a minute or more.
fn endless(directory: &Path) -> Run {
    recipe(directory, &TINY.replace("epochs = 3", "epochs = 20000"));
    let child = Command::new(program())
        .args(["train", "net.toml", "--out", "run"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    Run(child.unwrap())
}

fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_interrupted_run_leaves_a_directory_that_can_be_read() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let mut run = endless(directory);
    let child = &mut run.0;
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    for line in errors.by_ref().lines().take(100) {
        if line.unwrap().contains(" 2/20000 ") {
            break;
        }
    }
    interrupt(child);
    // Read to its end, or the program might wait for a reader.
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(rest.contains("interrupted; run holds the metrics so far and no model"), "{rest}");
    assert!(rest.contains("help: "), "{rest}");

    let path = directory.join("run");
    // And a state to go on from, if the signal came between two epochs.
    let mut found = names(&path);
    found.retain(|name| name != "state.safetensors");
    assert_eq!(found, ["metrics.jsonl", "recipe.toml"]);
    let metrics = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
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
    assert!(path.join("model.safetensors").is_file());
}

/// Waits, but not for ever, until something is so.
fn until(mut is_so: impl FnMut() -> bool, what: &str) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_second_interrupt_ends_a_run_that_waits() {
    let directory = tempdir().unwrap();
    let mut run = endless(directory.path());
    let child = &mut run.0;
    // Nobody reads its progress, so it comes to wait for a reader, and writes no metrics.
    let metrics = directory.path().join("run/metrics.jsonl");
    let (mut last, mut times) = (0, 0);
    let stands = || {
        let size = fs::metadata(&metrics).map_or(0, |metadata| metadata.len());
        times = if size > 0 && size == last { times + 1 } else { 0 };
        last = size;
        times == 3
    };
    until(stands, "never waited");
    interrupt(child);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None, "it should still wait");
    interrupt(child);
    until(|| child.try_wait().unwrap().is_some(), "still running");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

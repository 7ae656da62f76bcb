//! `espalier predict`

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::tempdir;

use crate::digits::digits;
use crate::{TINY, espalier, failure_of, recipe, stdout_of};

/// Trains the tiny network and gives its run directory.
fn run(directory: &Path) -> PathBuf {
    let run = directory.join("run");
    let recipe = recipe(directory, TINY);
    let mut command = espalier();
    command.arg("train").arg(recipe).arg("--quiet").arg("--out").arg(&run);
    stdout_of(&mut command);
    run
}

#[test]
fn what_was_trained_predicts() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let run = run(directory);
    let images = digits(200);
    let predict = |data: &Path, options: &[&str]| {
        let mut command = espalier();
        command.arg("predict").arg(&run).arg("--data").arg(data).args(options);
        stdout_of(&mut command)
    };

    // The labels come from the file, so the accuracy can be counted here.
    let csv = images.csv(directory);
    let document: Value = serde_json::from_str(&predict(&csv, &["--json"])).unwrap();
    let predictions = document["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 200);
    let mut right = 0;
    for (index, prediction) in predictions.iter().enumerate() {
        let keys: Vec<&String> = prediction.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["index", "label", "probability", "given"]);
        assert_eq!(prediction["given"], images.labels[index]);
        assert_eq!(prediction["index"], index);
        let probability = prediction["probability"].as_f64().unwrap();
        assert!((0.1..=1.0).contains(&probability), "{prediction}");
        right += usize::from(prediction["label"] == images.labels[index]);
    }
    assert!(right > 120, "{right} of 200");
    assert_eq!(document["accuracy"], right as f64 / 200.0);

    let text = predict(&csv, &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 202);
    assert_eq!(lines[0], "index  label  probability  given");
    for (index, prediction) in predictions.iter().enumerate() {
        let words: Vec<&str> = lines[index + 1].split_whitespace().collect();
        assert_eq!(words[0], index.to_string());
        assert_eq!(words[1], prediction["label"].to_string());
        assert_eq!(words[3], images.labels[index].to_string());
    }
    let accuracy = format!("accuracy {:.2} % ({right} of 200)", right as f64 / 2.0);
    assert_eq!(lines[201], accuracy);

    // The same images without labels.
    let npy = images.npy(directory);
    let unlabelled: Value = serde_json::from_str(&predict(&npy, &["--json"])).unwrap();
    let mut bare = document["predictions"].clone();
    for prediction in bare.as_array_mut().unwrap() {
        prediction.as_object_mut().unwrap().remove("given");
    }
    assert_eq!(unlabelled["predictions"], bare);
    assert_eq!(unlabelled["accuracy"], Value::Null);
    let keys: Vec<&String> = unlabelled.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["predictions", "accuracy"]);
    let text = predict(&npy, &[]);
    assert_eq!(text.lines().next(), Some("index  label  probability"));
    assert!(!text.contains("accuracy"), "{text}");
}

#[test]
fn images_that_do_not_fit() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let run = run(directory);
    let row = vec!["0"; 64].join(",");
    let cases = [
        ("few.csv", "1,2,3\n".to_owned(), "line 1: found 3 columns; expected 64 pixels"),
        ("word.csv", format!("{row}\n{}\n", row.replacen('0', "x", 1)), "line 2, column 1"),
        ("dark.csv", format!("{}\n", row.replacen('0', "17", 1)), "a pixel from 0 to 16"),
        ("label.csv", format!("{row},11\n"), "a label from 0 to 9"),
        ("empty.csv", String::new(), "holds no example"),
        ("images.png", row.clone(), "expected a file that ends in .npy or .csv"),
        ("text.npy", row.clone(), "not a valid npy file"),
    ];
    for (name, text, part) in cases {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        let mut command = espalier();
        command.arg("predict").arg(&run).arg("--data").arg(&path);
        let answer = failure_of(&mut command, 1);
        assert!(answer.contains(&path.display().to_string()), "{answer}");
        assert!(answer.contains(part), "{part}: {answer}");
    }
    let mut command = espalier();
    command.arg("predict").arg(&run).args(["--data", "no/such.csv"]);
    let answer = failure_of(&mut command, 1);
    assert!(answer.contains("no/such.csv"), "{answer}");

    // Of one line, which is taken for a header, and of two.
    let (semicolons, tabs) = (row.replace(',', ";"), row.replace(',', "\t"));
    for (text, separator) in [
        (semicolons.clone(), "`;`"),
        (format!("{semicolons}\n{semicolons}\n"), "`;`"),
        (format!("{tabs}\n{tabs}\n"), "tabs"),
    ] {
        let path = directory.join("other.CSV");
        fs::write(&path, text).unwrap();
        let mut command = espalier();
        command.arg("predict").arg(&run).arg("--data").arg(&path);
        let answer = failure_of(&mut command, 1);
        let help = format!("help: separated by {separator}? expected commas");
        assert!(answer.contains(&help), "{answer}");
    }
}

#[test]
fn pixels_of_another_scale_are_warned_of() {
    let directory = tempdir().unwrap();
    let directory = directory.path();
    let run = run(directory);
    let path = directory.join("images.csv");
    let blank = vec!["0"; 64].join(",");
    let scaled = blank.replacen('0', "1", 1);
    let dark = blank.replacen('0', "2", 1);
    let warning = "warning: every value is at most 1; the network's data are scaled 0 to 16\n";
    for (text, expected) in [
        (format!("{blank}\n{scaled}\n"), warning),
        (format!("{scaled}\n{dark}\n"), ""),
        (format!("{blank}\n"), ""),
    ] {
        fs::write(&path, text).unwrap();
        let mut command = espalier();
        command.arg("predict").arg(&run).arg("--data").arg(&path);
        let output = command.output().unwrap();
        assert!(output.status.success());
        assert_eq!(crate::text(&output.stderr), expected);
    }
}

#[test]
fn what_is_wrong_with_a_run() {
    let directory = tempdir().unwrap();
    let run = run(directory.path());
    let model = run.join("model.safetensors");
    let answer = |argument: &Path, at: &Path| {
        let mut command = espalier();
        command.arg("predict").arg(argument).args(["--data", "a.csv"]).current_dir(at);
        failure_of(&mut command, 1)
    };
    let text = answer(&model, directory.path());
    let help = format!("help: give the run directory: {}\n", run.display());
    assert!(text.contains(&help), "{text}");
    let text = answer(Path::new("recipe.toml"), &run);
    assert!(text.contains("help: give the run directory: .\n"), "{text}");
    let elsewhere = directory.path().join("net.toml");
    let text = answer(&elsewhere, directory.path());
    assert!(text.contains("is no run directory") && !text.contains("help:"), "{text}");

    let name = model.display().to_string();
    for content in [&b"PK\x03\x04"[..], b"\x02\0\0\0\0\0\0\0{}"] {
        fs::write(&model, content).unwrap();
        let text = answer(&run, directory.path());
        assert_eq!(text.matches(&name).count(), 1, "{text}");
    }
}

#[test]
fn a_directory_without_a_run() {
    let directory = tempdir().unwrap();
    let mut command = espalier();
    command.arg("predict").arg(directory.path()).args(["--data", "a.csv"]);
    let answer = failure_of(&mut command, 1);
    assert!(answer.contains("is no run directory"), "{answer}");
}

//! `espalier train --resume`: a run that is killed goes on as if nothing had been.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use espalier_kernels::Rng;
use tempfile::tempdir;

use crate::{espalier, failure_of, names, program, recipe, stdout_of, text};

/// All that has a state: moments, a schedule by step with warm-up, an average, rules, masks, running
/// statistics, random numbers of shuffles, shifts and dropout, gradients that add up.
const RECIPE: &str = r#"
name = "long"
data = { source = "digits", augment = { shift = 1 } }
optimizer = { type = "adamw", lr = 3e-3 }
schedule = { type = "cosine", unit = "step", warmup = 20 }
train = { epochs = 40, batch_size = 256, accumulate = 2, clip_norm = 5.0, ema = 0.9, label_smoothing = 0.1, checkpoint_every = 1 }
output = { report = false }
constrain = [{ select = "9.weight", rule = "max_norm", max = 2.0 }]
parametrize = [{ select = "4.weight", rule = "weight_norm" }, { select = "6.weight", rule = "spectral_norm" }]
layer = [
    { type = "conv2d", channels = 4, kernel = 3 },
    { type = "batch_norm" },
    { type = "relu" },
    { type = "flatten" },
    { type = "linear", features = 32 },
    { type = "relu" },
    { type = "linear", features = 32 },
    { type = "relu" },
    { type = "dropout", probability = 0.2 },
    { type = "linear", features = 10 },
]

[prune]
select = ["0.weight", "9.weight"]
method = "l1_unstructured"
scope = "global"
schedule = { target = 0.6, begin = 4, end = 30, every = 7 }
"#;

fn train(directory: &Path, out: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["train", "net.toml", "--resume", "--quiet", "--out", out]);
    command.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn bytes(run: &Path) -> Vec<u8> {
    fs::read(run.join("model.safetensors")).unwrap()
}

/// The lines of the metrics without the time they took.
fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("seconds");
            line
        })
        .collect()
}

#[test]
fn twenty_kills_change_no_bit_of_the_weights() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    recipe(at, RECIPE);
    assert!(train(at, "whole").status().unwrap().success());

    // Moments are random from a seed; what is running at them is up to the machine.
    let mut rng = Rng::seeded(7);
    let (mut kills, mut ended) = (0, 0);
    while kills < 20 {
        let mut run = train(at, "torn").spawn().unwrap();
        sleep(Duration::from_millis(20 + rng.below(400) as u64));
        if run.try_wait().unwrap().is_some() {
            // It was done before: once more from the beginning.
            ended += 1;
            assert!(ended < 20, "the runs end before they are killed");
            assert_eq!(bytes(&at.join("torn")), bytes(&at.join("whole")));
            fs::remove_dir_all(at.join("torn")).unwrap();
            continue;
        }
        run.kill().unwrap();
        run.wait().unwrap();
        kills += 1;
    }
    assert!(train(at, "torn").status().unwrap().success());
    assert_eq!(bytes(&at.join("torn")), bytes(&at.join("whole")));
    assert_eq!(metrics(&at.join("torn")), metrics(&at.join("whole")));
    assert_eq!(names(&at.join("torn")), names(&at.join("whole")), "nothing is left over");
}

#[test]
fn a_finished_run_is_left_and_another_recipe_is_refused() {
    let directory = tempdir().unwrap();
    let at = directory.path();
    let short =
        RECIPE.replace("epochs = 40", "epochs = 3").split("[prune]").next().unwrap().to_owned();
    recipe(at, &short);
    let run = |more: &[&str]| {
        let mut command = espalier();
        command.args(["train", "net.toml", "--out", "run", "--resume"]).args(more).current_dir(at);
        command
    };
    let first = stdout_of(&mut run(&[]));
    let model = bytes(&at.join("run"));
    let output = run(&[]).output().unwrap();
    assert!(text(&output.stderr).contains("resume: the run in the directory has ended"));
    assert_eq!(bytes(&at.join("run")), model);
    // Only the closing lines come again.
    assert!(first.ends_with(&text(&output.stdout)), "{}", text(&output.stdout));

    let errors = failure_of(&mut run(&["--set", "train.epochs=4"]), 1);
    assert!(errors.contains("holds a run of another recipe or seed"), "{errors}");
    assert_eq!(bytes(&at.join("run")), model);
}

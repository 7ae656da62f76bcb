//! `espalier train` with `--set`, `--short`, `--dry-run`, variants and pretraining.

use std::fs;

use espalier_checkpoint::read_safetensors;
use serde_json::Value;
use tempfile::tempdir;

use crate::{TINY, espalier, failure_of, names, recipe, stdout_of};

#[test]
fn a_dry_run_shows_everything_and_writes_nothing() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let mut command = espalier();
    let args = ["train", "net.toml", "--dry-run", "--set", "schedule.type=cosine"];
    let out = stdout_of(command.args(args).current_dir(directory.path()));
    for part in [
        "data: digits, 1 x 8 x 8",
        "   layer    output  parameters  MACs",
        "3  linear   10             170   160",
        "1210 parameters, 1184 multiply-accumulates for an example",
        "| 3.weight | 10x16 |",
        "group default: rate 0.01, decay 0",
        "  1.weight",
        "cosine_annealing",
        "3 epochs, 69 steps",
        "pruning after 1 epochs to 50.00 %",
        "nothing was trained",
    ] {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    assert_eq!(names(directory.path()), ["net.toml"]);
}

#[test]
fn keys_are_set_and_the_run_keeps_the_changed_recipe() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), TINY);
    let mut command = espalier();
    let args =
        ["train", "net.toml", "--set", "train.epochs=1", "--set", "!prune", "--set", "name=other"];
    let out = stdout_of(command.args(args).current_dir(directory.path()));
    assert!(out.contains("\naccuracy ") && !out.contains("before pruning\nacc"), "{out}");
    let text = fs::read_to_string(directory.path().join("runs/other/recipe.toml")).unwrap();
    assert!(text.contains("epochs = 1,") && !text.contains("prune"), "{text}");

    for (change, message) in [
        ("train.epoch=1", "did you mean `epochs`?"),
        ("layer[9].type=relu", "there is no [9], only 4 from [0] on"),
        ("epochs", "expected KEY=VALUE"),
    ] {
        let mut command = espalier();
        let command = command.args(["train", "net.toml", "--set", change]);
        let errors = failure_of(command.current_dir(directory.path()), 1);
        // Lines are wrapped.
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(errors.contains(message), "{change}: {errors}");
    }
}

#[test]
fn the_short_form_pretraining_and_variants_of_one_command() {
    let directory = tempdir().unwrap();
    let text = format!(
        r#"{TINY}
pretrain = {{ set = {{ "data.classes" = [0, 1, 2, 3, 4] }}, without = ["prune"] }}
short = {{ set = {{ "train.epochs" = 2 }} }}
variant = [
    {{ name = "plain", without = ["prune", "pretrain"] }},
    {{ name = "slow", set = {{ "optimizer.lr" = 1e-5 }}, without = ["prune"] }},
]
"#
    );
    recipe(directory.path(), &text);
    let mut command = espalier();
    let out = stdout_of(
        command.args(["train", "net.toml", "--short", "--seed", "3"]).current_dir(directory.path()),
    );
    let run = directory.path().join("runs/tiny");
    let text = fs::read_to_string(run.join("comparison.json")).unwrap();
    let runs: Vec<Value> = serde_json::from_str(&text).unwrap();
    let found: Vec<&str> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["pretrain", "tiny", "plain", "slow"]);
    for run in &runs {
        assert_eq!((&run["summary"]["epochs"], &run["summary"]["seed"]), (&2.into(), &3.into()));
        assert!(out.contains(run["name"].as_str().unwrap()), "{out}");
    }
    // Hardly anything is learnt at such a rate: the weights are those of the pretraining.
    let weight = |path: &str| {
        let model = read_safetensors(run.join(path).join("model.safetensors")).unwrap();
        model.get("3.weight").unwrap().to_f64_vec().unwrap()
    };
    let distance = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let before = weight("pretrain");
    assert!(distance(&before, &weight("variants/slow")) < 1e-2);
    assert!(distance(&before, &weight("variants/plain")) > 1e-1);

    recipe(directory.path(), TINY);
    let errors = failure_of(
        espalier().args(["train", "net.toml", "--short"]).current_dir(directory.path()),
        1,
    );
    assert!(errors.contains("net.toml has no [short]"), "{errors}");
}

#[test]
fn events_for_tensorboard_and_a_page_beside_the_model() {
    let directory = tempdir().unwrap();
    recipe(directory.path(), &format!("{TINY}output = {{ tensorboard = true }}\n"));
    stdout_of(espalier().args(["train", "net.toml"]).current_dir(directory.path()));
    let run = directory.path().join("runs/tiny");
    let board = names(&run.join("tensorboard"));
    assert_eq!(board.len(), 1, "{board:?}");
    let events = fs::read(run.join("tensorboard").join(&board[0])).unwrap();
    for name in ["loss/train", "loss/test", "accuracy/test", "rate/default", "sparsity"] {
        let found = events.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(found, "{name}");
    }
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("1.weight") && page.starts_with("<!"), "{}", &page[..200]);
}

#[test]
fn a_variant_may_set_a_table_under_a_header() {
    let directory = tempdir().unwrap();
    let text = format!(
        "{TINY}\n[[variant]]\nname = \"sgd\"\n[variant.set.optimizer]\ntype = \"sgd\"\nlr = 0.25\n"
    );
    recipe(directory.path(), &text);
    stdout_of(espalier().args(["train", "net.toml"]).current_dir(directory.path()));
    let path = directory.path().join("runs/tiny/variants/sgd/recipe.toml");
    let changed = fs::read_to_string(path).unwrap();
    assert!(changed.contains("type = \"sgd\"") && changed.contains("lr = 0.25"), "{changed}");
    assert!(!changed.contains("adam"), "{changed}");
}

//! The recipes of the repository in their quick form: each shows what it is said to show.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::{espalier, stdout_of};

/// What the runs of a recipe came to, by name.
struct Runs(BTreeMap<String, Value>);

impl Runs {
    /// Trains the quick form of a recipe.
    fn of(recipe: &str) -> Self {
        let directory = tempdir().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes").join(recipe);
        let out = directory.path().join("run");
        let mut command = espalier();
        command.args(["train", "--short", "--quiet"]).arg(&path).arg("--out").arg(&out);
        stdout_of(&mut command);
        let text = fs::read_to_string(out.join("comparison.json")).unwrap();
        let runs: Vec<Value> = serde_json::from_str(&text).unwrap();
        let named = |run: Value| (run["name"].as_str().unwrap().to_owned(), run["summary"].clone());
        Self(runs.into_iter().map(named).collect())
    }

    fn number(&self, run: &str, key: &str) -> f64 {
        self.0[run][key].as_f64().unwrap_or_else(|| panic!("{run} has no {key}: {:?}", self.0[run]))
    }

    fn loss(&self, run: &str) -> f64 {
        self.number(run, "loss")
    }

    fn accuracy(&self, run: &str) -> f64 {
        self.0[run]["accuracy"]["after_pruning"].as_f64().unwrap()
    }

    fn trained(&self, run: &str) -> f64 {
        self.number(run, "trained")
    }
}

#[test]
fn a_tied_auto_encoder_has_half_the_weights() {
    let runs = Runs::of("autoencoder.toml");
    assert!(runs.loss("autoencoder") < 0.018, "{}", runs.loss("autoencoder"));
    let (tied, untied) =
        (runs.number("autoencoder", "parameters"), runs.number("untied", "parameters"));
    assert_eq!((tied, untied), (10576.0, 20816.0));
}

#[test]
fn a_learned_mask_finds_better_pixels_than_chance() {
    let runs = Runs::of("mask.toml");
    let mask = runs.accuracy("mask");
    assert!(mask >= 0.88, "{mask}");
    for random in ["random", "random-2", "random-3"] {
        let found = runs.accuracy(random);
        assert!(mask >= found + 0.03, "{random}: {found}, mask: {mask}");
    }
    assert!(runs.accuracy("all-pixels") >= 0.94);
}

#[test]
fn a_lottery_ticket_needs_its_own_beginning() {
    let runs = Runs::of("lottery.toml");
    let (ticket, random) = (runs.accuracy("lottery"), runs.accuracy("random"));
    assert!(ticket >= 0.88 && ticket >= random + 0.03, "ticket {ticket}, random {random}");
    for run in ["lottery", "random", "no-rewinding"] {
        let sparsity = runs.number(run, "sparsity");
        assert!((sparsity - 31.0 / 32.0).abs() < 1e-3, "{run}: {sparsity}");
    }
}

#[test]
fn adapters_train_a_twelfth_and_do_better_than_the_last_layer() {
    let runs = Runs::of("lora.toml");
    assert_eq!((runs.trained("lora"), runs.trained("last-layer")), (4106.0, 1290.0));
    assert_eq!(runs.trained("full"), 50826.0);
    let (lora, last) = (runs.accuracy("lora"), runs.accuracy("last-layer"));
    assert!(lora >= 0.88 && lora >= last + 0.1, "adapters {lora}, last layer {last}");
}

#[test]
fn orthogonal_recurrence_remembers_what_the_unconstrained_cannot() {
    let runs = Runs::of("copying.toml");
    // What guessing comes to: 3 ln(8) / 16.
    let guessing = 3.0 * 8f64.ln() / 16.0;
    let (held, free) = (runs.loss("copying"), runs.loss("unconstrained"));
    assert!(held < 0.5 * guessing, "orthogonal {held}, guessing {guessing}");
    assert!(free > 0.9 * guessing, "unconstrained {free}, guessing {guessing}");
}

#[test]
fn a_tied_language_model_has_fewer_weights_and_learns_the_language() {
    let runs = Runs::of("alice.toml");
    // Bytes by their frequencies alone: 3.165 nats.
    assert!(runs.loss("alice") < 2.8, "{}", runs.loss("alice"));
    let of = |run: &str| runs.number(run, "parameters");
    assert_eq!(of("untied") - of("alice"), 256.0 * 96.0);
}

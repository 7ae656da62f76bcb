//! Recipes from text to a run directory and back to predictions.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use espalier_checkpoint::{Checkpoint, read_safetensors};
use espalier_recipe::*;

#[path = "engine/directories.rs"]
mod directories;
#[path = "engine/files.rs"]
mod files;
#[path = "engine/misfits.rs"]
mod misfits;
#[path = "engine/saved.rs"]
mod saved;

/// Convolution, norms, weight norm, an orthogonal layer, two rounds of pruning, two groups.
const SMALL: &str = r#"name = "small"
seed = 3   # any

[data]
source = "digits"
[data.augment]
shift = 1

[[layer]]
type = "conv2d"
channels = 4
kernel = 3
padding = 1
[[layer]]
type = "batch_norm"
[[layer]]
type = "relu"
[[layer]]
type = "max_pool2d"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
features = 16
[[layer]]
type = "relu"
[[layer]]
type = "linear"
features = 16
[[layer]]
type = "relu"
[[layer]]
type = "linear"
features = 10

[[init]]
select = "0.weight"
method = "kaiming_normal"
[[init]]
select = "**.bias"
method = "zeros"

[[parametrize]]
select = "5.weight"
rule = "weight_norm"
[[parametrize]]
select = "7.weight"
rule = "orthogonal"

[optimizer]
type = "adamw"
lr = 1e-2
[[optimizer.group]]
name = "weights"
select = ["0.weight", { layer = "Linear", parameter = "weight" }]
weight_decay = 0.01

[schedule]
type = "multi_step"
milestones = [3]

[train]
epochs = 4
batch_size = 32

[prune]
select = ["0.weight", "5.weight", "9.weight"]
method = "l1_unstructured"
scope = "global"
of = "network"
epochs = [2, 3]
sparsity = [0.4, 0.6]
"#;

/// One dense layer, the quickest network there is. Ends in the table `[train]`.
const LINEAR: &str = r#"name = "linear"
layer = [{ type = "flatten" }, { type = "linear", features = 10 }]
[data]
source = "digits"
[optimizer]
type = "sgd"
lr = 0.1
momentum = 0.9
[train]
epochs = 2
batch_size = 64
"#;

/// Keeps everything it is told, and interrupts after a step.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    tables: Vec<(String, Vec<TableRow>)>,
    steps: Vec<(usize, usize)>,
    epochs: Vec<EpochMetrics>,
    stop_after: Option<usize>,
}

impl Observer for Recorder {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Log(line) => self.lines.push(line.to_owned()),
            Event::Table { title, rows } => self.tables.push((title.to_owned(), rows.to_vec())),
            Event::Step { step, epoch, loss } => {
                assert!(loss.is_finite());
                self.steps.push((step, epoch));
            }
            Event::Epoch(metrics) => self.epochs.push(metrics.clone()),
            other => panic!("an event that this test does not know: {other:?}"),
        }
    }

    fn interrupted(&self) -> bool {
        self.stop_after == Some(self.steps.len())
    }
}

fn prepare(text: &str, directory: &Path, seed: Option<u64>) -> Result<Prepared, TrainError> {
    let recipe = Recipe::parse(text, "r.toml").unwrap_or_else(|error| panic!("{error}"));
    let directory = Some(directory.to_owned());
    Prepared::new(recipe, RunOptions { directory, seed, ..RunOptions::default() })
}

fn train(text: &str, directory: &Path, seed: Option<u64>) -> (Summary, Recorder) {
    let mut recorder = Recorder::default();
    let prepared = prepare(text, directory, seed).unwrap_or_else(|error| panic!("{error}"));
    let summary = prepared.train(&mut recorder).unwrap();
    (summary, recorder)
}

/// Zeros and elements of all tensors of two or more dimensions.
fn weights(model: &Checkpoint) -> (usize, usize) {
    let weights = model.iter().filter(|tensor| tensor.shape().len() >= 2);
    weights.fold((0, 0), |(zeros, all), tensor| {
        let own = tensor.values().unwrap().filter(|v| *v == 0.0).count();
        (zeros + own, all + tensor.numel())
    })
}

fn zeros(model: &Checkpoint, name: &str) -> usize {
    let tensor = model.get(name).unwrap();
    tensor.values().unwrap().filter(|v| *v == 0.0).count()
}

fn model(directory: &Path) -> Checkpoint {
    read_safetensors(directory.join("model.safetensors")).unwrap()
}

#[test]
fn a_recipe_end_to_end() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("runs/small");
    let prepared = prepare(SMALL, &run, Some(5)).unwrap();
    assert_eq!((prepared.epochs(), prepared.steps()), (4, 4 * 45));
    assert_eq!(prepared.directory(), run);
    let mut recorder = Recorder::default();
    let summary = prepared.train(&mut recorder).unwrap();

    // What it told.
    let terms: Vec<&str> =
        recorder.lines.iter().filter_map(|line| line.split(':').next()).collect();
    let expected = "data network init init parametrize parametrize train group group schedule prune \
                    prune fold save";
    assert_eq!(terms, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        recorder.lines[4..10],
        [
            "parametrize: 5.weight by weight_norm",
            "parametrize: 7.weight by orthogonal",
            "train: 1546 parameters",
            "group: `weights` 4 parameters, rate 0.01, decay 0.01",
            "group: `default` 6 parameters, rate 0.01, decay 0.01",
            "schedule: rates times 0.1 after 3 epochs",
        ]
    );
    assert_eq!(
        recorder.lines[11],
        "prune: round 2 of 2 after 3 epochs: sparsity 0.6 of the network, 886 of 1476 values zero"
    );
    assert_eq!(recorder.steps.len(), 180);
    assert_eq!(recorder.steps[44..46], [(45, 1), (46, 2)]);

    // The files.
    let recipe = fs::read_to_string(run.join("recipe.toml")).unwrap();
    assert_eq!(recipe, SMALL.replace("seed = 3   # any", "seed = 5   # any"));
    // As text: reading numbers back may differ in the last digit.
    let written = fs::read_to_string(run.join("summary.json")).unwrap();
    assert_eq!(written, serde_json::to_string_pretty(&summary).unwrap() + "\n");
    let written = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<String> =
        recorder.epochs.iter().map(|m| serde_json::to_string(m).unwrap() + "\n").collect();
    assert_eq!(written, lines.concat());
    assert_eq!(lines.len(), 4);
    let rates: Vec<f64> = recorder.epochs.iter().map(|m| m.rates["weights"]).collect();
    assert_eq!(rates, [1e-2, 1e-2, 1e-2, 1e-2 * 0.1]);
    let last = recorder.epochs.last().unwrap();
    assert_eq!((last.epoch, last.step), (4, 180));

    // The numbers, to the element: 0.6 of 1476 is 885.6.
    let model = model(&run);
    assert_eq!(weights(&model), (886, 36 + 64 * 16 + 16 * 16 + 16 * 10));
    assert_eq!(summary.sparsity, 886.0 / 1476.0);
    assert_eq!(summary.seed, 5);
    assert!(recorder.epochs.iter().all(|m| m.gradient_norm > 0.0 && m.gradient_norm < 1e3));
    let sparsities: Vec<f64> = recorder.epochs.iter().map(|m| m.sparsity).collect();
    assert_eq!(sparsities, [0.0, 0.0, 590.0 / 1476.0, 886.0 / 1476.0]);
    assert_eq!(summary.accuracy.map(|a| a.before_pruning), recorder.epochs[1].test_accuracy);
    // Folding changes nothing.
    assert_eq!(summary.accuracy.map(|a| a.after_pruning), last.test_accuracy);
    assert!(summary.accuracy.unwrap().before_pruning > 0.5, "{summary:?}");
    assert!(summary.accuracy.unwrap().after_pruning > 0.5, "{summary:?}");

    // The saved tensors are the folded ones, by PyTorch's names, and the table's.
    let names: Vec<&str> = model.names().collect();
    assert_eq!(
        names,
        [
            "0.weight",
            "0.bias",
            "1.weight",
            "1.bias",
            "1.running_mean",
            "1.running_var",
            "5.weight",
            "5.bias",
            "7.weight",
            "7.bias",
            "9.weight",
            "9.bias"
        ]
    );
    assert_eq!(model.get("5.weight").unwrap().shape(), [16, 64]);
    let (title, rows) = &recorder.tables[1];
    assert_eq!(title, "after pruning");
    for row in rows {
        let tensor = model.get(&row.name).unwrap();
        assert_eq!((row.shape.as_slice(), row.parameters), (tensor.shape(), tensor.numel() as u64));
        assert_eq!(row.zeros, zeros(&model, &row.name) as u64);
    }
    let all: u64 = rows.iter().map(|row| row.parameters).sum();
    assert_eq!(summary.parameters, all);
    assert_eq!(all, 1476 + 4 + 8 + 16 + 16 + 10);
    let (title, rows) = &recorder.tables[0];
    assert_eq!(title, "before training");
    assert_eq!(rows[1].name, "0.bias");
    assert_eq!(rows[1].zeros, 4, "the recipe's own start");
    assert_eq!(rows[0].zeros, 0);

    // The orthogonal layer is one, and lost nothing.
    let w = model.get("7.weight").unwrap().to_f64_vec().unwrap();
    for i in 0..16 {
        for j in 0..16 {
            let dot: f64 = (0..16).map(|k| w[i * 16 + k] * w[j * 16 + k]).sum();
            assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-5, "{i} {j}: {dot}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let text = SMALL.replace("epochs = 4", "epochs = 2").replace("[2, 3]", "[0, 1]");
    let bytes = |name: &str, seed| {
        let run = directory.path().join(name);
        train(&text, &run, seed);
        fs::read(run.join("model.safetensors")).unwrap()
    };
    let first = bytes("a", None);
    assert_eq!(first, bytes("b", Some(3)));
    assert_ne!(first, bytes("c", Some(4)));
}

#[test]
fn pruning_by_layer_counts_each_layer() {
    let directory = tempfile::tempdir().unwrap();
    let network = r#"name = "two"
layer = [{ type = "flatten" }, { type = "linear", features = 16 }, { type = "relu" },
    { type = "linear", features = 10 }]
data = { source = "digits" }
optimizer = { type = "adam" }
train = { epochs = 1, batch_size = 256 }
prune = { select = ["1.weight", "3.weight"], method = "l1_unstructured", scope = "layer", OF
    epochs = [0], sparsity = [0.5] }
"#;
    let run = directory.path().join("selected");
    train(&network.replace("OF", ""), &run, None);
    let selected = model(&run);
    assert_eq!(zeros(&selected, "1.weight"), 512);
    assert_eq!(zeros(&selected, "3.weight"), 80);

    // Half of the network, the orthogonal layer's share taken by the other.
    let run = directory.path().join("network");
    let text = network
        .replace("OF", "of = \"network\",")
        .replace("[\"1.weight\", \"3.weight\"]", "\"1.weight\"");
    let (summary, _) = train(&text, &run, None);
    let of_network = model(&run);
    assert_eq!(zeros(&of_network, "1.weight"), 592);
    assert_eq!(zeros(&of_network, "3.weight"), 0);
    assert_eq!(summary.sparsity, 0.5);
}

#[test]
fn tied_parameters_are_saved_equal_and_trained_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"name = "tied"
layer = [{ type = "flatten" }, { type = "linear", features = 64 }, { type = "tanh" },
    { type = "linear", features = 64 }, { type = "layer_norm" }, { type = "linear", features = 10 }]
tie = [{ target = "3.weight", source = "1.weight" }]
data = { source = "digits" }
train = { epochs = 1, batch_size = 128 }
[optimizer]
type = "adam"
[[optimizer.group]]
select = "3.weight"
lr = 2e-3
[prune]
select = "3.weight"
method = "l1_unstructured"
scope = "global"
of = "network"
epochs = [0]
sparsity = [0.25]
"#;
    let (_, recorder) = train(text, directory.path(), None);
    let model = model(directory.path());
    assert_eq!(
        model.get("3.weight").unwrap().bytes().unwrap(),
        model.get("1.weight").unwrap().bytes().unwrap()
    );
    assert_eq!(zeros(&model, "1.weight"), (64 * 64 + 640) / 4);
    let group = "group: `group[0]` 1 parameter, rate 0.002, decay 0";
    assert!(recorder.lines.iter().any(|line| line == group), "{:?}", recorder.lines);
    assert!(recorder.lines.contains(&"tie: 3.weight is 1.weight".to_owned()));
}

#[test]
fn every_layer_type_trains_and_loads() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"name = "all"
data = { source = "digits", test_fraction = 0.5, augment = { shift = 2 } }
optimizer = { type = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 1e-4 }
train = { epochs = 1, batch_size = 100 }
schedule = { type = "multi_step", milestones = [2, 5], unit = "step", gamma = 0.5 }
layer = [
    { type = "conv2d", channels = 3, kernel = [3, 2], stride = [1, 2], padding = [2, 1], bias = false },
    { type = "batch_norm", momentum = 0.2, epsilon = 1e-4 },
    { type = "leaky_relu", slope = 0.2 },
    { type = "avg_pool2d", kernel = 2, stride = 1, padding = 1 },
    { type = "gelu" },
    { type = "max_pool2d", kernel = 3, padding = 1 },
    { type = "adaptive_avg_pool2d", output = [3, 2] },
    { type = "linear", features = 5 },
    { type = "layer_norm" },
    { type = "sigmoid" },
    { type = "flatten" },
    { type = "tanh" },
    { type = "linear", features = 10, bias = false },
]
parametrize = [{ select = "0.weight", rule = "weight_norm", dim = "none" }]
"#;
    let (summary, recorder) = train(text, directory.path(), None);
    // ceil(899 / 100) steps; the rates of the last one.
    let last = recorder.epochs.last().unwrap();
    assert_eq!((last.step, last.rates["default"]), (9, 0.05 * 0.5 * 0.5));
    assert_eq!(summary.accuracy.unwrap().before_pruning, summary.accuracy.unwrap().after_pruning);
    assert_eq!(recorder.tables[1].0, "after training");
    Predictor::open(directory.path()).unwrap();
}

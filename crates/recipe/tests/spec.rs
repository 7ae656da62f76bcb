//! Recipes as text: a full one, wrong ones with the exact words of their errors, and torn ones.

use std::fs;
use std::path::Path;

use espalier::parametrize::Rules;
use espalier_recipe::*;
use serde_json::json;

#[path = "spec/torn.rs"]
mod torn;
#[path = "spec/wrong.rs"]
mod wrong;

const FULL: &str = r#"name = "all-of_it"
description = "Everything a recipe can say"
seed = 7

[data]
source = "digits"
test_fraction = 0.25
[data.augment]
shift = 2

[[layer]]
type = "conv2d"
channels = 4
kernel = [3, 1]
stride = 2
padding = [1, 0]
bias = false
[[layer]]
name = "norm"
type = "batch_norm"
momentum = 0.2
[[layer]]
type = "leaky_relu"
[[layer]]
type = "max_pool2d"
kernel = 3
padding = 1
[[layer]]
type = "adaptive_avg_pool2d"
output = 2
[[layer]]
type = "flatten"
[[layer]]
type = "dropout"
probability = 0.5
[[layer]]
type = "linear"
features = 10

[[init]]
select = "**.weight"
method = "kaiming_uniform"
mode = "fan_out"
nonlinearity = "leaky_relu"
slope = 0.2
[[init]]
select = { regex = "^7\\." }
method = "uniform"
low = -1

[[parametrize]]
select = { layer = "Linear", parameter = "weight" }
rule = "weight_norm"
dim = "none"
[[parametrize]]
select = ["0.weight", { layer = "Conv2d" }]
rule = "orthogonal"
trivialization = false

[[tie]]
target = "3.weight"
source = "1.weight"

[optimizer]
type = "sgd"
lr = 0.1
momentum = 0.9
[[optimizer.group]]
name = "no decay"
select = "**.bias"
nesterov = true

[schedule]
type = "multi_step"
milestones = [100, 200]
unit = "step"

[train]
epochs = 10
batch_size = 16

[prune]
select = "7.weight"
method = "l1_unstructured"
scope = "layer"
epochs = [0, 4]
sparsity = [0.5, 0.75]

[output]
directory = "elsewhere/run"
"#;

/// The least recipe, one section a line, so that a wrong one is this with a line exchanged or
/// added.
const LEAST: [&str; 5] = [
    r#"name = "least""#,
    r#"data = { source = "digits" }"#,
    r#"optimizer = { type = "adamw" }"#,
    r#"train = { epochs = 4, batch_size = 8 }"#,
    r#"layer = [{ type = "flatten" }, { type = "linear", features = 10 }]"#,
];

fn selectors(select: &Spanned<Select>) -> Vec<Selector> {
    select.value.items.iter().map(|item| item.value.clone()).collect()
}

#[test]
fn every_rule_of_the_library_can_be_named() {
    let names = Rules::builtin();
    let names: Vec<String> = names.names().iter().map(|name| format!("`{name}`")).collect();
    let text = r#"parametrize = [{ select = "a", rule = "weightnorm" }]"#;
    let error = Recipe::parse(text, "r.toml").unwrap_err().to_string();
    let expected = format!(
        "r.toml:1:39: parametrize[0].rule: unknown name \"weightnorm\"; expected one of {}; did \
         you mean `weight_norm`?",
        names.join(", ")
    );
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn a_full_recipe_has_the_values_it_names() {
    let recipe = Recipe::parse(FULL, "full.toml").unwrap();
    assert_eq!((recipe.source(), recipe.file()), (FULL, "full.toml"));
    assert_eq!(recipe.name.value, "all-of_it");
    assert_eq!(&FULL[recipe.name.span.clone()], "\"all-of_it\"");
    assert_eq!(recipe.description.as_deref(), Some("Everything a recipe can say"));
    assert_eq!(recipe.seed, 7);

    assert_eq!(recipe.data.source.value, DataSource::Digits);
    assert_eq!(recipe.data.test_fraction, 0.25);
    assert_eq!(
        recipe.data.augment.as_ref().unwrap().value,
        Augment { shift: 2, flip: 0.0, crop: 0, rotate: 0.0 }
    );

    let layers: Vec<Layer> = recipe.layers.iter().map(|layer| layer.value.layer.clone()).collect();
    assert_eq!(
        layers,
        [
            Layer::Conv2d {
                channels: 4,
                kernel: [3, 1],
                stride: [2, 2],
                padding: [1, 0],
                dilation: [1, 1],
                groups: 1,
                bias: false
            },
            Layer::BatchNorm { epsilon: 1e-5, momentum: 0.2 },
            Layer::LeakyRelu { slope: 0.01 },
            Layer::MaxPool2d { kernel: [3, 3], stride: [3, 3], padding: [1, 1], overhang: [0, 0] },
            Layer::AdaptiveAvgPool2d { output: [2, 2] },
            Layer::Flatten,
            Layer::Dropout { probability: 0.5 },
            Layer::Linear { features: 10, bias: true },
        ]
    );
    assert_eq!(recipe.layers[0].value.name, None);
    assert_eq!(recipe.layers[1].value.name.as_deref(), Some("norm"));
    assert!(recipe.layers.iter().all(|layer| &FULL[layer.span.clone()] == "[[layer]]"));

    assert_eq!(recipe.init.len(), 2);
    assert_eq!(selectors(&recipe.init[0].value.select), [Selector::Path("**.weight".into())]);
    let nonlinearity = Nonlinearity::LeakyRelu { slope: 0.2 };
    let method = InitMethod::KaimingUniform { mode: FanMode::FanOut, nonlinearity };
    assert_eq!(recipe.init[0].value.method.value, method);
    assert_eq!(selectors(&recipe.init[1].value.select), [Selector::Regex("^7\\.".into())]);
    assert_eq!(recipe.init[1].value.method.value, InitMethod::Uniform { low: -1.0, high: 1.0 });

    let by_layer = |layer: &str, parameter: Option<&str>| Selector::Layer {
        layer: layer.into(),
        parameter: parameter.map(str::to_owned),
    };
    let rules: Vec<&ParametrizeSpec> =
        recipe.parametrize.iter().map(|entry| &entry.value).collect();
    assert_eq!(selectors(&rules[0].select), [by_layer("Linear", Some("weight"))]);
    assert_eq!(
        rules[0].rule.value,
        Rule {
            name: "weight_norm".into(),
            options: json!({ "dim": null }),
            penalty: 0.0,
            harden: None
        }
    );
    assert_eq!(
        selectors(&rules[1].select),
        [Selector::Path("0.weight".into()), by_layer("Conv2d", None)]
    );
    assert_eq!(&FULL[rules[1].select.value.items[1].span.clone()], "{ layer = \"Conv2d\" }");
    assert_eq!(
        rules[1].rule.value,
        Rule {
            name: "orthogonal".into(),
            options: json!({ "trivialization": false }),
            penalty: 0.0,
            harden: None
        }
    );
    assert_eq!(&FULL[rules[1].rule.span.clone()], "\"orthogonal\"");

    assert_eq!(recipe.tie.len(), 1);
    assert_eq!(recipe.tie[0].value.target.value, "3.weight");
    assert_eq!(recipe.tie[0].value.source.value, "1.weight");

    let base =
        SgdOptions { lr: 0.1, momentum: 0.9, dampening: 0.0, nesterov: false, weight_decay: 0.0 };
    assert_eq!(recipe.optimizer.optimizer.value, Optimizer::Sgd(base.clone()));
    let [group] = recipe.optimizer.groups.as_slice() else {
        panic!("{:?}", recipe.optimizer.groups)
    };
    assert_eq!(group.value.name.as_deref(), Some("no decay"));
    assert_eq!(selectors(&group.value.select), [Selector::Path("**.bias".into())]);
    assert_eq!(group.value.optimizer, Optimizer::Sgd(SgdOptions { nesterov: true, ..base }));

    let milestones = vec![100, 200];
    let curve = Schedule::MultiStep { milestones, gamma: 0.1 };
    let schedule = ScheduleSpec { curve, unit: ScheduleUnit::Step, warmup: 0 };
    assert_eq!(recipe.schedule.value, schedule);
    assert_eq!((recipe.train.epochs.value, recipe.train.batch_size.value), (10, 16));

    let prune = recipe.prune.unwrap().value;
    assert_eq!(selectors(&prune.select), [Selector::Path("7.weight".into())]);
    assert_eq!(
        (prune.method, prune.scope, prune.of),
        (PruneMethod::L1Unstructured, PruneScope::Layer, PruneOf::Selected)
    );
    let rounds: Vec<PruneRound> = prune.rounds.iter().map(|round| round.value).collect();
    assert_eq!(
        rounds,
        [PruneRound { epoch: 0, sparsity: 0.5 }, PruneRound { epoch: 4, sparsity: 0.75 }]
    );
    assert_eq!(&FULL[prune.rounds[1].span.clone()], "0.75");
    assert_eq!(recipe.output.directory.value, Path::new("elsewhere/run"));
}

#[test]
fn defaults_are_pytorchs() {
    let recipe = Recipe::parse(&LEAST.join("\n"), "least.toml").unwrap();
    assert_eq!((recipe.seed, recipe.description, recipe.data.test_fraction), (0, None, 0.2));
    let adamw = AdamOptions { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01 };
    assert_eq!(recipe.optimizer.optimizer.value, Optimizer::AdamW(adamw.clone()));
    assert_eq!((recipe.schedule.value.curve, recipe.prune), (Schedule::Constant, None));
    assert_eq!(recipe.output.directory.value, Path::new("runs/least"));

    let adam = with(
        2,
        r#"optimizer = { type = "adam", betas = [0.5, 0.9], group = [{ select = "a", lr = 1 }] }"#,
    );
    let recipe = Recipe::parse(&adam, "adam.toml").unwrap();
    let adam = AdamOptions { weight_decay: 0.0, betas: [0.5, 0.9], ..adamw };
    assert_eq!(recipe.optimizer.optimizer.value, Optimizer::Adam(adam.clone()));
    assert_eq!(
        recipe.optimizer.groups[0].value.optimizer,
        Optimizer::Adam(AdamOptions { lr: 1.0, ..adam })
    );
}

#[test]
fn the_digits_recipe_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/digits.toml");
    let recipe = Recipe::read(&path).unwrap();
    assert_eq!(recipe.source(), fs::read_to_string(&path).unwrap());
    assert_eq!(recipe.layers.len(), 13);
    assert_eq!(recipe.prune.unwrap().value.rounds.last().unwrap().value.sparsity, 0.8);
}

/// [`LEAST`] with `line` in the place of line `index`, or after the last.
fn with(index: usize, line: &str) -> String {
    let mut lines = LEAST.to_vec();
    if index < lines.len() {
        lines[index] = line;
    } else {
        lines.push(line);
    }
    lines.join("\n")
}

fn printed(text: &str) -> String {
    match Recipe::parse(text, "r.toml") {
        Ok(_) => "valid".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn wrong_recipes_say_what_is_wrong() {
    let mut wrong = String::new();
    for (index, line, expected) in wrong::CASES {
        let found = printed(&with(*index, line));
        if found != *expected {
            wrong += &format!("--- {index}: {line}\nexpected {expected}\nfound    {found}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn tables_of_any_spelling_have_a_place() {
    let rest =
        "name = 'a'\ndata.source = 'digits'\nlayer = [{ type = 'flatten' }]\ntrain.epochs = 3\n";
    let error =
        Recipe::parse(&format!("{rest}[[optimizer.group]]\nselect = 'a'"), "r.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "r.toml:4:1: train.batch_size: missing key; expected an integer from 1 to 16777216\n\
         r.toml:5:3: optimizer.type: missing key; expected one of `adamw`, `adam`, `sgd`"
    );
    let text = format!(
        "{rest}train.batch_size = 8\n[optimizer]\ntype = 'sgd'\n[optimizer.group]\nselect = 'a'"
    );
    assert_eq!(
        printed(&text),
        "r.toml:8:1: optimizer.group: found a table; expected tables `[[optimizer.group]]`"
    );
    let text = "[[layer]]\ntype = 'relu'\nwidth = 3\n[[layer]]\ntype = 'relu'\n  [[layer.more]]";
    assert!(printed(text).ends_with(
        "r.toml:3:1: layer[0].width: unknown key; expected one of `type`, `name`, `from`\n\
         r.toml:6:11: layer[1].more: unknown key; expected one of `type`, `name`, `from`"
    ));
}

#[test]
fn columns_count_characters_and_spans_count_bytes() {
    let text = with(1, "data = { source = \"é€😀\", test_fraction = 2 }");
    let text = text.replace('\n', "\r\n");
    let error = Recipe::parse(&text, "r.toml").unwrap_err();
    let places: Vec<_> =
        error.problems.iter().map(|p| (p.line, p.column, &text[p.span.clone()])).collect();
    assert_eq!(places, [(2, 19, "\"é€😀\""), (2, 42, "2")]);
    assert_eq!(&*error.text, text);
}

#[test]
fn a_later_stage_can_blame_a_place() {
    let recipe = Recipe::parse(FULL, "full.toml").unwrap();
    let error = recipe.problem(
        &recipe.parametrize[1].value.select.value.items[0].span,
        "parametrize[1].select[0]",
        "matches no parameter",
        "",
        "did you mean `1.weight`?",
    );
    assert_eq!(
        error.to_string(),
        "full.toml:56:11: parametrize[1].select[0]: matches no parameter; did you mean `1.weight`?"
    );
    // A place outside the text, or within a character, is moved into it.
    let odd = recipe.problem(&(FULL.len() + 5..usize::MAX), "k", "m", "e", "");
    assert_eq!(odd.problems[0].span, FULL.len()..FULL.len());
    assert!(odd.to_string().ends_with(": k: m; expected e"));
}

#[test]
fn files_that_are_no_recipes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    let read = || Recipe::read(&path).unwrap_err();

    assert!(matches!(read(), ReadError::Io { path: named, .. } if named == path));
    fs::write(&path, b"name = \"\xff\"").unwrap();
    assert!(matches!(read(), ReadError::NotText { offset: 8, .. }));
    fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(read(), ReadError::TooLarge { limit: 0x10_0000, .. }));
    fs::write(&path, with(0, "name = 1")).unwrap();
    let shown = path.display();
    let expected = "found an integer; expected a name: 1 to 100 letters, digits, `_` or `-`";
    assert_eq!(read().to_string(), format!("{shown}:1:8: name: {expected}"));
}

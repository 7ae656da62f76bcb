//! Networks from strangers: huge, deep or torn, they end in errors with sound places or in a plan,
//! never in a panic.

use espalier_network::{Architecture, Input, Limits, RecipeError};
use proptest::prelude::*;

use crate::cfg::yolov3;

const TOML: &str = r#"
input = [3, 16, 16]
outputs = ["a", -1]
[[layer]]
name = "a"
type = "conv2d"
channels = 4
kernel = 3
padding = 1
[[layer]]
type = "repeat"
times = 3
[[layer.layer]]
type = "reuse"
of = "a"
from = "input"
[[layer.layer]]
type = "shortcut"
from = ["a", -1]
activation = "relu"
[[layer]]
type = "max_pool2d"
kernel = 2
[[layer]]
type = "block"
name = "b"
layer = [{ type = "reshape", shape = [4, -1] }, { type = "transpose" }, { type = "lstm", features = 3, output = "last" }]
[[layer]]
type = "route"
from = ["b", 3]
[[layer]]
type = "upsample"
scale = 2
from = 2
"#;

fn sound(text: &str, read: fn(&str, &str) -> Result<Architecture, RecipeError>) {
    let input = Input::values([3, 16, 16]);
    let limits = Limits::default();
    let error = match read(text, "n") {
        Ok(architecture) => match architecture.plan(Some(&input), &limits) {
            Ok(plan) => {
                assert!(!plan.outputs.is_empty() && plan.layers.len() <= 10_000);
                assert!(plan.parameters() <= limits.parameters);
                return;
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    assert!(!error.problems.is_empty());
    assert!(error.problems.is_sorted_by_key(|problem| problem.span.start));
    for problem in &error.problems {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
        let line = text.split('\n').nth(problem.line - 1);
        let columns = line.map(|line| line.chars().count() + 1);
        assert!(columns.is_some_and(|most| problem.column <= most), "{problem:?}");
    }
    assert!(!error.to_string().is_empty());
}

#[test]
fn the_texts_are_right_before_they_are_torn() {
    let plan = |architecture: Architecture| architecture.plan(None, &Limits::default()).unwrap();
    assert_eq!(plan(Architecture::parse(TOML, "n").unwrap()).layers.len(), 13);
    let small = yolov3(2, 32);
    assert_eq!(plan(Architecture::parse_darknet(&small.text, "n").unwrap()).outputs.len(), 3);
}

#[test]
fn hostile_texts_end_soon_and_keep_few_problems() {
    let many: String = (0..60_000).map(|index| format!("unknown_{index}=1\n")).collect();
    let error = Architecture::parse_darknet(&format!("[net]\n{many}"), "n").unwrap_err();
    assert_eq!(error.problems.len(), 200);
    let sections = "[net]\nwidth=1\nheight=1\nchannels=1\n".to_owned() + &"[max]\n".repeat(100_000);
    sound(&sections, Architecture::parse_darknet);
    let deep = format!("layer = [{}", "{ type = 'block', layer = [".repeat(10_000));
    sound(&deep, Architecture::parse);
    let deep = format!(
        "layer = [{}{{ type = 'relu' }}{}]",
        "{ type = 'block', layer = [".repeat(30),
        "] }".repeat(30)
    );
    sound(&deep, Architecture::parse);
    let header: String = (1..70)
        .map(|depth| format!("[[{}]]\ntype = 'block'\n", vec!["layer"; depth].join(".")))
        .collect();
    sound(&header, Architecture::parse);
    let names: String =
        (0..20_000).map(|index| format!("[[layer]]\ntype='relu'\nname='n{index}'\n")).collect();
    sound(&names, Architecture::parse);
}

#[test]
fn what_is_repeated_stays_small() {
    let repeated = |layer: &str| {
        let text = format!(
            "layer = [{{ type = 'relu' }}, {{ type = 'repeat', times = 16777216, layer = [{layer}] }}]"
        );
        sound(&text, Architecture::parse);
    };
    let many = "-1, ".repeat(250_000);
    repeated(&format!("{{ type = 'route', from = [{many}] }}"));
    repeated(&format!("{{ type = 'relu', from = [{many}] }}"));
    let few = "-1, ".repeat(500);
    repeated(&format!("{{ type = 'shortcut', from = [{few}] }}"));
    // Nearest names are looked for a few times only.
    let named: String =
        (0..900).map(|index| format!("{{ type = 'tanh', name = 'name{index}' }}, ")).collect();
    let nowhere = "'nome1', ".repeat(900);
    repeated(&format!("{named} {{ type = 'route', from = [{nowhere}] }}"));
    repeated(&format!("{{ type = 'relu', name = '{}' }}", "n".repeat(900_000)));
    repeated(&format!("{{ type = 'reshape', shape = [{}] }}", "1, ".repeat(300_000)));
    repeated(
        "{ type = 'conv1d', channels = 1, kernel = 99, name = 'never' }, { type = 'relu', from = 'nevr' }",
    );
    repeated("{ type = 'reuse', of = 'nothing' }");
    // Each iteration is larger than the one before.
    repeated("{ type = 'route', from = [-1, -1] }");
    repeated("{ type = 'upsample', scale = 16777216 }");
    repeated("{ type = 'pad', sides = 16777216 }");
    repeated("{ type = 'embedding', features = 9 }");
}

/// Pieces that mean something to one of the readers.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    "\n",
    "#",
    ";",
    "-",
    "0",
    "1",
    "-1",
    "99",
    "nan",
    "1e999",
    "[[layer]]",
    "type",
    "from",
    "of",
    "name",
    "times = 9",
    "\"a\"",
    "\"input\"",
    "layers=-1",
    "filters=0",
    "[route]",
    "[shortcut]",
    "[yolo]",
    "\u{feff}",
    "é",
    "\0",
    "9223372036854775807",
    "-9223372036854775808",
    "\r",
];

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, &'static str, u8)>> {
    let edit = (any::<prop::sample::Index>(), 0..40_usize, prop::sample::select(PIECES), 0..4_u8);
    prop::collection::vec(edit, 1..6)
}

fn torn(text: &str, edits: Vec<(prop::sample::Index, usize, &'static str, u8)>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, length, piece, kind) in edits {
        let start = at.index(text.len() + 1);
        let end = (start + length).min(text.len());
        match kind {
            0 => drop(text.drain(start..end)),
            1 => drop(text.splice(start..start, piece.chars())),
            2 => drop(text.splice(start..end, piece.chars())),
            _ => {
                let copy = text[start..end].to_vec();
                drop(text.splice(end..end, copy));
            }
        }
    }
    text.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn torn_networks_never_panic(edits in edits()) {
        sound(&torn(TOML, edits), Architecture::parse);
    }

    #[test]
    fn torn_darknet_files_never_panic(edits in edits()) {
        sound(&torn(&yolov3(2, 32).text, edits), Architecture::parse_darknet);
    }
}

//! Recipes from strangers: huge, deep or torn, they end in errors with sound places, never in a panic.

use espalier_recipe::Recipe;
use proptest::prelude::*;

use super::{FULL, with};

#[test]
fn hostile_texts_end_soon_and_keep_few_problems() {
    let many: String = (0..60_000).map(|index| format!("unknown_{index} = 1\n")).collect();
    let error = Recipe::parse(&many, "r.toml").unwrap_err();
    assert_eq!((error.problems.len(), error.omitted), (200, 60_000 + 5 - 200));
    assert!(error.to_string().ends_with("r.toml: 59805 more problems"));

    let line = format!("layer = [{}]", "{ type = 'relu', x = 1 },".repeat(40_000));
    assert_eq!(Recipe::parse(&with(4, &line), "r.toml").unwrap_err().problems.len(), 200);

    for deep in [
        format!("a = {}", "[".repeat(300_000)),
        format!("a = {}", "{ a = ".repeat(100_000)),
        format!("{} = 1", vec!["a"; 300_000].join(".")),
        format!("[{}]", vec!["a"; 300_000].join(".")),
    ] {
        let error = Recipe::parse(&deep, "r.toml").unwrap_err();
        assert!(!error.problems.is_empty());
    }
}

/// What must hold of any text's outcome.
fn sound(text: &str) {
    if let Err(error) = Recipe::parse(text, "r.toml") {
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
}

/// Pieces that mean something to a reader of recipes.
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
    "\\",
    ".",
    "-",
    "0",
    "nan",
    "inf",
    "1e999",
    "true",
    "[[",
    "]]",
    "layer",
    "type",
    "select",
    "\u{feff}",
    "é",
    "\0",
    "1979-05-27",
    "9223372036854775807",
    "\"\"\"",
    "0x",
];

/// Where, how many characters, what instead, and which kind of change.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, &'static str, u8)> {
    (any::<prop::sample::Index>(), 0..40_usize, prop::sample::select(PIECES), 0..4_u8)
}

/// Values of every type, most of them wrong wherever they stand.
const VALUES: &[&str] = &[
    "0",
    "-1",
    "1.5",
    "nan",
    "\"\"",
    "\"x\"",
    "[]",
    "[1]",
    "[1, 2]",
    "[[]]",
    "{}",
    "{ x = 1 }",
    "true",
    "07:32:00",
    "9223372036854775807",
    "-1e308",
    "{ regex = 1 }",
    "{ layer = [] }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn torn_recipes_never_panic(
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
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
        sound(&text.into_iter().collect::<String>());
    }

    #[test]
    fn exchanged_values_never_panic(
        line in 0..FULL.lines().count(),
        value in prop::sample::select(VALUES),
    ) {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        if let Some((key, _)) = lines[line].split_once(" = ") {
            lines[line] = format!("{key} = {value}");
        }
        sound(&lines.join("\n"));
    }
}

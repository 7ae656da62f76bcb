//! The reference of recipes shows recipes that work.

#![allow(missing_docs, clippy::unwrap_used)]

use espalier::parametrize::Rules;
use espalier_recipe::{Prepared, Recipe, RunOptions};

#[test]
fn the_recipes_of_the_reference_fit_their_networks() {
    let page = include_str!("../../../recipes/README.md");
    let recipes: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!recipes.is_empty());
    let directory = tempfile::tempdir().unwrap();
    for text in recipes {
        let recipe = Recipe::parse(text, "README.md").unwrap_or_else(|error| panic!("{error}"));
        let run = directory.path().join("run");
        let options = RunOptions { directory: Some(run), ..RunOptions::default() };
        Prepared::new(recipe, options).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The names that an error offers: between backquotes after `expected one of`.
fn offered(text: &str) -> Vec<String> {
    let error = Recipe::parse(text, "r.toml").unwrap_err().to_string();
    let offers = error.lines().filter_map(|line| line.split("expected one of ").nth(1));
    offers
        .flat_map(|offer| offer.split("; did you mean").next().unwrap_or(offer).split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn the_reference_knows_every_name() {
    let page = include_str!("../../../recipes/README.md");
    let wrong = [
        "nam = 1",
        "layer = [{ type = \"x\" }]",
        "init = [{ select = \"a\", method = \"x\" }]",
        "parametrize = [{ select = \"a\", rule = \"x\" }]",
        "optimizer = { type = \"x\" }",
        "schedule = { type = \"x\" }",
        "prune = { x = 1 }",
        "train = { x = 1 }",
        "data = { x = 1 }",
    ];
    for text in wrong {
        let names = offered(text);
        assert!(names.len() > 1, "{text}: {names:?}");
        for name in names {
            // A table is shown in brackets, everything else as code.
            let shown = ["`N`", "`N ", "[N]", ".N]", "\"N\""].map(|form| form.replace('N', &name));
            assert!(shown.iter().any(|form| page.contains(form)), "{name} ({text})");
        }
    }
}

#[test]
fn the_reference_knows_every_option_of_every_rule() {
    let page = include_str!("../../../recipes/README.md");
    let rules = Rules::builtin();
    for rule in rules.names() {
        // A layer may have the name of a rule.
        let named = format!("| `{rule}` |");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with(&named)).collect();
        assert!(!rows.is_empty(), "no row for {rule}");
        for option in rules.options(rule) {
            let shown = [format!("`{option}`"), format!("`{option} = ")];
            let found = rows.iter().any(|row| shown.iter().any(|form| row.contains(form)));
            assert!(found, "{option} of {rule}");
        }
    }
}

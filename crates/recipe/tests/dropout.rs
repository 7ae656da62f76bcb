//! Dropout draws from the framework's generator, which a whole process shares: alone in this file.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use espalier_recipe::*;

struct Quiet;

impl Observer for Quiet {
    fn event(&mut self, _: Event<'_>) {}
}

fn model(dropout: &str, directory: &Path, seed: u64) -> Vec<u8> {
    let text = format!(
        r#"
name = "dropout"
data = {{ source = "digits" }}
layer = [{{ type = "flatten" }}, {dropout} {{ type = "linear", features = 10 }}]
optimizer = {{ type = "adam" }}
train = {{ epochs = 1, batch_size = 64 }}
"#
    );
    let recipe = Recipe::parse(&text, "dropout.toml").unwrap();
    let options = RunOptions {
        directory: Some(directory.to_owned()),
        seed: Some(seed),
        ..RunOptions::default()
    };
    Prepared::new(recipe, options).unwrap().train(&mut Quiet).unwrap();
    fs::read(directory.join("model.safetensors")).unwrap()
}

#[test]
fn dropout_follows_from_the_seed() {
    let directory = tempfile::tempdir().unwrap();
    let dropout = r#"{ type = "dropout", probability = 0.5 },"#;
    let first = model(dropout, directory.path(), 1);
    assert_eq!(first, model(dropout, directory.path(), 1));
    assert_ne!(first, model(dropout, directory.path(), 2));
    // It does something at all.
    let idle = dropout.replace("0.5", "0.0");
    assert_ne!(first, model(&idle, directory.path(), 1));
}

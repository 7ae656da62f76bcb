//! What PEFT saves beside an adapter.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::error::FoldError;

/// The name of the file.
const CONFIG: &str = "adapter_config.json";

/// What is known of an adapter besides its tensors.
#[derive(Debug, Default)]
pub(super) struct Config {
    alpha: Option<f64>,
    /// Other values, for modules whose names match.
    patterns: Vec<(Regex, f64)>,
    /// Whether the factor is `alpha / sqrt(r)`.
    by_root: bool,
    /// Whether weights are stored as `[in, out]`.
    pub(super) turned: bool,
    /// The way in which it was begun, if that has changed the base.
    pub(super) begun: Option<String>,
}

/// Options under which the product is not what is added, and what they are when they are not used.
const VARIANTS: [&str; 5] = [
    "use_qalora",
    "use_bdlora",
    "target_parameters",
    "layer_replication",
    "alora_invocation_tokens",
];

impl Config {
    /// The one beside a file; with `alpha`, if that is given, in place of what it says.
    pub(super) fn beside(file: Option<&Path>, alpha: Option<f64>) -> Result<Self, FoldError> {
        let path = file.map(|file| file.with_file_name(CONFIG)).filter(|path| path.is_file());
        let mut config = match path {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        if alpha.is_some() {
            config.alpha = alpha;
            config.patterns.clear();
        }
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, FoldError> {
        let unsound = |cause: String| FoldError::Adapter { path: path.to_owned(), cause };
        let text = fs::read_to_string(path)
            .map_err(|error| unsound(format!("cannot be read: {error}")))?;
        let config: Value = serde_json::from_str(&text)
            .map_err(|error| unsound(format!("is not JSON: {error}")))?;
        if let Some(kind) = config["peft_type"].as_str().filter(|kind| *kind != "LORA") {
            let cause = format!(
                "expected an adapter of the type LORA, found {kind}, which is not folded here"
            );
            return Err(unsound(cause));
        }
        for option in VARIANTS {
            let is_used = match &config[option] {
                Value::Null | Value::Bool(false) => false,
                Value::Array(values) => !values.is_empty(),
                _ => true,
            };
            if is_used {
                return Err(unsound(format!(
                    "`{option}` is a variant of LoRA that is not folded here"
                )));
            }
        }
        let begun = config["init_lora_weights"].as_str();
        let begun = begun.filter(|begun| !["gaussian", "orthogonal", "eva"].contains(begun));
        let number = |value: &Value, key: &str| {
            value
                .as_f64()
                .ok_or_else(|| unsound(format!("expected a number for `{key}`, found {value}")))
        };
        let mut patterns = Vec::new();
        for (key, value) in config["alpha_pattern"].as_object().into_iter().flatten() {
            // As PEFT reads them: of the name or of its end behind a dot.
            let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"))
                .map_err(|error| unsound(format!("alpha_pattern: {error}")))?;
            patterns.push((regex, number(value, key)?));
        }
        let alpha = match &config["lora_alpha"] {
            Value::Null => None,
            value => Some(number(value, "lora_alpha")?),
        };
        let is = |key: &str| config[key].as_bool().unwrap_or(false);
        Ok(Self {
            alpha,
            patterns,
            by_root: is("use_rslora"),
            turned: is("fan_in_fan_out"),
            begun: begun.map(str::to_owned),
        })
    }

    /// What the product of a module's adapter of rank `r` is multiplied by, if that is known.
    pub(super) fn scale(&self, module: &str, r: usize) -> Option<f64> {
        let pattern = self.patterns.iter().find(|(pattern, _)| pattern.is_match(module));
        let alpha = pattern.map(|(_, alpha)| *alpha).or(self.alpha)?;
        let r = r as f64;
        Some(alpha / if self.by_root { r.sqrt() } else { r })
    }
}

/// The file with the tensors of an adapter: itself, or in the directory that PEFT saved.
pub(super) fn adapter_file(path: &Path) -> Result<PathBuf, FoldError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    const NAMES: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];
    let found = NAMES.iter().map(|name| path.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| FoldError::Adapter {
        path: path.to_owned(),
        cause: format!("expected {} or {} in it, found neither", NAMES[0], NAMES[1]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, FoldError> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(CONFIG), text).unwrap();
        Config::beside(Some(&directory.path().join("adapter_model.safetensors")), None)
    }

    #[test]
    fn the_factor_of_a_module() {
        let text = r#"{"peft_type": "LORA", "lora_alpha": 16, "use_rslora": false,
            "alpha_pattern": {"q": 2, "layers\\.[01]\\.v": 4.0}, "fan_in_fan_out": true}"#;
        let found = config(text).unwrap();
        assert_eq!(found.scale("layers.3.v", 8), Some(2.0));
        assert_eq!(found.scale("layers.3.q", 8), Some(0.25));
        assert_eq!(found.scale("m.layers.1.v", 8), Some(0.5));
        assert_eq!(found.scale("kq", 8), Some(2.0));
        assert!(found.turned);
        let root = config(r#"{"lora_alpha": 16, "use_rslora": true}"#).unwrap();
        assert_eq!(root.scale("q", 4), Some(8.0));
        assert_eq!(root.begun, None);
        let begun = config(r#"{"init_lora_weights": "pissa", "use_bdlora": false}"#).unwrap().begun;
        assert_eq!(begun.as_deref(), Some("pissa"));
        assert_eq!(config("{}").unwrap().scale("q", 4), None);
    }

    #[test]
    fn what_is_given_counts_more() {
        let given = Config::beside(None, Some(3.0)).unwrap();
        assert_eq!(given.scale("q", 3), Some(1.0));
    }

    #[test]
    fn what_is_wrong_with_it() {
        for text in [
            "{",
            r#"{"peft_type": "IA3"}"#,
            r#"{"lora_alpha": "x"}"#,
            r#"{"alpha_pattern": {"[": 1}}"#,
            r#"{"use_qalora": true}"#,
            r#"{"layer_replication": [[0, 1]]}"#,
        ] {
            let error = config(text).unwrap_err().to_string();
            assert!(error.contains(CONFIG), "{error}");
        }
    }
}

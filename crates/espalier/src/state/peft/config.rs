//! `adapter_config.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PeftFault;

/// What the PEFT library says of an adapter, as far as it bears on the values.
///
/// Source: `LoraConfig` of the PEFT library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Config {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    target_modules: Value,
    /// Ranks of modules that differ; a `Map` keeps the order, in which the first match counts.
    #[serde(default)]
    rank_pattern: Option<Map<String, Value>>,
    #[serde(default)]
    alpha_pattern: Option<Map<String, Value>>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    use_dora: bool,
    /// Everything else, which is kept.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Config {
    /// For adapters of these ranks and alphas by module; `others` are modules without any.
    pub(super) fn of<'a>(
        adapters: &[(&str, usize, f64)],
        others: impl Iterator<Item = &'a str> + Clone,
    ) -> Self {
        let (rank, alpha) = (common(adapters.iter().map(|of| of.1)), {
            let bits = common(adapters.iter().map(|of| of.2.to_bits()));
            f64::from_bits(bits)
        });
        // `block.fc` before `fc`: a pattern matches at the end of a path, and the first one counts.
        let mut named = adapters.to_vec();
        named.sort_by_key(|(name, ..)| std::cmp::Reverse(name.matches('.').count()));
        let ranks = named.iter().filter(|of| of.1 != rank || ambiguous(of.0, adapters));
        let ranks = ranks.map(|of| (of.0.to_owned(), of.1.into())).collect();
        let alphas = named.iter().filter(|of| of.2 != alpha || ambiguous(of.0, adapters));
        let alphas = alphas.map(|of| (of.0.to_owned(), number(of.2))).collect();
        let mut modules: Vec<&str> = adapters.iter().map(|of| of.0).collect();
        modules.sort_unstable();
        let catches_others = others
            .clone()
            .any(|other| modules.iter().any(|name| is_at_end(name, other) && *name != other));
        let target_modules = if catches_others {
            // A list would adapt those whose paths end alike; an expression has to match in full.
            let exact: Vec<String> = modules.iter().map(|name| regex::escape(name)).collect();
            Value::String(exact.join("|"))
        } else {
            modules.into_iter().map(Value::from).collect()
        };
        let rest = [
            ("base_model_name_or_path", Value::Null),
            ("bias", "none".into()),
            ("fan_in_fan_out", false.into()),
            ("inference_mode", true.into()),
            ("init_lora_weights", true.into()),
            ("lora_dropout", 0.0.into()),
            ("modules_to_save", Value::Null),
            ("task_type", Value::Null),
        ];
        Self {
            peft_type: "LORA".to_owned(),
            r: rank,
            lora_alpha: alpha,
            target_modules,
            rank_pattern: Some(ranks),
            alpha_pattern: Some(alphas),
            use_rslora: false,
            use_dora: false,
            rest: rest.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, PeftFault> {
        let invalid = |reason: String| PeftFault::Config { reason };
        let value: Value =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let kind = value.get("peft_type").and_then(Value::as_str).unwrap_or("none");
        if kind != "LORA" {
            return Err(PeftFault::Kind { found: kind.to_owned() });
        }
        let config: Self =
            serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
        if config.use_dora {
            return Err(PeftFault::Unsupported { what: "`use_dora`" });
        }
        if config.r == 0 || !config.lora_alpha.is_finite() {
            return Err(invalid("`r` and `lora_alpha` must be numbers above zero".to_owned()));
        }
        Ok(config)
    }

    pub(super) fn text(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(alpha) = value.get_mut("lora_alpha") {
            *alpha = number(self.lora_alpha);
        }
        serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
    }

    /// By what the product of an adapter of `rank` at `module` is multiplied.
    pub(super) fn scale(&self, module: &str, rank: usize) -> f64 {
        let own = self.alpha_pattern.as_ref().and_then(|of| pattern(of, module));
        let alpha = own.and_then(Value::as_f64).unwrap_or(self.lora_alpha);
        let rank = rank as f64;
        alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }
}

/// The value whose key matches the end of a module's path, as PEFT looks it up.
fn pattern<'a>(patterns: &'a Map<String, Value>, module: &str) -> Option<&'a Value> {
    patterns.iter().find(|(key, _)| is_at_end(key, module)).map(|(_, value)| value)
}

/// Whether `key`, a path or an expression, is all of `module` or what follows one of its dots.
fn is_at_end(key: &str, module: &str) -> bool {
    let plain = module == key || module.strip_suffix(key).is_some_and(|rest| rest.ends_with('.'));
    let expression = || regex::Regex::new(&format!("^(?:.*\\.)?(?:{key})$"));
    plain || expression().is_ok_and(|expression| expression.is_match(module))
}

/// Whether another adapter's path ends like this one's, so that its pattern would count here.
fn ambiguous(name: &str, adapters: &[(&str, usize, f64)]) -> bool {
    adapters.iter().any(|of| of.0 != name && (is_at_end(of.0, name) || is_at_end(name, of.0)))
}

/// The value that most have; the least of several.
fn common<T: Ord + Default>(values: impl Iterator<Item = T>) -> T {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0usize) += 1;
    }
    let most = counts.values().copied().max().unwrap_or(0);
    counts.into_iter().find(|(_, count)| *count == most).map(|(value, _)| value).unwrap_or_default()
}

/// Without a fraction where there is none, as PEFT writes `lora_alpha`.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value { whole.into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rank that PEFT gives an adapter at `module`.
    fn rank(config: &Config, module: &str) -> usize {
        let own = config.rank_pattern.as_ref().and_then(|of| pattern(of, module));
        own.and_then(Value::as_u64).map_or(config.r, |rank| rank as usize)
    }

    fn ranks(config: &Config, modules: &[&str]) -> Vec<(usize, f64)> {
        let of = |name: &&str| {
            let rank = rank(config, name);
            (rank, config.scale(name, rank))
        };
        modules.iter().map(of).collect()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let adapters =
            [("fc", 2, 4.0), ("block.fc", 4, 1.0), ("head", 2, 4.0), ("a.block.fc", 1, 0.5)];
        let config = Config::of(&adapters, std::iter::empty());
        let config = Config::parse(&config.text()).unwrap();
        let names = adapters.map(|of| of.0);
        assert_eq!(ranks(&config, &names), [(2, 2.0), (4, 0.25), (2, 2.0), (1, 0.5)]);
        assert_eq!(
            config.target_modules,
            serde_json::json!(["a.block.fc", "block.fc", "fc", "head"])
        );
    }

    #[test]
    fn a_module_without_adapter_is_not_caught() {
        let config = Config::of(&[("fc", 2, 4.0)], ["block.fc", "other"].into_iter());
        assert_eq!(config.target_modules, "fc");
        let config = Config::of(&[("fc", 2, 4.0)], ["other"].into_iter());
        assert_eq!(config.target_modules, serde_json::json!(["fc"]));
    }

    #[test]
    fn patterns_are_expressions_and_the_first_counts() {
        let text = r#"{"peft_type":"LORA","r":8,"lora_alpha":16,"use_rslora":true,
            "rank_pattern":{"l.*.q":4,"q":2},"alpha_pattern":null,"runtime_config":{}}"#;
        let config = Config::parse(text).unwrap();
        let of = |name| rank(&config, name);
        assert_eq!((of("x.l1.q"), of("q"), of("x.q"), of("xq")), (4, 2, 2, 8));
        assert_eq!(config.scale("q", 4), 8.0);
        assert!(config.text().contains("runtime_config"));
    }

    #[test]
    fn what_is_no_lora_is_refused() {
        let kind = |text| Config::parse(text).unwrap_err().to_string();
        assert!(kind(r#"{"peft_type":"IA3"}"#).contains("IA3"));
        assert!(kind(r#"{"r":1}"#).contains("none"));
        assert!(kind("{").contains("adapter_config.json"));
        let dora = r#"{"peft_type":"LORA","r":8,"lora_alpha":16,"use_dora":true}"#;
        assert!(kind(dora).contains("use_dora"));
        assert!(kind(r#"{"peft_type":"LORA","r":0,"lora_alpha":16}"#).contains("`r`"));
    }
}

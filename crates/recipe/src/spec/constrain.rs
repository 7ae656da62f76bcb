//! `[[parametrize]]` and `[[tie]]`: what holds of parameters throughout training.

use std::collections::BTreeMap;

use espalier::parametrize::{RuleError, Rules};
use serde_json::{Map, Value};

use super::select::{self, Select};
use espalier_network::text::{Bound, Cursor, Node, Spanned, did_you_mean, one_of, quoted};

/// One `[[parametrize]]`: the selected parameters are computed by a rule from parameters that are
/// trained instead.
#[derive(Debug, Clone, PartialEq)]
pub struct ParametrizeSpec {
    /// The parameters it constrains.
    pub select: Spanned<Select>,
    /// The rule.
    pub rule: Spanned<Rule>,
}

/// A parametrization by its name in [`Rules::builtin`], with the options that are set.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name: `weight_norm`.
    pub name: String,
    /// The options, an object; those that are not there have their defaults.
    pub options: Value,
    /// Of `sigmoid_mask`: how much its penalty counts in the loss, at least 0; default 0.
    pub penalty: f64,
    /// Of `sigmoid_mask`: the epoch, from 0, at whose start closed gates become exact zeros; after the
    /// last one by default.
    pub harden: Option<usize>,
}

/// One `[[tie]]`: `target` is no parameter of its own any more but the one at `source`.
#[derive(Debug, Clone, PartialEq)]
pub struct TieSpec {
    /// Path of the parameter that is given up.
    pub target: Spanned<String>,
    /// Path of the parameter that both names mean from then on; another path than `target`.
    pub source: Spanned<String>,
    /// Whether the target is the source's transpose: an auto-encoder's decoder. Default false.
    pub transposed: bool,
}

pub(crate) fn parametrize(table: &mut Cursor<'_>) -> Option<ParametrizeSpec> {
    let select = select::required(table);
    let rules = Rules::builtin();
    let names: Vec<(&str, &str)> = rules.names().into_iter().map(|name| (name, name)).collect();
    let expected = one_of(&rules.names());
    let node = table.require("rule", &expected)?;
    let name = node.choice(&names)?;
    let options = options(table, &rules, name);
    let (mut penalty, mut harden) = (0.0, None);
    if name == "sigmoid_mask" {
        penalty = table.real_or("penalty", Bound::NonNegative, 0.0);
        harden = table.get("harden").and_then(|node| node.count(0));
    }
    table.finish();
    let rule = Rule { name: name.to_owned(), options, penalty, harden };
    Some(ParametrizeSpec { select: select?, rule: node.spanned(rule) })
}

/// The options of a rule as the library reads them back from a file. It is asked after each one, so
/// that what it refuses is reported where it stands.
fn options(table: &mut Cursor<'_>, rules: &Rules, name: &str) -> Value {
    let refusal =
        |options: &Map<String, Value>| match rules.make(name, &Value::Object(options.clone())) {
            Err(RuleError::Options { reason, .. }) => Some(reason),
            _ => None,
        };
    let missing = |reason: &str| reason.strip_prefix("missing field ").map(str::to_owned);
    let mut options = Map::new();
    for key in rules.options(name) {
        let Some(node) = table.get(key) else { continue };
        let Some(value) = node.json() else { continue };
        let value = if value == "none" { Value::Null } else { value };
        options.insert((*key).to_owned(), value);
        let Some(reason) = refusal(&options).filter(|reason| missing(reason).is_none()) else {
            continue;
        };
        options.insert((*key).to_owned(), Value::Null);
        let may_be_none = refusal(&options).is_none_or(|reason| missing(&reason).is_some());
        options.shift_remove(*key);
        refuse(&node, &reason, may_be_none);
    }
    if let Some(key) = refusal(&options).and_then(|reason| missing(&reason)) {
        let known = rules.options(name).iter().find(|known| key == format!("`{known}`"));
        // One that is there and wrong has been reported.
        if let Some(known) = known.filter(|known| !table.has(known)) {
            table.require(known, &format!("an option that `{name}` needs"));
        }
    }
    Value::Object(options)
}

/// Reports what serde says of a value, in the words of the other keys.
fn refuse(node: &Node<'_>, reason: &str, may_be_none: bool) {
    let found = node.shown();
    if reason.starts_with("unknown variant") {
        // unknown variant `a`, expected `b`; or: expected one of `b`, `c`
        let offered = reason.split_once(", expected").map_or("", |(_, offered)| offered);
        let names: Vec<&str> = offered.split('`').skip(1).step_by(2).collect();
        let help = did_you_mean(found.trim_matches('"'), &names);
        return node.refuse(format!("unknown name {found}"), one_of(&names), help);
    }
    let expected = reason.rsplit_once(", expected ").map_or(reason, |(_, expected)| expected);
    let expected = match expected {
        "usize" | "u64" | "u32" => "an integer of at least 0",
        "f64" | "f32" => "a number",
        "a boolean" => "`true` or `false`",
        other => other,
    };
    let none = if may_be_none { " or `\"none\"`" } else { "" };
    node.refuse(format!("found {found}"), format!("{expected}{none}"), None);
}

/// The ties; a target that an earlier tie has is wrong.
pub(crate) fn ties(root: &mut Cursor<'_>) -> Vec<Spanned<TieSpec>> {
    let mut targets: BTreeMap<&str, String> = BTreeMap::new();
    root.each("tie", |table| {
        let expected = "a parameter's path like `\"1.weight\"`";
        let target = table.require("target", expected);
        let source = table.require("source", expected);
        let transposed = table.flag_or("transposed", false);
        table.finish();
        let target_path = target.as_ref().and_then(|node| node.string(expected));
        let source_path = source.as_ref().and_then(|node| node.string(expected));
        let (target, source, target_path, source_path) =
            (target?, source?, target_path?, source_path?);
        if target_path == source_path {
            source.refuse(
                format!("found {}, the target itself", quoted(source_path)),
                "another parameter's path",
                None,
            );
        }
        if let Some(earlier) = targets.get(target_path) {
            let message = format!("found {}, tied already by {earlier}", quoted(target_path));
            target.refuse(message, "a path that no other tie has as its target", None);
        } else {
            targets.insert(target_path, target.path.clone());
        }
        Some(TieSpec {
            target: target.spanned(target_path.to_owned()),
            source: source.spanned(source_path.to_owned()),
            transposed,
        })
    })
}

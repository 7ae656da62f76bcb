//! The network's parameters by the names that recipes use, which are PyTorch's.

use std::collections::BTreeMap;

use burn::module::Module;
use espalier::{Error, IntoSelector, ParamInfo, ParameterTree, Parametrized, Selector};

use super::faults::Faults;
use crate::spec::{Select, Selector as Written};
use espalier_network::text::{did_you_mean, quoted};
use espalier_network::{Span, Spanned};

/// One parameter.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// What the library calls it: `1.gamma`.
    pub(crate) path: String,
    /// The parameter under PyTorch's name (`1.weight`); the shape is still Burn's.
    pub(crate) info: ParamInfo,
}

impl Named {
    /// PyTorch's name.
    pub(crate) fn name(&self) -> &str {
        &self.info.path
    }

    /// The shape in PyTorch's layout.
    pub(crate) fn shape(&self) -> Vec<usize> {
        self.info.layout().torch_shape(&self.info.shape)
    }
}

/// A parameter that a `select` means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub(crate) named: &'a Named,
    /// The first of the select's items that means it.
    pub(crate) item: usize,
}

/// All parameters of a network in order; no buffers.
#[derive(Debug, Clone)]
pub(crate) struct Names(Vec<Named>);

impl Names {
    pub(crate) fn of<M: Module>(network: &M) -> Self {
        let named = |mut info: ParamInfo| {
            let path = info.path.clone();
            if info.layer.ends_with("Norm") {
                for (burn, torch) in [("gamma", "weight"), ("beta", "bias")] {
                    if let Some(parent) = info.path.strip_suffix(burn) {
                        info.path = format!("{parent}{torch}");
                    }
                }
            }
            Named { path, info }
        };
        // What two layers share is listed once.
        let all = network.named_parameters();
        Self(all.into_iter().map(named).collect())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Named> {
        self.0.iter()
    }

    /// The parameter that the library calls `path`.
    pub(crate) fn at(&self, path: &str) -> Option<&Named> {
        self.iter().find(|named| named.path == path)
    }

    /// A library's message about `path`, by PyTorch's name.
    pub(crate) fn name_of<'a>(&'a self, path: &'a str) -> &'a str {
        self.at(path).map_or(path, Named::name)
    }

    /// The parameter of this name; a fault if there is none.
    pub(crate) fn find(
        &self,
        name: &Spanned<String>,
        key: &str,
        faults: &mut Faults<'_>,
    ) -> Option<&Named> {
        let found = self.iter().find(|named| named.name() == name.value);
        if found.is_none() {
            let message = format!("{} is no parameter of the network", quoted(&name.value));
            faults.add(&name.span, key, message, "", self.nearest(&name.value));
        }
        found
    }

    /// What `select` means, in the network's order; faults for each of its items that is no
    /// selector or matches nothing. `key` is the key of the select itself.
    pub(crate) fn select(
        &self,
        select: &Spanned<Select>,
        key: &str,
        faults: &mut Faults<'_>,
    ) -> Option<Vec<Chosen<'_>>> {
        let mut first = vec![None; self.0.len()];
        let mut whole = true;
        for (index, item) in select.value.items.iter().enumerate() {
            let key = item_key(select, key, index);
            let selector = match selector(&item.value) {
                Ok(selector) => selector,
                Err(error) => {
                    faults.add(&item.span, key, reason(&error), "", "");
                    whole = false;
                    continue;
                }
            };
            let mut matched = false;
            for (named, first) in self.0.iter().zip(&mut first) {
                if selector.matches(&named.info) {
                    first.get_or_insert(index);
                    matched = true;
                }
            }
            if !matched {
                self.no_match(item, key, faults);
                whole = false;
            }
        }
        let chosen = |(named, first): (_, Option<usize>)| first.map(|item| Chosen { named, item });
        whole.then(|| self.0.iter().zip(first).filter_map(chosen).collect())
    }

    fn no_match(&self, item: &Spanned<Written>, key: String, faults: &mut Faults<'_>) {
        let (message, help) = match &item.value {
            Written::Path(text) => {
                (format!("{} matches no parameter", quoted(text)), self.nearest(text))
            }
            Written::Regex(text) => {
                (format!("regex {} matches no parameter", quoted(text)), self.nearest(text))
            }
            Written::Layer { layer, parameter } => {
                let mut layers: Vec<&str> = self.iter().map(|n| n.info.layer.as_str()).collect();
                layers.sort_unstable();
                layers.dedup();
                let mut own: Vec<&str> = self
                    .iter()
                    .filter(|named| named.info.layer == *layer)
                    .map(|named| named.info.name())
                    .collect();
                own.sort_unstable();
                own.dedup();
                match parameter {
                    Some(parameter) if !own.is_empty() => (
                        format!("no layer {layer} has a parameter {}", quoted(parameter)),
                        format!("{layer} layers have {}", listed(&own)),
                    ),
                    _ => (
                        format!("no layer of type {} has parameters", quoted(layer)),
                        did_you_mean(layer, &layers)
                            .unwrap_or_else(|| format!("the network has {}", listed(&layers))),
                    ),
                }
            }
        };
        faults.add(&item.span, key, message, "", help);
    }

    /// The parameters whose names are most like `text`, as a help.
    fn nearest(&self, text: &str) -> String {
        let names: Vec<&str> = self.iter().map(Named::name).collect();
        if names.is_empty() {
            return "the network has no parameters".to_owned();
        }
        did_you_mean(text, &names).unwrap_or_else(|| {
            let like = |name: &str| strsim::normalized_damerau_levenshtein(text, name);
            let mut scored: Vec<(f64, &str)> = names.iter().map(|n| (like(n), *n)).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            let best: Vec<&str> = scored.iter().take(3).map(|(_, name)| *name).collect();
            format!("nearest: {}", listed(&best))
        })
    }
}

/// Which parameters are others by a second name, as the library's paths.
pub(crate) struct Ties(BTreeMap<String, String>);

impl Ties {
    pub(crate) fn of<M: Module>(net: &Parametrized<M>) -> Self {
        Self(net.ties().into_iter().collect())
    }

    /// The one parameter that `path` means.
    pub(crate) fn canonical<'a>(&'a self, path: &'a str) -> &'a str {
        self.0.get(path).map_or(path, String::as_str)
    }
}

/// The library's selector of these parameters.
pub(crate) fn any(chosen: &[Chosen<'_>]) -> Selector {
    Selector::any(chosen.iter().map(|chosen| Selector::path(&chosen.named.path)))
}

/// The key of one item of a select: its own, or that of its place in the array.
pub(crate) fn item_key(select: &Spanned<Select>, key: &str, index: usize) -> String {
    match select.value.items.as_slice() {
        [only] if only.span == select.span => key.to_owned(),
        _ => format!("{key}[{index}]"),
    }
}

/// The place of one item of a select.
pub(crate) fn item_span(select: &Spanned<Select>, index: usize) -> &Span {
    select.value.items.get(index).map_or(&select.span, |item| &item.span)
}

fn selector(written: &Written) -> Result<Selector, Error> {
    match written {
        Written::Path(text) => text.into_selector(),
        Written::Regex(text) => Selector::regex(text),
        Written::Layer { layer, parameter: None } => Ok(Selector::layer(layer)),
        Written::Layer { layer, parameter: Some(parameter) } => {
            Ok(Selector::layer_parameter(layer, parameter))
        }
    }
}

/// Why a pattern does not parse, in one line: regular expressions have a drawing before it.
fn reason(error: &Error) -> String {
    let Error::Selector { selector, reason } = error else {
        return error.to_string();
    };
    let last = reason.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    format!("{} is not a valid pattern: {last}", quoted(selector))
}

/// `` `a`, `b` ``
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

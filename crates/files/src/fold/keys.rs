//! From the names of parts to the names of what they are parts of.

use std::collections::{HashMap, HashSet};

use espalier_checkpoint::Checkpoint;

/// What PEFT puts before every name.
pub(super) const PEFT: &str = "base_model.model.";

/// The name under which PyTorch lists how `path` is computed: `fc.parametrizations.weight` for `fc.weight`.
pub(super) fn list_path(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((owner, leaf)) => format!("{owner}.parametrizations.{leaf}"),
        None => format!("parametrizations.{path}"),
    }
}

/// The names in a file, those of the values that they stand for, and what is part of what.
#[derive(Debug)]
pub(super) struct Keys {
    known: HashSet<String>,
    /// The paths that a chain computes.
    chained: HashSet<String>,
    parents: HashMap<String, String>,
}

impl Keys {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let mut keys = Self {
            known: checkpoint.names().map(str::to_owned).collect(),
            chained: HashSet::new(),
            parents: HashMap::new(),
        };
        // What is found may be a part itself: a mask's original may be computed, and so on.
        let mut names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        while !names.is_empty() {
            let mut found = Vec::new();
            for name in &names {
                for path in chains_of(name) {
                    keys.chained.insert(path.clone());
                    if keys.known.insert(path.clone()) {
                        found.push(path);
                    }
                }
            }
            // Parts are told by their companions, which may have been found just now.
            let all: Vec<String> = keys.known.iter().cloned().collect();
            for name in all {
                if !keys.parents.contains_key(&name)
                    && let Some(parent) = keys.parent_of(&name)
                {
                    if keys.known.insert(parent.clone()) {
                        found.push(parent.clone());
                    }
                    keys.parents.insert(name, parent);
                }
            }
            names = found;
        }
        keys
    }

    /// Whether there is a value of that name, stored or computed.
    pub(super) fn has(&self, path: &str) -> bool {
        self.known.contains(path)
    }

    /// Whether a chain computes it.
    pub(super) fn is_chained(&self, path: &str) -> bool {
        self.chained.contains(path)
    }

    /// Whether the tensor of that name is a part of a chain.
    pub(super) fn is_in_chain(&self, name: &str) -> bool {
        !chains_of(name).is_empty()
    }

    /// The tensor that this is a part of, however deep; itself if it is none.
    pub(super) fn whole<'a>(&'a self, name: &'a str) -> &'a str {
        let mut whole = name;
        while let Some(parent) = self.parents.get(whole) {
            whole = parent;
        }
        whole
    }

    fn parent_of(&self, name: &str) -> Option<String> {
        if let Some(path) = chains_of(name).into_iter().next() {
            return Some(path);
        }
        if let Some(path) = self.adapted(name) {
            return Some(path);
        }
        let has = |base: &str, suffix: &str| self.has(&format!("{base}{suffix}"));
        for suffix in ["_orig", "_mask", "_g", "_v", "_u"] {
            let Some(base) = name.strip_suffix(suffix).filter(|base| is_leaf(base)) else {
                continue;
            };
            let is_part = match suffix {
                "_orig" => has(base, "_mask") || has(base, "_u"),
                "_mask" => has(base, "_orig") || self.is_chained(base),
                "_g" => has(base, "_v"),
                "_u" => has(base, "_orig"),
                _ => has(base, "_g") || (has(base, "_orig") && has(base, "_u")),
            };
            if is_part {
                return Some(base.to_owned());
            }
        }
        None
    }

    /// The tensor that PEFT's names put something around.
    fn adapted(&self, name: &str) -> Option<String> {
        if let Some((module, leaf)) = name.split_once(".base_layer.") {
            return Some(format!("{module}.{leaf}"));
        }
        if let Some((module, leaf)) = name.split_once(".original_module.") {
            return Some(format!("{module}.{leaf}"));
        }
        if let Some((module, rest)) = name.split_once(".modules_to_save.") {
            let (_, leaf) = rest.split_once('.')?;
            return Some(format!("{module}.{leaf}"));
        }
        // Of a chain's own adapter the name starts with the chain's, and was found above.
        let (module, part) = Part::of(name)?;
        Some(format!("{module}.{}", if part.is_bias { "bias" } else { "weight" }))
    }
}

fn is_leaf(base: &str) -> bool {
    !base.is_empty() && !base.ends_with('.')
}

/// The paths that chains with this part compute, the outermost first.
fn chains_of(name: &str) -> Vec<String> {
    const LIST: &str = "parametrizations.";
    let mut found = Vec::new();
    for (at, _) in name.match_indices(LIST) {
        let owner = &name[..at];
        if !owner.is_empty() && !owner.ends_with('.') {
            continue;
        }
        let Some((leaf, part)) = name[at + LIST.len()..].split_once('.') else { continue };
        let first = part.split(['.', '_']).next().unwrap_or_default();
        let is_part = first.starts_with("original")
            || first == "parametrizations"
            || first.parse::<usize>().is_ok();
        if is_part && is_leaf(leaf) {
            found.push(format!("{owner}{leaf}"));
        }
    }
    found
}

/// What a tensor of PEFT's is to the module that it adapts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// `lora_A`, `lora_B`, `lora_embedding_A`, `lora_embedding_B` or `lora_magnitude_vector`.
    pub(super) kind: &'static str,
    /// The name of the adapter; none in a file of its own.
    pub(super) adapter: Option<String>,
    /// Whether it is the bias of `lora_B`, which is added to the module's.
    pub(super) is_bias: bool,
}

impl Part {
    /// The module's name and the part; none for another tensor.
    pub(super) fn of(name: &str) -> Option<(&str, Self)> {
        const KINDS: [&str; 5] =
            ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"];
        KINDS.into_iter().find_map(|kind| {
            let (module, rest) = name.split_once(&format!(".{kind}"))?;
            let rest = match rest.strip_prefix('.') {
                Some(rest) => rest,
                None if rest.is_empty() => "",
                None => return None,
            };
            let (adapter, leaf) = match rest {
                "" | "weight" | "bias" => ("", rest),
                _ => match rest.rsplit_once('.') {
                    Some((adapter, leaf @ ("weight" | "bias"))) => (adapter, leaf),
                    _ => (rest, ""),
                },
            };
            let adapter = (!adapter.is_empty()).then(|| adapter.to_owned());
            let is_bias = leaf == "bias";
            (!is_bias || kind == "lora_B").then_some((module, Self { kind, adapter, is_bias }))
        })
    }
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::NamedTensor;

    use super::*;

    fn whole(names: &[&str]) -> Vec<String> {
        let mut checkpoint = Checkpoint::new();
        for name in names {
            checkpoint.push(NamedTensor::f32(*name, vec![0], &[]).unwrap()).unwrap();
        }
        let keys = Keys::of(&checkpoint);
        names.iter().map(|name| keys.whole(name).to_owned()).collect()
    }

    #[test]
    fn parts_belong_to_the_outermost_tensor() {
        let cases: &[(&[&str], &str)] = &[
            (&["fc.weight_g", "fc.weight_v"], "fc.weight"),
            (&["weight_orig", "weight_u", "weight_v"], "weight"),
            (&["a.b_orig", "a.b_mask"], "a.b"),
            (&["fc.weight_g", "fc.weight_v_orig", "fc.weight_v_mask"], "fc.weight"),
            (
                &["fc.parametrizations.weight.original", "fc.parametrizations.weight.0._u"],
                "fc.weight",
            ),
            (&["parametrizations.weight.original0", "parametrizations.weight.original1"], "weight"),
            (&["fc.parametrizations.weight.original", "fc.weight_mask"], "fc.weight"),
            (&["fc.parametrizations.weight_orig.original", "fc.weight_mask"], "fc.weight"),
            (
                &[
                    "l.parametrizations.w.parametrizations.original0.original",
                    "l.parametrizations.w.original1",
                ],
                "l.w",
            ),
            (
                &["l.parametrizations.w.original0_orig", "l.parametrizations.w.original0_mask"],
                "l.w",
            ),
            (&["q.base_layer.weight", "q.lora_A.default.weight", "q.lora_B.weight"], "q.weight"),
            (&["e.weight", "e.lora_embedding_A.default", "e.lora_magnitude_vector"], "e.weight"),
            (&["q.base_layer.bias", "q.lora_B.default.bias"], "q.bias"),
            (&["h.original_module.weight", "h.modules_to_save.default.weight"], "h.weight"),
            (&["q.base_layer.parametrizations.weight.original0"], "q.weight"),
        ];
        for (names, expected) in cases {
            let found = whole(names);
            assert!(found.iter().all(|name| name == expected), "{names:?}: {found:?}");
        }
    }

    #[test]
    fn names_that_only_look_like_parts_stay() {
        let names = [
            "a_mask",
            "b_orig",
            "c_g",
            "d_v",
            "e_u",
            "e_v",
            "x._mask",
            "y.parametrizations.z",
            "p.lora_Ax",
        ];
        assert_eq!(whole(&names), names);
    }

    #[test]
    fn parts_of_adapters() {
        let part = |name| {
            Part::of(name).map(|(module, part)| (module, part.kind, part.adapter, part.is_bias))
        };
        let default = Some("default".to_owned());
        assert_eq!(part("m.q.lora_A.weight"), Some(("m.q", "lora_A", None, false)));
        assert_eq!(part("q.lora_B.default.bias"), Some(("q", "lora_B", default.clone(), true)));
        assert_eq!(
            part("e.lora_embedding_B.default"),
            Some(("e", "lora_embedding_B", default, false))
        );
        assert_eq!(
            part("q.lora_magnitude_vector"),
            Some(("q", "lora_magnitude_vector", None, false))
        );
        assert_eq!(part("q.lora_A.default.bias"), None);
        assert_eq!(part("q.weight"), None);
    }
}

//! What a file of the library says of its frames: rules with their options, by path.

use std::collections::BTreeMap;

use espalier_checkpoint::{Checkpoint, Format};
use serde_json::Value;

use super::error::FoldError;

/// The metadata key of a description, before the path of the wrapper if it is nested.
const EXTRA: &str = "espalier.extra_state";

/// The name of the tensor that holds a description in a record of Burn's.
const RECORD: &str = "_extra_state";

/// The version of descriptions that is read here.
const VERSION: u64 = 1;

/// The rules of one path.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Frame {
    /// Names and options, in the order in which they apply.
    pub(super) links: Vec<(String, Value)>,
}

/// The frames of a file.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: BTreeMap<String, Frame>,
    ties: BTreeMap<String, String>,
}

impl Frames {
    pub(super) fn of(checkpoint: &Checkpoint) -> Result<Self, FoldError> {
        let is_record =
            checkpoint.origin.as_ref().is_some_and(|origin| origin.format == Format::Burnpack);
        let described = checkpoint.names().find(|name| name.rsplit('.').next() == Some(RECORD));
        if let Some(name) = described.filter(|_| is_record) {
            return Err(FoldError::Record { name: name.to_owned() });
        }
        let mut frames = Self::default();
        for (key, text) in &checkpoint.metadata {
            if let Some(wrapper) = wrapper_of(key) {
                frames.read(key, wrapper, text)?;
            }
        }
        Ok(frames)
    }

    fn read(&mut self, key: &str, wrapper: &str, text: &str) -> Result<(), FoldError> {
        let unsound =
            |cause: &str| FoldError::Description { name: key.to_owned(), cause: cause.to_owned() };
        let description: Value =
            serde_json::from_str(text).map_err(|error| unsound(&error.to_string()))?;
        match description["version"].as_u64() {
            Some(version) if version <= VERSION => {}
            Some(version) => {
                return Err(unsound(&format!("version {version} is newer than {VERSION}")));
            }
            None => return Err(unsound("it has no version")),
        }
        let slots = description["slots"].as_array().ok_or_else(|| unsound("it has no slots"))?;
        for slot in slots {
            let path = slot["path"].as_str().ok_or_else(|| unsound("a slot has no path"))?;
            if let Some(to) = slot["tie"]["to"].as_str() {
                for (path, to) in
                    saved_paths(wrapper, path).into_iter().zip(saved_paths(wrapper, to))
                {
                    self.ties.insert(path, to);
                }
                continue;
            }
            let mut frame = Frame::default();
            for link in slot["links"].as_array().into_iter().flatten() {
                let rule = link["rule"].as_str().ok_or_else(|| unsound("a link has no rule"))?;
                frame.links.push((rule.to_owned(), link["options"].clone()));
            }
            for path in saved_paths(wrapper, path) {
                self.frames.insert(path, frame.clone());
            }
        }
        Ok(())
    }

    /// What is said of a path, or of what it is tied to.
    pub(super) fn get(&self, path: &str) -> Option<&Frame> {
        let mut path = path;
        // As many steps as ties at most: a file may tie in a ring.
        for _ in 0..=self.ties.len() {
            match self.ties.get(path) {
                Some(to) => path = to,
                None => break,
            }
        }
        self.frames.get(path)
    }
}

/// The path of the wrapper that a metadata key describes.
fn wrapper_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix(EXTRA)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('.') }
}

/// A path in the names that files may have: that of Burn, and that of PyTorch, which differ for norms.
fn saved_paths(wrapper: &str, path: &str) -> [String; 2] {
    let torch = path.split('.').map(|name| match name {
        "gamma" => "weight",
        "beta" => "bias",
        name => name,
    });
    let torch: Vec<&str> = torch.collect();
    let below = |path: &str| match wrapper {
        "" => path.to_owned(),
        wrapper => format!("{wrapper}.{path}"),
    };
    [below(path), below(&torch.join("."))]
}

/// Takes what was folded out of the descriptions in the metadata; a description of nothing goes.
pub(super) fn forget(metadata: &mut BTreeMap<String, String>, folded: impl Fn(&str) -> bool) {
    metadata.retain(|key, text| {
        let Some(wrapper) = wrapper_of(key) else { return true };
        let Ok(mut description) = serde_json::from_str::<Value>(text) else { return true };
        let Some(slots) = description["slots"].as_array_mut() else { return true };
        slots.retain(|slot| {
            let is_tie = slot.get("tie").is_some_and(|tie| !tie.is_null());
            let paths = slot["path"].as_str().map(|path| saved_paths(wrapper, path));
            is_tie || !paths.is_some_and(|paths| paths.iter().any(|path| folded(path)))
        });
        let is_left = !slots.is_empty();
        *text = description.to_string();
        is_left
    });
}

#[cfg(test)]
mod tests {
    use espalier_checkpoint::{NamedTensor, write_burnpack};
    use serde_json::json;

    use super::*;

    fn described(key: &str, description: &Value) -> Checkpoint {
        let mut checkpoint = Checkpoint::new();
        checkpoint.metadata.insert(key.to_owned(), description.to_string());
        checkpoint
    }

    #[test]
    fn frames_are_found_by_the_names_in_the_file() {
        let description = json!({ "version": 1, "slots": [
            { "path": "fc.weight", "links": [{ "rule": "skew", "version": 1, "options": {} }] },
            { "path": "norm.gamma", "mask": true },
            { "path": "out.weight", "tie": { "to": "fc.weight", "transposed": false } },
        ]});
        let checkpoint = described("espalier.extra_state.net", &description);
        let frames = Frames::of(&checkpoint).unwrap();
        let skew = vec![("skew".to_owned(), json!({}))];
        assert_eq!(frames.get("net.fc.weight").unwrap().links, skew);
        assert_eq!(frames.get("net.out.weight").unwrap().links, skew);
        assert!(frames.get("net.norm.weight").unwrap().links.is_empty());
        assert!(frames.get("fc.weight").is_none());

        let mut metadata = checkpoint.metadata.clone();
        forget(&mut metadata, |path| path == "net.fc.weight");
        let left: Value = serde_json::from_str(&metadata["espalier.extra_state.net"]).unwrap();
        assert_eq!(left["slots"].as_array().unwrap().len(), 2);
        let mut metadata =
            described(EXTRA, &json!({ "version": 1, "slots": [{ "path": "a" }] })).metadata;
        metadata.insert("format".to_owned(), "pt".to_owned());
        forget(&mut metadata, |_| true);
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["format"]);
    }

    #[test]
    fn what_is_no_description_is_an_error() {
        for text in ["{", "{}", r#"{"version":1}"#, r#"{"version":9,"slots":[]}"#] {
            let mut checkpoint = Checkpoint::new();
            checkpoint.metadata.insert(EXTRA.to_owned(), text.to_owned());
            assert!(
                matches!(Frames::of(&checkpoint), Err(FoldError::Description { .. })),
                "{text}"
            );
        }
        let mut record = Checkpoint::new();
        record.push(NamedTensor::f32("net._extra_state", vec![1], &[0.0]).unwrap()).unwrap();
        assert!(Frames::of(&record).is_ok());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("net.bpk");
        write_burnpack(&path, &record).unwrap();
        let opened = Checkpoint::open(&path).unwrap();
        assert!(matches!(Frames::of(&opened), Err(FoldError::Record { .. })));
    }

    #[test]
    fn a_ring_of_ties_ends() {
        let tie = |path: &str, to: &str| json!({ "path": path, "tie": { "to": to, "transposed": false } });
        let description = json!({ "version": 1, "slots": [tie("a", "b"), tie("b", "a")] });
        assert!(Frames::of(&described(EXTRA, &description)).unwrap().get("a").is_none());
    }
}

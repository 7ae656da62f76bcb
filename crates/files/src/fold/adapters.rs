//! Adapters in files of their own, merged into what they adapt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use espalier_checkpoint::{Checkpoint, NamedTensor};

use super::config::{Config, adapter_file};
use super::error::FoldError;
use super::keys::Part;
use super::node::Node;
use super::plan::{self, Story};
use super::rules::Place;
use super::{Entry, FoldOptions, plain};
use crate::error::FilesError;
use crate::nearest::nearest;
use crate::open::open;
use crate::select::Selection;

/// The other names that adapters of PEFT have, by which they are known.
const OTHERS: [&str; 7] = ["hada_", "lokr_", "ia3_", "oft_", "boft_", "vera_", "prompt_embeddings"];

/// Merges every adapter of the options, in order.
pub(super) fn merge(
    options: &FoldOptions,
    entries: &mut [Entry],
    notes: &mut Vec<String>,
) -> Result<(), FilesError> {
    if options.adapters.is_empty() {
        return Ok(());
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        places.insert(entry.name.clone(), place);
    }
    let meant = meant(&options.selection, entries)?;
    for path in &options.adapters {
        let file = adapter_file(path)?;
        let adapter = open(&file, None)?;
        let config = Config::beside(Some(&file), options.alpha)?;
        One { path, adapter: &adapter, config, places: &places, meant: &meant }
            .merge(entries, notes)?;
    }
    Ok(())
}

fn meant(selection: &Selection, entries: &[Entry]) -> Result<BTreeSet<String>, FilesError> {
    let mut names = Checkpoint::new();
    for entry in entries {
        let free = Some(plain(&entry.name)).filter(|plain| names.get(plain).is_none());
        names.push(NamedTensor::f32(free.unwrap_or(&entry.name), vec![0], &[])?)?;
    }
    let meant = selection.of(&names)?;
    let named = entries.iter().zip(meant).filter(|(_, meant)| *meant);
    Ok(named.map(|(entry, _)| entry.name.clone()).collect())
}

/// One adapter on its way into the tensors.
struct One<'a> {
    path: &'a Path,
    adapter: &'a Checkpoint,
    config: Config,
    places: &'a BTreeMap<String, usize>,
    meant: &'a BTreeSet<String>,
}

impl One<'_> {
    fn unsound(&self, cause: String) -> FilesError {
        FoldError::Adapter { path: self.path.to_owned(), cause }.into()
    }

    fn merge(&self, entries: &mut [Entry], notes: &mut Vec<String>) -> Result<(), FilesError> {
        let mut modules: Vec<(&str, Vec<(Part, &NamedTensor)>)> = Vec::new();
        let mut others = Vec::new();
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for tensor in self.adapter {
            match Part::of(tensor.name()) {
                Some((module, part)) => {
                    let module = plain(module);
                    let place = *known.entry(module).or_insert_with(|| {
                        modules.push((module, Vec::new()));
                        modules.len() - 1
                    });
                    modules[place].1.push((part, tensor));
                }
                None if OTHERS.iter().any(|other| tensor.name().contains(other)) => {
                    let cause = format!(
                        "expected LoRA or DoRA, found `{}`, a part of an adapter that is not folded here",
                        tensor.name()
                    );
                    return Err(self.unsound(cause));
                }
                None => others.push(tensor),
            }
        }
        if modules.is_empty() {
            let cause = "expected the lora_A and lora_B of an adapter, found none".to_owned();
            return Err(self.unsound(cause));
        }
        let mut cut = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for (module, parts) in &modules {
            let adapters: BTreeSet<&str> =
                parts.iter().filter_map(|(part, _)| part.adapter.as_deref()).collect();
            if adapters.len() > 1 {
                let adapters = adapters.into_iter().map(str::to_owned).collect();
                return Err(FoldError::Adapters { name: (*module).to_owned(), adapters }.into());
            }
            let mut leaves = vec!["weight"];
            if parts.iter().any(|(part, _)| part.is_bias) {
                leaves.push("bias");
            }
            for leaf in leaves {
                let (name, place) = self.place(&format!("{module}.{leaf}"), &mut cut)?;
                if !seen.insert(place) {
                    return Err(self.unsound(format!("several of its modules adapt `{name}`")));
                }
                if !self.meant.contains(&name) {
                    continue;
                }
                let entry = &mut entries[place];
                let mut story = entry.story.take().unwrap_or_default();
                let node = entry.node.clone();
                let node =
                    plan::apply(&name, (module, leaf), node, parts, &self.config, &mut story)?;
                plan::numeric(&name, &node)?;
                (entry.node, entry.story) = (node, Some(story));
            }
        }
        for tensor in others {
            self.replace(tensor, entries, &mut cut)?;
        }
        if let Some(begun) = &self.config.begun {
            notes.push(format!(
                "{}: begun by {begun}, which changes the base: the result is right for the base that was saved with \
                 it alone",
                self.path.display()
            ));
        }
        notes.extend(cut.into_iter().map(|prefix| {
            format!("{}: `{prefix}` was taken from the start of its names", self.path.display())
        }));
        Ok(())
    }

    /// The tensor that is meant: of that name, or of its end, for a model may be saved without its head.
    fn place(&self, name: &str, cut: &mut BTreeSet<String>) -> Result<(String, usize), FilesError> {
        let mut rest = name;
        loop {
            if let Some(place) = self.places.get(rest) {
                let prefix = &name[..name.len() - rest.len()];
                if !prefix.is_empty() {
                    cut.insert(prefix.to_owned());
                }
                return Ok((rest.to_owned(), *place));
            }
            // A name of a module and a leaf at least.
            match rest.split_once('.') {
                Some((_, end)) if end.contains('.') => rest = end,
                _ => break,
            }
        }
        Err(FoldError::NoTarget {
            path: self.path.to_owned(),
            name: name.to_owned(),
            nearest: nearest(name, self.places.keys().map(String::as_str)),
        }
        .into())
    }

    /// A tensor that was trained whole takes the place of the one that is there.
    fn replace(
        &self,
        tensor: &NamedTensor,
        entries: &mut [Entry],
        cut: &mut BTreeSet<String>,
    ) -> Result<(), FilesError> {
        let name = plain(tensor.name()).replace(".base_layer.", ".");
        let (name, place) = self.place(&name, cut)?;
        if !self.meant.contains(&name) {
            return Ok(());
        }
        let entry = &mut entries[place];
        if entry.node.shape != tensor.shape() {
            let place = Place { name: &name, part: tensor.name() };
            return Err(place.shape(format!("{:?}", entry.node.shape), tensor.shape()).into());
        }
        let node = Node { dtype: entry.node.dtype, ..Node::stored(tensor) };
        if node.dtype != tensor.dtype() {
            plan::castable(&name, tensor, node.dtype)?;
        }
        let story = Story::of("replaced");
        (entry.node, entry.story) = (node, Some(story));
        Ok(())
    }
}

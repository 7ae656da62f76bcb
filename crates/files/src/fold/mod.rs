//! Parametrizations, masks and adapters computed once and for all.

mod adapters;
mod config;
mod described;
mod error;
mod frames;
mod keys;
mod node;
mod plan;
mod rules;
mod spectrum;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::str::FromStr;

use espalier_checkpoint::{Checkpoint, NamedTensor};
use espalier_kernels::OrthogonalMap;
use serde::Serialize;

use self::config::Config;
pub use self::error::FoldError;
use self::frames::Frames;
use self::keys::{Keys, PEFT};
use self::node::{Node, Put};
use self::plan::{Plan, Story};
use crate::error::FilesError;
use crate::nearest::nearest;
use crate::select::{Selection, matcher};

/// The orthogonal map of tensors whose names match: `GLOB=matrix_exp`, `cayley` or `householder`.
///
/// ```
/// use espalier_files::MapOf;
/// let map: MapOf = "encoder.*=cayley".parse().map_err(|error: String| error)?;
/// assert_eq!(map.glob, "encoder.*");
/// assert!("encoder.*=exp".parse::<MapOf>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapOf {
    /// Which tensors, by their plain names.
    pub glob: String,
    /// The map.
    pub map: OrthogonalMap,
}

impl FromStr for MapOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected GLOB=matrix_exp, GLOB=cayley or GLOB=householder";
        let (glob, map) = text.rsplit_once('=').ok_or(expected)?;
        let map = match map {
            "matrix_exp" => OrthogonalMap::Exp,
            "cayley" => OrthogonalMap::Cayley,
            "householder" => OrthogonalMap::Householder,
            _ => return Err(expected.to_owned()),
        };
        if glob.is_empty() {
            return Err(expected.to_owned());
        }
        Ok(Self { glob: glob.to_owned(), map })
    }
}

/// What is folded and how.
#[derive(Debug, Clone, Default)]
pub struct FoldOptions {
    /// Which tensors, by their plain names (`fc.weight`); the parts of others stay.
    pub selection: Selection,
    /// PEFT's `lora_alpha`, in place of what a configuration says.
    pub alpha: Option<f64>,
    /// Adapters of their own, each a file or the directory that PEFT saved, merged in this order.
    pub adapters: Vec<PathBuf>,
    /// The maps of orthogonal tensors, the first that matches.
    pub maps: Vec<MapOf>,
}

/// A checkpoint without parts, and what came of them.
#[derive(Debug)]
pub struct Folded {
    /// The tensors, each computed when it is read.
    pub checkpoint: Checkpoint,
    /// What was done.
    pub summary: FoldSummary,
}

/// What was folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FoldSummary {
    /// The tensors that are computed, in order.
    pub folded: Vec<FoldedTensor>,
    /// How many are as they were, but perhaps for PEFT's prefix.
    pub copied: usize,
    /// What holds for all.
    pub notes: Vec<String>,
}

/// A tensor that is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoldedTensor {
    /// The name.
    pub name: String,
    /// The rules in the order in which they apply, joined by `+`: `weight_norm`, `spectral_norm`, `orthogonal`, `mask`,
    /// `lora`, `dora`, `saved_module` and `replaced` (by an adapter's own), `base_layer` (which only had another
    /// name), and the library's other rules by their names.
    pub kind: String,
    /// The stored tensors that it is computed from.
    pub parts: Vec<String>,
    /// What was assumed.
    pub note: Option<String>,
}

impl FoldSummary {
    /// How many tensors of each kind there are.
    ///
    /// ```
    /// assert!(espalier_files::FoldSummary::default().kinds().is_empty());
    /// ```
    pub fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for tensor in &self.folded {
            *kinds.entry(tensor.kind.as_str()).or_default() += 1;
        }
        kinds
    }
}

/// A tensor of the result.
#[derive(Debug)]
struct Entry {
    name: String,
    node: Node,
    /// None for one that is as it was.
    story: Option<Story>,
}

/// The plain tensors of a checkpoint whose tensors are parametrized, pruned or adapted.
///
/// Each stands where the first of its parts stood; all others are as they were. What is computed is computed when it
/// is read, in double precision if a part has it and in single precision otherwise, and rounded once to the type of
/// its original. Tensors that are computed from tied parts are tied.
///
/// The names tell the rule: PyTorch's weight norm and spectral norm in both schemes (the latter with the stored
/// vectors, as in `eval`), orthogonal weights, pruned ones, LoRA and DoRA by PEFT's names. Files of this library also
/// describe their rules, and that is believed. Nothing tells the map of an orthogonal weight in PyTorch's files: without
/// a base and with a diagonal of 1 and -1 it is Householder's, square with a base it is taken for the exponential; of
/// any other [`FoldOptions::maps`] must say it.
///
/// A checkpoint without parts comes back as it is.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{FoldOptions, fold};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc.weight_g", vec![1, 1], &[10.0])?)?;
/// checkpoint.push(NamedTensor::f32("fc.weight_v", vec![1, 2], &[3.0, 4.0])?)?;
/// let folded = fold(&checkpoint, &FoldOptions::default())?;
/// assert_eq!(folded.summary.folded[0].kind, "weight_norm");
/// let weight = folded.checkpoint.get("fc.weight").ok_or("it is there")?;
/// assert_eq!(weight.to_f32_vec()?, [6.0, 8.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`FoldError`] within [`FilesError::Fold`] for what cannot be folded, which names the tensors;
/// [`FilesError::NoMatch`] and [`FilesError::Glob`] for globs, and what keeps a file from being read.
pub fn fold(checkpoint: &Checkpoint, options: &FoldOptions) -> Result<Folded, FilesError> {
    let keys = Keys::of(checkpoint);
    let origin = checkpoint.origin.as_ref().map(|origin| origin.path.as_path());
    let has_parts = checkpoint.names().any(|name| keys.whole(name) != name);
    let plan = Plan {
        checkpoint,
        frames: if has_parts { Frames::of(checkpoint)? } else { Frames::default() },
        config: Config::beside(origin, options.alpha)?,
        maps: maps(options, checkpoint, &keys)?,
        adapters: Plan::adapters_of(checkpoint, &keys),
        keys,
    };
    let chosen = chosen(&plan, &options.selection)?;
    let mut entries = entries(&plan, &chosen)?;
    let notes = plainly_named(&plan, &mut entries);
    let mut notes: Vec<String> = notes.into_iter().collect();
    adapters::merge(options, &mut entries, &mut notes)?;
    put(checkpoint, entries, notes)
}

/// The maps that were asked for. A glob that matches nothing to fold is an error.
fn maps(
    options: &FoldOptions,
    checkpoint: &Checkpoint,
    keys: &Keys,
) -> Result<Vec<(globset::GlobMatcher, OrthogonalMap)>, FilesError> {
    let wholes = || checkpoint.names().map(|name| (name, keys.whole(name)));
    let targets: Vec<&str> =
        wholes().filter(|(name, whole)| name != whole).map(|(_, whole)| whole).collect();
    let mut maps = Vec::new();
    for MapOf { glob, map } in &options.maps {
        let matcher = matcher(glob)?;
        if !targets.iter().any(|name| matcher.is_match(name) || matcher.is_match(plain(name))) {
            let nearest = nearest(glob, targets.iter().copied());
            return Err(FoldError::NoMap { glob: glob.clone(), nearest }.into());
        }
        maps.push((matcher, *map));
    }
    Ok(maps)
}

/// A name without what PEFT puts before it.
fn plain(name: &str) -> &str {
    name.strip_prefix(PEFT).unwrap_or(name)
}

/// The tensors that are meant, by their whole names.
fn chosen<'a>(plan: &'a Plan<'_>, selection: &Selection) -> Result<HashSet<&'a str>, FilesError> {
    let mut names = Checkpoint::new();
    let mut wholes = Vec::new();
    let mut seen = HashSet::new();
    for name in plan.checkpoint.names() {
        let whole = plan.keys.whole(name);
        if seen.insert(whole) {
            let free = Some(plain(whole)).filter(|plain| names.get(plain).is_none());
            names.push(NamedTensor::f32(free.unwrap_or(whole), vec![0], &[])?)?;
            wholes.push(whole);
        }
    }
    let meant = selection.of(&names)?;
    Ok(wholes.into_iter().zip(meant).filter(|(_, meant)| *meant).map(|(whole, _)| whole).collect())
}

/// The tensors of the result, in order. Whatever the file does not tell of any is told at once.
fn entries(plan: &Plan<'_>, chosen: &HashSet<&str>) -> Result<Vec<Entry>, FilesError> {
    let mut parts: HashMap<&str, Vec<&str>> = HashMap::new();
    for name in plan.checkpoint.names() {
        parts.entry(plan.keys.whole(name)).or_default().push(name);
    }
    let mut entries = Vec::new();
    let mut untold = Vec::new();
    let mut done = HashSet::new();
    for tensor in plan.checkpoint {
        let whole = plan.keys.whole(tensor.name());
        let all = parts.get(whole).map_or(&[][..], Vec::as_slice);
        if !chosen.contains(whole) || matches!(all, [only] if *only == whole) {
            let name = tensor.name().to_owned();
            entries.push(Entry { name, node: Node::stored(tensor), story: None });
            continue;
        }
        if !done.insert(whole) {
            continue;
        }
        match plan.tensor(whole, all) {
            Ok((node, mut story)) => {
                if story.kinds.is_empty() {
                    story.kinds.push("base_layer".to_owned());
                }
                entries.push(Entry { name: whole.to_owned(), node, story: Some(story) });
            }
            Err(FilesError::Fold(FoldError::Untold { tensors })) => untold.extend(tensors),
            Err(error) => return Err(error),
        }
    }
    if !untold.is_empty() {
        return Err(FoldError::Untold { tensors: untold }.into());
    }
    Ok(entries)
}

/// Takes PEFT's prefix from every name, if no adapter is left that needs it.
fn plainly_named(plan: &Plan<'_>, entries: &mut [Entry]) -> Option<String> {
    let is_adapted = plan.checkpoint.names().any(|name| {
        name.starts_with(PEFT) && plan.keys.whole(name) != name && !plan.keys.is_in_chain(name)
    });
    let is_left = entries
        .iter()
        .any(|entry| entry.story.is_none() && plan.keys.whole(&entry.name) != entry.name);
    if !is_adapted || is_left {
        return None;
    }
    let mut count = 0;
    for entry in entries {
        if let Some(name) = entry.name.strip_prefix(PEFT) {
            entry.name = name.to_owned();
            count += 1;
        }
    }
    Some(format!("`{PEFT}` was taken from the start of {count} names"))
}

/// The result of entries.
fn put(
    checkpoint: &Checkpoint,
    entries: Vec<Entry>,
    notes: Vec<String>,
) -> Result<Folded, FilesError> {
    let mut put = Put::default();
    let mut summary = FoldSummary { notes, ..FoldSummary::default() };
    let mut names = HashSet::new();
    for Entry { name, node, story } in entries {
        match story {
            None => {
                summary.copied += 1;
                put.copy(&name, node)?;
            }
            Some(story) => {
                let note = (!story.notes.is_empty()).then(|| story.notes.join("; "));
                let parts = node.tensors().iter().map(|part| part.name().to_owned()).collect();
                let kind = story.kinds.join("+");
                summary.folded.push(FoldedTensor { name: name.clone(), kind, parts, note });
                put.push(&name, node)?;
                names.insert(name);
            }
        }
    }
    let mut out = put.out;
    out.metadata.clone_from(&checkpoint.metadata);
    frames::forget(&mut out.metadata, |path| {
        names.iter().any(|name| path == name || path.starts_with(&keys::list_path(name)))
    });
    Ok(Folded { checkpoint: out, summary })
}

//! From a path to how its value is computed, by what the file holds for it.

use std::collections::{BTreeMap, BTreeSet};

use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor};
use espalier_kernels::OrthogonalMap;
use globset::GlobMatcher;

use super::config::Config;
use super::described;
use super::error::FoldError;
use super::frames::Frames;
use super::keys::{Keys, PEFT, Part, list_path};
use super::node::{Node, Op, diagonals};
use super::rules::{self, Adapter, Place};
use crate::error::FilesError;

/// All that is known of a file while it is folded.
pub(super) struct Plan<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) keys: Keys,
    pub(super) frames: Frames,
    pub(super) config: Config,
    pub(super) maps: Vec<(GlobMatcher, OrthogonalMap)>,
    /// The parts of adapters in it by the module that they adapt.
    pub(super) adapters: BTreeMap<String, Vec<(Part, &'a NamedTensor)>>,
}

/// What came of one tensor.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// The rules, in the order in which they apply.
    pub(super) kinds: Vec<String>,
    pub(super) notes: Vec<String>,
    /// The names of stored tensors that were used.
    used: BTreeSet<String>,
}

impl<'a> Plan<'a> {
    pub(super) fn adapters_of(
        checkpoint: &'a Checkpoint,
        keys: &Keys,
    ) -> BTreeMap<String, Vec<(Part, &'a NamedTensor)>> {
        let mut adapters: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for tensor in checkpoint {
            if let Some((module, part)) = Part::of(tensor.name())
                && !keys.is_in_chain(tensor.name())
            {
                adapters.entry(module.to_owned()).or_default().push((part, tensor));
            }
        }
        adapters
    }

    /// How `name` is computed from `parts`, the tensors that belong to it.
    pub(super) fn tensor(&self, name: &str, parts: &[&str]) -> Result<(Node, Story), FilesError> {
        let mut story = Story::default();
        let node = self.value(name, name, &mut story)?;
        let left: Vec<String> = parts
            .iter()
            .filter(|part| !story.used.contains(**part))
            .map(|part| (*part).to_owned())
            .collect();
        match left.first() {
            Some(part) if self.checkpoint.get(name).is_some() => {
                return Err(FoldError::Both { name: name.to_owned(), part: part.clone() }.into());
            }
            Some(_) => return Err(FoldError::Parts { name: name.to_owned(), parts: left }.into()),
            None => {}
        }
        numeric(name, &node)?;
        Ok((node, story))
    }

    /// The stored tensor of that name, which is used.
    pub(super) fn take(
        &self,
        target: &str,
        name: &str,
        story: &mut Story,
    ) -> Result<&'a NamedTensor, FoldError> {
        let tensor = self.checkpoint.get(name).ok_or_else(|| missing(target, name))?;
        story.used.insert(name.to_owned());
        Ok(tensor)
    }

    fn exists(&self, path: &str) -> bool {
        let has = |suffix: &str| self.keys.has(&format!("{path}{suffix}"));
        self.keys.has(path)
            || (has("_orig") && (has("_mask") || has("_u")))
            || (has("_g") && has("_v"))
    }

    /// The value of `path`, a part of `target` or itself.
    pub(super) fn value(
        &self,
        target: &str,
        path: &str,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let has = |suffix: &str| self.keys.has(&format!("{path}{suffix}"));
        let part = |suffix: &str| format!("{path}{suffix}");
        let node = if let Some(kept) = self.saved_module(target, path)? {
            story.kinds.push("saved_module".to_owned());
            if let Some((module, leaf)) = path.rsplit_once('.') {
                story.used.insert(format!("{module}.original_module.{leaf}"));
            }
            return self.value(target, &kept, story);
        } else if let Some(base) = self.base_layer(path) {
            self.value(target, &base, story)?
        } else if let Some(tensor) = self.checkpoint.get(path) {
            story.used.insert(path.to_owned());
            Node::stored(tensor)
        } else if self.keys.is_chained(path) {
            let node = self.chain(target, path, story)?;
            match self.checkpoint.get(&part("_mask")) {
                Some(_) => self.masked(target, &part("_mask"), node, story)?,
                None => node,
            }
        } else if has("_g") && has("_v") && !has("_orig") {
            let g = self.value(target, &part("_g"), story)?;
            let v = self.value(target, &part("_v"), story)?;
            story.kinds.push("weight_norm".to_owned());
            rules::weight_norm(Place { name: target, part: &part("_g") }, g, v)?
        } else if has("_orig") && has("_u") {
            let of = self.value(target, &part("_orig"), story)?;
            self.spectral(target, of, [&part("_u"), &part("_v")], None, story)?
        } else if has("_orig") && has("_mask") {
            let of = self.value(target, &part("_orig"), story)?;
            self.masked(target, &part("_mask"), of, story)?
        } else if self.adapters.contains_key(path.rsplit_once('.').map_or("", |(owner, _)| owner)) {
            let name = path.strip_prefix(PEFT).unwrap_or(path).to_owned();
            return Err(FoldError::NoBase { name }.into());
        } else {
            return Err(missing(target, path).into());
        };
        self.adapted(target, path, node, story)
    }

    fn masked(
        &self,
        target: &str,
        name: &str,
        of: Node,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let mask = self.take(target, name, story)?;
        story.kinds.push("mask".to_owned());
        Ok(rules::mask(Place { name: target, part: name }, of, mask)?)
    }

    pub(super) fn spectral(
        &self,
        target: &str,
        of: Node,
        [u, v]: [&str; 2],
        dim: Option<usize>,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let vectors = (self.take(target, u, story)?, self.take(target, v, story)?);
        let place = Place { name: target, part: u };
        let (node, is_open) = rules::spectral_norm(place, of, vectors.0, vectors.1, dim)?;
        story.kinds.push("spectral_norm".to_owned());
        if is_open {
            let note = "taken over dimension 0: the vectors fit another one as well, which is right for a \
                        transposed convolution";
            story.notes.push(note.to_owned());
        }
        Ok(node)
    }

    /// `fc.base_layer.weight` for `fc.weight`, if that is there.
    fn base_layer(&self, path: &str) -> Option<String> {
        let (module, leaf) = path.rsplit_once('.')?;
        let base = format!("{module}.base_layer.{leaf}");
        self.exists(&base).then_some(base)
    }

    /// The trained copy of what PEFT was told to save whole.
    fn saved_module(&self, target: &str, path: &str) -> Result<Option<String>, FoldError> {
        let Some((module, leaf)) = path.rsplit_once('.') else { return Ok(None) };
        if !self.keys.has(&format!("{module}.original_module.{leaf}")) {
            return Ok(None);
        }
        let (before, after) = (format!("{module}.modules_to_save."), format!(".{leaf}"));
        let adapters: Vec<&str> = self
            .checkpoint
            .names()
            .filter_map(|name| name.strip_prefix(&before)?.strip_suffix(&after))
            .collect();
        match adapters[..] {
            [] => Ok(None),
            [only] => Ok(Some(format!("{before}{only}{after}"))),
            _ => Err(FoldError::Adapters {
                name: target.to_owned(),
                adapters: adapters.into_iter().map(str::to_owned).collect(),
            }),
        }
    }

    /// A value with the adapter that the file holds for it.
    fn adapted(
        &self,
        target: &str,
        path: &str,
        node: Node,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let Some((module, leaf @ ("weight" | "bias"))) = path.rsplit_once('.') else {
            return Ok(node);
        };
        let Some(parts) = self.adapters.get(module) else { return Ok(node) };
        let names: BTreeSet<&str> =
            parts.iter().filter_map(|(part, _)| part.adapter.as_deref()).collect();
        if names.len() > 1 {
            let adapters = names.into_iter().map(str::to_owned).collect();
            return Err(FoldError::Adapters { name: target.to_owned(), adapters }.into());
        }
        let plain = module.strip_prefix(PEFT).unwrap_or(module);
        apply(target, (plain, leaf), node, parts, &self.config, story)
    }

    fn chain(&self, target: &str, path: &str, story: &mut Story) -> Result<Node, FilesError> {
        let list = list_path(path);
        let original = format!("{list}.original");
        let names: Vec<String> = if self.exists(&original) {
            vec![original.clone()]
        } else {
            let numbered = (0..).map(|index| format!("{list}.original{index}"));
            numbered.take_while(|name| self.exists(name)).collect()
        };
        if names.is_empty() {
            return Err(missing(target, &original).into());
        }
        let mut originals = Vec::new();
        for name in &names {
            originals.push(self.value(target, name, story)?);
        }
        let links = self.links(&list);
        if let Some(frame) = self.frames.get(path).filter(|frame| !frame.links.is_empty()) {
            return described::chain(self, target, (&list, &names), originals, frame, story);
        }
        let count = links.keys().next_back().map_or(1, |last| last + 1);
        let mut originals = originals.into_iter();
        let (first, second) = (originals.next(), originals.next());
        let (mut node, start) = match (first, second, originals.next()) {
            (Some(only), None, _) => (only, 0),
            (Some(g), Some(v), None) => {
                story.kinds.push("weight_norm".to_owned());
                (rules::weight_norm(Place { name: target, part: &names[0] }, g, v)?, 1)
            }
            _ => return Err(self.untold(target, "it has more than two originals")),
        };
        for index in start..count {
            let parts: Vec<&str> =
                links.get(&index).into_iter().flatten().map(String::as_str).collect();
            let at = |part: &str| format!("{list}.{index}.{part}");
            node = match parts[..] {
                ["_u", "_v"] => self.spectral(target, node, [&at("_u"), &at("_v")], None, story)?,
                ["base"] => self.turned(target, node, &at("base"), story)?,
                ["lora_A", "lora_B"] => {
                    self.linked(target, node, [&at("lora_A"), &at("lora_B")], None, story)?
                }
                [] => self.lone(target, node, (&names[0], count), story)?,
                _ => {
                    let parts = parts.into_iter().map(|part| format!("`{}`", at(part))).collect();
                    return Err(FoldError::Parts { name: target.to_owned(), parts }.into());
                }
            };
        }
        Ok(node)
    }

    /// The names of what each link of a list has, by its number.
    fn links(&self, list: &str) -> BTreeMap<usize, BTreeSet<String>> {
        let mut links: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let before = format!("{list}.");
        for name in self.checkpoint.names() {
            if let Some((index, part)) =
                name.strip_prefix(&before).and_then(|rest| rest.split_once('.'))
                && let Ok(index) = index.parse()
            {
                links.entry(index).or_default().insert(part.to_owned());
            }
        }
        links
    }

    /// An adapter that is a link of a chain. Its factor is `scale`, if that is known.
    pub(super) fn linked(
        &self,
        target: &str,
        of: Node,
        [a, b]: [&str; 2],
        scale: Option<f64>,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let place = Place { name: target, part: a };
        let (a, b) = (self.take(target, a, story)?, self.take(target, b, story)?);
        let adapter = Adapter { a, b, magnitude: None, is_embedding: false };
        let scale = scale.or_else(|| self.config.scale(target, adapter.rank()));
        let scale = scale.ok_or_else(|| FoldError::Alpha { name: target.to_owned() })?;
        story.kinds.push("lora".to_owned());
        Ok(rules::lora(place, of, &adapter, scale, false)?)
    }

    /// The map that was asked for.
    fn told(&self, target: &str) -> Option<OrthogonalMap> {
        let plain = target.strip_prefix(PEFT).unwrap_or(target);
        let told = |(glob, _): &&(GlobMatcher, _)| glob.is_match(target) || glob.is_match(plain);
        self.maps.iter().find(told).map(|(_, map)| *map)
    }

    fn untold(&self, target: &str, cause: &str) -> FilesError {
        FoldError::Untold { tensors: vec![format!("`{target}` ({cause})")] }.into()
    }

    /// An orthogonal matrix from a base.
    fn turned(
        &self,
        target: &str,
        of: Node,
        base: &str,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let place = Place { name: target, part: base };
        let base = self.take(target, base, story)?;
        let frame = rules::tall(place, &of.shape)?;
        let told = self.told(target);
        if told.is_none() && frame.rows != frame.columns {
            return Err(self.untold(target, "orthogonal, not square, with a base"));
        }
        let map = told.unwrap_or(OrthogonalMap::Exp);
        if told.is_none() {
            let note = "taken for the matrix exponential, which is PyTorch's choice for a square weight; the file \
                        does not tell: --orthogonal-map chooses another";
            story.notes.push(note.to_owned());
        }
        self.orthogonal(place, of, Some(base), map, story)
    }

    /// A rule that has left nothing in the file.
    fn lone(
        &self,
        target: &str,
        of: Node,
        (original, count): (&str, usize),
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        let place = Place { name: target, part: original };
        if let Some(map) = self.told(target) {
            return self.orthogonal(place, of, None, map, story);
        }
        let is_matrix = count == 1 && of.shape.len() > 1 && of.numel() > 0;
        if is_matrix && diagonals(&of)?.iter().all(|x| x.abs() == 1.0) {
            let note = "taken for an orthogonal weight by Householder's reflections, for its diagonal is 1 and -1";
            story.notes.push(note.to_owned());
            return self.orthogonal(place, of, None, OrthogonalMap::Householder, story);
        }
        Err(self.untold(target, "nothing but its original is stored"))
    }

    fn orthogonal(
        &self,
        place: Place<'_>,
        of: Node,
        base: Option<&NamedTensor>,
        map: OrthogonalMap,
        story: &mut Story,
    ) -> Result<Node, FilesError> {
        if map == OrthogonalMap::Householder {
            let diagonals = diagonals(&of)?;
            let off = diagonals.iter().filter(|x| x.abs() != 1.0).count();
            if off > 0 {
                let note = format!(
                    "{off} of the {} numbers of its diagonal are not 1 or -1, so those columns are not of length \
                     one: PyTorch multiplies by the diagonal rounded towards zero",
                    diagonals.len()
                );
                story.notes.push(note);
            }
        }
        story.kinds.push("orthogonal".to_owned());
        Ok(rules::orthogonal(place, of, base, map, true)?)
    }
}

impl Story {
    pub(super) fn of(kind: &str) -> Self {
        Self { kinds: vec![kind.to_owned()], ..Self::default() }
    }
}

fn missing(target: &str, name: &str) -> FoldError {
    FoldError::Missing { name: target.to_owned(), missing: name.to_owned() }
}

/// A tensor of a module with the parts of one adapter: the weight, or the bias.
pub(super) fn apply(
    target: &str,
    (module, leaf): (&str, &str),
    node: Node,
    parts: &[(Part, &NamedTensor)],
    config: &Config,
    story: &mut Story,
) -> Result<Node, FilesError> {
    let found = |kind: &str, is_bias: bool| {
        let part = parts.iter().find(|(part, _)| part.kind == kind && part.is_bias == is_bias);
        part.map(|(_, tensor)| *tensor)
    };
    let needed =
        |kind: &str| found(kind, false).ok_or_else(|| missing(target, &format!("{module}.{kind}")));
    let is_embedding = parts.iter().any(|(part, _)| part.kind.starts_with("lora_embedding"));
    let [a, b] =
        if is_embedding { ["lora_embedding_A", "lora_embedding_B"] } else { ["lora_A", "lora_B"] };
    let magnitude = found("lora_magnitude_vector", false);
    let adapter = Adapter { a: needed(a)?, b: needed(b)?, magnitude, is_embedding };
    let bias = found("lora_B", true);
    if leaf == "bias" && bias.is_none() {
        return Ok(node);
    }
    let scale = config.scale(module, adapter.rank());
    let scale = scale.ok_or_else(|| FoldError::Alpha { name: target.to_owned() })?;
    let node = match bias.filter(|_| leaf == "bias") {
        Some(bias) => {
            if bias.shape() != node.shape {
                let place = Place { name: target, part: bias.name() };
                return Err(place.shape(format!("{:?}", node.shape), bias.shape()).into());
            }
            story.used.insert(bias.name().to_owned());
            node.then(|of| Op::Bias { of, bias: bias.clone(), scale })
        }
        None => {
            let place = Place { name: target, part: adapter.a.name() };
            let tensors = [Some(adapter.a), Some(adapter.b), magnitude];
            story.used.extend(tensors.into_iter().flatten().map(|tensor| tensor.name().to_owned()));
            rules::lora(place, node, &adapter, scale, config.turned)?
        }
    };
    story.kinds.push(if magnitude.is_some() { "dora" } else { "lora" }.to_owned());
    Ok(node)
}

const FLOATS: [Dtype; 4] = [Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64];

fn type_fault(name: &str, tensor: &NamedTensor) -> FoldError {
    let (name, part) = (name.to_owned(), tensor.name().to_owned());
    FoldError::Type { name, part, found: tensor.dtype() }
}

/// That a computed value is made of numbers that are computed with.
pub(super) fn numeric(name: &str, node: &Node) -> Result<(), FoldError> {
    if matches!(node.op, Op::Stored(_)) {
        return Ok(());
    }
    const COUNTS: [Dtype; 5] = [Dtype::Bool, Dtype::U8, Dtype::I8, Dtype::I32, Dtype::I64];
    let tensors = node.tensors();
    let is_float = |tensor: &NamedTensor| FLOATS.contains(&tensor.dtype());
    // A mask may be of truth values, or count.
    let first = tensors.first().filter(|tensor| !is_float(tensor));
    let other = tensors.iter().find(|t| !is_float(t) && !COUNTS.contains(&t.dtype()));
    first.or(other).map_or(Ok(()), |tensor| Err(type_fault(name, tensor)))
}

/// That a tensor can be rounded to another type.
pub(super) fn castable(name: &str, tensor: &NamedTensor, to: Dtype) -> Result<(), FoldError> {
    let is_castable = FLOATS.contains(&tensor.dtype()) && FLOATS.contains(&to);
    if is_castable { Ok(()) } else { Err(type_fault(name, tensor)) }
}

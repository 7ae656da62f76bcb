//! From values within one another to a list of named tensors.

use super::TorchFile;
use super::fault::TorchFault;
use super::storage::Tensors;
use super::value::{Graph, Id, Node, Object};
use crate::checkpoint::Checkpoint;
use crate::error::Error;

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 64;

/// What a tensor takes beside its name and shape, roughly.
const TENSOR: u64 = 512;

/// The attribute of a dictionary in which the writer keeps the checkpoint's texts.
pub(super) const METADATA: &str = "metadata";

/// Follows values from one on and takes down what they hold.
pub(super) struct Walk<'a> {
    file: &'a TorchFile,
    graph: &'a Graph,
    tensors: Tensors<'a>,
    pub(super) out: Checkpoint,
    path: String,
    spent: u64,
    limit: u64,
    /// Values that were searched, and hold no tensor.
    barren: Vec<bool>,
}

/// The parts of a module, if a value is one.
pub(super) struct Module {
    parameters: Option<Id>,
    buffers: Option<Id>,
    modules: Option<Id>,
    /// The names of buffers that are not saved.
    passing: Option<Id>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a TorchFile) -> Self {
        let graph = &file.graph;
        let tensors = Tensors::new(graph, &file.records, file.big_endian, file.length);
        let (spent, limit) = file.graph.spent;
        let (out, path) = (Checkpoint::new(), String::new());
        Self { file, graph, tensors, out, path, spent, limit, barren: Vec::new() }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Error> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.limit {
            return Err(self.file.fault(TorchFault::TooLarge { limit: self.limit }));
        }
        Ok(())
    }

    /// Takes down a value under the names so far.
    pub(super) fn follow(&mut self, id: Id, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(self.file.fault(TorchFault::TooDeep { limit: MAX_DEPTH }));
        }
        self.spend(8)?;
        let graph = self.graph;
        match graph.node(id) {
            Node::Tensor(place) => self.tensor(*place),
            Node::Dict(dict) => self.entries(&dict.entries, depth),
            Node::List(items) | Node::Tuple(items) => self.items(id, items, depth),
            Node::Object(object) => match module(graph, object) {
                Some(parts) => self.module(&parts, depth),
                None => {
                    self.entries(&object.entries, depth)?;
                    object.items.iter().enumerate().try_for_each(|(index, item)| {
                        self.named(&index.to_string(), |walk| walk.follow(*item, depth + 1))
                    })
                }
            },
            _ => self.scalar(id),
        }
    }

    /// With a name added to the path.
    fn named(
        &mut self,
        name: &str,
        take: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let length = self.path.len();
        // Within a path, every name takes at least itself and a dot.
        self.spend((length + name.len()) as u64 / 8)?;
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let taken = take(self);
        self.path.truncate(length);
        taken
    }

    fn entries(&mut self, entries: &[(Id, Id)], depth: usize) -> Result<(), Error> {
        for (key, value) in entries {
            let number;
            let name = match self.graph.node(*key) {
                Node::Text(_) => self.graph.text(*key).unwrap_or_default(),
                Node::Int(value) => {
                    number = value.to_string();
                    &number
                }
                _ if !self.holds_tensor(*value) => continue,
                _ => {
                    let within = self.path.clone();
                    return Err(self.file.fault(TorchFault::Key { within }));
                }
            };
            self.named(name, |walk| walk.follow(*value, depth + 1))?;
        }
        Ok(())
    }

    /// Whether a tensor is among a value and what it holds. Nothing is searched twice, since the first that is
    /// found is the last.
    fn holds_tensor(&mut self, id: Id) -> bool {
        self.barren.resize(self.graph.nodes.len(), false);
        let mut waiting = vec![id];
        while let Some(id) = waiting.pop() {
            match self.barren.get_mut(id as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.graph.node(id) {
                Node::Tensor(_) => return true,
                Node::List(items) | Node::Tuple(items) => waiting.extend(items),
                Node::Dict(dict) => waiting.extend(dict.entries.iter().map(|(_, value)| *value)),
                Node::Object(object) => {
                    waiting.extend(object.items.iter().chain(&object.state));
                    waiting.extend(object.entries.iter().map(|(_, value)| *value));
                }
                _ => {}
            }
        }
        false
    }

    fn items(&mut self, id: Id, items: &[Id], depth: usize) -> Result<(), Error> {
        // A list of numbers or texts is one text.
        if items.iter().all(|item| is_scalar(self.graph, *item)) {
            return self.scalar(id);
        }
        items.iter().enumerate().try_for_each(|(index, item)| {
            self.named(&index.to_string(), |walk| walk.follow(*item, depth + 1))
        })
    }

    /// A module: its parameters, the buffers that are saved, then the modules in it, as a state dict has them.
    fn module(&mut self, parts: &Module, depth: usize) -> Result<(), Error> {
        let graph = self.graph;
        let entries = |id: Option<Id>| {
            let dict = id.and_then(|id| graph.dict(id));
            dict.map(|dict| dict.entries.as_slice()).unwrap_or_default()
        };
        let passing: &[Id] = match parts.passing.map(|id| graph.node(id)) {
            Some(Node::Set(names)) => names,
            _ => &[],
        };
        let passes = |key: &Id| {
            let name = graph.text(*key);
            passing.iter().any(|other| graph.text(*other) == name)
        };
        self.spend(8 * passing.len() as u64 * entries(parts.buffers).len() as u64)?;
        let buffers: Vec<_> =
            entries(parts.buffers).iter().copied().filter(|(key, _)| !passes(key)).collect();
        for entries in [entries(parts.parameters), &buffers] {
            let tensors = entries.iter().copied();
            let tensors: Vec<_> =
                tensors.filter(|(_, value)| !matches!(graph.node(*value), Node::None)).collect();
            self.entries(&tensors, depth)?;
        }
        let modules = entries(parts.modules).iter().copied();
        let modules: Vec<_> = modules
            .filter(|(_, value)| match graph.node(*value) {
                Node::Object(object) => module(graph, object).is_some(),
                _ => false,
            })
            .collect();
        self.entries(&modules, depth)
    }

    fn tensor(&mut self, place: u32) -> Result<(), Error> {
        let Some(of) = self.graph.tensors.get(place as usize) else { return Ok(()) };
        let rank = self.graph.ints(of.size).map_or(0, |size| size.len() as u64);
        self.spend(TENSOR + 2 * self.path.len() as u64 + 24 * rank)?;
        let name = if self.path.is_empty() { self.file.stem() } else { self.path.clone() };
        let tensor = self.tensors.make(&name, of).map_err(|cause| self.file.fault(cause))?;
        self.out.push(tensor).map_err(|error| match error {
            Error::DuplicateName { name } => self.file.fault(TorchFault::Collision { name }),
            error => error,
        })
    }

    /// Takes down a number or text, or a list of them.
    pub(super) fn scalar(&mut self, id: Id) -> Result<(), Error> {
        let mut text = String::new();
        if render(self.graph, id, &mut text, true).is_none() || self.path.is_empty() {
            return Ok(());
        }
        self.spend((self.path.len() + text.len() + 64) as u64)?;
        self.out.metadata.insert(self.path.clone(), text);
        Ok(())
    }

    /// The numbers and texts of a dictionary, and nothing within its other values.
    pub(super) fn scalars(&mut self, id: Id) -> Result<(), Error> {
        let graph = self.graph;
        for (key, value) in graph.dict(id).into_iter().flat_map(|dict| &dict.entries) {
            let Some(name) = graph.text(*key) else { continue };
            self.named(name, |walk| walk.scalar(*value))?;
        }
        Ok(())
    }

    /// The texts that the writer keeps in an attribute of the dictionary.
    pub(super) fn metadata(&mut self, id: Id) -> Result<(), Error> {
        let graph = self.graph;
        let state = graph.dict(id).and_then(|dict| dict.state);
        let texts = state.and_then(|state| graph.entry(state, METADATA));
        for (key, value) in
            texts.and_then(|texts| graph.dict(texts)).into_iter().flat_map(|d| &d.entries)
        {
            if let (Some(key), Some(value)) = (graph.text(*key), graph.text(*value)) {
                self.spend((key.len() + value.len() + 64) as u64)?;
                self.out.metadata.insert(key.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }
}

/// The parts of a module: a state with the dictionaries that every module has, or an object of TorchScript, whose
/// attributes are all there is.
pub(super) fn module(graph: &Graph, object: &Object) -> Option<Module> {
    let mut state = object.state?;
    // With slots, the state is a pair.
    if let Some([attributes, _]) = graph.tuple(state) {
        state = *attributes;
    }
    let part = |key| graph.entry(state, key).filter(|id| graph.dict(*id).is_some());
    let (parameters, buffers, modules) = (part("_parameters"), part("_buffers"), part("_modules"));
    if modules.is_some() && (parameters.is_some() || buffers.is_some()) {
        let passing = graph.entry(state, "_non_persistent_buffers_set");
        return Some(Module { parameters, buffers, modules, passing });
    }
    let is_script = match graph.node(object.class) {
        Node::Class(class) => graph.bytes(&class.0).starts_with(b"__torch__"),
        _ => false,
    };
    let own = is_script && graph.dict(state).is_some();
    own.then_some(Module { parameters: None, buffers: Some(state), modules: None, passing: None })
}

fn is_scalar(graph: &Graph, id: Id) -> bool {
    matches!(
        graph.node(id),
        Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_)
    )
}

/// Writes a number, a text, or a list of them, as Python would. A text alone has no quotation marks.
fn render(graph: &Graph, id: Id, out: &mut String, alone: bool) -> Option<()> {
    match graph.node(id) {
        Node::None if alone => return None,
        Node::None => out.push_str("None"),
        Node::Bool(true) => out.push_str("True"),
        Node::Bool(false) => out.push_str("False"),
        Node::Int(value) => out.push_str(&value.to_string()),
        Node::Float(value) => out.push_str(&format!("{value:?}")),
        Node::Text(_) if alone => out.push_str(graph.text(id)?),
        Node::Text(_) => out.push_str(&format!("{:?}", graph.text(id)?)),
        Node::List(items) | Node::Tuple(items) if alone => {
            items.iter().all(|item| is_scalar(graph, *item)).then_some(())?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                // A long text many times over is not worth it.
                if out.len() > MAX_RENDERED {
                    out.push_str("...");
                    break;
                }
                render(graph, *item, out, false)?;
            }
            out.push(']');
        }
        _ => return None,
    }
    Some(())
}

/// Where a list is cut.
const MAX_RENDERED: usize = 64 << 10;

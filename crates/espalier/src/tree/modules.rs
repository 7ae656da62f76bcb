//! The modules inside a module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId, extract_type_name};
use burn::tensor::{Bool, Int, Tensor};

use super::info::Kind;
use super::walk;

/// One module inside another.
///
/// Displayed as `path: layer (parameters)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// Dotted path: `encoder.0`; empty for the module that was asked.
    pub path: String,
    /// Its type, `Linear`; empty where Burn does not tell.
    ///
    /// Burn names a module's type with each of its fields. A layer without any (a `Relu`) is named
    /// by the container it stands in if that is a [`Sequential`](crate::nn::Sequential) or a
    /// [`ModuleList`](crate::nn::ModuleList), and is unknown as a field of a derived module.
    pub layer: String,
    /// The number of elements of the parameters that it owns directly.
    pub parameters: usize,
    /// The number of elements of all parameters inside it, each once.
    pub total: usize,
}

impl ModuleInfo {
    /// The last component of the path; empty for the module that was asked.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

impl fmt::Display for ModuleInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = if self.layer.is_empty() { "?" } else { &self.layer };
        match self.path.as_str() {
            "" => write!(f, "{layer}"),
            path => write!(f, "{path}: {layer}"),
        }?;
        match self.total {
            0 => Ok(()),
            total => write!(f, " ({total})"),
        }
    }
}

/// The name under which a container enters and at once leaves an item to tell its type.
///
/// Visitors of others see an empty level in which nothing stands.
pub(crate) const TYPE_MARK: &str = "";

/// A name that was entered.
#[derive(Default)]
struct Node {
    path: String,
    /// What its fields say it is.
    container: String,
    /// What its container says it is.
    marked: String,
    parent: usize,
    has_children: bool,
    /// Whether it is a tensor or a flag itself.
    is_value: bool,
}

#[derive(Default)]
struct Modules {
    /// In order of first entry, the module that was asked first.
    nodes: Vec<Node>,
    by_path: BTreeMap<String, usize>,
    stack: Vec<usize>,
    /// Every tensor's path and id.
    tensors: Vec<(String, u64)>,
}

impl Modules {
    fn top(&self) -> usize {
        self.stack.last().copied().unwrap_or(0)
    }

    fn value(&mut self, id: Option<ParamId>) {
        let top = self.top();
        self.nodes[top].is_value = true;
        if let Some(id) = id {
            self.tensors.push((self.nodes[top].path.clone(), id.val()));
        }
    }
}

fn type_of(container: &str) -> &str {
    container.rsplit(':').next().unwrap_or(container)
}

impl ModuleVisitor for Modules {
    fn enter_module(&mut self, name: &str, container: &str) {
        let parent = self.top();
        if name == TYPE_MARK {
            self.nodes[parent].marked = type_of(container).to_owned();
            self.stack.push(parent);
            return;
        }
        // The last word: a list of parametrizations follows the originals, which name the layer.
        self.nodes[parent].container = type_of(container).to_owned();
        self.nodes[parent].has_children = true;
        let path = join(&self.nodes[parent].path, name);
        let next = self.nodes.len();
        let index = *self.by_path.entry(path.clone()).or_insert(next);
        if index == next {
            self.nodes.push(Node { path, parent, ..Node::default() });
        }
        self.stack.push(index);
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.value(Some(param.id));
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.value(Some(param.id));
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.value(Some(param.id));
    }
    fn visit_flag(&mut self, _: &Param<Flag>) {
        self.value(None);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// What of `path` lies below `module`, if it does.
pub(crate) fn below<'a>(path: &'a str, module: &str) -> Option<&'a str> {
    if module.is_empty() {
        return Some(path);
    }
    path.strip_prefix(module)?.strip_prefix('.')
}

/// Every module inside `module`, itself first, in visit order.
pub(super) fn modules<M: Module>(module: &M) -> Vec<ModuleInfo> {
    let mut visitor = Modules { nodes: vec![Node::default()], ..Modules::default() };
    module.visit(&mut visitor);
    let Modules { mut nodes, tensors, .. } = visitor;
    nodes[0].marked = extract_type_name::<M>().to_owned();

    let holders: BTreeSet<usize> =
        nodes.iter().filter(|node| node.is_value).map(|node| node.parent).collect();
    let is_module = |index: usize, node: &Node| {
        // Where nothing is inside, Burn does not tell a layer from an absent parameter; a layer
        // that has parameters of its own is taken to have no layers.
        let is_empty = !node.has_children && node.marked.is_empty();
        index == 0 || !(node.is_value || is_empty && holders.contains(&node.parent))
    };
    let parameters = walk::tensors(module);
    let mut seen = BTreeSet::new();
    let mut repeated: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let path = node.path.as_str();
        if !is_module(index, node) || repeated.iter().any(|module| below(path, module).is_some()) {
            continue;
        }
        let layer = if node.marked.is_empty() { &node.container } else { &node.marked };
        let inside: Vec<(&str, u64)> =
            tensors.iter().filter_map(|(tensor, id)| Some((below(tensor, path)?, *id))).collect();
        if index > 0 && !inside.is_empty() && !seen.insert((layer, inside)) {
            repeated.push(path);
            continue;
        }
        let mut info =
            ModuleInfo { path: path.to_owned(), layer: layer.clone(), parameters: 0, total: 0 };
        let mut ids = BTreeSet::new();
        for parameter in parameters.iter().filter(|info| info.kind == Kind::Parameter) {
            if let Some(rest) = below(&parameter.path, path)
                && ids.insert(parameter.id.val())
            {
                info.total += parameter.numel();
                info.parameters += if rest.contains('.') { 0 } else { parameter.numel() };
            }
        }
        found.push(info);
    }
    found
}

/// The modules directly inside `module`, each once.
pub(super) fn children<M: Module>(module: &M) -> Vec<ModuleInfo> {
    let mut found = modules(module);
    found.retain(|info| !info.path.is_empty() && !info.path.contains('.'));
    found
}

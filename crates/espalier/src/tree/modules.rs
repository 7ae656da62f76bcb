//! The modules inside a module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId, extract_type_name};
use burn::tensor::{Bool, Int, Tensor};

use super::info::Kind;
use super::walk;
use crate::frame::{DescribedTie, EXTRA_STATE, decode, ties_in};

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

impl Node {
    fn layer(&self) -> &str {
        // What stands in the place of a layer is named as the layer.
        let stands_in =
            self.marked == "Hooked" || crate::nn::lazy::uninitialized(&self.marked).is_some();
        if self.marked.is_empty() || stands_in && !self.container.is_empty() {
            return &self.container;
        }
        &self.marked
    }
}

#[derive(Default)]
struct Modules {
    /// In order of first entry, the module that was asked first.
    nodes: Vec<Node>,
    by_path: BTreeMap<String, usize>,
    stack: Vec<usize>,
    /// Every tensor's path and id.
    tensors: Vec<(String, u64)>,
    /// The ties of every wrapper, with paths as here.
    ties: Vec<DescribedTie>,
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
        let path = &self.nodes[self.top()].path;
        let Some(wrapper) = path.strip_suffix(EXTRA_STATE) else { return };
        let at = |path: &str| format!("{wrapper}{path}");
        let ties = ties_in(&decode(&param.val().into_data()));
        let ties = ties.into_iter().map(|tie| DescribedTie {
            path: at(&tie.path),
            to: at(&tie.to),
            transposed: tie.transposed,
        });
        self.ties.extend(ties);
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
    let Modules { mut nodes, tensors, ties, .. } = visitor;
    nodes[0].marked = extract_type_name::<M>().to_owned();

    let tied: BTreeSet<&str> = ties.iter().map(|tie| tie.path.as_str()).collect();
    let is_tensor = |node: &Node| node.is_value || tied.contains(node.path.as_str());
    let holders: BTreeSet<usize> =
        nodes.iter().filter(|node| is_tensor(node)).map(|node| node.parent).collect();
    let is_module = |index: usize, node: &Node| {
        // Where nothing is inside, Burn does not tell a layer from an absent parameter; a layer
        // that has parameters of its own is taken to have no layers.
        let is_empty = !node.has_children && node.marked.is_empty();
        index == 0 || !(is_tensor(node) || is_empty && holders.contains(&node.parent))
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
        let layer = node.layer();
        let inside: Vec<(&str, u64)> =
            tensors.iter().filter_map(|(tensor, id)| Some((below(tensor, path)?, *id))).collect();
        let is_again = if inside.is_empty() {
            is_tied_whole(path, &tensors, &ties)
        } else {
            !seen.insert((layer, inside))
        };
        if index > 0 && is_again {
            repeated.push(path);
            continue;
        }
        let mut info =
            ModuleInfo { path: path.to_owned(), layer: layer.to_owned(), parameters: 0, total: 0 };
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

/// Whether all of a module without tensors of its own is tied to another module, name by name, which
/// has nothing else.
fn is_tied_whole(path: &str, tensors: &[(String, u64)], ties: &[DescribedTie]) -> bool {
    let own: Vec<(&str, &DescribedTie)> =
        ties.iter().filter_map(|tie| Some((below(&tie.path, path)?, tie))).collect();
    let Some((name, first)) = own.first() else { return false };
    let Some(other) = first.to.strip_suffix(name).and_then(|other| other.strip_suffix('.')) else {
        return false;
    };
    let at = |name: &str| join(other, name);
    let is_same = own.iter().all(|(name, tie)| !tie.transposed && tie.to == at(name));
    let is_whole = tensors
        .iter()
        .filter(|(tensor, _)| below(tensor, other).is_some())
        .all(|(tensor, _)| own.iter().any(|(name, _)| crate::state::is_part(tensor, &at(name))));
    is_same && is_whole
}

/// The modules directly inside `module`, each once.
pub(super) fn children<M: Module>(module: &M) -> Vec<ModuleInfo> {
    let mut found = modules(module);
    found.retain(|info| !info.path.is_empty() && !info.path.contains('.'));
    found
}

//! `train.freeze`: parameters that stay as they are.

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use espalier::nn::Graph;
use espalier::{Error, Parametrized};

use super::faults::Faults;
use super::initialize::listed;
use super::names::Names;
use crate::spec::Recipe;

/// The network with the recipe's frozen parameters without gradients. Of a parametrized one the
/// originals are frozen; what its rules have of their own, such as an adapter, is trained.
///
/// # Errors
///
/// What the library refuses: nothing.
pub(crate) fn freeze(
    net: Parametrized<Graph>,
    names: &Names,
    recipe: &Recipe,
    faults: &mut Faults<'_>,
    log: &mut Vec<String>,
) -> Result<Parametrized<Graph>, Error> {
    let Some(select) = &recipe.train.freeze else { return Ok(net) };
    let Some(chosen) = names.select(select, "train.freeze", faults) else { return Ok(net) };
    let paths = chosen.iter().map(|chosen| chosen.named.path.clone()).collect();
    log.push(format!("freeze: {}", listed(&chosen)));
    Ok(net.map(&mut Freeze { paths, at: Vec::new() }))
}

/// The number of elements that are trained: originals and what rules have of their own, nothing frozen,
/// and what is shared once.
pub(crate) fn trained<M: Module>(net: &M) -> usize {
    let mut count = Count { seen: BTreeSet::new(), elements: 0 };
    net.visit(&mut count);
    count.elements
}

struct Count {
    seen: BTreeSet<u64>,
    elements: usize,
}

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() && self.seen.insert(param.id.val()) {
            self.elements += param.lazy_shape().iter().product::<usize>();
        }
    }
}

struct Freeze {
    /// Effective paths.
    paths: BTreeSet<String>,
    at: Vec<String>,
}

impl Freeze {
    /// The effective path of what stands here, if it is a parameter or an original of one.
    fn effective(&self) -> Option<String> {
        match self.at.as_slice() {
            [before @ .., middle, leaf, original]
                if middle == "parametrizations" && original.starts_with("original") =>
            {
                let parts: Vec<&str> = before.iter().chain([leaf]).map(String::as_str).collect();
                Some(parts.join("."))
            }
            path if path.iter().any(|part| part == "parametrizations") => None,
            path => {
                let path = path.join(".");
                Some(path.strip_suffix("_orig").map_or(path.clone(), str::to_owned))
            }
        }
    }
}

impl ModuleMapper for Freeze {
    fn enter_module(&mut self, name: &str, _: &str) {
        if !name.is_empty() {
            self.at.push(name.to_owned());
        }
    }
    fn exit_module(&mut self, name: &str, _: &str) {
        if !name.is_empty() {
            self.at.pop();
        }
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.effective() {
            Some(path) if self.paths.contains(&path) => param.set_require_grad(false),
            _ => param,
        }
    }
}

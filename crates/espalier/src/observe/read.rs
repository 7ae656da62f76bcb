//! Reading weights and gradients of a network by name.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::error::ObserveError;
use super::stats;
use crate::error::Error;
use crate::frame::Parametrized;
use crate::select::Selector;
use crate::tree::{self, Kind, ParamInfo, Walk, follow_walk};

/// A parameter to observe, and the leaves that it is computed from.
pub struct Target {
    pub(super) path: String,
    pub(super) leaves: Vec<ParamId>,
}

/// What a [`Watch`](super::Watch) can read: a [`Parametrized`], or any module as [`Plain`].
pub trait Network: sealed::Read {}

/// A plain Burn module, for a [`Watch`](super::Watch).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, ModuleOptimizer};
/// use burn::tensor::{Device, Tensor};
/// use espalier::observe::{Plain, Watch};
/// use espalier::optim::Sgd;
///
/// let device = Device::default().autodiff();
/// let mut net = LinearConfig::new(3, 2).init(&device);
/// let mut optim = ModuleOptimizer::from(Sgd::new());
/// let mut watch = Watch::new();
/// let loss = net.forward(Tensor::<2>::ones([1, 3], &device)).sum();
/// let grads = GradientsParams::from_grads(loss.backward(), &net);
/// watch.before(0, &Plain(&net), &grads)?;
/// net = optim.step(0.1, net, grads);
/// let seen = watch.after(0, &Plain(&net))?;
/// assert_eq!(seen[0].path, "weight");
/// let (weight, gradient) = (seen[0].weight.as_ref(), seen[0].gradient.as_ref());
/// assert_eq!((weight.map(|w| w.count), gradient.map(|g| g.mean)), (Some(6), Some(1.0)));
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a, M>(pub &'a M);

impl<M: Module> Network for Parametrized<M> {}
impl<M: Module> Network for Plain<'_, M> {}

pub(super) mod sealed {
    use super::*;

    pub trait Read {
        /// The selected parameters, each once, in visit order.
        fn targets(&self, selector: Option<&Selector>) -> Result<Vec<Target>, Error>;
        /// Visits the values to compute with, under their own names.
        fn visit_values<V: ModuleVisitor>(&self, visitor: &mut V);
        /// Visits the leaf parameters, under the names that they are saved as.
        fn visit_leaves<V: ModuleVisitor>(&self, visitor: &mut V);
    }

    impl<M: Module> Read for Parametrized<M> {
        fn targets(&self, selector: Option<&Selector>) -> Result<Vec<Target>, Error> {
            let entries = self.entries();
            let meant: BTreeSet<&str> =
                selected(selector, &entries)?.map(|info| self.canonical(&info.path)).collect();
            let target =
                |info: &ParamInfo| Target { path: info.path.clone(), leaves: self.leaves(info) };
            let meant = entries.iter().filter(|info| meant.contains(info.path.as_str()));
            Ok(meant.map(target).collect())
        }
        fn visit_values<V: ModuleVisitor>(&self, visitor: &mut V) {
            self.effective().visit(visitor);
        }
        fn visit_leaves<V: ModuleVisitor>(&self, visitor: &mut V) {
            self.visit(visitor);
        }
    }

    impl<M: Module> Read for Plain<'_, M> {
        fn targets(&self, selector: Option<&Selector>) -> Result<Vec<Target>, Error> {
            let entries = tree::tensors(self.0);
            let mut seen = BTreeSet::new();
            let targets = selected(selector, &entries)?
                .filter(|info| seen.insert(info.id.val()))
                .map(|info| Target { path: info.path.clone(), leaves: vec![info.id] });
            Ok(targets.collect())
        }
        fn visit_values<V: ModuleVisitor>(&self, visitor: &mut V) {
            self.0.visit(visitor);
        }
        fn visit_leaves<V: ModuleVisitor>(&self, visitor: &mut V) {
            self.0.visit(visitor);
        }
    }
}

/// The parameters that are meant: all of them without a selector.
fn selected<'a>(
    selector: Option<&'a Selector>,
    entries: &'a [ParamInfo],
) -> Result<impl Iterator<Item = &'a ParamInfo>, Error> {
    if let Some(selector) = selector {
        let selection = selector.select_from(entries)?;
        if selection.iter().all(|info| info.kind == Kind::Buffer) {
            return Err(Error::RunningStatistic { path: selection.paths().swap_remove(0) });
        }
    }
    Ok(entries.iter().filter(move |info| {
        info.kind == Kind::Parameter && selector.is_none_or(|selector| selector.matches(info))
    }))
}

/// The values of these paths, in their order.
pub(super) fn values<N: Network>(
    net: &N,
    paths: &[&str],
) -> Result<Vec<(String, TensorData)>, ObserveError> {
    let wanted: BTreeSet<&str> = paths.iter().copied().collect();
    let mut visitor = Values { wanted, walk: Walk::default(), found: Ok(BTreeMap::new()) };
    net.visit_values(&mut visitor);
    let mut found = visitor.found?;
    let paths = paths.iter().filter_map(|path| found.remove_entry(*path));
    Ok(paths.collect())
}

struct Values<'a> {
    wanted: BTreeSet<&'a str>,
    walk: Walk,
    found: Result<BTreeMap<String, TensorData>, ObserveError>,
}

impl ModuleVisitor for Values<'_> {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.walk.path();
        if let Ok(found) = &mut self.found
            && self.wanted.contains(path.as_str())
        {
            match stats::read(&path, &param.val()) {
                Ok(data) => {
                    found.insert(path, data);
                }
                Err(error) => self.found = Err(error),
            }
        }
    }
}

/// The gradient of a leaf: the name it is saved under, and the values.
pub(super) type Gradient = (String, TensorData);

/// The gradients of these leaves.
pub(super) fn gradients<N: Network>(
    net: &N,
    leaves: BTreeSet<u64>,
    grads: &GradientsParams,
) -> Result<BTreeMap<u64, Gradient>, ObserveError> {
    let mut visitor = Leaves { leaves, grads, walk: Walk::default(), found: Ok(BTreeMap::new()) };
    net.visit_leaves(&mut visitor);
    visitor.found
}

struct Leaves<'a> {
    leaves: BTreeSet<u64>,
    grads: &'a GradientsParams,
    walk: Walk,
    found: Result<BTreeMap<u64, Gradient>, ObserveError>,
}

impl ModuleVisitor for Leaves<'_> {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let id = param.id.val();
        if let Ok(found) = &mut self.found
            && self.leaves.contains(&id)
            && let Some(grad) = self.grads.get::<D>(param.id)
        {
            let path = self.walk.path();
            match stats::read(&path, &grad) {
                Ok(data) => {
                    found.entry(id).or_insert((path, data));
                }
                Err(error) => self.found = Err(error),
            }
        }
    }
}

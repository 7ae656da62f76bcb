//! Parameter groups with options of their own, over Burn's optimizers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{Module, ParamGroup};
use burn::optim::{GradientsParams, LearningRate, ModuleOptimizer, Optimizer, OptimizerRecord};
use burn::tensor::{Device, Tensor};

use crate::error::Error;
use crate::frame::Parametrized;
use crate::schedule::Schedule;
use crate::select::{IntoSelector, Selector};
use crate::tree::Kind;

/// A rate that the optimizers of a group read and a schedule writes.
#[derive(Debug, Clone)]
struct Rate(Arc<AtomicU64>);

impl Rate {
    fn new(rate: f64) -> Self {
        Self(Arc::new(AtomicU64::new(rate.to_bits())))
    }
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
    fn set(&self, rate: f64) {
        self.0.store(rate.to_bits(), Ordering::Relaxed);
    }
}

/// An optimizer with the rate of its group instead of the one passed to `step`.
#[derive(Clone)]
struct WithRate<O> {
    optimizer: O,
    rate: Rate,
}

impl<O: Optimizer> Optimizer for WithRate<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        _: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.optimizer.step(self.rate.get(), tensor, grad, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}

type Add = Box<dyn FnOnce(Option<ModuleOptimizer>, ParamGroup) -> ModuleOptimizer>;

struct Group {
    name: String,
    selector: Option<Selector>,
    base: f64,
    rate: Rate,
    add: Add,
}

impl Group {
    fn new<O: Optimizer>(
        name: impl Into<String>,
        selector: Option<Selector>,
        optimizer: O,
        rate: f64,
    ) -> Self {
        let cell = Rate::new(rate);
        let optimizer = WithRate { optimizer, rate: cell.clone() };
        let add: Add = Box::new(move |groups, members| match groups {
            None => ModuleOptimizer::from(optimizer),
            Some(groups) => groups.with_group(members, optimizer, None),
        });
        Self { name: name.into(), selector, base: rate, rate: cell, add }
    }
}

/// Parameter groups, each with its optimizer and rate: `torch.optim`'s list of groups.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::optim::AdamWConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::optim::Groups;
/// use espalier::Parametrized;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let adamw = |decay| AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay).build();
/// let mut optim = Groups::new("weights", adamw(0.01), 1e-3)
///     .group("biases", "bias", adamw(0.0), 1e-3)?
///     .build(&net)?;
/// assert_eq!(optim.to_string(), "weights (rate 0.001): weight\nbiases (rate 0.001): bias\n");
///
/// let grads = {
///     let step = net.effective();
///     net.grads(step.forward(Tensor::<2>::ones([1, 4], &device)).sum().backward())?
/// };
/// net = optim.step(net, grads);
/// # Ok::<(), espalier::Error>(())
/// ```
pub struct Groups(Vec<Group>);

impl Groups {
    /// The group of every parameter that no other group takes.
    pub fn new<O: Optimizer>(name: impl Into<String>, optimizer: O, rate: f64) -> Self {
        Self(vec![Group::new(name, None, optimizer, rate)])
    }

    /// Adds a group of the selected parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the selector does not parse.
    pub fn group<O: Optimizer>(
        mut self,
        name: impl Into<String>,
        selector: impl IntoSelector,
        optimizer: O,
        rate: f64,
    ) -> Result<Self, Error> {
        let selector = selector.into_selector()?;
        self.0.push(Group::new(name, Some(selector), optimizer, rate));
        Ok(self)
    }

    /// The optimizer for `net`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for a group without parameters, [`Error::RunningStatistic`] for one of
    /// buffers only, [`Error::TwoGroups`] for a parameter in two. Paths tied to each other are one
    /// parameter.
    pub fn build<M: Module>(self, net: &Parametrized<M>) -> Result<GroupedOptimizer, Error> {
        let entries = net.entries();
        // By the path that a tied parameter is trained under.
        let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, group) in self.0.iter().enumerate() {
            let Some(selector) = &group.selector else { continue };
            let selection = selector.select_from(&entries)?;
            let mut any = false;
            for entry in entries.iter().filter(|entry| selector.matches(entry)) {
                if entry.kind == Kind::Buffer {
                    continue;
                }
                any = true;
                if let Some(first) = owners.insert(net.canonical(&entry.path), index)
                    && first != index
                {
                    return Err(Error::TwoGroups {
                        path: entry.path.clone(),
                        first: self.0[first].name.clone(),
                        second: group.name.clone(),
                    });
                }
            }
            if !any {
                let path = selection.paths().swap_remove(0);
                return Err(Error::RunningStatistic { path });
            }
        }
        let mut members: Vec<Vec<String>> = vec![Vec::new(); self.0.len()];
        for entry in entries.iter().filter(|entry| entry.kind == Kind::Parameter) {
            if net.canonical(&entry.path) == entry.path {
                let owner = owners.get(entry.path.as_str()).copied().unwrap_or(0);
                members[owner].push(entry.path.clone());
            }
        }
        let mut optimizer = None;
        let mut groups = Vec::new();
        for (group, members) in self.0.into_iter().zip(members) {
            optimizer = Some((group.add)(optimizer, net.group_of(&members)));
            groups.push(BuiltGroup {
                name: group.name,
                base: group.base,
                rate: group.rate,
                members,
            });
        }
        match optimizer {
            Some(optimizer) => Ok(GroupedOptimizer { optimizer, groups }),
            None => unreachable!("`new` makes the first group"),
        }
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|group| &group.name)).finish()
    }
}

#[derive(Debug)]
struct BuiltGroup {
    name: String,
    base: f64,
    rate: Rate,
    members: Vec<String>,
}

/// A Burn optimizer whose groups have rates of their own. Displayed as one group a line.
pub struct GroupedOptimizer {
    optimizer: ModuleOptimizer,
    groups: Vec<BuiltGroup>,
}

impl GroupedOptimizer {
    /// Updates the originals of `net`, each with the options of its group.
    pub fn step<M: Module>(
        &mut self,
        net: Parametrized<M>,
        grads: GradientsParams,
    ) -> Parametrized<M> {
        // Every group reads its own rate.
        self.optimizer.step(0.0, net, grads)
    }

    /// Sets the rate of every group to what `schedule` makes of its first rate at time `t`.
    pub fn schedule(&mut self, schedule: &Schedule, t: usize) {
        for group in &self.groups {
            group.rate.set(schedule.rate(group.base, t));
        }
    }

    /// The state of every parameter's optimizer (moments, steps), to save it.
    ///
    /// It is kept under parameter ids, which a burnpack record of the network restores: load the
    /// network first, build the groups, then load this.
    pub fn to_record(&self) -> OptimizerRecord {
        self.optimizer.to_record()
    }

    /// The optimizer with the state of a record. Rates are not part of it.
    pub fn load_record(self, record: OptimizerRecord) -> Self {
        Self { optimizer: self.optimizer.load_record(record), ..self }
    }

    /// The present rate of each group, in order.
    pub fn rates(&self) -> Vec<(&str, f64)> {
        self.groups.iter().map(|group| (group.name.as_str(), group.rate.get())).collect()
    }
}

impl fmt::Debug for GroupedOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupedOptimizer").field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl fmt::Display for GroupedOptimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            let (name, rate) = (&group.name, group.rate.get());
            writeln!(f, "{name} (rate {rate}): {}", group.members.join(", "))?;
        }
        Ok(())
    }
}

//! Parameter groups with options of their own, over Burn's optimizers.

use std::collections::BTreeMap;
use std::fmt;

use burn::module::{Module, ParamGroup};
use burn::optim::ModuleOptimizer;

use super::grouped::{BuiltGroup, GroupedOptimizer, in_group, present};
use super::hyper::Hyper;
use super::modify::{Factors, Modifier, Who, layer_wise};
use super::options::{GroupOptimizer, OptionError, Options};
use super::plan::{Plan, PlannedGroup};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::schedule::{Schedule, Scheduler, Target, Values};
use crate::select::{IntoSelector, Selector};
use crate::tree::{Kind, ParamInfo};

/// A [`GroupOptimizer`] of any type.
trait AnyOptimizer: Send + Sync {
    fn boxed(&self) -> Box<dyn AnyOptimizer>;
    fn name(&self) -> &'static str;
    fn values(&self) -> Values;
    fn check(&self) -> Result<(), OptionError>;
    fn with_options(&self, options: &Options) -> Result<Box<dyn AnyOptimizer>, OptionError>;
    fn follows(&self, target: Target) -> bool;
    fn add(&self, hyper: Hyper, to: Option<ModuleOptimizer>, group: ParamGroup) -> ModuleOptimizer;
}

impl<O: GroupOptimizer> AnyOptimizer for O {
    fn boxed(&self) -> Box<dyn AnyOptimizer> {
        Box::new(self.clone())
    }
    fn name(&self) -> &'static str {
        GroupOptimizer::name(self)
    }
    fn values(&self) -> Values {
        GroupOptimizer::values(self)
    }
    fn check(&self) -> Result<(), OptionError> {
        GroupOptimizer::check(self)
    }
    fn with_options(&self, options: &Options) -> Result<Box<dyn AnyOptimizer>, OptionError> {
        Ok(Box::new(GroupOptimizer::with_options(self.clone(), options)?))
    }
    fn follows(&self, target: Target) -> bool {
        GroupOptimizer::follows(self, target)
    }
    fn add(&self, hyper: Hyper, to: Option<ModuleOptimizer>, group: ParamGroup) -> ModuleOptimizer {
        let optimizer = self.clone().bound(hyper);
        match to {
            None => ModuleOptimizer::from(optimizer),
            Some(to) => to.with_group(group, optimizer, None),
        }
    }
}

/// A group as it was asked for.
struct Group {
    name: String,
    selector: Option<Selector>,
    optimizer: Box<dyn AnyOptimizer>,
    factors: Factors,
}

/// A group, or the part of one that has the same multipliers.
struct Part {
    /// The group's place in the list.
    group: usize,
    /// What it is called, but for a number that tells it from others of that name.
    label: String,
    name: String,
    factors: Factors,
    members: Vec<(String, Vec<usize>)>,
    schedulers: Vec<Scheduler>,
}

/// The name of the group that takes what no other group does.
const DEFAULT: &str = "default";

/// Parameter groups, each with its options: `torch.optim`'s list of groups.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::optim::{AdamW, Groups, Options};
/// use espalier::Parametrized;
///
/// let device = Device::default().autodiff();
/// let mut net = Parametrized::new(LinearConfig::new(4, 2).init(&device));
/// let groups = Groups::new(AdamW::new()).group("biases", "bias", Options::new().decay(0.0))?;
/// assert_eq!(
///     groups.plan(&net)?.to_string(),
///     "default (AdamW): rate 0.001, momentum 0.9, decay 0.01, 1 tensor, 8 elements\n  \
///        weight [4, 2]\n\
///      biases (AdamW): rate 0.001, momentum 0.9, decay 0, 1 tensor, 2 elements\n  \
///        bias [2]\n"
/// );
///
/// let mut optim = groups.build(&net)?;
/// let grads = {
///     let step = net.effective();
///     net.grads(step.forward(Tensor::<2>::ones([1, 4], &device)).sum().backward())?
/// };
/// net = optim.step(net, grads);
/// # Ok::<(), espalier::Error>(())
/// ```
pub struct Groups {
    groups: Vec<Group>,
    modifiers: Vec<Modifier>,
    schedules: Vec<(Option<String>, Schedule)>,
}

impl Groups {
    /// The group named `default`, of every parameter that no other group takes.
    pub fn new<O: GroupOptimizer>(optimizer: O) -> Self {
        let group = Group {
            name: DEFAULT.to_owned(),
            selector: None,
            optimizer: optimizer.boxed(),
            factors: Factors::ONE,
        };
        Self { groups: vec![group], modifiers: Vec::new(), schedules: Vec::new() }
    }

    /// Adds a group of the selected parameters. Options that are not set are those of the first
    /// group.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the selector does not parse, [`Error::GroupName`] for a name that is
    /// taken, [`Error::Options`] for an option that the optimizer does not have or that is out of
    /// range.
    pub fn group(
        self,
        name: impl Into<String>,
        selector: impl IntoSelector,
        options: Options,
    ) -> Result<Self, Error> {
        let name = name.into();
        let failed = |source| Error::Options { group: name.clone(), source };
        let optimizer = self.groups[0].optimizer.with_options(&options).map_err(failed)?;
        self.add(name, selector, optimizer, options)
    }

    /// Adds a group of the selected parameters with another optimizer.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::optim::MuonConfig;
    /// use burn::tensor::Device;
    /// use espalier::optim::{AdamW, BurnOptimizer, Groups};
    /// use espalier::Parametrized;
    ///
    /// let net = Parametrized::new(LinearConfig::new(4, 2).init(&Device::default()));
    /// let muon = BurnOptimizer::new("Muon", MuonConfig::new().build(), 0.02);
    /// let plan = Groups::new(AdamW::new()).group_with("matrices", "weight", muon)?.plan(&net)?;
    /// assert_eq!(plan.group_of("weight").map(|group| group.optimizer), Some("Muon"));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`group`](Self::group).
    pub fn group_with<O: GroupOptimizer>(
        self,
        name: impl Into<String>,
        selector: impl IntoSelector,
        optimizer: O,
    ) -> Result<Self, Error> {
        self.add(name.into(), selector, optimizer.boxed(), Options::new())
    }

    fn add(
        mut self,
        name: String,
        selector: impl IntoSelector,
        optimizer: Box<dyn AnyOptimizer>,
        options: Options,
    ) -> Result<Self, Error> {
        let selector = selector.into_selector()?;
        if self.groups.iter().any(|group| group.name == name) {
            return Err(Error::GroupName { group: name });
        }
        let factors = Factors {
            rate: options.rate_multiplier.unwrap_or(1.0),
            decay: options.decay_multiplier.unwrap_or(1.0),
        };
        self.groups.push(Group { name, selector: Some(selector), optimizer, factors });
        Ok(self)
    }

    /// Leaves weight decay off biases, normalization layers and every other parameter with fewer
    /// than two dimensions, in all groups.
    pub fn no_decay_on_bias_and_norm(mut self) -> Self {
        self.modifiers.push(Modifier {
            what: "no decay".to_owned(),
            who: Who::BiasAndNorm,
            factors: Factors { decay: 0.0, ..Factors::ONE },
        });
        self
    }

    /// Gives each layer `factor` times the rate of the one after it, in all groups.
    ///
    /// `layers` goes from the input to the output. What none of them matches keeps its rate.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::optim::{Groups, Sgd};
    /// use espalier::Parametrized;
    ///
    /// let layer = || LinearConfig::new(2, 2).init(&Device::default());
    /// let net = Sequential::new().with(layer()).with(layer()).with(layer());
    /// let plan = Groups::new(Sgd::new().with_rate(1.0))
    ///     .layer_wise_rate_decay(0.5, ["0.*", "1.*", "2.*"])?
    ///     .plan(&Parametrized::new(net))?;
    /// let rate = |path| plan.group_of(path).map(|group| group.values.rate);
    /// assert_eq!([rate("0.bias"), rate("1.weight")], [Some(0.25), Some(0.5)]);
    /// assert_eq!(rate("2.weight"), Some(1.0));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if a selector does not parse, [`Error::Options`] if `factor` is negative
    /// or not a number. When built: [`Error::NoMatch`] and [`Error::TwoGroups`].
    pub fn layer_wise_rate_decay<S: IntoSelector>(
        mut self,
        factor: f64,
        layers: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let failed = |source| Error::Options { group: "layer-wise rate decay".to_owned(), source };
        Options::new().rate_multiplier(factor).check("", &[]).map_err(failed)?;
        self.modifiers.extend(layer_wise(factor, layers)?);
        Ok(self)
    }

    /// Multiplies rate and decay of the selected parameters, in all groups, by the multipliers of
    /// `options`.
    ///
    /// # Errors
    ///
    /// [`Error::Selector`] if the selector does not parse, [`Error::Options`] for any other option
    /// than a multiplier. When built: [`Error::NoMatch`].
    pub fn multiply(
        mut self,
        selector: impl IntoSelector,
        options: Options,
    ) -> Result<Self, Error> {
        let selector = selector.into_selector()?;
        let what = format!("times {options}");
        let failed = |source| Error::Options { group: selector.to_string(), source };
        options.check("a multiplication", &[]).map_err(failed)?;
        let factors = Factors {
            rate: options.rate_multiplier.unwrap_or(1.0),
            decay: options.decay_multiplier.unwrap_or(1.0),
        };
        self.modifiers.push(Modifier { what, who: Who::Selected(selector), factors });
        Ok(self)
    }

    /// Puts a schedule on every group. Each moves something else: what one group has for itself
    /// stands in the place of what all have.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push((None, schedule));
        self
    }

    /// Puts a schedule on one group.
    ///
    /// # Errors
    ///
    /// [`Error::NoGroup`] if there is none of this name yet.
    pub fn schedule_group(mut self, group: &str, schedule: Schedule) -> Result<Self, Error> {
        if !self.groups.iter().any(|known| known.name == group) {
            return Err(no_group(group, self.groups.iter().map(|group| group.name.as_str())));
        }
        self.schedules.push((Some(group.to_owned()), schedule));
        Ok(self)
    }

    /// Which parameter would land where, with what options.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn plan<M: Module>(&self, net: &Parametrized<M>) -> Result<Plan, Error> {
        plan(&self.groups, &self.parts(net)?)
    }

    /// The optimizer for `net`.
    ///
    /// Paths tied to each other are one parameter, in the group of any of its names.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for a group without parameters, [`Error::RunningStatistic`] for one of
    /// buffers only, [`Error::TwoGroups`] for a parameter in two; [`Error::GroupSchedule`] for a
    /// schedule that cannot start from a group's values; [`Error::Options`] for one of what the
    /// optimizer reads only once, for two that move the same, and for an optimizer whose own
    /// numbers are out of range.
    pub fn build<M: Module>(self, net: &Parametrized<M>) -> Result<GroupedOptimizer, Error> {
        let parts = self.parts(net)?;
        let plan = plan(&self.groups, &parts)?;
        let mut optimizer = None;
        let mut built = Vec::new();
        for part in parts {
            let group = &self.groups[part.group];
            let hyper = Hyper::new(part.values(group)?);
            let paths: Vec<String> = part.members.iter().map(|(path, _)| path.clone()).collect();
            optimizer = Some(group.optimizer.add(hyper.clone(), optimizer, net.group_of(&paths)));
            built.push(BuiltGroup {
                group: group.name.clone(),
                name: part.name,
                start: group.optimizer.values(),
                factors: part.factors,
                hyper,
                schedulers: part.schedulers,
            });
        }
        match optimizer {
            Some(optimizer) => Ok(GroupedOptimizer { optimizer, groups: built, plan }),
            None => unreachable!("`new` makes the first group"),
        }
    }

    /// The groups with their parameters. The default group comes first, also when it is empty: it
    /// takes what is registered later.
    fn parts<M: Module>(&self, net: &Parametrized<M>) -> Result<Vec<Part>, Error> {
        let entries = net.entries();
        let owners = self.owners(net, &entries)?;
        let modified = self.modified(net, &entries)?;
        let mut parts = vec![self.part(0, &[], &[])?];
        for (index, group) in self.groups.iter().enumerate() {
            for entry in entries.iter().filter(|entry| entry.kind == Kind::Parameter) {
                let path = entry.path.as_str();
                let owner = owners.get(path).copied().unwrap_or(0);
                if owner != index || net.canonical(path) != path {
                    continue;
                }
                let modifiers = modified.get(path).map_or(&[][..], Vec::as_slice);
                let (label, factors) = (label(group, modifiers), factors(group, modifiers));
                let same = |part: &Part| {
                    (part.group, &part.label, part.factors) == (index, &label, factors)
                };
                let at = match parts.iter().position(same) {
                    Some(at) => at,
                    None => {
                        parts.push(self.part(index, modifiers, &parts)?);
                        parts.len() - 1
                    }
                };
                parts[at].members.push((entry.path.clone(), entry.shape.clone()));
            }
        }
        Ok(parts)
    }

    fn part(&self, index: usize, modifiers: &[&Modifier], others: &[Part]) -> Result<Part, Error> {
        let group = &self.groups[index];
        let failed = |source| Error::Options { group: group.name.clone(), source };
        group.optimizer.check().map_err(failed)?;
        let start = group.optimizer.values();
        let mut schedulers = Vec::new();
        for schedule in self.schedules_of(group).map_err(failed)? {
            for target in schedule.targets() {
                if !group.optimizer.follows(target) {
                    return Err(failed(OptionError::Fixed {
                        optimizer: group.optimizer.name(),
                        target,
                    }));
                }
            }
            let scheduler = Scheduler::new(schedule.clone(), &start);
            schedulers.push(scheduler.map_err(in_group(&group.name))?);
        }
        let factors = factors(group, modifiers);
        present(start, &schedulers, factors).map_err(failed)?;
        let label = label(group, modifiers);
        let taken = |name: &String| {
            !modifiers.is_empty() && self.groups.iter().any(|group| group.name == *name)
                || others.iter().any(|part| part.name == *name)
        };
        let mut name = label.clone();
        for number in 2.. {
            if !taken(&name) {
                break;
            }
            name = format!("{label} #{number}");
        }
        Ok(Part { group: index, label, name, factors, members: Vec::new(), schedulers })
    }

    /// The schedules of a group: those of all, then its own.
    fn schedules_of(&self, group: &Group) -> Result<Vec<&Schedule>, OptionError> {
        let named = |wanted: Option<&str>| -> Vec<&Schedule> {
            let mine = self.schedules.iter().filter(|(name, _)| name.as_deref() == wanted);
            mine.map(|(_, schedule)| schedule).collect()
        };
        let (mut all, own) = (named(None), named(Some(&group.name)));
        for schedules in [&all, &own] {
            for (index, second) in schedules.iter().enumerate() {
                for first in &schedules[..index] {
                    let targets = first.targets();
                    if let Some(target) = second.targets().into_iter().find(|t| targets.contains(t))
                    {
                        let (first, second) = (first.to_string(), second.to_string());
                        return Err(OptionError::TwoSchedules { target, first, second });
                    }
                }
            }
        }
        // One that is overwritten altogether does not run: it might end, or wait for metrics.
        let moved: Vec<Target> = own.iter().flat_map(|schedule| schedule.targets()).collect();
        all.retain(|schedule| schedule.targets().iter().any(|target| !moved.contains(target)));
        all.extend(own);
        Ok(all)
    }

    /// The group of each selected parameter, by the path that it is trained under.
    fn owners<'a, M: Module>(
        &self,
        net: &'a Parametrized<M>,
        entries: &'a [ParamInfo],
    ) -> Result<BTreeMap<&'a str, usize>, Error> {
        let mut owners = BTreeMap::new();
        for (index, group) in self.groups.iter().enumerate() {
            let Some(selector) = &group.selector else { continue };
            for entry in parameters(selector, entries)? {
                let before = owners.insert(net.canonical(&entry.path), index);
                if let Some(first) = before.filter(|first| *first != index) {
                    return Err(Error::TwoGroups {
                        path: entry.path.clone(),
                        first: self.groups[first].name.clone(),
                        second: group.name.clone(),
                    });
                }
            }
        }
        Ok(owners)
    }

    /// The modifiers of each parameter, by the path that it is trained under.
    fn modified<'a, M: Module>(
        &self,
        net: &'a Parametrized<M>,
        entries: &'a [ParamInfo],
    ) -> Result<BTreeMap<&'a str, Vec<&Modifier>>, Error> {
        let mut modified: BTreeMap<&str, Vec<&Modifier>> = BTreeMap::new();
        for modifier in &self.modifiers {
            if let Who::Selected(selector) = &modifier.who {
                parameters(selector, entries)?;
            }
            for entry in entries {
                // A tied one is judged as what it is trained as.
                if entry.kind == Kind::Buffer || !modifier.who.matches(entry) {
                    continue;
                }
                let mine = modified.entry(net.canonical(&entry.path)).or_default();
                let layer = |modifier: &Modifier| modifier.what.starts_with("layer ");
                if let Some(first) = mine.iter().find(|first| layer(first) && layer(modifier))
                    && !std::ptr::eq(*first, modifier)
                {
                    return Err(Error::TwoGroups {
                        path: entry.path.clone(),
                        first: first.what.clone(),
                        second: modifier.what.clone(),
                    });
                }
                if !mine.iter().any(|other| std::ptr::eq(*other, modifier)) {
                    mine.push(modifier);
                }
            }
        }
        Ok(modified)
    }
}

/// The parameters that a selector matches, at least one.
fn parameters<'a>(
    selector: &Selector,
    entries: &'a [ParamInfo],
) -> Result<Vec<&'a ParamInfo>, Error> {
    let selection = selector.select_from(entries)?;
    let found: Vec<&ParamInfo> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Parameter && selector.matches(entry))
        .collect();
    if found.is_empty() {
        return Err(Error::RunningStatistic { path: selection.paths().swap_remove(0) });
    }
    Ok(found)
}

/// `head`, or `head (no decay, layer 2)`.
fn label(group: &Group, modifiers: &[&Modifier]) -> String {
    if modifiers.is_empty() {
        return group.name.clone();
    }
    let what: Vec<&str> = modifiers.iter().map(|modifier| modifier.what.as_str()).collect();
    format!("{} ({})", group.name, what.join(", "))
}

fn factors(group: &Group, modifiers: &[&Modifier]) -> Factors {
    modifiers.iter().fold(group.factors, |all, modifier| all.times(modifier.factors))
}

pub(super) fn no_group<'a>(group: &str, known: impl Iterator<Item = &'a str>) -> Error {
    Error::NoGroup { group: group.to_owned(), known: known.map(str::to_owned).collect() }
}

impl Part {
    /// The values of the first step.
    fn values(&self, group: &Group) -> Result<Values, Error> {
        present(group.optimizer.values(), &self.schedulers, self.factors)
            .map_err(|source| Error::Options { group: group.name.clone(), source })
    }
}

fn plan(groups: &[Group], parts: &[Part]) -> Result<Plan, Error> {
    let planned = parts.iter().filter(|part| !part.members.is_empty()).map(|part| {
        let group = &groups[part.group];
        Ok(PlannedGroup {
            name: part.name.clone(),
            optimizer: group.optimizer.name(),
            values: part.values(group)?,
            schedules: part
                .schedulers
                .iter()
                .map(|scheduler| scheduler.schedule().to_string())
                .collect(),
            parameters: part.members.clone(),
        })
    });
    planned.collect::<Result<_, Error>>().map(Plan)
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.groups.iter().map(|group| &group.name)).finish()
    }
}

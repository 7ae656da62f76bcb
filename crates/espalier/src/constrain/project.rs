//! Constraints on the parameters of a module, in one pass over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::{Constraint, Rule};
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::host::is_plain;
use crate::parametrize::{RuleError, Site};
use crate::select::Selector;
use crate::tree::{ParamInfo, contiguous, map_untracked};

/// What one parameter obeys.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) info: ParamInfo,
    site: Site,
    constraints: Vec<Arc<dyn Constraint>>,
}

impl Planned {
    /// What each parameter obeys by these rules, in order of the first rule that selects it;
    /// `locate` finds the parameters of a selector. Every constraint has been found to fit.
    pub(crate) fn all(
        rules: &[Rule],
        locate: impl Fn(&Selector) -> Result<Vec<ParamInfo>, Error>,
    ) -> Result<Vec<Self>, Error> {
        let mut plan: Vec<Self> = Vec::new();
        for (selector, constraint) in rules {
            for info in locate(selector)? {
                let constraint = constraint.clone();
                let site = site_of(&info);
                constraint.check(&site).map_err(refused(&info, &*constraint))?;
                match plan.iter_mut().find(|planned| planned.info.path == info.path) {
                    Some(planned) => planned.constraints.push(constraint),
                    None => plan.push(Self { info, site, constraints: vec![constraint] }),
                }
            }
        }
        Ok(plan)
    }

    /// The value that all constraints, one after the other, make of this one.
    pub(crate) fn project(&self, value: AnyTensor) -> Result<AnyTensor, Error> {
        let mut value = value;
        for constraint in &self.constraints {
            let expected = value.dims();
            let refused = refused(&self.info, &**constraint);
            value = constraint.apply(value, &self.site).map_err(&refused)?;
            let found = value.dims();
            if found != expected {
                return Err(refused(RuleError::Value { expected, found }));
            }
        }
        Ok(value)
    }
}

/// Where the parameter stands.
fn site_of(info: &ParamInfo) -> Site {
    Site {
        shape: info.shape.clone(),
        layout: info.layout(),
        dtype: info.dtype,
        device: info.device.clone(),
        layer: info.layer.clone(),
        value: None,
    }
}

fn refused(info: &ParamInfo, constraint: &dyn Constraint) -> impl Fn(RuleError) -> Error + use<> {
    let (path, rule) = (info.path.clone(), constraint.name().to_owned());
    move |source| Error::Rule { path: path.clone(), rule: rule.clone(), source }
}

/// Projects the parameters with these ids where they stand.
pub(crate) struct Project<'a> {
    plan: BTreeMap<u64, &'a Planned>,
    /// What clones of one parameter get, too.
    done: BTreeMap<u64, AnyTensor>,
    /// Whether the module may have clones of one parameter.
    clones: bool,
    failed: Option<Error>,
}

impl<'a> Project<'a> {
    /// The module with the planned parameters projected.
    pub(crate) fn all<M: Module>(module: M, plan: &'a [Planned]) -> Result<M, Error> {
        Self::of(module, plan, true)
    }

    /// As [`all`](Self::all), for a module without clones of one parameter.
    pub(crate) fn each<M: Module>(
        module: M,
        plan: impl IntoIterator<Item = &'a Planned>,
    ) -> Result<M, Error> {
        Self::of(module, plan, false)
    }

    fn of<M: Module>(
        module: M,
        plan: impl IntoIterator<Item = &'a Planned>,
        clones: bool,
    ) -> Result<M, Error> {
        let plan: BTreeMap<u64, &Planned> =
            plan.into_iter().map(|planned| (planned.info.id.val(), planned)).collect();
        if plan.is_empty() {
            return Ok(module);
        }
        let mut project = Self { plan, done: BTreeMap::new(), clones, failed: None };
        let module = module.map(&mut project);
        match project.failed {
            None => Ok(module),
            Some(error) => Err(error),
        }
    }

    /// The projected value, untracked; none after a failure.
    fn value<const D: usize>(&mut self, planned: &Planned, plain: Tensor<D>) -> Option<Tensor<D>> {
        let like = (plain.device(), plain.dtype());
        let projected = planned.project(plain.into()).and_then(AnyTensor::into_rank::<D>);
        match projected {
            Ok(value) => {
                let value = value.without_autodiff();
                let value = if value.dtype() == like.1 { value } else { value.cast(like.1) };
                let value = if value.device() == like.0 {
                    value
                } else {
                    value.to_device(&like.0).without_autodiff()
                };
                // On the host this costs nothing, unless the constraint gave a view.
                Some(if is_plain(&like.0, like.1) { contiguous(value) } else { value })
            }
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

impl ModuleMapper for Project<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id.val();
        let Some(planned) = self.plan.get(&id).copied().filter(|_| self.failed.is_none()) else {
            return param;
        };
        map_untracked(param, |plain| {
            let device = plain.device();
            let done = self.done.get(&id).cloned().and_then(|done| done.into_rank::<D>().ok());
            let value = match done {
                Some(done) => done,
                None => match self.value(planned, plain) {
                    Some(value) => value,
                    // The module is dropped.
                    None => Tensor::zeros([0; D], &device).without_autodiff(),
                },
            };
            if self.clones {
                self.done.insert(id, value.clone().into());
            }
            value
        })
    }
}

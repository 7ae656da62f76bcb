//! The parameter tree of a wrapper by effective names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::nested::list_path;
use super::slot::{Computed, Original, Pass, Slot};
use super::{Parametrized, access};
use crate::error::Error;
use crate::parametrize::{Link, describe};
use crate::select::{IntoSelector, Selection};
use crate::tree::{self, Kind, ParameterTree, Summary, SummaryRow, Walk, follow_walk};

impl<M: Module> Parametrized<M> {
    /// The selected parameters and buffers by their effective names (`0.weight`, also where it is
    /// computed): Gluon's `collect_params`.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if there are none, [`Error::Selector`] if the selector does not parse.
    pub fn collect_params(&self, selector: impl IntoSelector) -> Result<Selection, Error> {
        selector.into_selector()?.select_from(&self.entries())
    }

    /// The gradient of a parameter by its effective name or by the saved one of an original; `None`
    /// if there is none.
    ///
    /// Where the parameter has one original of its shape (most parametrizations, a mask, a tie) it
    /// is the original's, which is what the optimizer uses.
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] for an unknown path, [`Error::PathRank`] for another rank,
    /// [`Error::ComputedGradient`] for a parameter of several originals, or of one of another
    /// shape; it names the originals, whose gradients can be asked for.
    pub fn gradient<const D: usize>(
        &self,
        path: &str,
        grads: &GradientsParams,
    ) -> Result<Option<Tensor<D>>, Error> {
        let source = self.gradient_source(path)?;
        // Ranks are compared before a tie is turned.
        let grad =
            ParameterTree::gradient::<D>(self, &source, grads).map_err(|error| match error {
                Error::PathRank { expected, found, .. } => {
                    Error::PathRank { path: path.to_owned(), expected, found }
                }
                other => other,
            })?;
        Ok(match self.slots.get(path) {
            Some(Slot::Tied(tied)) if tied.transposed && D >= 2 => {
                grad.map(|grad| grad.swap_dims(D - 2, D - 1))
            }
            _ => grad,
        })
    }

    /// As [`gradient`](Self::gradient), zeros where there is none.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn gradient_or_zeros<const D: usize>(
        &self,
        path: &str,
        grads: &GradientsParams,
    ) -> Result<Tensor<D>, Error> {
        if let Some(grad) = self.gradient(path, grads)? {
            return Ok(grad);
        }
        let mut info = ParameterTree::parameter(self, &self.gradient_source(path)?)?;
        if matches!(self.slots.get(path), Some(Slot::Tied(tied)) if tied.transposed) {
            let rank = info.shape.len();
            info.shape.swap(rank - 2, rank - 1);
        }
        Ok(tree::zeros_like(&info))
    }

    /// The saved name under which the gradient of `path` is found.
    fn gradient_source(&self, path: &str) -> Result<String, Error> {
        let canonical = self.canonical(path);
        if let Some(slot) = self.computed(canonical) {
            let mut originals = saved_originals(canonical, slot);
            return match slot.leaves().as_slice() {
                [only] if access::read(only).value.dims() == slot.value().dims() => {
                    Ok(originals.swap_remove(0))
                }
                _ => Err(Error::ComputedGradient { path: path.to_owned(), originals }),
            };
        }
        match ParameterTree::parameter(self, canonical) {
            Err(Error::NoMatch { .. }) => Err(self.no_match(path)),
            Err(error) => Err(error),
            Ok(_) => Ok(canonical.to_owned()),
        }
    }

    /// A table of the parameters by their effective names, which says how each is computed, and a
    /// tree of modules.
    ///
    /// Counts, zeros and bytes are those of the computed values, tied ones once; the trait's
    /// [`summary`](ParameterTree::summary) shows what is saved.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::parametrize::Orthogonal;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
    /// net.register("weight", Orthogonal::cayley())?;
    /// assert_eq!(net.summary().rows()[0].how, "orthogonal(cayley, trivialization)");
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn summary(&self) -> Summary {
        self.sync_statistics();
        self.settled().present_summary()
    }

    fn present_summary(&self) -> Summary {
        let mut values: BTreeMap<String, _> = tree::floats(&self.template).into_iter().collect();
        values.extend(self.values(Pass::Reading));
        let rows = self.present_entries().into_iter().map(|info| {
            let value = values.remove(&info.path);
            let zeros = value.map_or(0, |value| tree::count_zeros(&value.to_data()));
            let (tied_to, how) = match self.slots.get(&info.path) {
                None => (None, String::new()),
                Some(Slot::Computed(slot)) => (None, self.how(&info.path, slot)),
                Some(Slot::Tied(tied)) => {
                    let turned = if tied.transposed { " transposed" } else { "" };
                    (Some(tied.to.clone()), format!("= {}{turned}", tied.to))
                }
            };
            SummaryRow { info, zeros, tied_to, how }
        });
        let rows: Vec<SummaryRow> = rows.collect();
        let originals = self.named_parameters().iter().map(tree::ParamInfo::numel).sum();
        let mut modules = self.template.named_modules();
        for module in &mut modules {
            // Ties are counted once within a module, too.
            let inside = |row: &&SummaryRow| {
                row.info.kind == Kind::Parameter
                    && tree::below(&row.info.path, &module.path).is_some()
                    && row.tied_to.as_ref().is_none_or(|to| tree::below(to, &module.path).is_none())
            };
            module.total = rows.iter().filter(inside).map(|row| row.info.numel()).sum();
        }
        let originals = (!self.slots.is_empty()).then_some(originals);
        Summary { rows, modules, originals }
    }

    /// `weight_norm(dim 0), mask 30.0 %`.
    fn how(&self, path: &str, slot: &Computed) -> String {
        let rule = |link: &Link| describe(link.rule(), link.options());
        let mut steps: Vec<String> = slot.links.iter().map(rule).collect();
        for (index, original) in slot.originals.iter().enumerate() {
            if let Original::Nested(nested) = original {
                let name = slot.original_name(index);
                let inner = self.how(&format!("{}.{name}", list_path(path)), nested);
                steps.push(format!("{name} by ({inner})"));
            }
        }
        if let Ok(kept) = self.kept(path) {
            let pruned = kept.iter().filter(|kept| !**kept).count();
            let share = pruned as f64 / kept.len().max(1) as f64;
            steps.push(format!("mask {:.1} %", 100.0 * share));
        }
        steps.join(", ")
    }
}

/// The names under which the originals of a slot are saved.
fn saved_originals(path: &str, slot: &Computed) -> Vec<String> {
    struct Names {
        walk: Walk,
        ids: Vec<u64>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Names {
        follow_walk!();
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.ids.contains(&param.id.val()) {
                self.found.push(self.walk.path());
            }
        }
    }
    let ids = slot.leaves().into_iter().map(|leaf| access::read(leaf).id.val()).collect();
    let mut names = Names { walk: Walk::default(), ids, found: Vec::new() };
    let (parent, leaf) = match path.rsplit_once('.') {
        Some((parent, leaf)) => (format!("{parent}."), leaf),
        None => (String::new(), path),
    };
    slot.visit(leaf, &mut names);
    names.found.into_iter().map(|name| format!("{parent}{name}")).collect()
}

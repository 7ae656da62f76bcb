//! A chain of links: built, inverted, lengthened and shortened.

use burn::module::ParamId;

use super::access;
use super::slot::{self, Computed, Original, Pass};
use crate::erase::{AnyModule, AnyTensor};
use crate::parametrize::{Link, Rule, RuleError, Site};

/// A rule's refusal, with the rule's name.
pub(super) type Refusal = (String, RuleError);

impl Computed {
    /// A plain parameter with this value, trained as the originals are, in the identity of the only
    /// one. As in PyTorch, what several originals made is a new parameter.
    pub(super) fn leaf(&self, value: &AnyTensor) -> AnyModule {
        access::leaf_like(self.last(), value, self.leaves().len() == 1)
    }

    /// The same without values, to stand in the template.
    pub(super) fn shell(&self, dims: &[usize]) -> AnyModule {
        access::shell(self.last(), dims, ParamId::new())
    }

    /// The leaf that is shaped most like the value: of several, the direction comes last.
    pub(super) fn last(&self) -> &AnyModule {
        match self.leaves().pop() {
            Some(leaf) => leaf,
            None => unreachable!("a slot has at least one original"),
        }
    }

    /// The originals that the right inverses of the links make of `value`, from last to first.
    pub(super) fn inverted(&mut self, value: AnyTensor) -> Result<Vec<AnyTensor>, Refusal> {
        let mut values = vec![value];
        for link in self.links.iter_mut().rev() {
            values = invert(link, values).map_err(|error| (link.rule.clone(), error))?;
        }
        Ok(values)
    }

    /// Sets the originals so that the chain has `value`.
    pub(super) fn assign(&mut self, value: AnyTensor) -> Result<(), Refusal> {
        let mut changed = self.clone();
        let values = changed.inverted(value)?;
        if values.len() != changed.originals.len() {
            let error =
                RuleError::Originals { expected: changed.originals.len(), found: values.len() };
            return Err((changed.rules(), error));
        }
        changed.adopt(&values)?;
        *self = changed;
        Ok(())
    }

    /// Makes `values` the originals, each where one of its place and shape is, else new ones.
    fn adopt(&mut self, values: &[AnyTensor]) -> Result<(), Refusal> {
        let like = self.last().clone();
        if values.len() != self.originals.len() {
            let keep_id = values.len() == 1;
            let leaf = |value| Original::Leaf(access::leaf_like(&like, value, keep_id));
            self.originals = values.iter().map(leaf).collect();
            return Ok(());
        }
        for (original, value) in self.originals.iter_mut().zip(values) {
            match original {
                Original::Leaf(leaf) => *leaf = access::leaf_like(leaf, value, true),
                Original::Nested(computed) => computed.assign(value.clone())?,
            }
        }
        Ok(())
    }

    pub(super) fn rules(&self) -> String {
        let names: Vec<&str> = self.links.iter().map(Link::rule).collect();
        names.join(", then ")
    }

    fn site(&self, value: &AnyTensor) -> Site {
        Site {
            shape: value.dims(),
            layout: self.layout,
            dtype: value.dtype(),
            device: value.device(),
            layer: self.layer().to_owned(),
            value: Some(value.detach()),
        }
    }

    /// The chain with links of `rules` at its end.
    ///
    /// The first ones on a parameter take its value through their right inverses, from last to
    /// first; one without is taken for the identity. Later ones only join.
    pub(super) fn with_links(
        mut self,
        rules: &[&dyn Rule],
        is_unsafe: bool,
        may_change: bool,
    ) -> Result<Self, Refusal> {
        let before = self.dense();
        let site = self.site(&before);
        let refused = |rule: &dyn Rule| {
            let name = rule.name().to_owned();
            move |error| (name, error)
        };
        let mut links = Vec::new();
        for rule in rules {
            links.push(rule.link(&site).map_err(refused(*rule))?);
        }
        let last = match rules.last() {
            Some(rule) => *rule,
            None => return Ok(self),
        };
        if self.links.is_empty() {
            let mut values = vec![before.detach()];
            for (link, rule) in links.iter_mut().zip(rules).rev() {
                values = match invert(link, values.clone()) {
                    Err(RuleError::NoRightInverse { .. }) => values,
                    result => result.map_err(refused(*rule))?,
                };
            }
            // A single-tensor result keeps its dtype even when unsafe.
            if let [only] = values.as_slice() {
                same_dtype(&before, only).map_err(refused(rules[0]))?;
            }
            let keep_id = values.len() == 1;
            let like = self.last().clone();
            let leaf = |value| Original::Leaf(access::leaf_like(&like, value, keep_id));
            self.originals = values.iter().map(leaf).collect();
        } else {
            for (link, rule) in links.iter().zip(rules) {
                takes_one(link, &before).map_err(refused(*rule))?;
            }
        }
        self.links.extend(links);
        self.is_unsafe |= is_unsafe;
        self.checked(&before, may_change).map_err(refused(last))
    }

    /// The chain with a link of `rule` before the one at `index`; the value before is assigned
    /// through the new chain.
    pub(super) fn with_link_at(
        mut self,
        index: usize,
        rule: &dyn Rule,
        may_change: bool,
    ) -> Result<Self, Refusal> {
        let refused = |error| (rule.name().to_owned(), error);
        let before = self.dense();
        let link = rule.link(&self.site(&before)).map_err(refused)?;
        self.links.insert(index, link);
        self.is_unsafe |= rule.is_unsafe();
        let values = self.inverted(before.detach())?;
        self.adopt(&values)?;
        self.checked(&before, may_change).map_err(refused)
    }

    /// The chain without the link at `index`, with the same value.
    pub(super) fn without_link(mut self, index: usize) -> Result<(Self, Link), Refusal> {
        let before = self.dense();
        let link = self.links.remove(index);
        if self.links.is_empty() {
            self.originals = vec![Original::Leaf(self.leaf(&before))];
            return Ok((self, link));
        }
        let values = self.inverted(before.detach())?;
        self.adopt(&values)?;
        let rules = self.rules();
        let slot = self.checked(&before, false).map_err(|error| (rules.clone(), error))?;
        let by = distance(&slot.dense(), &before);
        if by.is_some_and(|by| by > tolerance(&before)) {
            let error = RuleError::ValueChanges { by: by.unwrap_or_default() };
            return Err((rules, error));
        }
        Ok((slot, link))
    }

    /// The chain if it computes, and keeps shape and dtype unless both it and `may_change` allow a
    /// change.
    fn checked(self, before: &AnyTensor, may_change: bool) -> Result<Self, RuleError> {
        let originals = self.originals.iter().map(Original::value).collect();
        let after = slot::chain(&self.links, originals, Pass::Reading)?;
        let may_change = may_change && self.is_unsafe;
        // A mask has the shape of what it was made for.
        let may_reshape = may_change && self.mask.is_none();
        if !may_reshape && before.dims() != after.dims() {
            return Err(RuleError::ChangesShape { expected: before.dims(), found: after.dims() });
        }
        if !may_change {
            same_dtype(before, &after)?;
        }
        Ok(self)
    }
}

/// One step back through a chain: later links give one tensor to the link before.
fn invert(link: &mut Link, mut values: Vec<AnyTensor>) -> Result<Vec<AnyTensor>, RuleError> {
    match (values.pop(), values.len()) {
        (Some(value), 0) => link.right_inverse(value.detach()),
        (_, others) => Err(RuleError::Originals { expected: 1, found: others + 1 }),
    }
}

/// A later link is given one tensor, so that a rule of several originals cannot be one.
fn takes_one(link: &Link, value: &AnyTensor) -> Result<(), RuleError> {
    match link.clone().right_inverse(value.detach()) {
        Ok(originals) if originals.len() != 1 => {
            Err(RuleError::Originals { expected: originals.len(), found: 1 })
        }
        _ => Ok(()),
    }
}

fn same_dtype(before: &AnyTensor, after: &AnyTensor) -> Result<(), RuleError> {
    if before.dtype() == after.dtype() {
        return Ok(());
    }
    Err(RuleError::ChangesDtype {
        expected: format!("{:?}", before.dtype()),
        found: format!("{:?}", after.dtype()),
    })
}

/// The largest difference of two elements; none where both values are NaN alike.
fn distance(a: &AnyTensor, b: &AnyTensor) -> Option<f64> {
    let (a, b) = (a.to_data(), b.to_data());
    let differences = a.iter::<f64>().zip(b.iter::<f64>()).filter_map(|(a, b)| {
        let off = (a - b).abs();
        match (a.is_nan(), b.is_nan()) {
            (true, true) => None,
            (false, false) if a == b => None,
            (false, false) => Some(off),
            _ => Some(f64::INFINITY),
        }
    });
    differences.max_by(f64::total_cmp)
}

/// What an inverse and the chain after it may lose: a thousand rounding errors.
fn tolerance(value: &AnyTensor) -> f64 {
    let largest =
        value.to_data().iter::<f64>().map(f64::abs).filter(|v| v.is_finite()).fold(1.0, f64::max);
    let epsilon = value.dtype().finfo().map_or(f64::from(f32::EPSILON), |info| info.epsilon);
    1e3 * epsilon * largest
}

//! Several rules as one.

use std::fmt;

use serde_json::Value;

use super::{Link, Rule, RuleError, Site};

/// Rules to register together, in the order they apply.
///
/// Registered on a parameter without any, the list takes its value through the right inverses from
/// last to first, so that the value stays where the rules can hold it: as PyTorch's
/// `ParametrizationList(modules, original)`. Rules registered one after the other ask only the
/// first for its right inverse, and the later ones change the value.
///
/// It may change shape and dtype if one of its rules may, or with [`unsafe_`](Self::unsafe_).
/// Displayed as PyTorch prints it.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use espalier::parametrize::{ParametrizationList, Symmetric, WeightNorm};
/// use espalier::Parametrized;
///
/// let list = ParametrizationList::new().with(WeightNorm::dim(0)).with(Symmetric::new());
/// assert_eq!(
///     list.to_string(),
///     "ParametrizationList(\n  (0): weight_norm(dim 0)\n  (1): symmetric\n)"
/// );
/// let mut net = Parametrized::new(LinearConfig::new(3, 3).init(&Device::default()));
/// net.register("weight", list)?;
/// assert_eq!(net.parametrizations("weight")?.rules, ["weight_norm", "symmetric"]);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ParametrizationList {
    rules: Vec<Box<dyn Rule>>,
    is_unsafe: bool,
}

impl ParametrizationList {
    /// A list without rules, which cannot be registered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The list with `rule` after the others.
    pub fn with(mut self, rule: impl Rule + 'static) -> Self {
        self.rules.push(Box::new(rule));
        self
    }

    /// The list, allowed to change shape and dtype: PyTorch's `unsafe=True`.
    pub fn unsafe_(mut self) -> Self {
        self.is_unsafe = true;
        self
    }

    /// Whether it may change shape and dtype.
    pub fn is_unsafe(&self) -> bool {
        self.is_unsafe || self.rules.iter().any(|rule| rule.is_unsafe())
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules in order.
    pub fn rules(&self) -> Vec<&dyn Rule> {
        self.rules.iter().map(Box::as_ref).collect()
    }
}

impl fmt::Display for ParametrizationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParametrizationList(\n")?;
        for (index, rule) in self.rules.iter().enumerate() {
            writeln!(f, "  ({index}): {}", describe(rule.name(), &rule.options()))?;
        }
        f.write_str(")")
    }
}

/// What can be registered: a [`Rule`], or several as a [`ParametrizationList`].
pub trait IntoRules {
    /// The rules in order.
    fn into_rules(self) -> ParametrizationList;
}

impl<R: Rule + 'static> IntoRules for R {
    fn into_rules(self) -> ParametrizationList {
        ParametrizationList::new().with(self)
    }
}

impl IntoRules for ParametrizationList {
    fn into_rules(self) -> ParametrizationList {
        self
    }
}

impl<R: Rule + ?Sized> Rule for Box<R> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn version(&self) -> u32 {
        (**self).version()
    }
    fn options(&self) -> Value {
        (**self).options()
    }
    fn is_unsafe(&self) -> bool {
        (**self).is_unsafe()
    }
    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        (**self).link(site)
    }
}

/// A rule with its options: `orthogonal(cayley, trivialization)`, `weight_norm(dim 0)`.
pub(crate) fn describe(rule: &str, options: &Value) -> String {
    let options: Vec<String> = match options {
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| match value {
                Value::Null | Value::Bool(false) => None,
                Value::Bool(true) => Some(name.clone()),
                Value::String(text) => Some(text.clone()),
                other => Some(format!("{name} {other}")),
            })
            .collect(),
        Value::Null => Vec::new(),
        other => vec![other.to_string()],
    };
    match options.as_slice() {
        [] => rule.to_owned(),
        options => format!("{rule}({})", options.join(", ")),
    }
}

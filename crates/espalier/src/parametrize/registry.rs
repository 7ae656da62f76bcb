//! Rules by name, to rebuild what a file describes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    FixedRank, Lora, LowRank, NonNegative, Orthogonal, PositiveDefinite, PositiveSemidefinite,
    Rule, RuleError, Scale, SigmoidMask, Skew, SpectralNorm, Sphere, Symmetric, WeightNorm,
};

type Make = Arc<dyn Fn(&Value) -> Result<Box<dyn Rule>, RuleError> + Send + Sync>;

/// The rules that can be rebuilt from their saved names and options.
///
/// ```
/// use espalier::parametrize::Rules;
/// let rule = Rules::builtin().make("weight_norm", &serde_json::json!({ "dim": 0 }))?;
/// assert_eq!(rule.name(), "weight_norm");
/// assert!(Rules::builtin().make("wait_norm", &serde_json::Value::Null).is_err());
/// # Ok::<(), espalier::parametrize::RuleError>(())
/// ```
#[derive(Clone)]
pub struct Rules(BTreeMap<String, Make>);

impl Rules {
    /// The rules of this library.
    pub fn builtin() -> Self {
        Self(BTreeMap::new())
            .with_options::<FixedRank>("fixed_rank")
            .with_options::<Lora>("lora")
            .with_options::<LowRank>("low_rank")
            .with_options::<NonNegative>("non_negative")
            .with_options::<Orthogonal>("orthogonal")
            .with_options::<PositiveDefinite>("positive_definite")
            .with_options::<PositiveSemidefinite>("positive_semidefinite")
            .with_options::<Scale>("scale")
            .with_options::<SigmoidMask>("sigmoid_mask")
            .with_options::<Skew>("skew")
            .with_options::<SpectralNorm>("spectral_norm")
            .with_options::<Sphere>("sphere")
            .with_options::<Symmetric>("symmetric")
            .with_options::<WeightNorm>("weight_norm")
    }

    /// Adds an own rule, made from its saved options.
    pub fn with<F>(mut self, name: impl Into<String>, make: F) -> Self
    where
        F: Fn(&Value) -> Result<Box<dyn Rule>, RuleError> + Send + Sync + 'static,
    {
        self.0.insert(name.into(), Arc::new(make));
        self
    }

    fn with_options<R: Rule + DeserializeOwned + 'static>(self, name: &'static str) -> Self {
        self.with(name, |options| {
            let rule: R = serde_json::from_value(options.clone()).map_err(|error| {
                RuleError::Options { options: options.to_string(), reason: error.to_string() }
            })?;
            Ok(Box::new(rule))
        })
    }

    /// The names known, in alphabetic order.
    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// The rule of that name with these options.
    ///
    /// # Errors
    ///
    /// [`RuleError::Unknown`] with the known names, [`RuleError::Options`] if they do not fit.
    pub fn make(&self, name: &str, options: &Value) -> Result<Box<dyn Rule>, RuleError> {
        match self.0.get(name) {
            Some(make) => make(options),
            None => {
                let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                Err(RuleError::Unknown { known: known.join(", ") })
            }
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::builtin()
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

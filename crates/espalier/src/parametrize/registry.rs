//! Rules by name, to rebuild what a file describes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value};
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
pub struct Rules(BTreeMap<String, Entry>);

#[derive(Clone)]
struct Entry {
    make: Make,
    /// The names of its options, where they are known.
    options: &'static [&'static str],
}

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
        self.0.insert(name.into(), Entry { make: Arc::new(make), options: &[] });
        self
    }

    fn with_options<R: Rule + DeserializeOwned + 'static>(self, name: &'static str) -> Self {
        let mut rules = self.with(name, |options| {
            let rule: R = serde_json::from_value(options.clone()).map_err(|error| {
                RuleError::Options { options: options.to_string(), reason: error.to_string() }
            })?;
            Ok(Box::new(rule))
        });
        if let Some(entry) = rules.0.get_mut(name) {
            // It fails, as it is made to; what it was asked for is what counts.
            let _ = R::deserialize(Fields(&mut entry.options));
        }
        rules
    }

    /// The names of the options of a rule of this library; none for an own or an unknown one.
    ///
    /// ```
    /// use espalier::parametrize::Rules;
    /// assert_eq!(Rules::builtin().options("orthogonal"), ["map", "trivialization"]);
    /// ```
    pub fn options(&self, name: &str) -> &'static [&'static str] {
        self.0.get(name).map_or(&[], |entry| entry.options)
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
            Some(entry) => (entry.make)(options),
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

/// Takes down the names of the fields that a struct is read from.
struct Fields<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(value::Error::custom("there is nothing to read"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(value::Error::custom("there is nothing to read"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

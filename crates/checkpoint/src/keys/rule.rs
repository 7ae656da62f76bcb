//! One rule for names.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use regex::{Captures, Regex};

use super::fault::KeyFault;
use super::turn::Turn;

/// What stands between pattern and replacement.
const ARROW: &str = "=>";

/// A rule for names: what matches becomes something else, and the axes of the tensor are turned.
///
/// A pattern is a regular expression as those of the crate [`regex`], without look-around. It replaces every place
/// of the name that it matches; `$1` or `${1}` in the replacement is what the first group matched, `$$` a dollar sign.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, KeyMap, KeyRule, NamedTensor, Turn};
/// let rule = KeyRule::new(r"^(.*)/kernel$", "$1.weight")?.turned(Turn::FromLast);
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc/kernel", vec![1, 2], &[1.0, 2.0])?)?;
/// let mapped = checkpoint.mapped(&KeyMap::from_iter([rule]))?;
/// assert_eq!(mapped.get("fc.weight").map(|weight| weight.shape()), Some(&[2, 1][..]));
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct KeyRule {
    pattern: Regex,
    replacement: String,
    turn: Option<Turn>,
    ranks: RangeInclusive<usize>,
    except: Option<Regex>,
    only: Option<Regex>,
    beside: Option<String>,
}

impl KeyRule {
    /// What `pattern` matches becomes `replacement`.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Pattern`] for what is no regular expression, [`KeyFault::NoGroup`] for a replacement that names
    /// a group that there is not.
    ///
    /// ```
    /// use espalier_checkpoint::{KeyFault, KeyRule};
    /// // To the regular expression this is a group called `1_new`.
    /// assert!(matches!(KeyRule::new("(.*)", "$1_new"), Err(KeyFault::NoGroup { .. })));
    /// assert!(KeyRule::new("(.*)", "${1}_new").is_ok());
    /// ```
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, KeyFault> {
        let pattern = regex(pattern)?;
        check(&pattern, replacement)?;
        let replacement = replacement.to_owned();
        Ok(Self {
            pattern,
            replacement,
            turn: None,
            ranks: 0..=usize::MAX,
            except: None,
            only: None,
            beside: None,
        })
    }

    /// A rule as text: `REGEX=>NEW`, with or without spaces about the arrow.
    ///
    /// # Errors
    ///
    /// [`KeyFault::NoArrow`] for a text without an arrow, and as [`new`](Self::new).
    ///
    /// ```
    /// use espalier_checkpoint::{KeyFault, KeyRule};
    /// assert!(KeyRule::parse(r"^module\. => ").is_ok());
    /// assert!(matches!(KeyRule::parse("module"), Err(KeyFault::NoArrow { .. })));
    /// ```
    pub fn parse(text: &str) -> Result<Self, KeyFault> {
        let parts = text.split_once(ARROW);
        let (pattern, replacement) =
            parts.ok_or_else(|| KeyFault::NoArrow { text: text.to_owned() })?;
        Self::new(pattern.trim(), replacement.trim())
    }

    /// Turns the axes of the tensors whose names match.
    ///
    /// See [`KeyRule`] for an example.
    #[must_use]
    pub fn turned(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// Only for tensors with so many dimensions.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, KeyRule, NamedTensor};
    /// let map = KeyMap::from_iter([KeyRule::new("weight$", "scale")?.of_rank(1..=1)]);
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("fc.weight", vec![0, 0], &[])?)?;
    /// checkpoint.push(NamedTensor::f32("norm.weight", vec![0], &[])?)?;
    /// assert_eq!(checkpoint.mapped(&map)?.names().collect::<Vec<_>>(), ["fc.weight", "norm.scale"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    #[must_use]
    pub fn of_rank(mut self, ranks: RangeInclusive<usize>) -> Self {
        self.ranks = ranks;
        self
    }

    /// Not for names that this matches too.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Pattern`] for what is no regular expression.
    ///
    /// ```
    /// assert!(espalier_checkpoint::KeyRule::new("a", "b")?.except("(").is_err());
    /// # Ok::<(), espalier_checkpoint::KeyFault>(())
    /// ```
    pub fn except(mut self, pattern: &str) -> Result<Self, KeyFault> {
        self.except = Some(regex(pattern)?);
        Ok(self)
    }

    /// Only for names that this matches too.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Pattern`] for what is no regular expression.
    ///
    /// ```
    /// assert!(espalier_checkpoint::KeyRule::new("a", "b")?.only("^layers").is_ok());
    /// # Ok::<(), espalier_checkpoint::KeyFault>(())
    /// ```
    pub fn only(mut self, pattern: &str) -> Result<Self, KeyFault> {
        self.only = Some(regex(pattern)?);
        Ok(self)
    }

    /// Only beside a tensor of that name, which may name groups of the pattern.
    ///
    /// # Errors
    ///
    /// [`KeyFault::NoGroup`] for a group that there is not.
    ///
    /// ```
    /// use espalier_checkpoint::{Checkpoint, KeyMap, KeyRule, NamedTensor};
    /// let rule = KeyRule::new(r"^(.*)\.weight$", "$1.gamma")?.beside("$1.running_mean")?;
    /// let mut checkpoint = Checkpoint::new();
    /// for name in ["bn.weight", "bn.running_mean", "fc.weight"] {
    ///     checkpoint.push(NamedTensor::f32(name, vec![0], &[])?)?;
    /// }
    /// let mapped = checkpoint.mapped(&KeyMap::from_iter([rule]))?;
    /// assert_eq!(mapped.names().collect::<Vec<_>>(), ["bn.gamma", "bn.running_mean", "fc.weight"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn beside(mut self, name: &str) -> Result<Self, KeyFault> {
        check(&self.pattern, name)?;
        self.beside = Some(name.to_owned());
        Ok(self)
    }

    /// The pattern, as it was given.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::KeyRule::parse("a+=>b")?.pattern(), "a+");
    /// # Ok::<(), espalier_checkpoint::KeyFault>(())
    /// ```
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// The name that another one becomes and how its tensor is turned; `None` if the rule is not for it. `names`
    /// are those of all tensors.
    pub(super) fn apply(
        &self,
        name: &str,
        rank: usize,
        names: &HashSet<&str>,
    ) -> Option<(String, Option<Turn>)> {
        let found = self.pattern.captures(name).filter(|_| self.ranks.contains(&rank))?;
        if self.except.as_ref().is_some_and(|except| except.is_match(name))
            || self.only.as_ref().is_some_and(|only| !only.is_match(name))
        {
            return None;
        }
        let is_there = |beside: &String| names.contains(expanded(&found, beside).as_str());
        if !self.beside.as_ref().is_none_or(is_there) {
            return None;
        }
        Some((self.pattern.replace_all(name, self.replacement.as_str()).into_owned(), self.turn))
    }
}

fn expanded(found: &Captures<'_>, template: &str) -> String {
    let mut text = String::new();
    found.expand(template, &mut text);
    text
}

fn regex(pattern: &str) -> Result<Regex, KeyFault> {
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        // The last line says what is wrong, those before draw where.
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason).to_owned();
        KeyFault::Pattern { pattern: pattern.to_owned(), reason }
    })
}

/// That all groups are there which a replacement names.
fn check(pattern: &Regex, replacement: &str) -> Result<(), KeyFault> {
    let mut rest = replacement;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (group, after) = braced.unwrap_or_else(|| {
            let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            after.split_at(after.find(|letter| !is_word(letter)).unwrap_or(after.len()))
        });
        let is_there = match group.parse::<usize>() {
            Ok(number) => number < pattern.captures_len(),
            Err(_) => pattern.capture_names().flatten().any(|name| name == group),
        };
        // A dollar sign before nothing stands for itself.
        if !is_there && !group.is_empty() {
            return Err(KeyFault::NoGroup {
                pattern: pattern.as_str().to_owned(),
                replacement: replacement.to_owned(),
                group: group.to_owned(),
            });
        }
        rest = after;
    }
    Ok(())
}

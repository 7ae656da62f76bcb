//! What keeps a network from being one.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::text::{Log, RecipeError, Span, write_parts};

/// One thing that does not fit, at its place in a text that the network may come from.
///
/// Printed as `KEY: MESSAGE; expected EXPECTED; HELP`, without the parts it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The place, in bytes.
    pub span: Span,
    /// The key at fault: `layer[3]`.
    pub key: String,
    /// What was found.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Fault {
    /// Without what was expected and without help.
    pub(crate) fn new(span: Span, key: &str, message: String) -> Self {
        Self { span, key: key.to_owned(), message, expected: None, help: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        write_parts(f, &self.message, self.expected.as_deref(), self.help.as_deref())
    }
}

/// Everything that does not fit in one network; one line each.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct PlanError {
    /// In the order of the text; never empty.
    pub faults: Vec<Fault>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl PlanError {
    /// The same with lines and columns, for a network that was read from `text`; `file` is what the
    /// error calls it.
    ///
    /// ```
    /// use espalier_network::{Architecture, Input, Limits, Plan};
    ///
    /// let text = "layer = [{ type = 'flatten' },\n{ type = 'conv2d', channels = 2, kernel = 3 }]";
    /// let layers = Architecture::parse(text, "net.toml")?.layers;
    /// let input = Input::values([1, 8, 8]);
    /// let error = Plan::new(&layers, &[], &input, &Limits::default()).unwrap_err();
    /// let message = "layer[1]: conv2d is given [64] by layer[0]; expected an image, [channels, height, \
    ///                width]";
    /// assert_eq!(error.to_string(), message);
    /// let located = error.locate("net.toml", text.into());
    /// assert_eq!(located.to_string(), format!("net.toml:2:1: {message}"));
    /// # Ok::<(), espalier_network::RecipeError>(())
    /// ```
    pub fn locate(&self, file: &str, text: Arc<str>) -> RecipeError {
        let log = Log::new(&text);
        for fault in self.faults.iter().cloned() {
            log.add(fault.span, &fault.key, fault.message, fault.expected, fault.help);
        }
        let (problems, omitted) = log.into_problems();
        RecipeError::new(file, Arc::clone(&text), problems, omitted)
    }
}

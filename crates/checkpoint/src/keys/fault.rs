//! What is wrong with a map of names.

use crate::dtype::Dtype;

/// Why names cannot be mapped.
///
/// ```
/// use espalier_checkpoint::{KeyFault, KeyRule};
/// assert!(matches!(KeyRule::parse("a(b => c"), Err(KeyFault::Pattern { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A rule without an arrow.
    #[error("{text:?} is no rule for names: write REGEX=>NEW, as '^module\\.=>'")]
    NoArrow {
        /// What was given.
        text: String,
    },
    /// A pattern that is no regular expression.
    #[error("{pattern:?} is not a regular expression: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A replacement names a group that the pattern has not.
    #[error(
        "{replacement:?} names the group {group:?}, which {pattern:?} has not: groups are $1, $2 and so on; before a \
         letter, a digit or _ write ${{1}}"
    )]
    NoGroup {
        /// The pattern.
        pattern: String,
        /// The replacement.
        replacement: String,
        /// The name of the group.
        group: String,
    },
    /// Two tensors get one name.
    #[error(
        "{first:?} and {second:?} would both be called {name:?}: change the rules so that they stay apart"
    )]
    Collision {
        /// The first of them.
        first: String,
        /// The other one.
        second: String,
        /// The name.
        name: String,
    },
    /// A name becomes empty.
    #[error("nothing would be left of the name {name:?}: change the rules")]
    Empty {
        /// The name before.
        name: String,
    },
    /// Elements smaller than a byte cannot change places.
    #[error(
        "tensor {name:?}: the axes of {dtype} cannot be turned, its elements are no whole bytes"
    )]
    SmallElements {
        /// The tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
}

//! Values that remember their place in the text.

use std::ops::Range;

/// A place in a recipe's text, in bytes.
pub type Span = Range<usize>;

/// A value with its place in the recipe.
///
/// ```
/// use espalier_network::Spanned;
///
/// let name = Spanned::new("digits", 7..15);
/// assert_eq!((name.value, name.span), ("digits", 7..15));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the recipe's text. A default has the place of the table that could have set it.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    ///
    /// ```
    /// use espalier_network::Spanned;
    ///
    /// assert_eq!(Spanned::new(3, 0..1).value, 3);
    /// ```
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

//! What only the network can show to be wrong with a recipe, collected.

use crate::spec::Recipe;
use espalier_network::{RecipeError, Span};

/// Problems of one recipe, gathered so that all of them are reported at once.
pub(crate) struct Faults<'a> {
    recipe: &'a Recipe,
    found: Option<RecipeError>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(recipe: &'a Recipe) -> Self {
        Self { recipe, found: None }
    }

    /// Adds a problem, with the arguments of [`Recipe::problem`].
    pub(crate) fn add(
        &mut self,
        span: &Span,
        key: impl Into<String>,
        message: impl Into<String>,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) {
        let error = self.recipe.problem(span, key, message, expected, help);
        match &mut self.found {
            Some(found) => found.problems.extend(error.problems),
            None => self.found = Some(error),
        }
    }

    /// # Errors
    ///
    /// The problems in the order of the text, if there are any.
    pub(crate) fn into_result(self) -> Result<(), RecipeError> {
        match self.found {
            None => Ok(()),
            Some(mut error) => {
                error.problems.sort_by_key(|problem| problem.span.start);
                Err(error)
            }
        }
    }
}

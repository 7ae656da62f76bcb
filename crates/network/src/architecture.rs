//! The layers of a file.

use toml_edit::Document;

use crate::layer::{LayerSpec, layer};
use crate::text::{Cursor, Log, RecipeError, Spanned};

/// A network as its text describes it.
///
/// ```
/// use espalier_network::{Architecture, Layer};
///
/// let text = "[[layer]]\ntype = 'flatten'\n[[layer]]\ntype = 'linear'\nfeatures = 10";
/// let architecture = Architecture::parse(text, "net.toml")?;
/// assert_eq!(architecture.layers[0].value.layer, Layer::Flatten);
/// # Ok::<(), espalier_network::RecipeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Architecture {
    /// The layers in order.
    pub layers: Vec<Spanned<LayerSpec>>,
}

impl Architecture {
    /// Reads the `[[layer]]` of a TOML text; `file` is what errors call it.
    ///
    /// # Errors
    /// [`RecipeError`] with everything that is wrong, in the order of the text.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecipeError> {
        let log = Log::new(text);
        let mut layers = Vec::new();
        match Document::parse(text) {
            Ok(document) => {
                let mut root = Cursor::new(&log, document.as_table(), String::new(), 0..0);
                layers = root.each("layer", layer);
                root.finish();
            }
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                log.add(span, "", format!("not valid TOML: {}", error.message()), None, None);
            }
        }
        let (problems, omitted) = log.into_problems();
        if problems.is_empty() {
            return Ok(Self { layers });
        }
        Err(RecipeError::new(file, text.into(), problems, omitted))
    }
}

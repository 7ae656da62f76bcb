//! Errors as text for people: what is wrong, where, and how to mend it.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, ThemeCharacters,
    ThemeStyles,
};

use crate::error::CliError;
use crate::hints::help;
use crate::terminal::{Console, harmless};

/// The whole text for standard error.
pub(crate) fn text(error: &CliError, console: &Console) -> String {
    #[cfg(feature = "train")]
    if let Some(recipe) = error.recipe() {
        return crate::problems::text(recipe, console);
    }
    let message = harmless(&message(error));
    let help = help(error).map(|help| harmless(&help));
    render(&Fault { message, help, place: None }, console)
}

/// An error in words. What is wrong with a file's content names no file, and needs the path before
/// it; what keeps a file from being read names it already.
fn message(error: &CliError) -> String {
    #[cfg(feature = "train")]
    if let CliError::Predict(error) = error
        && let espalier_recipe::PredictError::Model { path, source } = &**error
    {
        let said = chain(source.as_ref());
        if said.contains(&path.display().to_string()) {
            return said;
        }
    }
    chain(error)
}

/// An error and what it says of its causes, but nothing twice.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

pub(crate) fn render(fault: &Fault<'_>, console: &Console) -> String {
    let theme = GraphicalTheme {
        characters: if console.unicode {
            ThemeCharacters::unicode()
        } else {
            ThemeCharacters::ascii()
        },
        styles: if console.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    // Lines are not broken here: paths and names in them are copied and searched for.
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_wrap_lines(false)
        .without_syntax_highlighting()
        .without_cause_chain();
    let mut text = String::new();
    match handler.render_report(&mut text, fault) {
        Ok(()) => text,
        // The lines cannot be shown, the words can.
        Err(_) => match &fault.help {
            Some(help) => format!("{}\n  help: {help}\n", fault.message),
            None => format!("{}\n", fault.message),
        },
    }
}

/// What is wrong, in a form that can be drawn.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) place: Option<Place<'a>>,
}

/// Where it is wrong.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) source: &'a str,
    pub(crate) span: Range<usize>,
    pub(crate) label: Option<String>,
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault<'_> {}

impl Diagnostic for Fault<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let place = self.place.as_ref()?;
        Some(&place.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let Place { span, label, .. } = self.place.as_ref()?;
        let label = LabeledSpan::new(label.clone(), span.start, span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

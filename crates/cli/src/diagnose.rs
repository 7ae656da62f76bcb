//! Errors as text for people: what is wrong, where, and how to mend it.

use std::error::Error;
use std::fmt;
use std::ops::Range;

use espalier_recipe::{PredictError, Problem, RecipeError};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode, ThemeCharacters,
    ThemeStyles,
};

use crate::error::CliError;
use crate::hints::help;
use crate::terminal::{Console, directs, harmless};

/// A longer description of what was expected stands below the lines of the recipe, not in them.
const LONGEST_LABEL: usize = 60;

/// The whole text for standard error.
pub(crate) fn text(error: &CliError, console: &Console) -> String {
    match error.recipe() {
        Some(recipe) => problems(recipe, console),
        None => render(
            &Fault {
                message: harmless(&message(error)),
                help: help(error).map(|help| harmless(&help)),
                place: None,
            },
            console,
        ),
    }
}

/// Every problem of a recipe with its line, and how many there are.
fn problems(recipe: &RecipeError, console: &Console) -> String {
    let source = shown(&recipe.text);
    let mut text = String::new();
    for problem in &recipe.problems {
        text.push_str(&render(&Fault::of(problem, &recipe.file, &source), console));
        text.push('\n');
    }
    let count = recipe.problems.len() + recipe.omitted;
    let (problems, them) = if count == 1 { ("problem", "it") } else { ("problems", "them") };
    let first = if recipe.omitted > 0 {
        format!(" (the first {} are shown)", recipe.problems.len())
    } else {
        String::new()
    };
    let file = harmless(&recipe.file);
    text.push_str(&format!(
        "{count} {problems} in {file}{first}; nothing was written. Mend {them} and try again.\n"
    ));
    text
}

/// An error in words. What is wrong with a file's content names no file, and needs the path before
/// it; what keeps a file from being read names it already.
fn message(error: &CliError) -> String {
    if let CliError::Predict(error) = error
        && let PredictError::Model { path, source } = &**error
    {
        let said = chain(source.as_ref());
        if said.contains(&path.display().to_string()) {
            return said;
        }
    }
    chain(error)
}

/// An error and what it says of its causes, but nothing twice.
fn chain(error: &dyn Error) -> String {
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

/// A text with what would direct the terminal replaced by as many bytes, so that places in it stay.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        shown.push(match character {
            '\n' | '\t' => character,
            '\r' if characters.peek() == Some(&'\n') => ' ',
            _ if !directs(character) => character,
            _ => match character.len_utf8() {
                1 => '?',
                2 => '\u{b7}',
                _ => '\u{fffd}',
            },
        });
    }
    shown
}

fn render(fault: &Fault<'_>, console: &Console) -> String {
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
struct Fault<'a> {
    message: String,
    help: Option<String>,
    place: Option<Place<'a>>,
}

/// Where it is wrong.
#[derive(Debug)]
struct Place<'a> {
    source: &'a str,
    span: Range<usize>,
    label: Option<String>,
}

impl<'a> Fault<'a> {
    fn of(problem: &Problem, file: &str, source: &'a str) -> Self {
        let Problem { line, column, .. } = problem;
        let mut message = format!("{file}:{line}:{column}: ");
        if !problem.key.is_empty() {
            message.push_str(&problem.key);
            message.push_str(": ");
        }
        message.push_str(&problem.message);

        let expected =
            problem.expected.as_ref().map(|expected| harmless(&format!("expected {expected}")));
        let is_short = |text: &String| text.chars().count() <= LONGEST_LABEL;
        let (label, below) = match expected {
            Some(expected) if is_short(&expected) => (Some(expected), None),
            long => (None, long),
        };
        let mend = problem.help.as_ref().map(|help| harmless(help));
        let help: Vec<String> = mend.into_iter().chain(below).collect();
        Self {
            message: harmless(&message),
            help: (!help.is_empty()).then(|| help.join("\n")),
            place: Some(Place { source, span: first_line(source, &problem.span), label }),
        }
    }
}

/// The part of a span on its first line: a table at fault is known by its header.
fn first_line(source: &str, span: &Range<usize>) -> Range<usize> {
    let start = span.start.min(source.len());
    let end = span.end.clamp(start, source.len());
    let line = source.get(start..end).unwrap_or_default();
    let length = line.find('\n').unwrap_or(line.len());
    start..start + line[..length].trim_end().len()
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

#[cfg(test)]
mod tests {
    use espalier_report::Style;

    use super::*;

    const PLAIN: Console =
        Console { tables: Style::ascii(), live: false, color: false, unicode: false };

    fn recipe(text: &str) -> String {
        let error = espalier_recipe::Recipe::parse(text, "net.toml").unwrap_err();
        problems(&error, &PLAIN)
    }

    #[test]
    fn places_stay_where_they_are() {
        let text = "a\u{1b}\u{85}\u{202e}\r\nb\r\tc";
        let shown = shown(text);
        assert_eq!(shown, "a?\u{b7}\u{fffd} \nb?\tc");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn no_control_character_of_a_recipe_is_printed() {
        let text = recipe("name = \"\u{1b}[2J\u{9b}31m");
        assert!(text.contains("net.toml:1:"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
    }

    #[test]
    fn an_empty_recipe() {
        let text = recipe("");
        assert!(text.contains("net.toml:1:1: "), "{text}");
        assert!(text.contains("nothing was written"), "{text}");
    }

    #[test]
    fn only_the_first_line_of_a_table() {
        let source = "[data] \nx = 1\n";
        assert_eq!(first_line(source, &(0..14)), 0..6);
        assert_eq!(first_line(source, &(14..14)), 14..14);
        assert_eq!(first_line(source, &(90..99)), 14..14);
        assert_eq!(first_line("é", &(1..2)), 1..1);
    }

    #[test]
    fn a_cause_is_not_told_twice() {
        let error = CliError::from(espalier_recipe::Recipe::read("no/such.toml").unwrap_err());
        let text = chain(&error);
        assert_eq!(text.matches("os error 2").count(), 1, "{text}");
    }
}

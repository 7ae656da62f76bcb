//! What is wrong with a recipe as text for people: each problem with its lines.

use std::ops::Range;

use espalier_recipe::{Problem, RecipeError};

use crate::diagnose::{Fault, Place, render};
use crate::terminal::{Console, directs, harmless};

/// A longer description of what was expected stands below the lines of the recipe, not in them.
const LONGEST_LABEL: usize = 60;

/// Every problem of a recipe with its line, and how many there are.
pub(crate) fn text(recipe: &RecipeError, console: &Console) -> String {
    let source = shown(&recipe.text);
    let mut text = String::new();
    for problem in &recipe.problems {
        text.push_str(&render(&fault_of(problem, &recipe.file, &source), console));
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

fn fault_of<'a>(problem: &Problem, file: &str, source: &'a str) -> Fault<'a> {
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
    Fault {
        message: harmless(&message),
        help: (!help.is_empty()).then(|| help.join("\n")),
        place: Some(Place { source, span: first_line(source, &problem.span), label }),
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

#[cfg(test)]
mod tests {
    use espalier_report::Style;

    use super::*;
    use crate::diagnose::chain;
    use crate::error::CliError;
    use crate::terminal::Paint;

    const PLAIN: Console = Console {
        tables: Style::ascii(),
        live: false,
        color: false,
        unicode: false,
        results: Paint { color: false },
    };

    fn recipe(text: &str) -> String {
        let error = espalier_recipe::Recipe::parse(text, "net.toml").unwrap_err();
        super::text(&error, &PLAIN)
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

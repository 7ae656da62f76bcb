//! What the program writes to, and what that can show.

use std::env;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use console::Term;
use espalier_report::Style;

use crate::args::Color;
use crate::error::CliError;

/// What standard output and standard error can show, settled once at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    /// How tables on standard output are drawn.
    pub(crate) tables: Style,
    /// Whether standard error can redraw a line in place.
    pub(crate) live: bool,
    /// Whether standard error is coloured.
    pub(crate) color: bool,
    /// Whether standard error shows more than ASCII.
    pub(crate) unicode: bool,
    /// How words on standard output are coloured.
    pub(crate) results: Paint,
}

/// Colours words, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) color: bool,
}

impl Paint {
    pub(crate) fn green(self, word: &str) -> String {
        self.with(word, 32)
    }

    pub(crate) fn red(self, word: &str) -> String {
        self.with(word, 31)
    }

    /// With a colour of those that every terminal has.
    fn with(self, word: &str, code: u8) -> String {
        if self.color { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    }
}

impl Console {
    pub(crate) fn new(color: Color) -> Self {
        let unicode = supports_unicode::supports_unicode();
        // Pipes and files get plain tables of full width.
        let tables = match Term::stdout().size_checked() {
            Some((_, columns)) if io::stdout().is_terminal() => {
                Style { utf8: unicode, width: Some(columns) }
            }
            _ => Style::ascii(),
        };
        let terminal = io::stderr().is_terminal();
        let live = terminal && !console::is_dumb();
        let no_color = env::var_os("NO_COLOR");
        let shows = io::stdout().is_terminal() && !console::is_dumb();
        let results = Paint { color: colored(color, shows, no_color.as_deref()) };
        let color = colored(color, live, no_color.as_deref());
        console::set_colors_enabled_stderr(color);
        Self { tables, live, color, unicode: unicode && terminal, results }
    }
}

/// `NO_COLOR` counts if it is set to anything but nothing, see <https://no-color.org>; what was
/// asked for on the command line counts more.
fn colored(color: Color, live: bool, no_color: Option<&OsStr>) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => live && no_color.is_none_or(OsStr::is_empty),
    }
}

/// Standard output.
///
/// If its reader goes away, as `head` does, the rest is dropped without a word: what else a command
/// does goes on. Any other failure is kept for [`Output::finish`], for the same reason.
#[derive(Debug)]
pub(crate) struct Output {
    open: bool,
    failure: Option<io::Error>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { open: true, failure: None }
    }

    /// Writes all of a text.
    pub(crate) fn write(&mut self, text: &str) {
        if !self.open {
            return;
        }
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written {
            self.open = false;
            if error.kind() != ErrorKind::BrokenPipe {
                self.failure = Some(error);
            }
        }
    }

    /// Writes one JSON document.
    pub(crate) fn json(
        &mut self,
        document: &(impl serde::Serialize + ?Sized),
    ) -> Result<(), CliError> {
        let mut json = serde_json::to_string_pretty(document)?;
        json.push('\n');
        self.write(&json);
        Ok(())
    }

    /// The failure to write, if there was one.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        self.failure.map_or(Ok(()), |error| Err(CliError::Output(error)))
    }
}

/// Writes a text to standard error, if that can be written to.
pub(crate) fn to_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// Whether a character would direct a terminal instead of being shown by it: control characters,
/// and those that turn the direction of writing.
pub(crate) fn directs(character: char) -> bool {
    let turns = matches!(character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns
}

/// A text that may quote files and file names, harmless to a terminal: what would direct it is
/// escaped, but for line breaks.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character != '\n' && directs(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_color() {
        let cases = [
            (Color::Auto, true, None, true),
            (Color::Auto, true, Some(""), true),
            (Color::Auto, true, Some("1"), false),
            (Color::Auto, false, None, false),
            (Color::Always, false, Some("1"), true),
            (Color::Never, true, None, false),
        ];
        for (color, live, no_color, expected) in cases {
            let no_color = no_color.map(OsStr::new);
            assert_eq!(colored(color, live, no_color), expected, "{color:?} {live} {no_color:?}");
        }
    }

    #[test]
    fn messages_cannot_direct_the_terminal() {
        assert_eq!(harmless("é\n\u{1b}[2J\u{202e}\r"), "é\n\\u{1b}[2J\\u{202e}\\u{d}");
    }
}

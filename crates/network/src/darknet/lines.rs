//! The lines of a `.cfg`: sections of `key=value`, each read once.

use std::cell::RefCell;
use std::str::FromStr;

use crate::text::{LARGEST, Log, Span, Spanned, did_you_mean, integer_text, one_of, quoted};

/// `[name]` and what stands below it.
pub(super) struct Section<'t> {
    pub(super) name: &'t str,
    pub(super) span: Span,
    options: Vec<Entry<'t>>,
}

/// A line `key=value`.
struct Entry<'t> {
    key: Spanned<&'t str>,
    value: Spanned<&'t str>,
}

/// Cuts a text into sections, and says which lines are none of them.
///
/// A comment begins with `#` or `;` and ends with its line.
pub(super) fn sections<'t>(text: &'t str, log: &Log<'_>) -> Vec<Section<'t>> {
    let mut sections: Vec<Section<'t>> = Vec::new();
    let marked = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut start = text.len() - marked.len();
    for whole in marked.split_inclusive('\n') {
        let line = whole.split(['#', ';']).next().unwrap_or_default();
        let (line, span) = trimmed(line, start);
        start += whole.len();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let Some(name) = name.strip_suffix(']') else {
                refuse_line(log, span, "found `[` without `]`");
                continue;
            };
            sections.push(Section { name: name.trim(), span, options: Vec::new() });
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            refuse_line(log, span, "found neither a section nor an option");
            continue;
        };
        let (key_text, key_span) = trimmed(key, span.start);
        let (value_text, value_span) = trimmed(value, span.start + key.len() + 1);
        let option = Entry {
            key: Spanned::new(key_text, key_span),
            value: Spanned::new(value_text, value_span),
        };
        match sections.last_mut() {
            Some(section) => section.options.push(option),
            None => refuse_line(log, span, "found an option before the first section"),
        }
    }
    sections
}

fn refuse_line(log: &Log<'_>, span: Span, message: &str) {
    let expected = "`[section]` or `key=value` below one".to_owned();
    log.add(span, "", message.to_owned(), Some(expected), None);
}

/// `text`, which begins at `start`, without the blanks around it.
fn trimmed(text: &str, start: usize) -> (&str, Span) {
    let inner = text.trim();
    let begin = start + (text.len() - text.trim_start().len());
    // A blank has no place of its own; the one where it should stand is as good.
    let begin = if inner.is_empty() { start } else { begin };
    (inner, begin..begin + inner.len())
}

/// A section being read, which knows afterwards which keys nobody asked for.
pub(super) struct Reader<'a, 't> {
    pub(super) section: &'a Section<'t>,
    log: &'a Log<'a>,
    /// `layer[3]`, or `net`.
    key: String,
    known: RefCell<Vec<&'static str>>,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn new(section: &'a Section<'t>, log: &'a Log<'a>, key: String) -> Self {
        Self { section, log, key, known: RefCell::default() }
    }

    /// `value` at the place of the section's name.
    pub(super) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.section.span.clone())
    }

    /// Says that the section is wrong as a whole.
    pub(super) fn refuse(&self, message: String, expected: String, help: Option<String>) {
        self.log.add(self.section.span.clone(), &self.key, message, Some(expected), help);
    }

    /// Says that the value of a key is wrong.
    pub(super) fn refuse_value<T>(
        &self,
        key: &str,
        at: &Spanned<T>,
        message: String,
        expected: String,
        help: Option<String>,
    ) {
        let key = format!("{}.{key}", self.key);
        self.log.add(at.span.clone(), &key, message, Some(expected), help);
    }

    /// What stands behind `key`, if it is there.
    pub(super) fn text(&self, key: &'static str) -> Option<Spanned<&'t str>> {
        let mut found = self.section.options.iter().filter(|option| option.key.value == key);
        let first = found.next().map(|option| &option.value);
        let asked = self.known.borrow().contains(&key);
        if let Some(first) = first
            && !asked
        {
            // Darknet takes the first, whatever comes then.
            for other in found.filter(|other| other.value.value != first.value) {
                let message =
                    format!("found {} after {}", quoted(other.value.value), quoted(first.value));
                let expected = "one value".to_owned();
                self.refuse_value(key, &other.value, message, expected, None);
            }
        }
        self.known.borrow_mut().push(key);
        first.cloned()
    }

    /// A value that `FromStr` reads and `holds` takes.
    fn parsed<T: FromStr>(
        &self,
        key: &'static str,
        expected: &str,
        holds: impl Fn(&T) -> bool,
    ) -> Option<Spanned<T>> {
        let text = self.text(key)?;
        match text.value.parse::<T>() {
            Ok(value) if holds(&value) => Some(Spanned::new(value, text.span)),
            _ => {
                let message = format!("found {}", quoted(text.value));
                self.refuse_value(key, &text, message, expected.to_owned(), None);
                None
            }
        }
    }

    /// A size or count from `least`.
    pub(super) fn count(&self, key: &'static str, least: i64) -> Option<Spanned<usize>> {
        let expected = integer_text(least, LARGEST);
        let found = self.parsed(key, &expected, |n: &i64| (least..=LARGEST).contains(n))?;
        usize::try_from(found.value).ok().map(|value| Spanned::new(value, found.span))
    }

    pub(super) fn count_or(&self, key: &'static str, least: i64, default: usize) -> usize {
        self.count(key, least).map_or(default, |found| found.value)
    }

    /// 0 or 1.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.parsed(key, "0 or 1", |n: &u8| *n < 2).is_some_and(|found| found.value == 1)
    }

    pub(super) fn real(
        &self,
        key: &'static str,
        expected: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Option<Spanned<f64>> {
        self.parsed(key, expected, |x: &f64| x.is_finite() && holds(*x))
    }

    /// Integers with commas between; nothing if one of them is none.
    pub(super) fn integers(&self, key: &'static str) -> Option<Vec<Spanned<i64>>> {
        let text = self.text(key)?;
        let mut start = text.span.start;
        let mut found = Vec::new();
        for item in text.value.split(',') {
            let (number, span) = trimmed(item, start);
            start += item.len() + 1;
            match number.parse::<i64>() {
                Ok(value) if value.abs() <= LARGEST => found.push(Spanned::new(value, span)),
                // Darknet's own files end some lists with a comma.
                _ if number.is_empty() && !found.is_empty() => {}
                _ => {
                    let at = Spanned::new((), span);
                    let expected = "integers with commas between".to_owned();
                    self.refuse_value(
                        key,
                        &at,
                        format!("found {}", quoted(number)),
                        expected,
                        None,
                    );
                    return None;
                }
            }
        }
        Some(found)
    }

    /// Says of every key that nobody asked for and that is not in `harmless`; gives those that are.
    pub(super) fn finish(&self, harmless: &[&str]) -> Vec<Spanned<String>> {
        let known = self.known.borrow();
        let mut ignored = Vec::new();
        for option in &self.section.options {
            let key = option.key.value;
            if known.contains(&key) {
                continue;
            }
            if harmless.contains(&key) {
                let shown = format!("{key}={}", option.value.value);
                ignored.push(Spanned::new(shown, option.key.span.clone()));
                continue;
            }
            let names =
                if self.log.is_full() { Vec::new() } else { [known.as_slice(), harmless].concat() };
            let expected = if names.is_empty() {
                "no keys".to_owned()
            } else if known.is_empty() {
                one_of(harmless)
            } else {
                one_of(&known)
            };
            let path = format!("{}.{}", self.key, crate::text::key_text(key));
            let help = did_you_mean(key, &names);
            let message = format!("unknown key of [{}]", self.section.name);
            self.log.add(option.key.span.clone(), &path, message, Some(expected), help);
        }
        ignored
    }
}

//! One value of a recipe, read as the type that its key wants.

use std::cell::{Cell, RefCell};
use std::fmt;

use toml_edit::{ArrayOfTables, Item, Table, TableLike, Value};

use super::cursor::Cursor;
use super::error::Problem;
use super::names::{did_you_mean, one_of, quoted};
use super::span::{Span, Spanned};

/// So many problems of a file are kept: a file from a stranger may have one a byte.
const MOST_PROBLEMS: usize = 200;

/// The largest size or count that a recipe may name; far above any real one, far below an overflow.
pub const LARGEST: i64 = 1 << 24;

/// The problems found so far in one text.
pub struct Log<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
    omitted: Cell<usize>,
}

impl<'t> Log<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, problems: RefCell::default(), omitted: Cell::new(0) }
    }

    pub fn add(
        &self,
        span: Span,
        key: &str,
        message: String,
        expected: Option<String>,
        help: Option<String>,
    ) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MOST_PROBLEMS {
            problems.push(Problem::new(self.text, span, key.to_owned(), message, expected, help));
        } else {
            self.omitted.set(self.omitted.get() + 1);
        }
    }

    pub fn count(&self) -> usize {
        self.problems.borrow().len() + self.omitted.get()
    }

    /// Whether further problems are only counted: what they would say is not worth finding out.
    pub fn is_full(&self) -> bool {
        self.problems.borrow().len() == MOST_PROBLEMS
    }

    /// The problems by place, and how many were not kept.
    pub fn into_problems(self) -> (Vec<Problem>, usize) {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.span.start);
        (problems, self.omitted.get())
    }
}

/// What a number must satisfy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    Any,
    NonNegative,
    Positive,
    /// `[0, 1]`
    Fraction,
    /// `[0, 1)`
    BelowOne,
    /// `(0, 1)`
    Inside,
}

impl Bound {
    fn holds(self, x: f64) -> bool {
        match self {
            Self::Any => true,
            Self::NonNegative => x >= 0.0,
            Self::Positive => x > 0.0,
            Self::Fraction => (0.0..=1.0).contains(&x),
            Self::BelowOne => (0.0..1.0).contains(&x),
            Self::Inside => x > 0.0 && x < 1.0,
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Self::Any => "a number",
            Self::NonNegative => "a number of at least 0",
            Self::Positive => "a number above 0",
            Self::Fraction => "a number from 0 to 1",
            Self::BelowOne => "a number of at least 0 and below 1",
            Self::Inside => "a number strictly between 0 and 1",
        }
    }
}

/// `an integer from 1 to 9`.
pub fn integer_text(least: i64, most: i64) -> String {
    if most == i64::MAX {
        format!("an integer of at least {least}")
    } else {
        format!("an integer from {least} to {most}")
    }
}

#[derive(Clone, Copy)]
enum Raw<'a> {
    Value(&'a Value),
    Table(&'a Table),
    Tables(&'a ArrayOfTables),
}

/// One value with its key path and its place.
pub struct Node<'a> {
    log: &'a Log<'a>,
    raw: Raw<'a>,
    pub path: String,
    pub span: Span,
}

impl<'a> Node<'a> {
    /// The item under a key; `at` is the place to name where the item itself has none.
    pub fn of_item(log: &'a Log<'a>, item: &'a Item, path: String, at: Span) -> Option<Self> {
        let raw = match item {
            Item::None => return None,
            Item::Value(value) => Raw::Value(value),
            Item::Table(table) => Raw::Table(table),
            Item::ArrayOfTables(tables) => Raw::Tables(tables),
        };
        Some(Self { log, raw, path, span: place(item.span(), at) })
    }

    /// The value under the same key in another role: `value` at the node's own place.
    pub fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span.clone())
    }

    /// Says that this value is wrong.
    pub fn refuse(
        &self,
        message: impl Into<String>,
        expected: impl Into<String>,
        help: Option<String>,
    ) {
        self.log.add(self.span.clone(), &self.path, message.into(), Some(expected.into()), help);
    }

    /// Says that this value has the wrong type.
    pub fn wrong_type(&self, expected: impl Into<String>) {
        let found = match self.raw {
            Raw::Value(Value::String(_)) => "a string",
            Raw::Value(Value::Integer(_)) => "an integer",
            Raw::Value(Value::Float(_)) => "a float",
            Raw::Value(Value::Boolean(_)) => "a boolean",
            Raw::Value(Value::Datetime(_)) => "a date or time",
            Raw::Value(Value::Array(_)) => "an array",
            Raw::Value(Value::InlineTable(_)) | Raw::Table(_) => "a table",
            Raw::Tables(_) => "an array of tables",
        };
        self.refuse(format!("found {found}"), expected, None);
    }

    pub fn is_array(&self) -> bool {
        matches!(self.raw, Raw::Value(Value::Array(_)) | Raw::Tables(_))
    }

    pub fn is_string(&self) -> bool {
        matches!(self.raw, Raw::Value(Value::String(_)))
    }

    /// The value as a table.
    pub fn table(&self, expected: &str) -> Option<Cursor<'a>> {
        let table: &'a dyn TableLike = match self.raw {
            Raw::Value(Value::InlineTable(table)) => table,
            Raw::Table(table) => table,
            _ => {
                self.wrong_type(expected);
                return None;
            }
        };
        Some(Cursor::new(self.log, table, self.path.clone(), self.span.clone()))
    }

    /// The elements of the value, an array of values or of tables.
    pub fn elements(&self, expected: &str) -> Option<Vec<Node<'a>>> {
        let path = |index: usize| format!("{}[{index}]", self.path);
        let nodes = match self.raw {
            Raw::Value(Value::Array(array)) => array
                .iter()
                .enumerate()
                .map(|(index, value)| Node {
                    log: self.log,
                    raw: Raw::Value(value),
                    path: path(index),
                    span: place(value.span(), self.span.clone()),
                })
                .collect(),
            Raw::Tables(tables) => tables
                .iter()
                .enumerate()
                .map(|(index, table)| Node {
                    log: self.log,
                    raw: Raw::Table(table),
                    path: path(index),
                    span: place(table.span(), self.span.clone()),
                })
                .collect(),
            _ => {
                self.wrong_type(expected);
                return None;
            }
        };
        Some(nodes)
    }

    /// A list of values that `read` takes; nothing if one of them is wrong, or if there are none.
    pub fn list<T>(
        &self,
        expected: &str,
        read: impl Fn(&Node<'a>) -> Option<T>,
    ) -> Option<Vec<Spanned<T>>> {
        let nodes = self.elements(expected)?;
        if nodes.is_empty() {
            self.refuse("found an empty array", expected, None);
            return None;
        }
        // Every element is read before the first failure ends the list, so that each is reported.
        let values: Vec<Option<Spanned<T>>> =
            nodes.iter().map(|node| read(node).map(|x| node.spanned(x))).collect();
        values.into_iter().collect()
    }

    /// The keys of a table with the text of their values, in order.
    pub fn entries(&self, expected: &str) -> Option<Vec<(String, String)>> {
        let table: &dyn TableLike = match self.raw {
            Raw::Value(Value::InlineTable(table)) => table,
            Raw::Table(table) => table,
            _ => {
                self.wrong_type(expected);
                return None;
            }
        };
        let mut entries = Vec::new();
        for (key, item) in table.iter() {
            // Tables with headers of their own are values like those between braces.
            let Ok(value) = item.clone().into_value() else {
                self.refuse(format!("found nothing under {}", quoted(key)), expected, None);
                return None;
            };
            entries.push((key.to_owned(), value.to_string().trim().to_owned()));
        }
        Some(entries)
    }

    /// Says of every value that is not above the one before it; true if there is none.
    pub fn increasing<T: PartialOrd + fmt::Debug>(&self, values: &[Spanned<T>]) -> bool {
        let mut holds = true;
        for (index, pair) in values.windows(2).enumerate() {
            if let [before, after] = pair
                && before.value >= after.value
            {
                holds = false;
                let message = format!("found {:?} after {:?}", after.value, before.value);
                let expected = Some("values that increase from each to the next".to_owned());
                self.log.add(
                    after.span.clone(),
                    &format!("{}[{}]", self.path, index + 1),
                    message,
                    expected,
                    None,
                );
            }
        }
        holds
    }

    /// The value as a string that is not empty.
    pub fn string(&self, expected: &str) -> Option<&'a str> {
        let Raw::Value(Value::String(text)) = self.raw else {
            self.wrong_type(expected);
            return None;
        };
        let text = text.value().as_str();
        if text.is_empty() {
            self.refuse("found an empty string", expected, None);
            return None;
        }
        Some(text)
    }

    /// The value as one of the names in `choices`.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let expected = one_of(&names);
        let found = self.string(&expected)?;
        let choice = choices.iter().find(|(name, _)| *name == found).map(|(_, choice)| *choice);
        if choice.is_none() {
            self.refuse(
                format!("unknown name {}", quoted(found)),
                expected,
                did_you_mean(found, &names),
            );
        }
        choice
    }

    /// The value as it stands, cut short.
    pub fn shown(&self) -> String {
        match self.raw {
            Raw::Value(Value::String(text)) => quoted(text.value()),
            Raw::Value(Value::Integer(integer)) => integer.value().to_string(),
            Raw::Value(Value::Float(float)) => format!("{:?}", float.value()),
            Raw::Value(Value::Boolean(flag)) => flag.value().to_string(),
            _ => "a value of several".to_owned(),
        }
    }

    /// A single value: a string, a finite number or a boolean.
    pub fn json(&self) -> Option<serde_json::Value> {
        let expected = "a number, a string or a boolean";
        match self.raw {
            Raw::Value(Value::String(text)) => Some(text.value().as_str().into()),
            Raw::Value(Value::Integer(integer)) => Some((*integer.value()).into()),
            Raw::Value(Value::Boolean(flag)) => Some((*flag.value()).into()),
            Raw::Value(Value::Float(_)) => self.real(Bound::Any).map(Into::into),
            _ => {
                self.wrong_type(expected);
                None
            }
        }
    }

    /// The value as a boolean.
    pub fn flag(&self) -> Option<bool> {
        let Raw::Value(Value::Boolean(flag)) = self.raw else {
            self.wrong_type("`true` or `false`");
            return None;
        };
        Some(*flag.value())
    }

    /// The value as a number within `bound`; an integer counts as a number.
    pub fn real(&self, bound: Bound) -> Option<f64> {
        let (number, shown) = match self.raw {
            Raw::Value(Value::Float(float)) => (*float.value(), format!("{:?}", float.value())),
            Raw::Value(Value::Integer(integer)) => {
                (*integer.value() as f64, integer.value().to_string())
            }
            _ => {
                self.wrong_type(bound.text());
                return None;
            }
        };
        let narrow = number as f32;
        if !number.is_finite() || !bound.holds(number) {
            self.refuse(format!("found {shown}"), bound.text(), None);
        } else if narrow.is_infinite() || (narrow == 0.0 && number != 0.0) {
            self.refuse(
                format!("found {shown}, outside the range of 32-bit floats"),
                bound.text(),
                None,
            );
        } else {
            return Some(number);
        }
        None
    }

    /// The value as an integer from `least` to `most`.
    pub fn integer(&self, least: i64, most: i64) -> Option<i64> {
        self.integer_or(least, most, &integer_text(least, most))
    }

    /// [`Node::integer`] where something else, that `expected` says, would also be right.
    pub fn integer_or(&self, least: i64, most: i64, expected: &str) -> Option<i64> {
        let Raw::Value(Value::Integer(integer)) = self.raw else {
            self.wrong_type(expected);
            return None;
        };
        let integer = *integer.value();
        if !(least..=most).contains(&integer) {
            self.refuse(format!("found {integer}"), expected, None);
            return None;
        }
        Some(integer)
    }

    /// The value as a size or count from `least`, which is not negative, to [`LARGEST`].
    pub fn count(&self, least: i64) -> Option<usize> {
        self.integer(least, LARGEST).and_then(|integer| usize::try_from(integer).ok())
    }

    /// The value as the place of a dimension, counted from the end where it is negative.
    pub fn dim(&self) -> Option<isize> {
        const MOST_DIMS: i64 = 8;
        self.integer(-MOST_DIMS, MOST_DIMS - 1).and_then(|dim| isize::try_from(dim).ok())
    }

    /// What `read` makes of no keys at all: the defaults of what this value names.
    pub fn defaults<T>(&self, read: impl FnOnce(&mut Cursor<'_>) -> Option<T>) -> Option<T> {
        let table = Table::new();
        read(&mut Cursor::new(self.log, &table, self.path.clone(), self.span.clone()))
    }

    /// The value as one count for height and width, or as `[height, width]`.
    pub fn pair(&self, least: i64) -> Option<[usize; 2]> {
        if !self.is_array() {
            let both = self.integer_or(least, LARGEST, &pair_text(least))?;
            return usize::try_from(both).ok().map(|both| [both, both]);
        }
        let sides = self.elements("")?;
        let [height, width] = sides.as_slice() else {
            self.refuse(format!("found an array of {}", sides.len()), pair_text(least), None);
            return None;
        };
        let (height, width) = (height.count(least), width.count(least));
        Some([height?, width?])
    }
}

/// What [`Node::pair`] takes.
pub fn pair_text(least: i64) -> String {
    format!("{} or `[height, width]`", integer_text(least, LARGEST))
}

/// `span` if it holds anything, else `at`: tables that no header opens have none.
fn place(span: Option<Span>, at: Span) -> Span {
    span.filter(|span| !span.is_empty()).unwrap_or(at)
}

//! A table that is read key by key and knows afterwards which keys nobody asked for.

use toml_edit::TableLike;

use super::names::{did_you_mean, key_text, one_of};
use super::node::{Bound, LARGEST, Log, Node, integer_text, pair_text};
use super::span::{Span, Spanned};

/// A table being read.
///
/// Readers that return an `Option` have reported why when they return `None`. Readers with a
/// default return it also for a wrong value, which they have reported: the recipe is refused as a
/// whole then.
pub struct Cursor<'a> {
    log: &'a Log<'a>,
    table: &'a dyn TableLike,
    path: String,
    span: Span,
    known: Vec<&'static str>,
}

impl<'a> Cursor<'a> {
    pub fn new(log: &'a Log<'a>, table: &'a dyn TableLike, path: String, span: Span) -> Self {
        Self { log, table, path, span, known: Vec::new() }
    }

    /// `value` at the place of the table.
    pub fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span.clone())
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key_text(key)
        } else {
            format!("{}.{}", self.path, key_text(key))
        }
    }

    /// Whether the table has `key`; does not count as asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// How many problems there are so far: what compares several keys does so only if they were all
    /// right.
    pub fn problems(&self) -> usize {
        self.log.count()
    }

    /// Says that the table is wrong as a whole.
    pub fn refuse(&self, message: &str, expected: &str) {
        self.log.add(
            self.span.clone(),
            &self.path,
            message.to_owned(),
            Some(expected.to_owned()),
            None,
        );
    }

    /// The value of `key`, if there is one.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (name, item) = self.table.get_key_value(key)?;
        let at = name.span().unwrap_or_else(|| self.span.clone());
        Node::of_item(self.log, item, self.key_path(key), at)
    }

    /// The value of `key`, which must be there.
    pub fn require(&mut self, key: &'static str, expected: &str) -> Option<Node<'a>> {
        let node = self.get(key);
        if node.is_none() {
            let (message, expected) = ("missing key".to_owned(), Some(expected.to_owned()));
            self.log.add(self.span.clone(), &self.key_path(key), message, expected, None);
        }
        node
    }

    /// The table `key`, which must be there.
    pub fn section(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        let expected = format!("a table `[{}]`", self.key_path(key));
        self.require(key, &expected)?.table(&expected)
    }

    /// The table `key`, if there is one.
    pub fn optional_section(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        let expected = format!("a table `[{}]`", self.key_path(key));
        self.get(key)?.table(&expected)
    }

    /// What `read` makes of each table of the array `key`, in order, without those it reports as
    /// wrong.
    pub fn each<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Cursor<'a>) -> Option<T>,
    ) -> Vec<Spanned<T>> {
        let expected = format!("tables `[[{}]]`", self.key_path(key));
        let nodes = self.get(key).and_then(|node| node.elements(&expected)).unwrap_or_default();
        let tables = nodes.iter().filter_map(|node| node.table("a table"));
        tables.filter_map(|mut table| read(&mut table).map(|value| table.spanned(value))).collect()
    }

    /// Says of every key that nobody asked for.
    pub fn finish(&self) {
        for (key, _) in self.table.iter() {
            if self.known.contains(&key) {
                continue;
            }
            let at =
                self.table.key(key).and_then(|key| key.span()).unwrap_or_else(|| self.span.clone());
            let help = did_you_mean(key, &self.known);
            self.log.add(
                at,
                &self.key_path(key),
                "unknown key".to_owned(),
                Some(one_of(&self.known)),
                help,
            );
        }
    }

    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.require(key, &one_of(&names))?.choice(choices)
    }

    pub fn choice_or<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        self.get(key).and_then(|node| node.choice(choices)).unwrap_or(default)
    }

    pub fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        self.get(key).and_then(|node| node.flag()).unwrap_or(default)
    }

    pub fn real(&mut self, key: &'static str, bound: Bound) -> Option<f64> {
        self.require(key, bound.text())?.real(bound)
    }

    pub fn real_or(&mut self, key: &'static str, bound: Bound, default: f64) -> f64 {
        self.get(key).and_then(|node| node.real(bound)).unwrap_or(default)
    }

    pub fn count(&mut self, key: &'static str, least: i64) -> Option<usize> {
        self.require(key, &integer_text(least, LARGEST))?.count(least)
    }

    pub fn count_or(&mut self, key: &'static str, least: i64, default: usize) -> usize {
        self.get(key).and_then(|node| node.count(least)).unwrap_or(default)
    }

    pub fn dim_or(&mut self, key: &'static str, default: isize) -> isize {
        self.get(key).and_then(|node| node.dim()).unwrap_or(default)
    }

    pub fn pair(&mut self, key: &'static str, least: i64) -> Option<[usize; 2]> {
        self.require(key, &pair_text(least))?.pair(least)
    }

    pub fn pair_or(&mut self, key: &'static str, least: i64, default: [usize; 2]) -> [usize; 2] {
        self.get(key).and_then(|node| node.pair(least)).unwrap_or(default)
    }
}

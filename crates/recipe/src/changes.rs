//! A recipe's text with some keys set to other values or taken away.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value};

use crate::spec::{Changes, Recipe};
use crate::{ReadError, RecipeError};

/// Why a recipe cannot be changed so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// What was given is no key with a value.
    #[error("`{found}` sets nothing; expected KEY=VALUE, like `train.epochs=3`")]
    Form {
        /// What was given.
        found: String,
    },
    /// The key cannot be in a recipe, or its place is not there.
    #[error("`{key}` cannot be changed: {reason}")]
    Key {
        /// The key as it was given.
        key: String,
        /// What is in the way.
        reason: String,
    },
    /// The changed recipe is not valid.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

impl From<ChangeError> for ReadError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Recipe(error) => Self::Recipe(error),
            other => Self::Change { reason: other.to_string() },
        }
    }
}

impl Changes {
    /// The changes that texts like `train.epochs=3` ask for; `!prune` takes the key away.
    ///
    /// A value is what TOML reads (`3`, `1e-3`, `true`, `[1, 2]`, `{ type = "sgd" }`); what it cannot
    /// read is a string.
    ///
    /// ```
    /// use espalier_recipe::Changes;
    ///
    /// let changes = Changes::parse(["train.epochs=3", "optimizer.type=sgd", "!prune"])?;
    /// assert_eq!(changes.set[1], ("optimizer.type".into(), "\"sgd\"".into()));
    /// assert_eq!(changes.without, ["prune"]);
    /// # Ok::<(), espalier_recipe::ChangeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChangeError::Form`] for a text without `=` or without a key.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, ChangeError> {
        let mut changes = Self::default();
        for text in texts {
            let text = text.as_ref();
            if let Some(key) = text.strip_prefix('!').filter(|key| !key.is_empty()) {
                changes.without.push(key.to_owned());
                continue;
            }
            let (key, value) = match text.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => (key.trim(), value.trim()),
                _ => return Err(ChangeError::Form { found: text.to_owned() }),
            };
            let value = match value.parse::<Value>() {
                Ok(_) => value.to_owned(),
                Err(_) => Value::from(value).to_string(),
            };
            changes.set.push((key.to_owned(), value));
        }
        Ok(changes)
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.without.is_empty()
    }

    /// `text` with the changes made, all else as it was.
    ///
    /// ```
    /// use espalier_recipe::Changes;
    ///
    /// let text = "name = \"a\" # mine\n[train]\nepochs = 3   # long\n";
    /// let changes = Changes::parse(["train.epochs=1", "data.augment.shift=1"])?;
    /// assert_eq!(
    ///     changes.apply(text)?,
    ///     "name = \"a\" # mine\n[train]\nepochs = 1   # long\n\n[data.augment]\nshift = 1\n"
    /// );
    /// # Ok::<(), espalier_recipe::ChangeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChangeError::Key`] for a key whose place is not there.
    pub fn apply(&self, text: &str) -> Result<String, ChangeError> {
        let first = self.without.first().or(self.set.first().map(|(key, _)| key));
        let at =
            |reason: String| ChangeError::Key { key: first.cloned().unwrap_or_default(), reason };
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| at(error.message().to_owned()))?;
        for key in &self.without {
            let wrong = |reason: String| ChangeError::Key { key: key.clone(), reason };
            remove(document.as_table_mut(), &steps(key).map_err(wrong)?).map_err(wrong)?;
        }
        for (key, value) in &self.set {
            let wrong = |reason: String| ChangeError::Key { key: key.clone(), reason };
            let value: Value = value
                .parse()
                .map_err(|error: toml_edit::TomlError| wrong(error.message().to_owned()))?;
            set(document.as_table_mut(), &steps(key).map_err(wrong)?, value).map_err(wrong)?;
        }
        Ok(document.to_string())
    }
}

impl Recipe {
    /// This recipe with some of its text changed, read and checked anew.
    ///
    /// ```
    /// # let text = "name = 'a'\ndata = { source = 'digits' }\nlayer = [{ type = 'flatten' }]\n\
    /// #     optimizer = { type = 'adam' }\ntrain = { epochs = 1, batch_size = 1 }";
    /// use espalier_recipe::{Changes, Recipe};
    ///
    /// let recipe = Recipe::parse(text, "a.toml")?;
    /// let longer = recipe.with_changes(&Changes::parse(["train.epochs=5"])?)?;
    /// assert_eq!(longer.train.epochs.value, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChangeError`] for a key that has no place, or with what is wrong in the changed recipe.
    pub fn with_changes(&self, changes: &Changes) -> Result<Self, ChangeError> {
        if changes.is_empty() {
            return Ok(self.clone());
        }
        Ok(Self::parse(&changes.apply(self.source())?, self.file())?)
    }
}

/// One step down from a table or an array.
enum Step {
    Key(String),
    Place(usize),
}

/// `layer[3].features` in steps.
fn steps(key: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let (name, rest) = match part.find('[') {
            Some(at) => part.split_at(at),
            None => (part, ""),
        };
        if name.is_empty() {
            return Err("a name between dots is empty".to_owned());
        }
        steps.push(Step::Key(name.to_owned()));
        for place in rest.split('[').skip(1) {
            let place = place.strip_suffix(']').and_then(|place| place.parse().ok());
            let place = place.ok_or_else(|| format!("`{part}` has no place like `[3]`"))?;
            steps.push(Step::Place(place));
        }
    }
    Ok(steps)
}

/// Something that steps lead through.
enum Place<'a> {
    Table(&'a mut dyn TableLike),
    Tables(&'a mut ArrayOfTables),
    Array(&'a mut Array),
}

fn place_of(item: &mut Item) -> Option<Place<'_>> {
    match item {
        Item::Table(table) => Some(Place::Table(table)),
        Item::ArrayOfTables(tables) => Some(Place::Tables(tables)),
        Item::Value(value) => place_of_value(value),
        Item::None => None,
    }
}

fn place_of_value(value: &mut Value) -> Option<Place<'_>> {
    match value {
        Value::InlineTable(table) => Some(Place::Table(table)),
        Value::Array(array) => Some(Place::Array(array)),
        _ => None,
    }
}

fn only(count: usize, place: usize) -> String {
    format!("there is no [{place}], only {count} from [0] on")
}

/// Goes down all steps but the last; makes tables that are not there if `make`.
fn parent<'a>(
    table: &'a mut dyn TableLike,
    steps: &[Step],
    make: bool,
) -> Result<Place<'a>, String> {
    let mut at = Place::Table(table);
    for step in steps {
        let next = match (at, step) {
            (Place::Table(table), Step::Key(key)) => {
                if make && !table.contains_key(key) {
                    let mut new = Table::new();
                    new.set_implicit(true);
                    table.insert(key, Item::Table(new));
                }
                let item = table.get_mut(key).ok_or_else(|| format!("there is no `{key}`"))?;
                place_of(item).ok_or_else(|| format!("`{key}` is a single value"))?
            }
            (Place::Tables(tables), Step::Place(place)) => {
                let count = tables.len();
                Place::Table(tables.get_mut(*place).ok_or_else(|| only(count, *place))?)
            }
            (Place::Array(array), Step::Place(place)) => {
                let count = array.len();
                let value = array.get_mut(*place).ok_or_else(|| only(count, *place))?;
                place_of_value(value).ok_or_else(|| format!("[{place}] is a single value"))?
            }
            (Place::Table(_), Step::Place(place)) => {
                return Err(format!("[{place}] stands behind a table, which has names"));
            }
            (_, Step::Key(key)) => {
                return Err(format!("`{key}` stands behind an array, which has places like [0]"));
            }
        };
        at = next;
    }
    Ok(at)
}

fn remove(table: &mut dyn TableLike, steps: &[Step]) -> Result<(), String> {
    let Some((last, before)) = steps.split_last() else { return Ok(()) };
    match (parent(table, before, false)?, last) {
        (Place::Table(table), Step::Key(key)) => {
            table.remove(key).map(drop).ok_or_else(|| format!("there is no `{key}`"))
        }
        (Place::Tables(tables), Step::Place(place)) if *place < tables.len() => {
            tables.remove(*place);
            Ok(())
        }
        (Place::Array(array), Step::Place(place)) if *place < array.len() => {
            array.remove(*place);
            Ok(())
        }
        (_, Step::Place(place)) => Err(format!("there is no [{place}]")),
        (_, Step::Key(key)) => Err(format!("there is no `{key}`")),
    }
}

fn set(table: &mut dyn TableLike, steps: &[Step], mut value: Value) -> Result<(), String> {
    let Some((last, before)) = steps.split_last() else { return Ok(()) };
    match (parent(table, before, true)?, last) {
        (Place::Table(table), Step::Key(key)) => {
            if let Some(old) = table.get(key).and_then(Item::as_value) {
                *value.decor_mut() = old.decor().clone();
            }
            match table.get_mut(key).filter(|item| item.is_value()) {
                Some(item) => *item = Item::Value(value),
                None => {
                    // The key of a table's header is written otherwise.
                    table.remove(key);
                    table.insert(key, Item::Value(value));
                }
            }
            Ok(())
        }
        (Place::Array(array), Step::Place(place)) if *place < array.len() => {
            array.replace(*place, value);
            Ok(())
        }
        (Place::Tables(_), Step::Place(place)) => {
            Err(format!("[{place}] is a table; its keys can be set one by one"))
        }
        (_, Step::Place(place)) => Err(format!("there is no [{place}]")),
        (_, Step::Key(key)) => {
            Err(format!("`{key}` stands behind an array, which has places like [0]"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a = 1\n[[layer]]\ntype = 'x' # kept\n[[layer]]\ntype = 'y'\n[t]\nl = [1, 2]\n";

    fn changed(changes: &[&str]) -> Result<String, String> {
        let changes = Changes::parse(changes).map_err(|error| error.to_string())?;
        changes.apply(TEXT).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_set_where_they_stand() {
        assert_eq!(changed(&["a = 2"]).unwrap(), TEXT.replace("a = 1", "a = 2"));
        assert_eq!(changed(&["layer[0].type=z"]).unwrap(), TEXT.replace("'x'", "\"z\""));
        assert_eq!(changed(&["t.l[1]=7"]).unwrap(), TEXT.replace("[1, 2]", "[1, 7]"));
        assert_eq!(changed(&["t.new.k=true"]).unwrap(), format!("{TEXT}\n[t.new]\nk = true\n"));
        assert!(changed(&["layer=[{ type = 'z' }]"]).unwrap().contains("layer = [{ type = 'z' }]"));
    }

    #[test]
    fn keys_are_taken_away() {
        assert_eq!(changed(&["!a"]).unwrap(), TEXT.replace("a = 1\n", ""));
        assert_eq!(changed(&["!layer[1]"]).unwrap(), TEXT.replace("[[layer]]\ntype = 'y'\n", ""));
        assert!(!changed(&["!layer"]).unwrap().contains("layer"));
    }

    #[test]
    fn what_cannot_be_changed_says_why() {
        let cases = [
            ("a", "`a` sets nothing; expected KEY=VALUE, like `train.epochs=3`"),
            ("=3", "`=3` sets nothing; expected KEY=VALUE, like `train.epochs=3`"),
            ("!b", "`b` cannot be changed: there is no `b`"),
            ("!layer[5]", "`layer[5]` cannot be changed: there is no [5]"),
            (
                "layer[5].type=z",
                "`layer[5].type` cannot be changed: there is no [5], only 2 from [0] on",
            ),
            (
                "layer.type=z",
                "`layer.type` cannot be changed: `type` stands behind an array, which has places like [0]",
            ),
            ("a.b=3", "`a.b` cannot be changed: `a` is a single value"),
            ("a..b=3", "`a..b` cannot be changed: a name between dots is empty"),
            ("t.l[x]=3", "`t.l[x]` cannot be changed: `l[x]` has no place like `[3]`"),
            ("t[0]=3", "`t[0]` cannot be changed: there is no [0]"),
        ];
        for (change, message) in cases {
            assert_eq!(changed(&[change]).unwrap_err(), message);
        }
    }
}

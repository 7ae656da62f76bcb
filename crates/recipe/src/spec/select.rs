//! Which parameters an entry of the recipe means.

use espalier_network::text::{Cursor, Node, Spanned};

const SELECT: &str = "a path or glob like `\"**.weight\"`, `{ regex = \"...\" }`, `{ layer = \"...\" }`, \
                      `{ layer = \"...\", parameter = \"...\" }`, or an array of these";
const ONE: &str = "a path or glob like `\"**.weight\"`, `{ regex = \"...\" }`, `{ layer = \"...\" }` or \
                   `{ layer = \"...\", parameter = \"...\" }`";

/// Parameters, chosen by one or several selectors; the choice is what any of them matches.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The selectors in the recipe's order, at least one; each with its own place.
    pub items: Vec<Spanned<Selector>>,
}

/// One way to choose parameters. That the pattern is well formed and matches anything is for the
/// network to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selector {
    /// An exact path, or a glob over paths: `"1.weight"`, `"**.bias"`.
    Path(String),
    /// A regular expression over paths: `{ regex = "^[0-4]\\." }`.
    Regex(String),
    /// By the type of the layer that owns the parameter: `{ layer = "Linear", parameter = "weight"
    /// }`.
    Layer {
        /// The layer's type.
        layer: String,
        /// The parameter's own name; all of the layer's where it is absent.
        parameter: Option<String>,
    },
}

/// The table's required `select`.
pub(crate) fn required(table: &mut Cursor<'_>) -> Option<Spanned<Select>> {
    under(table, "select")
}

/// The choice under `key`, which must be there.
pub(super) fn under(table: &mut Cursor<'_>, key: &'static str) -> Option<Spanned<Select>> {
    let node = table.require(key, SELECT)?;
    select(&node).map(|select| node.spanned(select))
}

/// The choice that `node` writes down.
fn select(node: &Node<'_>) -> Option<Select> {
    if node.is_array() {
        return node.list(SELECT, selector).map(|items| Select { items });
    }
    let item = one(node, SELECT)?;
    Some(Select { items: vec![node.spanned(item)] })
}

fn selector(node: &Node<'_>) -> Option<Selector> {
    one(node, ONE)
}

fn one(node: &Node<'_>, expected: &str) -> Option<Selector> {
    if node.is_string() {
        return node.string(expected).map(|path| Selector::Path(path.to_owned()));
    }
    let mut table = node.table(expected)?;
    let regex = table.get("regex");
    let layer = table.get("layer");
    let parameter = table.get("parameter");
    let before = table.problems();
    table.finish();
    match (regex, layer, parameter) {
        (Some(regex), None, None) => {
            Some(Selector::Regex(regex.string("a regular expression")?.to_owned()))
        }
        (None, Some(layer), parameter) => {
            let layer = layer.string("a layer's type like `\"Linear\"`").map(str::to_owned);
            let parameter = match parameter {
                Some(node) => Some(node.string("a parameter's name like `\"weight\"`")?.to_owned()),
                None => None,
            };
            Some(Selector::Layer { layer: layer?, parameter })
        }
        (Some(_), _, _) => {
            table.refuse("found `regex` beside other keys", ONE);
            None
        }
        (None, None, _) if table.problems() > before => None,
        (None, None, _) => {
            table.refuse("found a table with neither `regex` nor `layer`", ONE);
            None
        }
    }
}

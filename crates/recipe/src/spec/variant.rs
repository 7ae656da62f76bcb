//! `[[variant]]`, `[pretrain]` and `[short]`: the same recipe with some of its text changed.

use espalier_network::text::{Cursor, Node, Spanned};

/// Keys of a recipe that are set to other values, and keys that are taken away.
///
/// `set = { "train.epochs" = 3 }`, `without = ["parametrize"]`; paths as in `--set`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Paths with the text of their new values, in order.
    pub set: Vec<(String, String)>,
    /// Paths of keys that are taken away.
    pub without: Vec<String>,
}

/// One `[[variant]]`: the recipe with changes, trained beside it and compared with it.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantSpec {
    /// Its name: 1 to 100 letters, digits, `_` or `-`.
    pub name: Spanned<String>,
    /// What is other.
    pub changes: Changes,
}

/// The keys `set` and `without` of a table.
pub(super) fn changes(table: &mut Cursor<'_>) -> Changes {
    let expected = "a table of keys and values, like `{ \"train.epochs\" = 3 }`";
    let set = table.get("set").and_then(|node| node.entries(expected)).unwrap_or_default();
    let expected = "an array of keys, like `[\"parametrize\"]`";
    let without = table
        .get("without")
        .and_then(|node| node.list(expected, |node| node.string(expected).map(str::to_owned)))
        .unwrap_or_default();
    let without = without.into_iter().map(|key| key.value).collect();
    Changes { set, without }
}

/// The variants; a name that an earlier one has is wrong.
pub(crate) fn variants(
    root: &mut Cursor<'_>,
    name: fn(&Node<'_>) -> Option<Spanned<String>>,
) -> Vec<Spanned<VariantSpec>> {
    let mut names: Vec<String> = Vec::new();
    root.each("variant", |table| {
        let node = table.require("name", super::NAME)?;
        let own = name(&node);
        let changes = changes(table);
        table.finish();
        let own = own?;
        if names.contains(&own.value) {
            node.refuse(format!("found {:?} twice", own.value), "a name of its own", None);
            return None;
        }
        names.push(own.value.clone());
        Some(VariantSpec { name: own, changes })
    })
}

/// `[pretrain]` or `[short]`.
pub(crate) fn section(root: &mut Cursor<'_>, key: &'static str) -> Option<Spanned<Changes>> {
    let mut table = root.optional_section(key)?;
    let changes = changes(&mut table);
    table.finish();
    Some(table.spanned(changes))
}

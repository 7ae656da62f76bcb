//! Names in messages: lists of the valid ones, and the nearest to a wrong one.

/// Longer names are not compared: nobody misspells a key that far, and the comparison is quadratic.
const LONGEST: usize = 64;

/// `` `a` `` or ``one of `a`, `b` ``.
pub fn one_of<S: AsRef<str>>(names: &[S]) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match list.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", list.join(", ")),
    }
}

/// ``did you mean `kernel`?`` for the names nearest to `found`, if any is near.
///
/// Near is a name that a few edits reach, or, failing that, one that holds the other (`kernel_size`
/// and `kernel`).
pub fn did_you_mean<S: AsRef<str>>(found: &str, names: &[S]) -> Option<String> {
    if found.len() > LONGEST {
        return None;
    }
    let found = found.to_lowercase();
    let mut best = usize::MAX;
    let mut near: Vec<&str> = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        let length = found.chars().count().max(name.chars().count());
        let edits = strsim::osa_distance(&found, &name.to_lowercase());
        if edits * 3 > length + 1 || edits > best {
            continue;
        }
        if edits < best {
            best = edits;
            near.clear();
        }
        near.push(name);
    }
    if near.is_empty() {
        let holds = |name: &str| {
            (name.len() >= 3 && found.contains(name)) || (found.len() >= 2 && name.contains(&found))
        };
        near = names.iter().map(AsRef::as_ref).filter(|name| holds(name)).collect();
    }
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    match near.as_slice() {
        [] => None,
        list => Some(format!("did you mean {}?", list.join(" or "))),
    }
}

/// A string of the recipe as a message shows it: quoted, escaped and not too long.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
        None => format!("{text:?}"),
    }
}

/// A key as a path shows it: bare where TOML allows it, else quoted.
pub fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.len() <= LONGEST && key.chars().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let names = ["conv2d", "max_pool2d", "avg_pool2d", "relu", "leaky_relu", "gelu", "lr"];
        let cases = [
            ("conv", Some("did you mean `conv2d`?")),
            ("Conv2d", Some("did you mean `conv2d`?")),
            ("zz", None),
            ("ky", Some("did you mean `leaky_relu`?")),
            ("xelu", Some("did you mean `relu` or `gelu`?")),
            ("pool", Some("did you mean `max_pool2d` or `avg_pool2d`?")),
            ("lrr", Some("did you mean `lr`?")),
            ("transformer", None),
            ("", None),
        ];
        for (found, expected) in cases {
            assert_eq!(did_you_mean(found, &names).as_deref(), expected, "{found}");
        }
        assert_eq!(did_you_mean(&"relu".repeat(20), &names), None);
    }

    #[test]
    fn quoting() {
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
        assert_eq!(quoted(&"é".repeat(41)), format!("\"{}\"...", "é".repeat(40)));
        assert_eq!(key_text("batch_size"), "batch_size");
        assert_eq!(key_text("no decay"), "\"no decay\"");
        assert_eq!(key_text(""), "\"\"");
    }
}

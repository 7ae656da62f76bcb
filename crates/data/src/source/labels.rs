//! Classes of labels that are text or numbers.

use std::collections::BTreeSet;

use espalier_network::text::{did_you_mean, one_of, quoted};

use crate::error::DataError;

/// The most classes that are told from the largest number: a wrong file must not ask for more memory
/// than it has bytes. The largest public sets have some 22,000.
pub(crate) const MOST: usize = 1 << 16;

/// The most names that a message lists.
const LISTED: usize = 12;

/// The classes' names `0`, `1` and so on.
pub(crate) fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// That each class has a name of its own, and that there is one.
pub(crate) fn check_given(names: &[String]) -> Result<(), DataError> {
    let wrong = |found, expected: &str| {
        Err(DataError::Option { option: "classes", found, expected: expected.to_owned() })
    };
    if names.is_empty() {
        return wrong("empty".to_owned(), "at least one");
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(twice) => wrong(format!("{} twice", quoted(twice)), "each name once"),
    }
}

/// A label without what does not matter: `3.0`, as tables of other programs have it, is `3`.
pub(crate) fn plain(label: &str) -> String {
    match label.parse::<f64>() {
        // Whole numbers up to this one are exact.
        Ok(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("{}", number as i64),
        _ => label.to_owned(),
    }
}

/// The different labels: numbers by their size, if all are numbers, else by their text.
pub(crate) fn distinct<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> =
        labels.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if let Some(numbers) = numbers.filter(|all| all.iter().all(|number| number.is_finite())) {
        let mut both: Vec<(f64, String)> = numbers.into_iter().zip(names).collect();
        both.sort_by(|a, b| a.0.total_cmp(&b.0));
        names = both.into_iter().map(|(_, name)| name).collect();
    }
    names
}

/// What is expected where a label is none of `names`, and the nearest of them.
pub(crate) fn unknown(found: &str, names: &[String]) -> (String, String, Option<String>) {
    let expected = match names.get(LISTED..) {
        Some(rest) if !rest.is_empty() => {
            format!("{} and {} more", one_of(&names[..LISTED]), rest.len())
        }
        _ => one_of(names),
    };
    (quoted(found), expected, did_you_mean(found, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let sorted = |labels: &[&str]| distinct(labels.iter().copied());
        assert_eq!(sorted(&["10", "9", "-1", "9"]), ["-1", "9", "10"]);
        assert_eq!(sorted(&["10", "9", "b", "a"]), ["10", "9", "a", "b"]);
        assert_eq!(["3.0", "3", "3.5", "x", "-0.0"].map(plain), ["3", "3", "3.5", "x", "0"]);
    }

    #[test]
    fn names_are_not_given_twice() {
        let message = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check_given(&names).unwrap_err().to_string()
        };
        assert_eq!(message(&["a", "b", "a"]), "classes is \"a\" twice; expected each name once");
        assert_eq!(message(&[]), "classes is empty; expected at least one");
        assert!(check_given(&numbered(3)).is_ok());
    }

    #[test]
    fn long_lists_are_cut() {
        let (found, expected, help) = unknown("12x", &numbered(15));
        assert_eq!(found, "\"12x\"");
        assert!(expected.ends_with("`11` and 3 more"), "{expected}");
        assert_eq!(help.as_deref(), Some("did you mean `12`?"));
    }
}

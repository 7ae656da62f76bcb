//! Names that may have been meant.

/// Names that are offered.
const MOST: usize = 3;

/// The most like `wanted` of these, the best first, or the first ones if none is like it.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(wanted, name), name)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_first() {
        let names = ["encoder.bias", "head.weight", "head.bias", "x"];
        assert_eq!(nearest("head.wieght", names.into_iter())[0], "head.weight");
        assert!(nearest("a", [].into_iter()).is_empty());
    }
}

//! The names that PyTorch gave before there were parametrizations.

use espalier_checkpoint::Checkpoint;

/// The name in `file` of what is called `name` now, as `torch.nn.utils.weight_norm` and `spectral_norm`
/// saved it: `fc.weight_g` for `fc.parametrizations.weight.original0`.
///
/// A suffix alone tells little (a pruned parameter has `_orig`, too), so its companion must be there.
pub(super) fn legacy_name<'a>(name: &str, file: &'a Checkpoint) -> Option<&'a str> {
    let (owner, rest) = match name.rsplit_once(".parametrizations.") {
        Some((owner, rest)) => (format!("{owner}."), rest),
        None => (String::new(), name.strip_prefix("parametrizations.")?),
    };
    let (parameter, part) = rest.split_once('.')?;
    let (suffix, companion) = match part {
        "original0" => ("_g", "_v"),
        "original1" => ("_v", "_g"),
        "original" => ("_orig", "_u"),
        "0._u" => ("_u", "_orig"),
        "0._v" => ("_v", "_u"),
        _ => return None,
    };
    let found = |suffix| file.get(&format!("{owner}{parameter}{suffix}"));
    found(companion)?;
    found(suffix).map(|tensor| tensor.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_checkpoint::NamedTensor;

    #[test]
    fn names_are_found_with_their_companions_only() {
        let mut file = Checkpoint::new();
        for name in
            ["a.weight_g", "a.weight_v", "weight_orig", "weight_u", "weight_v", "b.weight_orig"]
        {
            file.push(NamedTensor::f32(name, vec![0], &[]).unwrap()).unwrap();
        }
        for (name, expected) in [
            ("a.parametrizations.weight.original0", Some("a.weight_g")),
            ("a.parametrizations.weight.original1", Some("a.weight_v")),
            ("a.parametrizations.weight.original", None),
            ("parametrizations.weight.original", Some("weight_orig")),
            ("parametrizations.weight.0._u", Some("weight_u")),
            ("parametrizations.weight.0._v", Some("weight_v")),
            ("parametrizations.weight.original0", None),
            ("b.parametrizations.weight.original", None),
            ("b.weight_orig", None),
        ] {
            assert_eq!(legacy_name(name, &file), expected, "{name}");
        }
    }
}

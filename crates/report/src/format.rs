//! Numbers and names as text.

/// A number with its digits in groups of three.
///
/// ```
/// assert_eq!(espalier_report::grouped(1234567), "1,234,567");
/// ```
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, with two digits or more in the largest unit of 1024 that it fills.
///
/// ```
/// assert_eq!((espalier_report::bytes(999), espalier_report::bytes(1_300_000)), ("999 B".into(), "1.2 MiB".into()));
/// ```
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1024.0;
    let mut unit = 0;
    // 1023.96 would be shown as 1024.0.
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

/// A statistic with four significant digits, `-` if there is none.
///
/// ```
/// assert_eq!(espalier_report::statistic(Some(0.123456)), "0.1235");
/// ```
pub fn statistic(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "-".into();
    };
    if value == 0.0 {
        return "0".into();
    }
    // Rounding comes first: 9.9996 is 10.00, not 10.000.
    let scientific = format!("{value:.3e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok());
    match exponent {
        Some(exponent @ -4..=5) => {
            let decimals = usize::try_from(3 - exponent).unwrap_or(0);
            format!("{value:.decimals$}")
        }
        _ => scientific,
    }
}

/// A share from 0 to 1 in per cent with two decimals, `-` if there is none. Only all is 100 %, and only
/// nothing is 0 %: a layer with one element left is not shown as empty.
///
/// ```
/// assert_eq!(espalier_report::per_cent(Some(0.5)), "50.00%");
/// ```
pub fn per_cent(share: Option<f64>) -> String {
    let Some(share) = share else {
        return "-".into();
    };
    let mut per_cent = 100.0 * share;
    if 0.0 < share && share < 1.0 {
        per_cent = per_cent.clamp(0.01, 99.99);
    }
    format!("{per_cent:.2}%")
}

/// A shape such as `64x3x7x7`; a scalar is `()`.
///
/// ```
/// assert_eq!(espalier_report::shape(&[64, 3, 7, 7]), "64x3x7x7");
/// ```
pub fn shape(sizes: &[usize]) -> String {
    if sizes.is_empty() {
        return "()".into();
    }
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// A name from a file, harmless to a terminal: what moves the cursor, colours or turns the direction
/// of writing is shown as an escape.
///
/// ```
/// assert_eq!(espalier_report::harmless("a\n"), "a\\u{a}");
/// ```
pub fn harmless(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        let directs = matches!(character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || directs {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (100_000, "100,000")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn sizes() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn four_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1.000"),
            (-0.012345, "-0.01235"),
            (9.99996, "10.00"),
            (1234.5678, "1235"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.235e6"),
            (0.000_123_45, "0.0001234"),
            (0.000_012_345, "1.234e-5"),
            (f64::MAX, "1.798e308"),
        ];
        for (value, text) in cases {
            assert_eq!(statistic(Some(value)), text);
        }
        assert_eq!(statistic(None), "-");
    }

    #[test]
    fn per_cents() {
        let cases = [
            (0.0, "0.00%"),
            (1e-9, "0.01%"),
            (0.3, "30.00%"),
            (1.0 / 3.0, "33.33%"),
            (1.0 - 1e-9, "99.99%"),
            (1.0, "100.00%"),
        ];
        for (share, text) in cases {
            assert_eq!(per_cent(Some(share)), text);
        }
        assert_eq!(per_cent(None), "-");
    }

    #[test]
    fn names_cannot_direct_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31m\nb\u{202e}"), "a\\u{1b}[31m\\u{a}b\\u{202e}");
        assert_eq!(harmless("poids.équilibre"), "poids.équilibre");
    }

    #[test]
    fn shapes() {
        assert_eq!(
            (shape(&[]), shape(&[5]), shape(&[2, 3])),
            ("()".into(), "5".into(), "2x3".into())
        );
    }
}

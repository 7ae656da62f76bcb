//! Values that the protocols 0 and 1 write as text.

/// Little-endian bytes in two's complement of a number in decimal digits, at most 40 of them: more than any
/// checkpoint has.
pub(super) fn long(text: &[u8]) -> Option<Box<[u8]>> {
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('L');
    let value: i128 = text.parse().ok()?;
    let bytes = value.to_le_bytes();
    // As short as it can be, sign included.
    let fill = if value < 0 { 0xff } else { 0 };
    let is_sign = |i: usize| bytes[i..].iter().all(|byte| *byte == fill);
    let keeps_sign = |i: usize| (bytes[i - 1] & 0x80 != 0) == (value < 0);
    let length = (1..bytes.len()).find(|i| is_sign(*i) && keeps_sign(*i)).unwrap_or(bytes.len());
    Some(bytes[..length].into())
}

/// A text in quotation marks with the escapes of Python.
pub(super) fn quoted(text: &[u8]) -> Option<Box<[u8]>> {
    let (first, rest) = text.split_first()?;
    let (last, inner) = rest.split_last()?;
    if first != last || !matches!(first, b'\'' | b'"') {
        return None;
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'v' => 11,
            b'f' => 12,
            b'x' => hex(&mut rest, 2)? as u8,
            first @ b'0'..=b'7' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    let mut ahead = rest.clone();
                    let Some(digit @ b'0'..=b'7') = ahead.next() else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = ahead;
                }
                value as u8
            }
            other @ (b'\\' | b'\'' | b'"') => other,
            _ => return None,
        });
    }
    Some(out.into())
}

/// A text of Latin letters with escapes for all others.
pub(super) fn unicode(text: &[u8]) -> Option<Box<[u8]>> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(char::from(byte));
            continue;
        }
        let mut ahead = rest.clone();
        let digits = match ahead.next() {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                out.push('\\');
                continue;
            }
        };
        let mut value = hex(&mut ahead, digits)?;
        rest = ahead.clone();
        // Python 2 wrote two halves for what lies beyond 16 bits.
        if (0xd800..0xdc00).contains(&value) && ahead.next() == Some(b'\\') {
            ahead.next().filter(|byte| *byte == b'u')?;
            let low = hex(&mut ahead, 4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            value = 0x10000 + ((value - 0xd800) << 10) + low;
            rest = ahead;
        }
        out.push(char::from_u32(value)?);
    }
    Some(out.into_bytes().into())
}

fn hex(bytes: &mut impl Iterator<Item = u8>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0, |value, _| {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        Some(value * 16 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_as_short_as_python_writes_them() {
        let magic = b"119547037146038801333356L";
        let expected = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
        assert_eq!(long(magic).as_deref(), Some(&expected[..]));
        assert_eq!(long(b"-1").as_deref(), Some(&[0xff][..]));
        assert_eq!(long(b"128").as_deref(), Some(&[0x80, 0][..]));
        assert_eq!(long(b"x"), None);
    }

    #[test]
    fn escapes() {
        let of = |text: &[u8]| quoted(text).map(|bytes| bytes.to_vec());
        assert_eq!(of(br"'a\n\x41\101\''"), Some(b"a\nAA'".to_vec()));
        assert_eq!(of(b"'a"), None);
        assert_eq!(of(br"'\q'"), None);
        let of = |text: &[u8]| unicode(text).map(|bytes| bytes.to_vec());
        assert_eq!(of(b"caf\xe9 \\u20ac \\U0001f600"), Some("café € 😀".as_bytes().to_vec()));
        assert_eq!(of(b"\\ud83d\\ude00"), Some("😀".as_bytes().to_vec()));
        assert_eq!(of(b"\\ud83d"), None);
    }
}

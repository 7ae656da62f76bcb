//! The header of an npy file: a Python dictionary literal with three keys.

use super::MAX_RANK;
use super::npy_fault::NpyFault;
use crate::dtype::Dtype;

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NpyHeader {
    pub(crate) dtype: Dtype,
    pub(crate) big_endian: bool,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` in any order of the keys.
pub(crate) fn parse(header: &[u8]) -> Result<NpyHeader, NpyFault> {
    let mut cursor = Cursor { bytes: header, at: 0 };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect(b'{', "an opening brace")?;
    while !cursor.accept(b'}') {
        let at = cursor.at;
        let key = cursor.string("a key in quotes")?;
        cursor.expect(b':', "a colon")?;
        let twice = match key.as_str() {
            "descr" => descr.replace(cursor.descr()?).is_some(),
            "fortran_order" => fortran_order.replace(cursor.boolean()?).is_some(),
            "shape" => shape.replace(cursor.shape()?).is_some(),
            _ => return Err(NpyFault::UnknownKey { key }),
        };
        if twice {
            return Err(NpyFault::DuplicateKey { key, position: at });
        }
        if !cursor.accept(b',') {
            cursor.expect(b'}', "a comma or a closing brace")?;
            break;
        }
    }
    cursor.skip_blanks();
    if cursor.at != header.len() {
        return Err(cursor.unexpected("nothing more"));
    }
    let (dtype, big_endian) = descr.ok_or(NpyFault::MissingKey { key: "descr" })?;
    Ok(NpyHeader {
        dtype,
        big_endian,
        fortran_order: fortran_order.ok_or(NpyFault::MissingKey { key: "fortran_order" })?,
        shape: shape.ok_or(NpyFault::MissingKey { key: "shape" })?,
    })
}

/// The element type of a descriptor such as `<f4`, and whether it is big-endian.
fn element_type(descr: &str) -> Result<(Dtype, bool), NpyFault> {
    let unsupported = || NpyFault::UnsupportedType { descr: descr.to_owned() };
    let mut rest = descr.chars();
    let order = rest.next().ok_or_else(unsupported)?;
    let dtype = match rest.as_str() {
        "f2" => Dtype::F16,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        "c8" => Dtype::C64,
        "c16" => Dtype::C128,
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        other if other.starts_with('O') => return Err(NpyFault::Objects),
        _ => return Err(unsupported()),
    };
    match order {
        '<' => Ok((dtype, false)),
        '>' => Ok((dtype, true)),
        // "Not applicable", which holds for single bytes only.
        '|' if dtype.size_bits() == 8 => Ok((dtype, false)),
        _ => Err(unsupported()),
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.bytes.get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), NpyFault> {
        if self.accept(byte) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    fn unexpected(&self, expected: &'static str) -> NpyFault {
        NpyFault::Header { expected, position: self.at }
    }

    fn string(&mut self, what: &'static str) -> Result<String, NpyFault> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            return Err(self.unexpected(what));
        };
        let text = self.bytes.get(self.at + 1..).unwrap_or_default();
        // No key or descriptor that is accepted holds a quote or a backslash.
        let Some(length) = text.iter().position(|&byte| byte == quote || byte == b'\\') else {
            return Err(self.unexpected("a closing quote"));
        };
        let (text, end) = text.split_at(length);
        if end.first() != Some(&quote) {
            self.at += 1 + length;
            return Err(self.unexpected("a name without escapes"));
        }
        self.at += length + 2;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn descr(&mut self) -> Result<(Dtype, bool), NpyFault> {
        if matches!(self.peek(), Some(b'[' | b'(')) {
            return Err(NpyFault::Structured);
        }
        element_type(&self.string("a type in quotes")?)
    }

    fn boolean(&mut self) -> Result<bool, NpyFault> {
        self.skip_blanks();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, NpyFault> {
        self.expect(b'(', "a tuple of sizes")?;
        let mut shape = Vec::new();
        while !self.accept(b')') {
            if shape.len() == MAX_RANK {
                return Err(NpyFault::RankOverLimit { limit: MAX_RANK });
            }
            shape.push(self.size()?);
            if !self.accept(b',') {
                // `(3)` is no tuple.
                if shape.len() == 1 {
                    return Err(self.unexpected("a comma after the only size"));
                }
                self.expect(b')', "a comma or a closing parenthesis")?;
                break;
            }
        }
        Ok(shape)
    }

    fn size(&mut self) -> Result<usize, NpyFault> {
        self.skip_blanks();
        let start = self.at;
        let mut size = 0usize;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            size = size
                .checked_mul(10)
                .and_then(|size| size.checked_add(usize::from(digit - b'0')))
                .ok_or(NpyFault::SizeOverflow { position: start })?;
            self.at += 1;
        }
        if self.at == start {
            return Err(self.unexpected("a size of zero or more"));
        }
        // Python 2 wrote long integers so.
        if self.bytes.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_order_with_any_blanks() {
        let header =
            parse(b"{\"shape\":( 3 ,4L ),'fortran_order' : True\t,'descr':'>i8'}  \n").unwrap();
        let expected = NpyHeader {
            dtype: Dtype::I64,
            big_endian: true,
            fortran_order: true,
            shape: vec![3, 4],
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn scalars_and_vectors() {
        let shape = |text: &str| {
            let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {text}, }}\n");
            parse(header.as_bytes()).map(|header| header.shape)
        };
        assert_eq!(shape("()").unwrap(), [0usize; 0]);
        assert_eq!(shape("(5,)").unwrap(), [5]);
        assert!(matches!(shape("(5)"), Err(NpyFault::Header { .. })));
        assert!(matches!(shape("(-5,)"), Err(NpyFault::Header { .. })));
        assert!(matches!(shape("(5,,)"), Err(NpyFault::Header { .. })));
        assert!(matches!(shape("5"), Err(NpyFault::Header { .. })));
        assert!(matches!(shape("(18446744073709551616,)"), Err(NpyFault::SizeOverflow { .. })));
        let many = format!("({})", "1,".repeat(65));
        assert!(matches!(shape(&many), Err(NpyFault::RankOverLimit { limit: 64 })));
    }

    #[test]
    fn types() {
        assert_eq!(element_type("<f2").unwrap(), (Dtype::F16, false));
        assert_eq!(element_type(">f8").unwrap(), (Dtype::F64, true));
        assert_eq!(element_type("|b1").unwrap(), (Dtype::Bool, false));
        assert_eq!(element_type("|O"), Err(NpyFault::Objects));
        assert_eq!(element_type(">c16").unwrap(), (Dtype::C128, true));
        for descr in ["", "|", "|f4", "<c4", "<V2", "<U5", "=f4", "f4", "<f16", "é4"] {
            assert!(
                matches!(element_type(descr), Err(NpyFault::UnsupportedType { .. })),
                "{descr}"
            );
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
        assert!(parse(header).is_ok());
        for end in 0..header.len() {
            assert!(parse(&header[..end]).is_err(), "cut at {end}");
        }
    }
}

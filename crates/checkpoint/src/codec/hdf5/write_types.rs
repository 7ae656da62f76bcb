//! Types of elements, as h5py and Keras write them.

use crate::dtype::Dtype;

/// The message of a type; none if Keras and h5py have no such type. Bfloat16 is two bytes without a meaning,
/// which an attribute gives them.
pub(super) fn datatype(dtype: Dtype) -> Option<Vec<u8>> {
    let size = dtype.size_bits() as u32 / 8;
    Some(match dtype {
        Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => integer(size, false),
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => integer(size, true),
        Dtype::F16 => float(size, 10, 5),
        Dtype::F32 => float(size, 23, 8),
        Dtype::F64 => float(size, 52, 11),
        Dtype::BF16 => head(0x15, 0, size),
        Dtype::C32 => complex(&float(2, 10, 5), size),
        Dtype::C64 => complex(&float(4, 23, 8), size),
        Dtype::C128 => complex(&float(8, 52, 11), size),
        Dtype::Bool => {
            let names = *b"FALSE\0\0\0TRUE\0\0\0\0";
            [&head(0x18, 2, 1)[..], &integer(1, true), &names, &[0, 1]].concat()
        }
        _ => return None,
    })
}

/// The message of texts that are in a heap: length, address, number. They are UTF-8.
pub(super) fn heap_text() -> Vec<u8> {
    [head(0x19, 0x0101, 16), integer(1, false)].concat()
}

/// Class and version, flags, and the bytes of an element.
fn head(class: u8, flags: u32, size: u32) -> Vec<u8> {
    let [a, b, c, _] = flags.to_le_bytes();
    [&[class, a, b, c][..], &size.to_le_bytes()].concat()
}

fn integer(size: u32, signed: bool) -> Vec<u8> {
    let bits = 8 * size as u16;
    let flags = if signed { 8 } else { 0 };
    [&head(0x10, flags, size)[..], &[0, 0], &bits.to_le_bytes()].concat()
}

/// Mantissa, exponent and sign, from the lowest bit up. The first bit of the mantissa is not stored.
fn float(size: u32, mantissa: u8, exponent: u8) -> Vec<u8> {
    let bits = 8 * size as u16;
    let flags = u32::from(bits - 1) << 8 | 0x20;
    let bias = (1u32 << (exponent - 1)) - 1;
    let parts = [mantissa, exponent, 0, mantissa];
    let numbers = [&[0, 0][..], &bits.to_le_bytes(), &parts, &bias.to_le_bytes()].concat();
    [head(0x11, flags, size), numbers].concat()
}

/// Records of two parts, `r` and `i`.
fn complex(part: &[u8], size: u32) -> Vec<u8> {
    let member = |name: u8, offset: u32| {
        // The name fills eight bytes; no dimensions.
        let name = [name, 0, 0, 0, 0, 0, 0, 0];
        [&name[..], &offset.to_le_bytes(), &[0; 28], part].concat()
    };
    [head(0x16, 2, size), member(b'r', 0), member(b'i', size / 2)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What h5py 3.16 gives for its types.
    #[test]
    fn types_are_those_of_h5py() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let of = |dtype| hex(datatype(dtype).unwrap());
        assert_eq!(of(Dtype::F16), "11200f0002000000000010000a05000a0f000000");
        assert_eq!(of(Dtype::F32), "11201f000400000000002000170800177f000000");
        assert_eq!(of(Dtype::F64), "11203f000800000000004000340b0034ff030000");
        assert_eq!(of(Dtype::BF16), "1500000002000000");
        assert_eq!(of(Dtype::I64), "100800000800000000004000");
        let enumeration = "180200000100000010080000010000000000080046414c5345000000545255450000000";
        assert_eq!(of(Dtype::Bool), format!("{enumeration}00001"));
        let half = "11201f000400000000002000170800177f000000";
        let zeros = "00".repeat(28);
        let expected = format!(
            "1602000008000000\
             720000000000000000000000{zeros}{half}\
             690000000000000004000000{zeros}{half}"
        );
        assert_eq!(of(Dtype::C64), expected);
        assert_eq!(datatype(Dtype::F8E4M3), None);
    }
}

//! Types of elements, as the file spells them.

use super::cursor::Cursor;
use super::fault::Hdf5Fault;
use crate::dtype::Dtype;

/// Types within types: arrays, enumerations and the parts of complex numbers.
const MAX_DEPTH: usize = 4;

/// A type, and the bytes that an element takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) size: u64,
    pub(super) class: Class,
}

/// What elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// Numbers or truth values that are read.
    Number { dtype: Dtype, big_endian: bool },
    /// Numbers that are not.
    UnknownNumber(String),
    /// Texts of a fixed length.
    Text,
    /// Texts in a heap.
    HeapText,
    /// Bytes without a meaning that the type tells.
    Opaque,
    /// Small arrays.
    Array { sizes: Vec<u64>, base: Box<Type> },
    /// What is no number: the name of the class.
    Other(&'static str),
}

/// Reads a type.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Type, Hdf5Fault> {
    parse_within(cursor, MAX_DEPTH)
}

fn parse_within(cursor: &mut Cursor<'_>, depth: usize) -> Result<Type, Hdf5Fault> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(cursor.damaged("fewer types within types"));
    };
    let head = cursor.u8()?;
    let (class, version) = (head & 15, head >> 4);
    let flags = cursor.uint(3)?;
    let size = u64::from(cursor.u32()?);
    let class = match class {
        0 => integer(cursor, flags, size)?,
        1 => float(cursor, flags, size)?,
        2 => Class::Other("times"),
        3 => Class::Text,
        4 => Class::Other("bit fields"),
        5 => Class::Opaque,
        6 => compound(cursor, version, flags, size, depth)?,
        7 => Class::Other("references"),
        8 => enumeration(cursor, version, flags, size, depth)?,
        9 if flags & 15 == 1 => Class::HeapText,
        9 => Class::Other("lists"),
        10 => array(cursor, version, size, depth)?,
        11 => complex(size, &parse_within(cursor, depth)?),
        _ => return Err(cursor.damaged("a known class of types")),
    };
    if size == 0 {
        return Err(Hdf5Fault::ElementSize { found: 0 });
    }
    Ok(Type { size, class })
}

fn integer(cursor: &mut Cursor<'_>, flags: u64, size: u64) -> Result<Class, Hdf5Fault> {
    let (offset, precision) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
    let signed = flags & 8 != 0;
    let dtype = match (size, signed) {
        (1, false) => Some(Dtype::U8),
        (1, true) => Some(Dtype::I8),
        (2, false) => Some(Dtype::U16),
        (2, true) => Some(Dtype::I16),
        (4, false) => Some(Dtype::U32),
        (4, true) => Some(Dtype::I32),
        (8, false) => Some(Dtype::U64),
        (8, true) => Some(Dtype::I64),
        _ => None,
    };
    let whole = offset == 0 && precision == size.saturating_mul(8);
    Ok(match dtype.filter(|_| whole) {
        Some(dtype) => Class::Number { dtype, big_endian: flags & 1 != 0 },
        None => Class::UnknownNumber(format!("integers of {precision} bits in {size} bytes")),
    })
}

/// Where a float has its parts, in bits: sign, exponent, its size and bias, mantissa and its size.
const FLOATS: [(u64, [u64; 6], Dtype); 6] = [
    (2, [15, 10, 5, 15, 0, 10], Dtype::F16),
    (2, [15, 7, 8, 127, 0, 7], Dtype::BF16),
    (4, [31, 23, 8, 127, 0, 23], Dtype::F32),
    (8, [63, 52, 11, 1023, 0, 52], Dtype::F64),
    (1, [7, 3, 4, 7, 0, 3], Dtype::F8E4M3),
    (1, [7, 2, 5, 15, 0, 2], Dtype::F8E5M2),
];

fn float(cursor: &mut Cursor<'_>, flags: u64, size: u64) -> Result<Class, Hdf5Fault> {
    let (offset, precision) = (u64::from(cursor.u16()?), u64::from(cursor.u16()?));
    let exponent = [u64::from(cursor.u8()?), u64::from(cursor.u8()?)];
    let mantissa = [u64::from(cursor.u8()?), u64::from(cursor.u8()?)];
    let bias = u64::from(cursor.u32()?);
    let sign = flags >> 8 & 0xff;
    let parts = [sign, exponent[0], exponent[1], bias, mantissa[0], mantissa[1]];
    let whole = offset == 0 && precision == size.saturating_mul(8);
    // The first bit of the mantissa is not stored; the order of bytes is not that of a VAX.
    let plain = flags >> 4 & 3 == 2 && flags & 0x40 == 0 && whole;
    let known = FLOATS.iter().find(|float| plain && float.0 == size && float.1 == parts);
    Ok(match known {
        Some((_, _, dtype)) => Class::Number { dtype: *dtype, big_endian: flags & 1 != 0 },
        None => Class::UnknownNumber(format!(
            "floats of {precision} bits in {size} bytes, {} of the exponent and {} of the mantissa",
            exponent[1], mantissa[1]
        )),
    })
}

/// Two floats `r` and `i` are a complex number; other records are none.
fn compound(
    cursor: &mut Cursor<'_>,
    version: u8,
    flags: u64,
    size: u64,
    depth: usize,
) -> Result<Class, Hdf5Fault> {
    const RECORDS: Class = Class::Other("records");
    if flags & 0xffff != 2 || !(1..=5).contains(&version) {
        return Ok(RECORDS);
    }
    let mut whole = None;
    for part in [&b"r"[..], b"i"] {
        let start = cursor.at();
        let name = cursor.text()?;
        let offset = if version < 3 {
            cursor.align(start, 8)?;
            cursor.u32()?.into()
        } else {
            // As many bytes as the size needs.
            cursor.uint(((64 - size.leading_zeros()) as usize).div_ceil(8).max(1))?
        };
        if version == 1 {
            // The sizes of an array, which was part of the member then.
            let rank = cursor.u8()?;
            cursor.skip(27)?;
            if rank != 0 {
                return Ok(RECORDS);
            }
        }
        let member = parse_within(cursor, depth)?;
        let place = if part == b"r" { 0 } else { member.size };
        if name != part || offset != place || *whole.get_or_insert(member.clone()) != member {
            return Ok(RECORDS);
        }
    }
    let part = whole.map(|part| complex(size, &part));
    Ok(match part {
        Some(number @ Class::Number { .. }) => number,
        _ => RECORDS,
    })
}

/// The complex numbers of two of these.
fn complex(size: u64, part: &Type) -> Class {
    let dtype = match part.class {
        Class::Number { dtype: Dtype::F16, .. } => Some(Dtype::C32),
        Class::Number { dtype: Dtype::F32, .. } => Some(Dtype::C64),
        Class::Number { dtype: Dtype::F64, .. } => Some(Dtype::C128),
        _ => None,
    };
    match (dtype, &part.class) {
        (Some(dtype), Class::Number { big_endian, .. }) if size == dtype.size_bits() as u64 / 8 => {
            Class::Number { dtype, big_endian: *big_endian }
        }
        _ => Class::UnknownNumber(format!("complex numbers of {size} bytes")),
    }
}

/// Bytes with names for 0, `FALSE`, and 1, `TRUE`, are truth values; other enumerations are their integers.
fn enumeration(
    cursor: &mut Cursor<'_>,
    version: u8,
    flags: u64,
    size: u64,
    depth: usize,
) -> Result<Class, Hdf5Fault> {
    let base = parse_within(cursor, depth)?;
    if base.size != size {
        return Err(Hdf5Fault::ElementSize { found: size });
    }
    if flags & 0xffff == 2 && size == 1 {
        let mut names = [&b""[..]; 2];
        for name in &mut names {
            let start = cursor.at();
            *name = cursor.text()?;
            if version < 3 {
                cursor.align(start, 8)?;
            }
        }
        let values = cursor.bytes(2)?;
        if names == [&b"FALSE"[..], b"TRUE"] && values == [0, 1] {
            return Ok(Class::Number { dtype: Dtype::Bool, big_endian: false });
        }
    }
    Ok(base.class)
}

fn array(
    cursor: &mut Cursor<'_>,
    version: u8,
    size: u64,
    depth: usize,
) -> Result<Class, Hdf5Fault> {
    let rank = cursor.u8()?;
    if version < 3 {
        cursor.skip(3)?;
    }
    let mut sizes = Vec::with_capacity(rank.into());
    for _ in 0..rank {
        sizes.push(u64::from(cursor.u32()?));
    }
    if version < 3 {
        cursor.skip(4 * usize::from(rank))?;
    }
    let base = parse_within(cursor, depth)?;
    let whole = sizes.iter().try_fold(base.size, |product, &size| product.checked_mul(size));
    if whole != Some(size) {
        return Err(Hdf5Fault::ElementSize { found: size });
    }
    Ok(Class::Array { sizes, base: Box::new(base) })
}

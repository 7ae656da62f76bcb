//! Little-endian bytes to numbers.

use std::borrow::Cow;

use half::{bf16, f16};

use crate::dtype::Dtype;

/// The elements of a tensor as `f64`, in C order, decoded one by one.
///
/// Made by [`NamedTensor::values`](crate::NamedTensor::values) and
/// [`Array::values`](crate::Array::values).
///
/// ```
/// use espalier_checkpoint::NamedTensor;
/// let tensor = NamedTensor::f32("b", vec![3], &[1.0, 2.0, 4.0])?;
/// assert_eq!(tensor.values()?.sum::<f64>(), 7.0);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Values<'a> {
    bytes: Cow<'a, [u8]>,
    at: usize,
    width: usize,
    decode: fn(&[u8]) -> f64,
}

impl Iterator for Values<'_> {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let element = self.bytes.get(self.at..self.at + self.width)?;
        self.at += self.width;
        Some((self.decode)(element))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.bytes.len() - self.at) / self.width;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Values<'_> {}

/// The bytes of one element as an array. A chunk always has the width of its type; were it not so,
/// the element would read as zero.
fn element<const N: usize>(chunk: &[u8]) -> [u8; N] {
    chunk.try_into().unwrap_or([0; N])
}

/// A decoder of one element for each type that has a value as a real number.
macro_rules! decoder {
    ($dtype:expr, $to:ty) => {{
        let decode: Option<fn(&[u8]) -> $to> = match $dtype {
            Dtype::Bool => Some(|c| <$to>::from(u8::from(element::<1>(c) != [0]))),
            Dtype::U8 => Some(|c| u8::from_le_bytes(element(c)) as $to),
            Dtype::I8 => Some(|c| i8::from_le_bytes(element(c)) as $to),
            Dtype::U16 => Some(|c| u16::from_le_bytes(element(c)) as $to),
            Dtype::I16 => Some(|c| i16::from_le_bytes(element(c)) as $to),
            Dtype::U32 => Some(|c| u32::from_le_bytes(element(c)) as $to),
            Dtype::I32 => Some(|c| i32::from_le_bytes(element(c)) as $to),
            Dtype::U64 => Some(|c| u64::from_le_bytes(element(c)) as $to),
            Dtype::I64 => Some(|c| i64::from_le_bytes(element(c)) as $to),
            Dtype::F16 => Some(|c| <$to>::from(f16::from_le_bytes(element(c)))),
            Dtype::BF16 => Some(|c| <$to>::from(bf16::from_le_bytes(element(c)))),
            Dtype::F32 => Some(|c| f32::from_le_bytes(element(c)) as $to),
            Dtype::F64 => Some(|c| f64::from_le_bytes(element(c)) as $to),
            _ => None,
        };
        decode
    }};
}

/// The elements as `f64`, or nothing for a type without a real value.
pub(crate) fn values<'a>(dtype: Dtype, bytes: impl Into<Cow<'a, [u8]>>) -> Option<Values<'a>> {
    let decode = decoder!(dtype, f64)?;
    Some(Values { bytes: bytes.into(), at: 0, width: dtype.size_bits() / 8, decode })
}

/// The elements as `f32`, or nothing for a type without a real value.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let decode = decoder!(dtype, f32)?;
    Some(bytes.chunks_exact(dtype.size_bits() / 8).map(decode).collect())
}

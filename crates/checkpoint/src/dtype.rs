//! Element types.

use std::fmt;

/// The type of a tensor's elements: every type that safetensors 0.8 knows, and two complex ones.
///
/// The order is that of the alignment, smallest first. Elements are little-endian.
///
/// ```
/// use espalier_checkpoint::Dtype;
/// assert_eq!(Dtype::F8E4M3.name(), "F8_E4M3");
/// assert_eq!(Dtype::BF16.size_bits(), 16);
/// assert_eq!(Dtype::from_name("I64"), Some(Dtype::I64));
/// assert_eq!(Dtype::from_name("i64"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// One byte, zero or not.
    Bool,
    /// 4-bit float (MX).
    F4,
    /// 6-bit float, 2 exponent bits (MX).
    F6E2M3,
    /// 6-bit float, 3 exponent bits (MX).
    F6E3M2,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// 8-bit float, 5 exponent bits.
    F8E5M2,
    /// 8-bit float, 4 exponent bits.
    F8E4M3,
    /// 8-bit power of two (MX scale).
    F8E8M0,
    /// 8-bit float, 4 exponent bits, without infinities or a negative zero.
    F8E4M3Fnuz,
    /// 8-bit float, 5 exponent bits, without infinities or a negative zero.
    F8E5M2Fnuz,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 16-bit integer.
    U16,
    /// IEEE half precision.
    F16,
    /// The upper half of an IEEE single.
    BF16,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 32-bit integer.
    U32,
    /// IEEE single precision.
    F32,
    /// Complex number of two IEEE halves. Not in safetensors.
    C32,
    /// Complex number of two IEEE singles.
    C64,
    /// IEEE double precision.
    F64,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 64-bit integer.
    U64,
    /// Complex number of two IEEE doubles. Not in safetensors.
    C128,
}

impl Dtype {
    /// Every type, in order.
    ///
    /// ```
    /// use espalier_checkpoint::Dtype;
    /// assert_eq!(Dtype::ALL.len(), 24);
    /// assert!(Dtype::ALL.is_sorted());
    /// ```
    pub const ALL: [Self; 24] = [
        Self::Bool,
        Self::F4,
        Self::F6E2M3,
        Self::F6E3M2,
        Self::U8,
        Self::I8,
        Self::F8E5M2,
        Self::F8E4M3,
        Self::F8E8M0,
        Self::F8E4M3Fnuz,
        Self::F8E5M2Fnuz,
        Self::I16,
        Self::U16,
        Self::F16,
        Self::BF16,
        Self::I32,
        Self::U32,
        Self::F32,
        Self::C32,
        Self::C64,
        Self::F64,
        Self::I64,
        Self::U64,
        Self::C128,
    ];

    /// The size of one element in bits.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Dtype::F4.size_bits(), 4);
    /// ```
    pub const fn size_bits(self) -> usize {
        match self {
            Self::F4 => 4,
            Self::F6E2M3 | Self::F6E3M2 => 6,
            Self::Bool
            | Self::U8
            | Self::I8
            | Self::F8E5M2
            | Self::F8E4M3
            | Self::F8E8M0
            | Self::F8E4M3Fnuz
            | Self::F8E5M2Fnuz => 8,
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 16,
            Self::I32 | Self::U32 | Self::F32 | Self::C32 => 32,
            Self::C64 | Self::F64 | Self::I64 | Self::U64 => 64,
            Self::C128 => 128,
        }
    }

    /// The name, as a safetensors header spells it (or would).
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Dtype::Bool.name(), "BOOL");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::F4 => "F4",
            Self::F6E2M3 => "F6_E2M3",
            Self::F6E3M2 => "F6_E3M2",
            Self::U8 => "U8",
            Self::I8 => "I8",
            Self::F8E5M2 => "F8_E5M2",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E8M0 => "F8_E8M0",
            Self::F8E4M3Fnuz => "F8_E4M3FNUZ",
            Self::F8E5M2Fnuz => "F8_E5M2FNUZ",
            Self::I16 => "I16",
            Self::U16 => "U16",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I32 => "I32",
            Self::U32 => "U32",
            Self::F32 => "F32",
            Self::C32 => "C32",
            Self::C64 => "C64",
            Self::F64 => "F64",
            Self::I64 => "I64",
            Self::U64 => "U64",
            Self::C128 => "C128",
        }
    }

    /// The type of that name, if there is one.
    ///
    /// ```
    /// use espalier_checkpoint::Dtype;
    /// assert_eq!(Dtype::from_name("F16"), Some(Dtype::F16));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }

    /// The width of the numbers that an element is made of, in bytes: what is reversed where the order of
    /// bytes is another. Both parts of a complex number count by themselves.
    pub(crate) const fn part_bytes(self) -> usize {
        match self {
            Self::C32 | Self::C64 | Self::C128 => self.size_bits() / 16,
            _ => self.size_bits().div_ceil(8),
        }
    }

    /// The bytes that `numel` elements take, or why they take none.
    pub(crate) fn byte_len(self, numel: usize) -> Result<usize, ByteLenFault> {
        let bits = numel.checked_mul(self.size_bits()).ok_or(ByteLenFault::Overflow)?;
        if bits % 8 == 0 { Ok(bits / 8) } else { Err(ByteLenFault::PartialByte) }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a number of elements has no length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteLenFault {
    /// The number of bits does not fit a `usize`.
    Overflow,
    /// Elements smaller than a byte do not fill the last byte.
    PartialByte,
}

/// The product of the sizes, or nothing if it does not fit. As in the safetensors library, a zero
/// after an overflow does not mend it.
pub(crate) fn checked_numel(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
}

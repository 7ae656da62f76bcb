//! What types of a checkpoint are to the kernels.

use espalier_checkpoint::Dtype;
use espalier_kernels::Elements;

/// The type that kernels decode, if they do: no format says how floats of six bits are packed.
pub(crate) fn elements(dtype: Dtype) -> Option<Elements> {
    Some(match dtype {
        Dtype::Bool => Elements::Bool,
        Dtype::U8 => Elements::U8,
        Dtype::I8 => Elements::I8,
        Dtype::U16 => Elements::U16,
        Dtype::I16 => Elements::I16,
        Dtype::U32 => Elements::U32,
        Dtype::I32 => Elements::I32,
        Dtype::U64 => Elements::U64,
        Dtype::I64 => Elements::I64,
        Dtype::F4 => Elements::F4,
        Dtype::F8E4M3 => Elements::F8E4M3,
        Dtype::F8E5M2 => Elements::F8E5M2,
        Dtype::F8E4M3Fnuz => Elements::F8E4M3Fnuz,
        Dtype::F8E5M2Fnuz => Elements::F8E5M2Fnuz,
        Dtype::F8E8M0 => Elements::F8E8M0,
        Dtype::F16 => Elements::F16,
        Dtype::BF16 => Elements::BF16,
        Dtype::F32 => Elements::F32,
        Dtype::F64 => Elements::F64,
        Dtype::C32 => Elements::C32,
        Dtype::C64 => Elements::C64,
        Dtype::C128 => Elements::C128,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_six_bits_in_their_size() {
        for dtype in Dtype::ALL {
            match elements(dtype) {
                Some(elements) => assert_eq!(elements.bits(), dtype.size_bits(), "{dtype}"),
                None => assert!(matches!(dtype, Dtype::F6E2M3 | Dtype::F6E3M2), "{dtype}"),
            }
        }
    }
}

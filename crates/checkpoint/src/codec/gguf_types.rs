//! The element types of GGUF.

use crate::dtype::Dtype;

/// How a tensor's elements are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One after the other.
    Plain(Dtype),
    /// In blocks of some elements that take some bytes.
    Blocks { name: &'static str, elements: u64, bytes: u64 },
}

/// The type of a number. Numbers and block sizes are those of ggml's `ggml_type`.
pub(crate) fn kind(number: u32) -> Option<Kind> {
    let blocks = |name, elements, bytes| Some(Kind::Blocks { name, elements, bytes });
    match number {
        0 => Some(Kind::Plain(Dtype::F32)),
        1 => Some(Kind::Plain(Dtype::F16)),
        24 => Some(Kind::Plain(Dtype::I8)),
        25 => Some(Kind::Plain(Dtype::I16)),
        26 => Some(Kind::Plain(Dtype::I32)),
        27 => Some(Kind::Plain(Dtype::I64)),
        28 => Some(Kind::Plain(Dtype::F64)),
        30 => Some(Kind::Plain(Dtype::BF16)),
        2 => blocks("Q4_0", 32, 18),
        3 => blocks("Q4_1", 32, 20),
        6 => blocks("Q5_0", 32, 22),
        7 => blocks("Q5_1", 32, 24),
        8 => blocks("Q8_0", 32, 34),
        9 => blocks("Q8_1", 32, 36),
        10 => blocks("Q2_K", 256, 84),
        11 => blocks("Q3_K", 256, 110),
        12 => blocks("Q4_K", 256, 144),
        13 => blocks("Q5_K", 256, 176),
        14 => blocks("Q6_K", 256, 210),
        15 => blocks("Q8_K", 256, 292),
        16 => blocks("IQ2_XXS", 256, 66),
        17 => blocks("IQ2_XS", 256, 74),
        18 => blocks("IQ3_XXS", 256, 98),
        19 => blocks("IQ1_S", 256, 50),
        20 => blocks("IQ4_NL", 32, 18),
        21 => blocks("IQ3_S", 256, 110),
        22 => blocks("IQ2_S", 256, 82),
        23 => blocks("IQ4_XS", 256, 136),
        29 => blocks("IQ1_M", 256, 56),
        34 => blocks("TQ1_0", 256, 54),
        35 => blocks("TQ2_0", 256, 66),
        39 => blocks("MXFP4", 32, 17),
        40 => blocks("NVFP4", 64, 36),
        41 => blocks("Q1_0", 128, 18),
        _ => None,
    }
}

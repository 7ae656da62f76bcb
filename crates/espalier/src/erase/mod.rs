//! Erasure over rank and type.
//!
//! Burn's `Module` is not object-safe and its visitors are generic over the rank of a tensor.
//! These types make both values of one type each: a tensor of any rank, a module of any type.

mod math;
mod module;
mod tensor;

pub use module::AnyModule;
pub use tensor::AnyTensor;

/// Runs `$body` with the constant `$D` set to the run-time `$rank` (0 to 8, Burn's limit), or
/// `$other` for a rank that no tensor has.
macro_rules! with_rank {
    ($rank:expr, $D:ident => $body:expr, else $other:expr) => {
        $crate::erase::with_rank!(@arms $rank, $D, $body, $other, 0 1 2 3 4 5 6 7 8)
    };
    (@arms $rank:expr, $D:ident, $body:expr, $other:expr, $($n:literal)*) => {
        match $rank {
            $($n => { const $D: usize = $n; $body })*
            _ => $other,
        }
    };
}
pub(crate) use with_rank;

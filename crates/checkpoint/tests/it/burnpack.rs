//! Reading and writing burnpack, against Burn's own crate.

use burn_pack::{Bytes, DType, Reader, Scalar, Tensor, Writer};
use espalier_checkpoint::{
    BurnpackFault as Fault, Checkpoint, Dtype, Error, Format, NamedTensor, write_burnpack,
};
use proptest::prelude::*;

use crate::files;

const TYPES: [(Dtype, DType); 13] = [
    (Dtype::F64, DType::F64),
    (Dtype::F32, DType::F32),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::BF16),
    (Dtype::I64, DType::I64),
    (Dtype::I32, DType::I32),
    (Dtype::I16, DType::I16),
    (Dtype::I8, DType::I8),
    (Dtype::U64, DType::U64),
    (Dtype::U32, DType::U32),
    (Dtype::U16, DType::U16),
    (Dtype::U8, DType::U8),
    (Dtype::Bool, DType::Bool(bool_store("Native"))),
];

/// How Burn keeps truth values, by its name.
const fn bool_store(name: &str) -> burn_pack_bool::BoolStore {
    match name.as_bytes() {
        b"U8" => burn_pack_bool::BoolStore::U8,
        b"U32" => burn_pack_bool::BoolStore::U32,
        _ => burn_pack_bool::BoolStore::Native,
    }
}

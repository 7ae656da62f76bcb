//! One codec a file.

pub(crate) mod hdf5;
pub(crate) mod keras;
mod keras_fault;
mod keras_zip;
pub(crate) mod npy;
mod npy_header;
pub(crate) mod safetensors;
mod safetensors_fault;
mod safetensors_header;
pub(crate) mod shard_fault;
mod shard_index;
pub(crate) mod sharded;
pub(crate) mod sharded_write;
mod strided;
pub(crate) mod torch;
pub(crate) mod zip;

/// The largest rank a codec reads or writes. Numpy allows 64, which is the most of any library.
pub(crate) const MAX_RANK: usize = 64;

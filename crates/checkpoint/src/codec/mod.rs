//! One codec a file.

pub(crate) mod burnpack;
mod burnpack_fault;
mod burnpack_header;
mod burnpack_write;
mod cursor;
pub(crate) mod flax;
mod flax_fault;
mod flax_tree;
mod flax_write;
pub(crate) mod gguf;
mod gguf_fault;
mod gguf_types;
pub(crate) mod hdf5;
pub(crate) mod keras;
mod keras_fault;
pub(crate) mod mxnet;
mod mxnet_fault;
pub(crate) mod npy;
mod npy_fault;
mod npy_header;
mod npy_layout;
mod npy_write;
pub(crate) mod npz;
mod npz_fault;
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

/// The most tensors, members or entries that a file is read with: more than the largest models have.
/// With [`MAX_NAMES`] it bounds the memory that a file made only to fill it takes.
pub(crate) const MAX_TENSORS: usize = 1 << 17;

/// The most bytes that all names of a file take together.
pub(crate) const MAX_NAMES: usize = 16 << 20;

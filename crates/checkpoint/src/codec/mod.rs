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

/// The largest rank a codec reads or writes. Numpy allows 64, which is the most of any library.
pub(crate) const MAX_RANK: usize = 64;

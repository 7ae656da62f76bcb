//! Bytes to named tensors and back: checkpoint files for espalier, read safely and written
//! atomically.
//!
//! A [`Checkpoint`] is an ordered list of [`NamedTensor`]s with unique names and a map of text
//! metadata. The codecs turn files into checkpoints and checkpoints into files:
//!
//! | format | read | write |
//! | --- | --- | --- |
//! | safetensors | [`read_safetensors`], [`read_safetensors_bytes`], [`read_safetensors_header`] | [`write_safetensors`] |
//! | sharded (several files and an index) | [`Checkpoint::open`], [`open_shards`] | [`write_safetensors_sharded`] |
//! | npy (one array) | [`read_npy`], [`read_npy_bytes`] | [`write_npy`], [`write_npy_tensor`] |
//! | npz | [`Checkpoint::open`] | [`write_npz`], [`write_npz_compressed`] |
//! | PyTorch (zip, legacy, tar; state dict, training checkpoint, whole model) | [`Checkpoint::open`], [`TorchFile`] | [`write_torch`] |
//! | HDF5 (`.weights.h5`, `.h5` of Keras, any other) | [`Checkpoint::open`] | [`write_keras_weights`] |
//! | `.keras` (Keras 3) | [`Checkpoint::open`] | |
//! | Flax msgpack | [`Checkpoint::open`] | [`write_flax`] |
//! | MXNet `.params` | [`Checkpoint::open`] | [`write_mxnet`] |
//! | burnpack | [`Checkpoint::open`] | [`write_burnpack`] |
//! | GGUF | [`Checkpoint::open`] | |
//!
//! Files are not trusted: every length, shape and offset is checked before anything is allocated
//! from it, and what is wrong comes back as an [`Error`] that names the file, the tensor and the
//! cause. Every file is written through [`write_atomically`], so that a reader sees the whole old
//! file or the whole new one; so it is with several files and their index. A [`Rotation`] removes old
//! checkpoints as new ones are saved.
//!
//! # Example
//!
//! ```
//! use espalier_checkpoint::{Checkpoint, NamedTensor, read_safetensors, write_safetensors};
//!
//! # let dir = tempfile::tempdir()?;
//! let path = dir.path().join("model.safetensors");
//! let mut checkpoint = Checkpoint::new();
//! checkpoint.push(NamedTensor::f32("fc.weight", vec![2, 2], &[1.0, 0.0, 0.0, 1.0])?)?;
//! checkpoint.metadata.insert("format".into(), "pt".into());
//! write_safetensors(&path, &checkpoint)?;
//!
//! let back = read_safetensors(&path)?;
//! assert_eq!(back, checkpoint);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod atomic;
mod calls;
mod checkpoint;
mod codec;
mod convert;
mod data;
mod directory;
mod dtype;
mod error;
#[cfg(test)]
mod faults;
mod format;
mod keys;
mod rotate;
mod source;
mod temporary;
mod tensor;

pub use atomic::{
    WriteMode, WriteSeek, check_writable_dir, write_atomically, write_atomically_with,
};
pub use checkpoint::{Checkpoint, Origin};
pub use codec::burnpack::{BurnpackFault, write_burnpack};
pub use codec::flax::{FlaxFault, write_flax};
pub use codec::gguf::GgufFault;
pub use codec::hdf5::{Hdf5Fault, write_keras_weights};
pub use codec::keras::KerasFault;
pub use codec::mxnet::{MxnetFault, write_mxnet};
pub use codec::npy::{Array, NpyFault, read_npy, read_npy_bytes, write_npy, write_npy_tensor};
pub use codec::npz::{NpzFault, write_npz, write_npz_compressed};
pub use codec::safetensors::{
    Header, SafetensorsFault, TensorHeader, read_safetensors, read_safetensors_bytes,
    read_safetensors_header, write_safetensors, write_safetensors_with,
};
pub use codec::sharded::{ShardFault, open_shards};
pub use codec::sharded_write::{write_safetensors_sharded, write_safetensors_sharded_with};
pub use codec::torch::{TorchFault, TorchFile, write_torch};
pub use codec::zip::ZipFault;
pub use convert::Values;
pub use data::Provider;
pub use dtype::Dtype;
pub use error::{Action, Error};
pub use format::Format;
pub use keys::{KeyChange, KeyFault, KeyMap, KeyRule, Turn};
pub use rotate::{Better, Keep, Rotation, Saved};
pub use source::Source;
pub use tensor::{NamedTensor, TensorFault};

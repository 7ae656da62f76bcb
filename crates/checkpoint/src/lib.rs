//! Bytes to named tensors and back: checkpoint files for espalier, read safely and written
//! atomically.
//!
//! A [`Checkpoint`] is an ordered list of [`NamedTensor`]s with unique names and a map of text
//! metadata. The codecs turn files into checkpoints and checkpoints into files:
//!
//! | format | read | write |
//! | --- | --- | --- |
//! | safetensors | [`read_safetensors`], [`read_safetensors_bytes`], [`read_safetensors_header`] | [`write_safetensors`] |
//! | npy (one array) | [`read_npy`], [`read_npy_bytes`] | [`write_npy`], [`write_npy_tensor`] |
//! | npz | [`Checkpoint::open`] | [`write_npz`], [`write_npz_compressed`] |
//! | Flax msgpack | [`Checkpoint::open`] | [`write_flax`] |
//! | MXNet `.params` | [`Checkpoint::open`] | [`write_mxnet`] |
//! | burnpack | [`Checkpoint::open`] | [`write_burnpack`] |
//! | GGUF | [`Checkpoint::open`] | |
//!
//! Files are not trusted: every length, shape and offset is checked before anything is allocated
//! from it, and what is wrong comes back as an [`Error`] that names the file, the tensor and the
//! cause. Every file is written through [`write_atomically`], so that a reader sees the whole old
//! file or the whole new one.
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

mod atomic;
mod checkpoint;
mod codec;
mod convert;
mod data;
mod dtype;
mod error;
mod format;
mod source;
mod tensor;

pub use atomic::{WriteSeek, check_writable_dir, write_atomically};
pub use checkpoint::{Checkpoint, Origin};
pub use codec::burnpack::{BurnpackFault, write_burnpack};
pub use codec::flax::{FlaxFault, write_flax};
pub use codec::gguf::GgufFault;
pub use codec::mxnet::{MxnetFault, write_mxnet};
pub use codec::npy::{Array, NpyFault, read_npy, read_npy_bytes, write_npy, write_npy_tensor};
pub use codec::npz::{NpzFault, write_npz, write_npz_compressed};
pub use codec::safetensors::{
    Header, SafetensorsFault, TensorHeader, read_safetensors, read_safetensors_bytes,
    read_safetensors_header, write_safetensors,
};
pub use codec::zip_directory::ZipFault;
pub use convert::Values;
pub use data::Provider;
pub use dtype::Dtype;
pub use error::{Action, Error};
pub use format::Format;
pub use source::Source;
pub use tensor::{NamedTensor, TensorFault};

//! Data sets into batches, on the host: readers, splits, normalization, augmentation, loader threads.
//!
//! A [`Dataset`] has examples that are read by their places and a [`Schema`] that says what they are. A
//! [`Split`] says which of them are trained on, a [`Normalize`] measures these, and a [`Loader`] gives
//! epochs of [`Batch`]es, whose flat vectors any framework takes. No framework is needed here.
//!
//! | data | as |
//! | --- | --- |
//! | the built-in digits | [`digits`] |
//! | tables: CSV, with a class or numbers to learn | [`read_csv`] |
//! | arrays: npy, npz, safetensors, HDF5 | [`Arrays`] |
//! | the files of MNIST, packed or not | [`read_idx`] |
//! | a folder of images for each class | [`Images`] |
//! | a text, byte by byte | [`Text`] |
//! | tokens with a label each | [`Sequences`] |
//! | the copying task | [`Copying`] |
//! | vectors | [`Memory`] |
//! | some examples of another data set | [`Subset`] |
//! | anything else | your own [`Dataset`] |
//!
//! The same seed gives the same batches to the bit, with any number of threads. Files are not trusted: sizes
//! are checked before memory is taken for them, and what is wrong comes back as a [`DataError`] that names
//! the file, the line or record, what is there and what was expected.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use espalier_data::{Augment, Loader, LoaderOptions, Normalize, Split, digits};
//!
//! let data = Arc::new(digits()?);
//! let split = Split::of(&data, 0.2, 0.0, 0)?;
//! let normalization = Normalize::Standard.fit(&data, &split.train)?;
//!
//! let options = LoaderOptions {
//!     batch_size: 64,
//!     threads: 2,
//!     augment: vec![Augment::Shift { by: 1 }],
//!     normalization: normalization.clone(),
//!     ..LoaderOptions::default()
//! };
//! let train = Loader::new(data.clone(), split.train, options)?;
//! let options = LoaderOptions { shuffle: false, normalization, ..LoaderOptions::default() };
//! let validation = Loader::new(data, split.validation, options)?;
//!
//! for epoch in 0..2 {
//!     for batch in train.epoch(epoch) {
//!         let batch = batch?;
//!         assert_eq!(batch.dims[1..], [1, 8, 8]);
//!         assert_eq!(batch.inputs.len(), batch.targets.len() * 64);
//!     }
//!     let seen: usize = validation.epoch(0).map(|batch| batch.map_or(0, |batch| batch.len())).sum();
//!     assert_eq!(seen, 359);
//! }
//! # Ok::<(), espalier_data::DataError>(())
//! ```

mod augment;
mod dataset;
mod error;
mod loader;
mod normalize;
mod pool;
mod record;
mod schema;
mod source;
mod split;
mod weights;

pub use augment::Augment;
pub use dataset::{Dataset, Order};
pub use error::{DataError, Place};
pub use loader::{Batches, Loader, LoaderOptions};
pub use normalize::{Normalization, Normalize};
pub use record::{Batch, IGNORED, Inputs, Record, Targets};
pub use schema::{Input, Schema, Target};
pub use source::arrays::{ArrayFile, ArrayOptions, ArrayTarget, Arrays};
pub use source::copying::Copying;
pub use source::csv::{Column, CsvOptions, CsvTarget, Header, read_csv, read_csv_bytes};
pub use source::digits::digits;
pub use source::idx::{read_idx, read_idx_bytes};
pub use source::idx_fault::IdxFault;
pub use source::images::{Color, ImageOptions, Images};
pub use source::memory::{Memory, Store};
pub use source::sequences::Sequences;
pub use source::subset::Subset;
pub use source::text::Text;
pub use split::Split;
pub use weights::ClassWeights;

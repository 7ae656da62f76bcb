//! HDF5: the weights of Keras, and any file with datasets of numbers.
//!
//! The layout is that of the HDF5 File Format Specification, versions 1.0 to 3.0 of the format; superblocks 0
//! to 3. Everything that the HDF5 library writes for plain data is read: old and new groups, compact, contiguous
//! and chunked datasets with any index, the filters deflate, shuffle and fletcher32.

mod attribute;
mod btree1;
mod btree2;
mod chunk_array;
mod chunk_index;
mod cursor;
mod dataset;
mod datatype;
mod failure;
mod fault;
mod file;
mod filters;
mod fractal_heap;
mod group;
mod header;
mod keras;
mod list;
mod lookup3;
mod space;
mod write;
mod write_tree;
mod write_types;

use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::source::Source;
use failure::Failure;
use file::File;

pub use fault::Hdf5Fault;
pub(crate) use file::{Guard, MAGIC};
pub use write::write_keras_weights;

/// The tensors of a file, whose bytes are read when they are asked for.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    open_within(source, 0..source.len(), None)
}

/// The same for a file that is a part of another one; `guard` is called before bytes are given away.
pub(crate) fn open_within(
    source: &Source,
    range: Range<u64>,
    guard: Option<Arc<dyn Guard>>,
) -> Result<Checkpoint, Error> {
    let opened = || -> Result<Checkpoint, Failure> {
        let length = range.end.min(source.len()).saturating_sub(range.start);
        let file = Arc::new(File::open(source, range.start, length, guard)?);
        keras::checkpoint(list::list(&file)?)
    };
    opened().map_err(|failure| failure.of(source.path()))
}

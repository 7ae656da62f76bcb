//! The npz format: a zip archive of npy files, one a tensor.

use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipWriter};

use super::npy_layout::{self, NpyLayout};
pub use super::npz_fault::NpzFault;
use super::zip::{self, Archive, Record};
use super::{MAX_TENSORS, npy_write};
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::data::{Provider, hand};
use crate::error::Error;
use crate::source::Source;
use crate::tensor::NamedTensor;

/// What the name of a member has after that of the tensor.
const ENDING: &str = ".npy";

/// The longest name that the format allows with its ending, in bytes.
const MAX_NAME: usize = u16::MAX as usize;

/// The headers kept in memory while a deflated member's header is read.
const HEAD: usize = 512;

/// Whether an archive holds arrays of numpy's, or nothing.
pub(crate) fn is_archive(archive: &Archive, head: &[u8]) -> bool {
    let members = archive.members();
    members.iter().any(|member| member.name.ends_with(ENDING))
        || members.is_empty() && zip::is_empty(head)
}

/// The arrays in the order of the directory, under the names of the members without `.npy`.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let wrap = |cause| Error::Npz { path: source.path().to_path_buf(), cause };
    let archive = Archive::open(source)?;
    let count = archive.members().len();
    if count > MAX_TENSORS {
        return Err(wrap(NpzFault::TooManyTensors { count, limit: MAX_TENSORS }));
    }
    let mut checkpoint = Checkpoint::new();
    for member in archive.members() {
        let named = || member.name.to_string();
        let name = member.name.strip_suffix(ENDING);
        let name = name.ok_or_else(|| wrap(NpzFault::NotAnArray { member: named() }))?;
        let record = archive.record(member);
        let mut reader = BufReader::with_capacity(HEAD, record.reader());
        let layout = npy_layout::read(&mut reader, record.len(), source.path()).map_err(|stop| {
            stop.into_error(|cause| wrap(NpzFault::Member { member: named(), cause }))
        });
        drop(reader);
        let layout = layout?;
        let (dtype, shape) = (layout.dtype, layout.shape.clone());
        let provider = Arc::new(MemberArray { record, layout });
        checkpoint.push(NamedTensor::lazy(name, dtype, shape, provider)?)?;
    }
    Ok(checkpoint)
}

/// The elements of an array in an archive.
#[derive(Debug)]
struct MemberArray {
    record: Arc<Record>,
    layout: NpyLayout,
}

impl Provider for MemberArray {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.record.read_part(self.layout.range())?;
        Ok(self.layout.arrange(bytes))
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        if self.layout.is_plain() {
            return self.record.stream_part(self.layout.range(), &mut |piece| hand(piece, take));
        }
        hand(&self.read()?, take)
    }
}

/// Writes the tensors as an npz file without compression, atomically (see [`write_atomically`]).
///
/// Each tensor becomes a member `NAME.npy`, as `numpy.savez` makes it, in the order of the checkpoint.
/// Equal checkpoints give equal bytes. Text metadata has no place in the format and is not written; tied
/// tensors are written twice.
///
/// # Errors
///
/// [`Error::Npz`] if a tensor has a type that numpy has not (8-bit and smaller floats, `BF16`, `C32`), more
/// than 64 dimensions, or a name over 65 531 bytes, or if there are more than 131 072 tensors. What keeps
/// a tensor from being read, and as [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_npz};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.npz");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("fc/w", vec![2], &[0.5, -0.5])?)?;
/// write_npz(&path, &checkpoint)?;
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npz(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<(), Error> {
    write(path.as_ref(), checkpoint, CompressionMethod::Stored)
}

/// As [`write_npz`], but deflated, as `numpy.savez_compressed` does it: small where most elements are
/// zero, and slow.
///
/// # Errors
///
/// As [`write_npz`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_npz_compressed};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("pruned.npz");
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("w", vec![1000], &[0.0; 1000])?)?;
/// write_npz_compressed(&path, &checkpoint)?;
/// assert!(std::fs::metadata(&path)?.len() < 1000);
/// assert_eq!(Checkpoint::open(&path)?, checkpoint);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npz_compressed(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<(), Error> {
    write(path.as_ref(), checkpoint, CompressionMethod::Deflated)
}

fn write(path: &Path, checkpoint: &Checkpoint, method: CompressionMethod) -> Result<(), Error> {
    let headers =
        headers(checkpoint).map_err(|cause| Error::Npz { path: path.to_path_buf(), cause })?;
    write_atomically(path, |out| {
        let mut archive = ZipWriter::new(out);
        for (tensor, header) in checkpoint.iter().zip(&headers) {
            // Deflate may add some bytes to what it cannot make smaller.
            let large = tensor.byte_len() as u64 > u64::from(u32::MAX) - (64 << 20);
            let options = SimpleFileOptions::default().compression_method(method).large_file(large);
            archive.start_file(format!("{}{ENDING}", tensor.name()), options)?;
            io::Write::write_all(&mut archive, header)?;
            tensor.write_to(&mut archive)?;
        }
        archive.finish()?;
        Ok(())
    })
}

/// What stands before the elements of each tensor.
fn headers(checkpoint: &Checkpoint) -> Result<Vec<Vec<u8>>, NpzFault> {
    if checkpoint.len() > MAX_TENSORS {
        return Err(NpzFault::TooManyTensors { count: checkpoint.len(), limit: MAX_TENSORS });
    }
    let header = |tensor: &NamedTensor| {
        let (length, limit) = (tensor.name().len(), MAX_NAME - ENDING.len());
        if length > limit {
            return Err(NpzFault::NameTooLong { tensor: tensor.name().to_owned(), length, limit });
        }
        npy_write::header_of(tensor).map_err(|cause| NpzFault::Member {
            member: format!("{}{ENDING}", tensor.name()),
            cause,
        })
    };
    checkpoint.iter().map(header).collect()
}

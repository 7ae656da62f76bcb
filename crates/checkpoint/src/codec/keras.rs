//! The `.keras` format: a zip with the weights as HDF5, and two texts beside them.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use super::hdf5::{self, Guard};
pub use super::keras_fault::KerasFault;
use super::zip::{Archive, Record};
use crate::checkpoint::Checkpoint;
use crate::error::{Action, Error};
use crate::source::Source;

/// The weights.
const WEIGHTS: &str = "model.weights.h5";

/// The texts, which become metadata.
const TEXTS: [&str; 2] = ["config.json", "metadata.json"];

/// The longest text that is read.
const MAX_TEXT: u64 = 16 << 20;

/// Weights that are compressed may grow this much: random numbers hardly do, fresh moments of an optimizer
/// are zeros.
const RATIO: u64 = 128;

/// What they may grow by in any case, and what stays in memory; more goes into a temporary file.
const IN_MEMORY: u64 = 32 << 20;

/// Whether an archive is a model of Keras: it has the weights, or both texts.
pub(crate) fn is_archive(archive: &Archive) -> bool {
    archive.get(WEIGHTS).is_some() || TEXTS.iter().all(|name| archive.get(name).is_some())
}

/// The tensors of a file, whose bytes are read when they are asked for. Weights that are compressed are
/// decompressed now, weights that are not are held against their checksum when the first bytes are asked for.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let archive = Archive::open(source)?;
    let find = |name: &'static str| {
        let missing = || fault(source, KerasFault::MissingMember { member: name });
        archive.get(name).ok_or_else(missing)
    };
    let mut texts = Vec::new();
    for name in TEXTS {
        let record = archive.record(find(name)?);
        check_claim(source, name, record.len(), MAX_TEXT)?;
        let text = String::from_utf8(record.read()?);
        let text = text.map_err(|_| fault(source, KerasFault::NotUtf8 { member: name }))?;
        texts.push((name, text));
    }
    let weights = find(WEIGHTS)?;
    let record = archive.record(weights);
    let mut checkpoint = if weights.deflated {
        let packed = weights.range().end - weights.range().start;
        let limit = packed.saturating_mul(RATIO).saturating_add(IN_MEMORY);
        check_claim(source, WEIGHTS, record.len(), limit)?;
        hdf5::open(&inflated(source, &record)?)?
    } else {
        let guard = Stored { record, turn: Mutex::new(()) };
        hdf5::open_within(source, weights.range(), Some(Arc::new(guard)))?
    };
    for (name, text) in texts {
        checkpoint.metadata.insert(name.to_owned(), text);
    }
    Ok(checkpoint)
}

fn fault(source: &Source, cause: KerasFault) -> Error {
    Error::Keras { path: source.path().to_path_buf(), cause }
}

/// Refuses a member that claims too much.
fn check_claim(
    source: &Source,
    member: &'static str,
    claimed: u64,
    limit: u64,
) -> Result<(), Error> {
    if claimed <= limit {
        return Ok(());
    }
    Err(fault(source, KerasFault::TooLarge { member, claimed, limit }))
}

/// The weights decompressed: in memory if they are short, otherwise in a temporary file that has no name.
fn inflated(source: &Source, record: &Record) -> Result<Source, Error> {
    if record.len() <= IN_MEMORY {
        return Ok(Source::from_bytes(record.read()?, source.path()));
    }
    let directory = std::env::temp_dir();
    let create = |e| Error::io(&directory, Action::CreateTemporary, e);
    let mut file: File = tempfile::tempfile_in(&directory).map_err(create)?;
    record.stream(&mut |piece| {
        let write = |e| Error::io("the decompressed weights".as_ref(), Action::Write, e);
        file.write_all(piece).map_err(write)
    })?;
    Source::from_file(file, source.path())
}

/// Weights that are not compressed and have not been read as a whole.
#[derive(Debug)]
struct Stored {
    record: Arc<Record>,
    /// Held while the sum is taken: others wait, so that the file is read once.
    turn: Mutex<()>,
}

impl Guard for Stored {
    fn verify(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.record.verify()
    }
}

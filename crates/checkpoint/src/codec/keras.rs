//! The `.keras` format: a zip with the weights as HDF5, and two texts beside them.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::hdf5::{self, Guard};
pub use super::keras_fault::KerasFault;
use super::keras_zip::{self, Member, Method};
use crate::checkpoint::Checkpoint;
use crate::error::{Action, Error};
use crate::source::Source;

/// The weights.
const WEIGHTS: &str = "model.weights.h5";

/// The texts, which become metadata.
const TEXTS: [&str; 2] = ["config.json", "metadata.json"];

/// What the name of the first member begins with.
const FIRST: [&str; 4] = [WEIGHTS, TEXTS[0], TEXTS[1], "assets/"];

/// The longest text that is read.
const MAX_TEXT: u64 = 16 << 20;

/// Weights that are compressed may grow this much: random numbers hardly do, fresh moments of an optimizer
/// are zeros.
const RATIO: u64 = 128;

/// What they may grow by in any case, and what stays in memory; more goes into a temporary file.
const IN_MEMORY: u64 = 32 << 20;

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// Whether a file begins as one of Keras: with a member of such a name.
pub(crate) fn is_keras(head: &[u8]) -> bool {
    let name = head.get(30..).unwrap_or_default();
    head.starts_with(b"PK\x03\x04") && FIRST.iter().any(|first| name.starts_with(first.as_bytes()))
}

/// The tensors of a file, whose bytes are read when they are asked for. Weights that are compressed are
/// decompressed now, weights that are not are held against their checksum when the first bytes are asked for.
pub(crate) fn open(source: &Source) -> Result<Checkpoint, Error> {
    let members = keras_zip::members(source)?;
    let find = |name: &'static str| {
        let member = members.iter().find(|member| member.name == name);
        let missing = KerasFault::MissingMember { member: name };
        member.ok_or_else(|| fault(source, missing))
    };
    let mut texts = Vec::new();
    for name in TEXTS {
        texts.push((name, text(source, find(name)?)?));
    }
    let weights = find(WEIGHTS)?;
    let mut checkpoint = match weights.method {
        Method::Stored => {
            let guard =
                Stored { source: source.clone(), member: weights.clone(), done: false.into() };
            hdf5::open_within(source, weights.range.clone(), Some(Arc::new(guard)))?
        }
        Method::Deflated => hdf5::open(&inflated(source, weights)?)?,
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
fn check_claim(source: &Source, member: &Member, limit: u64) -> Result<(), Error> {
    let claimed = member.length;
    if claimed <= limit {
        return Ok(());
    }
    Err(fault(source, KerasFault::TooLarge { member: member.name.clone(), claimed, limit }))
}

fn text(source: &Source, member: &Member) -> Result<String, Error> {
    check_claim(source, member, MAX_TEXT)?;
    let mut bytes = Vec::new();
    copy(source, member, &mut bytes)?;
    let not_utf8 = |_| fault(source, KerasFault::NotUtf8 { member: member.name.clone() });
    String::from_utf8(bytes).map_err(not_utf8)
}

/// The member decompressed: in memory if it is short, otherwise in a temporary file that has no name.
fn inflated(source: &Source, member: &Member) -> Result<Source, Error> {
    let packed = member.range.end - member.range.start;
    check_claim(source, member, packed.saturating_mul(RATIO).saturating_add(IN_MEMORY))?;
    if member.length <= IN_MEMORY {
        let mut bytes = Vec::new();
        copy(source, member, &mut bytes)?;
        return Ok(Source::from_bytes(bytes, source.path()));
    }
    let directory = std::env::temp_dir();
    let create = |e| Error::io(&directory, Action::CreateTemporary, e);
    let mut file: File = tempfile::tempfile_in(&directory).map_err(create)?;
    copy(source, member, &mut file)?;
    Source::from_file(file, source.path())
}

/// Hands a member on, decompressed, and holds it against its length and checksum.
fn copy(source: &Source, member: &Member, out: &mut impl Write) -> Result<(), Error> {
    let packed = BufReader::with_capacity(PIECE, source.reader(member.range.clone()));
    let mut reader: Box<dyn Read> = match member.method {
        Method::Stored => Box::new(packed),
        Method::Deflated => Box::new(DeflateDecoder::new(packed)),
    };
    let mut crc = Crc::new();
    let mut piece = vec![0; PIECE];
    let mut left = member.length;
    let wrong = || KerasFault::Length { member: member.name.clone(), expected: member.length };
    loop {
        let read = match reader.read(&mut piece) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            // Not a stream of that kind; the system has other words for its own errors.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
            {
                return Err(fault(source, wrong()));
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(fault(source, wrong()));
            }
            Err(e) => return Err(Error::io(source.path(), Action::Read, e)),
        };
        if read == 0 {
            break;
        }
        // What is too long is found before it is kept.
        left = left.checked_sub(read as u64).ok_or_else(|| fault(source, wrong()))?;
        crc.update(&piece[..read]);
        let write = |e| Error::io("the decompressed weights".as_ref(), Action::Write, e);
        out.write_all(&piece[..read]).map_err(write)?;
    }
    if left > 0 {
        return Err(fault(source, wrong()));
    }
    if crc.sum() != member.crc {
        return Err(fault(source, KerasFault::Checksum { member: member.name.clone() }));
    }
    Ok(())
}

/// A member that is not compressed and has not been read as a whole.
#[derive(Debug)]
struct Stored {
    source: Source,
    member: Member,
    /// Whether the checksum has been found right.
    done: Mutex<bool>,
}

impl Guard for Stored {
    fn verify(&self) -> Result<(), Error> {
        // Others wait, so that the file is read once.
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if !*done {
            copy(&self.source, &self.member, &mut io::sink())?;
            *done = true;
        }
        Ok(())
    }
}

//! The format since PyTorch 1.6: a zip archive with the pickle and a member for each storage.

use super::TorchFile;
use super::fault::TorchFault;
use super::machine::{Machine, References};
use super::storage::Records;
use crate::codec::zip::{Archive, Member};
use crate::error::Error;
use crate::source::Source;

const PICKLE: &str = "data.pkl";

/// Whether a member is the pickle: it is in a folder, or nowhere.
pub(super) fn is_pickle(name: &str) -> bool {
    name.strip_suffix(PICKLE)
        .is_some_and(|folder| folder.is_empty() || folder.strip_suffix('/').is_some_and(is_plain))
}

/// Whether a folder is not within another.
fn is_plain(folder: &str) -> bool {
    !folder.contains('/')
}

pub(super) fn open(source: &Source) -> Result<TorchFile, Error> {
    let fault = |cause| Error::Torch { path: source.path().to_path_buf(), cause };
    // PyTorch can be told to leave sums out.
    let archive = Archive::open(source)?.with_sums_left_out();
    let pickles: Vec<&Member> =
        archive.members().iter().filter(|member| is_pickle(&member.name)).collect();
    let [pickle] = pickles[..] else {
        if pickles.is_empty() {
            return Err(Error::UnknownFormat { path: source.path().to_path_buf() });
        }
        return Err(fault(TorchFault::Pickles { found: pickles.len() }));
    };
    let folder = pickle.name.strip_suffix(PICKLE).unwrap_or_default();
    let big_endian = match archive.get(&format!("{folder}byteorder")) {
        // Files from before the record are of machines with little-endian numbers.
        None => false,
        Some(member) => {
            let length = member.size.min(16);
            let bytes = archive.record(member).read_part(0..length)?;
            match &bytes[..] {
                b"little" => false,
                b"big" => true,
                other => {
                    let found = String::from_utf8_lossy(other).into_owned();
                    return Err(fault(TorchFault::ByteOrder { found }));
                }
            }
        }
    };
    let bytes = archive.record(pickle).read_bounded()?;
    let mut machine = Machine::new(source, source.len());
    machine.references = References::Storages;
    machine.adopt(bytes)?;
    let root = machine.load_whole()?;
    let data = format!("{folder}data/");
    let records: Records = archive
        .members()
        .iter()
        .filter_map(|member| {
            let key = member.name.strip_prefix(&data)?;
            Some((key.as_bytes().to_vec(), archive.record(member)))
        })
        .collect();
    let (source, length) = (source.clone(), source.len());
    Ok(TorchFile { source, length, graph: machine.graph, root, records, big_endian })
}

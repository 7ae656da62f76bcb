//! Walks through the groups of a file and lists its datasets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::attribute::{self, Attribute, Value};
use super::dataset::{self, Found};
use super::failure::Failure;
use super::fault::Hdf5Fault;
use super::file::File;
use super::filters::DEFLATE_RATIO;
use super::group::{self, Target};
use super::header::{self, DATATYPE, GROUP_INFO, Header, LAYOUT, LINK, LINK_INFO, SYMBOL_TABLE};
use crate::tensor::NamedTensor;

/// The most levels of groups.
pub(super) const MAX_DEPTH: usize = 64;

/// The most groups, datasets and links.
const MAX_OBJECTS: usize = 131_072;

/// Bytes that a file may claim beyond what it can hold: datasets that were made and never written.
const SPARE: u64 = 64 << 20;

/// What a file holds. Paths have no slash at the start; that of the root is empty.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The datasets of numbers, in order, by their paths.
    pub(super) tensors: Vec<NamedTensor>,
    /// Texts beside groups and datasets, by `path@name`; those of the root by the name alone.
    pub(super) texts: BTreeMap<String, String>,
    /// Lists of texts, by the path of the group and the name.
    pub(super) lists: BTreeMap<(String, String), Vec<String>>,
    /// The datasets of other things, and what those are.
    pub(super) skipped: BTreeMap<String, &'static str>,
}

/// Lists the file.
pub(super) fn list(file: &Arc<File>) -> Result<Listing, Failure> {
    let mut walk = Walk {
        file,
        listing: Listing::default(),
        objects: 0,
        claimed: 0,
        seen: HashMap::new(),
        soft: Vec::new(),
    };
    walk.group("", file.root(), &mut Vec::new())?;
    walk.soft_links()?;
    Ok(walk.listing)
}

struct Walk<'a> {
    file: &'a Arc<File>,
    listing: Listing,
    objects: usize,
    /// The bytes of all tensors so far.
    claimed: u64,
    /// The tensor at an address: what is found there again is tied.
    seen: HashMap<u64, usize>,
    /// Soft links: the group, the name, the target, and before which tensor they come.
    soft: Vec<(String, String, String, usize)>,
}

/// The path of something in a group.
pub(super) fn join(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}

impl Walk<'_> {
    /// Lists a group. `above` are the addresses of the groups that it is in.
    fn group(&mut self, path: &str, address: u64, above: &mut Vec<u64>) -> Result<(), Failure> {
        let header = header::read(self.file, address).map_err(|failure| failure.within(path))?;
        self.object(path, address, &header, above)
    }

    fn object(
        &mut self,
        path: &str,
        address: u64,
        header: &Header,
        above: &mut Vec<u64>,
    ) -> Result<(), Failure> {
        let is_group =
            [SYMBOL_TABLE, LINK_INFO, LINK, GROUP_INFO].into_iter().any(|kind| header.has(kind));
        let result = if above.contains(&address) {
            Err(Hdf5Fault::Cycle.into())
        } else if is_group || (path.is_empty() && !header.has(LAYOUT)) {
            above.push(address);
            let result = self.links(path, header, above);
            above.pop();
            result
        } else if header.has(LAYOUT) {
            self.dataset(path, address, header)
        } else if header.has(DATATYPE) {
            // A type with a name, which datasets refer to.
            Ok(())
        } else {
            let expected = "links, or a type and a layout";
            Err(Hdf5Fault::Damaged { structure: "object header", address, expected }.into())
        };
        result.map_err(|failure| failure.within(path))
    }

    fn links(&mut self, path: &str, header: &Header, above: &mut Vec<u64>) -> Result<(), Failure> {
        if above.len() > MAX_DEPTH {
            return Err(Hdf5Fault::TooDeep { limit: MAX_DEPTH }.into());
        }
        self.keep(path, attribute::attributes(self.file, header)?);
        for link in group::links(self.file, header)? {
            self.objects += 1;
            if self.objects > MAX_OBJECTS {
                return Err(Hdf5Fault::TooManyObjects { limit: MAX_OBJECTS }.into());
            }
            let below = join(path, &link.name);
            // Paths are longer than what they are made of, where groups are in several others.
            self.file.charge(below.len() as u64)?;
            let fault = match link.target {
                Target::Hard(address) => {
                    self.group(&below, address, above)?;
                    continue;
                }
                Target::Soft(target) => {
                    let place = self.listing.tensors.len();
                    self.soft.push((path.to_owned(), link.name, target, place));
                    continue;
                }
                Target::External { file } => Hdf5Fault::ExternalLink { file },
                Target::Unknown(kind) => Hdf5Fault::UnknownLink { kind },
            };
            return Err(fault.within(&below).into());
        }
        Ok(())
    }

    /// Keeps the texts of an object.
    fn keep(&mut self, path: &str, attributes: Vec<Attribute>) {
        for Attribute { name, value } in attributes {
            match value {
                Value::Text(text) => {
                    let key = if path.is_empty() { name } else { format!("{path}@{name}") };
                    self.listing.texts.insert(key, text);
                }
                Value::List(list) => {
                    self.listing.lists.insert((path.to_owned(), name), list);
                }
                Value::Other => {}
            }
        }
    }

    fn dataset(&mut self, path: &str, address: u64, header: &Header) -> Result<(), Failure> {
        let name = if path.is_empty() { "/" } else { path };
        if let Some(&place) = self.seen.get(&address) {
            let tied = self.listing.tensors[place].clone().with_name(name);
            self.listing.tensors.push(tied);
            return Ok(());
        }
        let attributes = attribute::attributes(self.file, header)?;
        let dataset = match dataset::open(self.file, name, header, &attributes)? {
            Found::Tensor(dataset) => dataset,
            Found::Skipped(what) => {
                self.listing.skipped.insert(name.to_owned(), what);
                return Ok(());
            }
        };
        self.claimed = self.claimed.saturating_add(dataset.byte_len as u64);
        let limit = self.file.length().saturating_mul(DEFLATE_RATIO).saturating_add(SPARE);
        if self.claimed > limit {
            return Err(Hdf5Fault::Extent { claimed: self.claimed, limit }.into());
        }
        self.seen.insert(address, self.listing.tensors.len());
        let (dtype, shape) = (dataset.dtype, dataset.shape.clone());
        self.listing.tensors.push(NamedTensor::lazy(name, dtype, shape, dataset)?);
        Ok(())
    }

    /// Ties what soft links lead to.
    fn soft_links(&mut self) -> Result<(), Failure> {
        let soft = std::mem::take(&mut self.soft);
        if soft.is_empty() {
            return Ok(());
        }
        let places: HashMap<&str, usize> =
            self.listing.tensors.iter().enumerate().map(|(place, t)| (t.name(), place)).collect();
        let mut tied = Vec::with_capacity(soft.len());
        for (group, name, target, before) in soft {
            let path = join(&group, &name);
            let absolute = match target.strip_prefix('/') {
                Some(absolute) => absolute.to_owned(),
                None => join(&group, &target),
            };
            self.file.charge(absolute.len() as u64)?;
            // Repeated slashes and dots say nothing.
            let parts = absolute.split('/').filter(|part| !part.is_empty() && *part != ".");
            let absolute = parts.collect::<Vec<_>>().join("/");
            if self.listing.skipped.contains_key(&absolute) {
                continue;
            }
            let Some(&place) = places.get(absolute.as_str()) else {
                return Err(Hdf5Fault::SoftLink { target }.within(&path).into());
            };
            tied.push((before, self.listing.tensors[place].clone().with_name(path)));
        }
        drop(places);
        // Each to its place in the order of its group.
        let mut tied = tied.into_iter().peekable();
        let mut tensors = Vec::with_capacity(self.listing.tensors.len() + tied.len());
        for (place, tensor) in std::mem::take(&mut self.listing.tensors).into_iter().enumerate() {
            while let Some((_, tied)) = tied.next_if(|(before, _)| *before <= place) {
                tensors.push(tied);
            }
            tensors.push(tensor);
        }
        tensors.extend(tied.map(|(_, tensor)| tensor));
        self.listing.tensors = tensors;
        Ok(())
    }
}

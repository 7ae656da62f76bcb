//! The groups and datasets that the names of tensors ask for.

use std::collections::{BTreeMap, HashMap};

use super::fault::Hdf5Fault;
use super::group::{MAX_LINKS, is_name};
use super::list::MAX_DEPTH;
use super::write_types;
use crate::checkpoint::Checkpoint;
use crate::dtype::Dtype;
use crate::tensor::NamedTensor;

/// The longest part of a name, in bytes: a message has 65 535 at most.
const MAX_NAME: usize = 65_000;

/// The most dimensions that the HDF5 library knows.
const MAX_RANK: usize = 32;

/// A group or a dataset.
pub(super) enum Node<'a> {
    Group { links: Vec<(String, usize)>, texts: Vec<(&'a str, &'a str)> },
    Dataset { tensor: &'a NamedTensor, datatype: Vec<u8>, links: u32 },
}

/// All of them. The first is the root; links are to places here.
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// The places of the groups by path.
    groups: HashMap<String, usize>,
    /// The places of the tensors by name.
    datasets: HashMap<&'a str, usize>,
}

impl<'a> Tree<'a> {
    /// Parts between slashes are groups. Tied tensors are one dataset with several links.
    pub(super) fn new(checkpoint: &'a Checkpoint) -> Result<Self, Hdf5Fault> {
        let root = Node::Group { links: Vec::new(), texts: Vec::new() };
        let groups = HashMap::from([(String::new(), 0)]);
        let mut tree = Self { nodes: vec![root], groups, datasets: HashMap::new() };
        let firsts: HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
        for tensor in checkpoint {
            let name = tensor.name();
            let within = |fault: Hdf5Fault| fault.within(name);
            let (group, last) = match name.rsplit_once('/') {
                // A slash at the start would make another name of it.
                Some(("", _)) => return Err(within(Hdf5Fault::BadName { name: String::new() })),
                Some((path, last)) => (tree.group(path).map_err(within)?, last),
                None => (0, name),
            };
            if tree.groups.contains_key(name) {
                return Err(within(Hdf5Fault::NameConflict));
            }
            let tied = firsts.get(name).and_then(|first| tree.datasets.get(first)).copied();
            let place = tied.unwrap_or(tree.nodes.len());
            tree.link(group, last, place).map_err(within)?;
            match tied.and_then(|tied| tree.nodes.get_mut(tied)) {
                Some(Node::Dataset { links, .. }) => *links += 1,
                _ => tree.nodes.push(dataset(tensor).map_err(within)?),
            }
            tree.datasets.insert(name, place);
        }
        tree.texts(&checkpoint.metadata)?;
        Ok(tree)
    }

    /// The group of that path, made if it is not there. It must not be the name of a tensor before it.
    fn group(&mut self, path: &str) -> Result<usize, Hdf5Fault> {
        if let Some(&place) = self.groups.get(path) {
            return Ok(place);
        }
        if path.split('/').count() > MAX_DEPTH {
            return Err(Hdf5Fault::TooDeep { limit: MAX_DEPTH });
        }
        let mut above = 0;
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for end in ends {
            let so_far = &path[..end];
            above = match self.groups.get(so_far) {
                Some(&place) => place,
                None if self.datasets.contains_key(so_far) => return Err(Hdf5Fault::NameConflict),
                None => {
                    let place = self.nodes.len();
                    let name = so_far.rsplit('/').next().unwrap_or_default();
                    self.link(above, name, place)?;
                    self.nodes.push(Node::Group { links: Vec::new(), texts: Vec::new() });
                    self.groups.insert(so_far.to_owned(), place);
                    place
                }
            };
        }
        Ok(above)
    }

    fn link(&mut self, group: usize, name: &str, place: usize) -> Result<(), Hdf5Fault> {
        if !is_name(name) {
            return Err(Hdf5Fault::BadName { name: name.to_owned() });
        }
        if name.len() > MAX_NAME {
            return Err(Hdf5Fault::NameOverLimit { length: name.len(), limit: MAX_NAME });
        }
        if let Some(Node::Group { links, .. }) = self.nodes.get_mut(group) {
            if links.len() == MAX_LINKS {
                return Err(Hdf5Fault::TooManyObjects { limit: MAX_LINKS });
            }
            links.push((name.to_owned(), place));
        }
        Ok(())
    }

    /// A key `path@name` is a text of the group of that path; other keys are texts of the root.
    fn texts(&mut self, metadata: &'a BTreeMap<String, String>) -> Result<(), Hdf5Fault> {
        for (key, text) in metadata {
            let of_group = key.rsplit_once('@').filter(|(path, _)| !path.is_empty());
            let of_group = of_group.and_then(|(path, name)| Some((*self.groups.get(path)?, name)));
            let (place, name) = of_group.unwrap_or((0, key));
            if name.is_empty() || name.contains('\0') {
                return Err(Hdf5Fault::BadName { name: key.clone() });
            }
            if name.len() > MAX_NAME {
                return Err(Hdf5Fault::NameOverLimit { length: name.len(), limit: MAX_NAME });
            }
            if let Some(Node::Group { texts, .. }) = self.nodes.get_mut(place) {
                texts.push((name, text));
            }
        }
        Ok(())
    }
}

fn dataset(tensor: &NamedTensor) -> Result<Node<'_>, Hdf5Fault> {
    if tensor.shape().len() > MAX_RANK {
        return Err(Hdf5Fault::RankOverLimit { limit: MAX_RANK });
    }
    let dtype = tensor.dtype();
    let datatype = write_types::datatype(dtype).ok_or(Hdf5Fault::NoSuchDtype { dtype })?;
    Ok(Node::Dataset { tensor, datatype, links: 1 })
}

impl Node<'_> {
    /// The texts beside it. Keras reads the type of bfloat16 from one.
    pub(super) fn texts(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Group { texts, .. } => texts.clone(),
            Self::Dataset { tensor, .. } if tensor.dtype() == Dtype::BF16 => {
                vec![("dtype", "bfloat16")]
            }
            Self::Dataset { .. } => Vec::new(),
        }
    }
}

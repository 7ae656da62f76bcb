//! An ordered list of named tensors.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::slice;
use std::vec;

use rayon::prelude::*;

use crate::directory::checkpoint_in;
use crate::error::Error;
use crate::format::Format;
use crate::source::Source;
use crate::tensor::NamedTensor;

/// Named tensors in order, each name once, and text metadata.
///
/// Two checkpoints are equal when they hold equal tensors in the same order and equal metadata, wherever
/// they came from. Tensors that are clones of one another under different names are tied: formats that can
/// say so store them once.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("b", vec![1], &[1.0])?)?;
/// checkpoint.push(NamedTensor::f32("a", vec![1], &[2.0])?)?;
/// assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b", "a"]);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// Free text by key, written in the order of the keys.
    pub metadata: BTreeMap<String, String>,
    /// Where it was read from, if it was.
    pub origin: Option<Origin>,
    tensors: Vec<NamedTensor>,
    /// Place in `tensors` by name; for look-ups only, so its order does not show.
    places: HashMap<String, usize>,
}

/// Where a checkpoint came from.
///
/// ```
/// use espalier_checkpoint::{Checkpoint, Format, NamedTensor, write_safetensors};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("model.safetensors");
/// write_safetensors(&path, &Checkpoint::new())?;
/// let origin = Checkpoint::open(&path)?.origin;
/// assert!(origin.is_some_and(|origin| origin.format == Format::Safetensors && origin.path == path));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

impl Origin {
    /// For a checkpoint that was read in another way than by [`Checkpoint::open`].
    ///
    /// ```
    /// use espalier_checkpoint::{Format, Origin};
    /// assert_eq!(Origin::new("model.pt", Format::Torch).format, Format::Torch);
    /// ```
    pub fn new(path: impl Into<PathBuf>, format: Format) -> Self {
        Self { path: path.into(), format }
    }
}

impl Checkpoint {
    /// Reads what tensors a file holds; their bytes are read when they are asked for, as long as the
    /// checkpoint or one of its tensors lives. The format is told by the content.
    ///
    /// The path of an index stands for all shards that it names, which lie beside it; their tensors come in
    /// the order of the index. All shards stay open, so that they can be read after a save has replaced
    /// them. A shard is named by a plain file name, and is no symbolic link; but in a download cache of
    /// Hugging Face it may be one to `../../blobs/` and a hash. An index that is a link stands for the one
    /// it leads to, and the shards beside that. The path of a directory stands for the one `*.safetensors.index.json` in it, or if it has none
    /// for its one `*.safetensors`.
    ///
    /// # Errors
    ///
    /// [`Error::NoCheckpoint`] and [`Error::SeveralCheckpoints`] for a directory,
    /// [`Error::UnknownFormat`], the format's own error if the file is not acceptable, [`Error::Io`] or
    /// [`Error::NotAFile`] if it cannot be read.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor, write_safetensors};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.safetensors");
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("b", vec![2], &[1.0, 2.0])?)?;
    /// write_safetensors(&path, &checkpoint)?;
    /// let opened = Checkpoint::open(&path)?;
    /// assert!(opened.get("b").is_some_and(|b| !b.is_loaded()));
    /// assert_eq!(opened, checkpoint);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if path.is_dir() {
            return Self::open_source(&Source::open(checkpoint_in(path)?)?);
        }
        Self::open_source(&Source::open(path)?)
    }

    /// As [`open`](Self::open), from a source that is open, or in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, Source};
    /// let header = br#"{"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#;
    /// let file = [&(header.len() as u64).to_le_bytes()[..], header, b"abc"].concat();
    /// let checkpoint = Checkpoint::open_source(&Source::from_bytes(file, "a download"))?;
    /// assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn open_source(source: &Source) -> Result<Self, Error> {
        let format = Format::of(source)?;
        let mut checkpoint = format.open(source)?;
        checkpoint.origin = Some(Origin { path: source.path().to_path_buf(), format });
        Ok(checkpoint)
    }

    /// Reads a whole file into memory: [`open`](Self::open), then [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, write_npy};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("scores.npy");
    /// write_npy(&path, &[3], &[0.25, 0.5, 0.75])?;
    /// let checkpoint = Checkpoint::read(&path)?;
    /// assert_eq!(checkpoint.get("scores").map(|t| t.to_f32_vec()).transpose()?, Some(vec![0.25, 0.5, 0.75]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(path)?.load()
    }

    /// The same checkpoint with all bytes in memory. Tied tensors stay tied.
    ///
    /// # Errors
    ///
    /// What keeps a tensor from being read.
    ///
    /// ```
    /// # use espalier_checkpoint::Checkpoint;
    /// assert!(Checkpoint::new().load()?.is_empty());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn load(mut self) -> Result<Self, Error> {
        let firsts: Vec<usize> = self.firsts();
        let load = |(place, tensor): (usize, &NamedTensor)| {
            (firsts[place] == place).then(|| tensor.clone().load()).transpose()
        };
        let loaded: Vec<Option<NamedTensor>> =
            self.tensors.par_iter().enumerate().map(load).collect::<Result<_, _>>()?;
        let named = |(tensor, first): (&NamedTensor, &usize)| {
            loaded[*first].as_ref().map(|loaded| loaded.clone().with_name(tensor.name()))
        };
        self.tensors = self.tensors.iter().zip(&firsts).filter_map(named).collect();
        Ok(self)
    }

    /// For each tensor the place of the first one that it is tied to; its own if there is none.
    pub(crate) fn firsts(&self) -> Vec<usize> {
        let mut seen: HashMap<usize, Vec<usize>> = HashMap::new();
        let first = |(place, tensor): (usize, &NamedTensor)| {
            let alike = seen.entry(tensor.address()).or_default();
            let tied = alike.iter().find(|first| self.tensors[**first].is_tied_to(tensor));
            tied.copied().unwrap_or_else(|| {
                alike.push(place);
                place
            })
        };
        self.tensors.iter().enumerate().map(first).collect()
    }

    /// The tied tensors, in order: each that shares its bytes with an earlier one, and the first that it
    /// shares them with.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let embedding = NamedTensor::f32("embedding", vec![1], &[1.0])?;
    /// let decoder = embedding.clone().with_name("decoder");
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(embedding)?;
    /// checkpoint.push(decoder)?;
    /// assert_eq!(checkpoint.ties(), [("decoder", "embedding")]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn ties(&self) -> Vec<(&str, &str)> {
        let tied = self.firsts().into_iter().enumerate().filter(|(place, first)| place != first);
        tied.map(|(place, first)| (self.tensors[place].name(), self.tensors[first].name()))
            .collect()
    }

    /// A checkpoint without tensors or metadata.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Checkpoint::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateName`] if a tensor of that name is there; the checkpoint is unchanged.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// let tensor = NamedTensor::f32("a", vec![0], &[])?;
    /// checkpoint.push(tensor.clone())?;
    /// assert!(checkpoint.push(tensor).is_err());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn push(&mut self, tensor: NamedTensor) -> Result<(), Error> {
        if self.places.contains_key(tensor.name()) {
            return Err(Error::DuplicateName { name: tensor.name().to_owned() });
        }
        self.places.insert(tensor.name().to_owned(), self.tensors.len());
        self.tensors.push(tensor);
        Ok(())
    }

    /// The tensor of that name, if there is one.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![0], &[])?)?;
    /// assert!(checkpoint.get("a").is_some() && checkpoint.get("b").is_none());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.tensors.get(*self.places.get(name)?)
    }

    /// Takes the tensor of that name out; the others keep their order. Takes time in proportion
    /// to the number of tensors.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![0], &[])?)?;
    /// assert!(checkpoint.remove("a").is_some());
    /// assert!(checkpoint.remove("a").is_none());
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn remove(&mut self, name: &str) -> Option<NamedTensor> {
        let removed = self.places.remove(name)?;
        for place in self.places.values_mut().filter(|place| **place > removed) {
            *place -= 1;
        }
        Some(self.tensors.remove(removed))
    }

    /// The same tensors under other names, in the same order.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateName`] if two get one name.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("module.fc.bias", vec![0], &[])?)?;
    /// // What `DataParallel` puts in front.
    /// let plain = checkpoint.renamed(|name| name.strip_prefix("module.").unwrap_or(name).to_owned())?;
    /// assert_eq!(plain.names().collect::<Vec<_>>(), ["fc.bias"]);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn renamed(self, mut rename: impl FnMut(&str) -> String) -> Result<Self, Error> {
        let mut out = Self { tensors: Vec::new(), places: HashMap::new(), ..self };
        for tensor in self.tensors {
            let name = rename(tensor.name());
            out.push(tensor.with_name(name))?;
        }
        Ok(out)
    }

    /// The names, in order.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Checkpoint::new().names().count(), 0);
    /// ```
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.iter().map(NamedTensor::name)
    }

    /// The tensors, in order.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor};
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![2], &[0.0, 1.0])?)?;
    /// assert_eq!(checkpoint.iter().map(NamedTensor::numel).sum::<usize>(), 2);
    /// # Ok::<(), espalier_checkpoint::Error>(())
    /// ```
    pub fn iter(&self) -> slice::Iter<'_, NamedTensor> {
        self.tensors.iter()
    }

    /// The number of tensors.
    ///
    /// ```
    /// assert_eq!(espalier_checkpoint::Checkpoint::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor. There may be metadata.
    ///
    /// ```
    /// assert!(espalier_checkpoint::Checkpoint::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }
}

impl PartialEq for Checkpoint {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.tensors == other.tensors
    }
}

impl<'a> IntoIterator for &'a Checkpoint {
    type Item = &'a NamedTensor;
    type IntoIter = slice::Iter<'a, NamedTensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Checkpoint {
    type Item = NamedTensor;
    type IntoIter = vec::IntoIter<NamedTensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

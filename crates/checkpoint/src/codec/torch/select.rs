//! Which of the dictionaries of a file is meant.

use super::TorchFile;
use super::fault::TorchFault;
use super::flatten;
use super::value::{Id, Node};
use crate::checkpoint::Checkpoint;
use crate::error::Error;

/// Keys under which training scripts keep the state dict of a model.
const WELL_KNOWN: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "network",
    "net",
    "params",
    "params_ema",
    "ema",
    "ema_state_dict",
    "weights",
];

/// The key of the metadata that says which dictionary was taken.
const SELECTED: &str = "torch.selected";

/// The most dictionaries that are listed, and the deepest.
const MAX_LISTED: usize = 1 << 12;
const MAX_DEPTH: usize = 16;

impl TorchFile {
    /// What is most likely meant.
    ///
    /// A training checkpoint, which is a dictionary that holds no tensor itself, often has one state dict or
    /// module under a well-known key: `state_dict`, `model_state_dict`, `model`, `module`, `net`, `params`,
    /// `ema` and the like. If there is exactly one, this is its tensors, the name of the key is in the metadata
    /// under `torch.selected`, and so are the numbers and texts beside it, such as the epoch. Otherwise it is
    /// [`all`](Self::all).
    ///
    /// # Errors
    ///
    /// [`Error::Torch`] if a tensor does not fit its storage, is sparse, quantized or otherwise not read, or
    /// two tensors get one name.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, TorchFile, write_torch};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.pt");
    /// write_torch(&path, &Checkpoint::new())?;
    /// assert!(TorchFile::open(&path)?.checkpoint()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkpoint(&self) -> Result<Checkpoint, Error> {
        let Some((key, id)) = self.only_state_dict() else { return self.all() };
        let mut walk = self.flatten(id)?;
        walk.scalars(self.root)?;
        walk.out.metadata.insert(SELECTED.to_owned(), key.to_owned());
        Ok(walk.out)
    }

    /// All tensors. Those within dictionaries, lists and modules are named by the keys, places and names on the
    /// way, with dots between them: `optimizer.state.0.exp_avg`. Numbers, texts and lists of them are in the
    /// metadata under such names.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, TorchFile, write_torch};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.pt");
    /// write_torch(&path, &Checkpoint::new())?;
    /// assert!(TorchFile::open(&path)?.all()?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn all(&self) -> Result<Checkpoint, Error> {
        Ok(self.flatten(self.root)?.out)
    }

    /// The names of the dictionaries, lists and modules that hold tensors themselves, in the order of the file.
    /// The outermost is "". Modules within modules are not listed.
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, NamedTensor, TorchFile, write_torch};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.pt");
    /// let mut checkpoint = Checkpoint::new();
    /// checkpoint.push(NamedTensor::f32("a", vec![0], &[])?)?;
    /// write_torch(&path, &checkpoint)?;
    /// assert_eq!(TorchFile::open(&path)?.inner(), [""]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inner(&self) -> Vec<String> {
        self.dictionaries().into_iter().map(|(path, _)| path).collect()
    }

    /// The tensors of one of the dictionaries that [`inner`](Self::inner) lists, or of one that holds some of
    /// them, under their names in it.
    ///
    /// # Errors
    ///
    /// [`TorchFault::NoSuchDictionary`] if there is none, and as [`checkpoint`](Self::checkpoint).
    ///
    /// ```
    /// # use espalier_checkpoint::{Checkpoint, Error, TorchFault, TorchFile, write_torch};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("model.pt");
    /// write_torch(&path, &Checkpoint::new())?;
    /// let error = TorchFile::open(&path)?.select("model").unwrap_err();
    /// assert!(matches!(error, Error::Torch { cause: TorchFault::NoSuchDictionary { .. }, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn select(&self, path: &str) -> Result<Checkpoint, Error> {
        let mut at = Some(self.root);
        let mut rest = path;
        // Keys may hold dots themselves: the longest that fits is taken.
        while let (Some(id), false) = (at, rest.is_empty()) {
            let fits = |key: &str| {
                let left = rest.strip_prefix(key)?;
                if left.is_empty() { Some(left) } else { left.strip_prefix('.') }
            };
            let fitting =
                self.children(id).into_iter().filter_map(|(key, child)| Some((fits(&key)?, child)));
            let next = fitting.min_by_key(|(left, _)| left.len());
            rest = next.map_or(rest, |(left, _)| left);
            at = next.map(|(_, child)| child);
        }
        let holds = |id: &Id| {
            path.is_empty()
                || matches!(self.graph.node(*id), Node::Dict(_) | Node::List(_) | Node::Tuple(_))
                || self.is_module(*id)
        };
        let Some(id) = at.filter(holds) else {
            let found = self.inner().into_iter().take(16).collect();
            let wanted = path.to_owned();
            return Err(self.fault(TorchFault::NoSuchDictionary { wanted, found }));
        };
        Ok(self.flatten(id)?.out)
    }

    fn is_module(&self, id: Id) -> bool {
        match self.graph.node(id) {
            Node::Object(object) => flatten::module(&self.graph, object).is_some(),
            _ => false,
        }
    }

    fn is_tensor(&self, id: Id) -> bool {
        matches!(self.graph.node(id), Node::Tensor(_))
    }

    /// What a dictionary or list holds, by name.
    fn children(&self, id: Id) -> Vec<(String, Id)> {
        let name = |key: Id| match self.graph.node(key) {
            Node::Int(value) => Some(value.to_string()),
            _ => self.graph.text(key).map(str::to_owned),
        };
        let named = |entries: &[(Id, Id)]| {
            entries.iter().filter_map(|(key, value)| Some((name(*key)?, *value))).collect()
        };
        match self.graph.node(id) {
            Node::Dict(dict) => named(&dict.entries),
            Node::Object(object) => named(&object.entries),
            Node::List(items) | Node::Tuple(items) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), *item)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn dictionaries(&self) -> Vec<(String, Id)> {
        let mut found = Vec::new();
        // A value that is there twice is listed once, so that repetition costs nothing.
        let mut seen = vec![false; self.graph.nodes.len()];
        let mut waiting = vec![(String::new(), self.root, 0)];
        while let Some((path, id, depth)) = waiting.pop() {
            if found.len() >= MAX_LISTED || std::mem::replace(&mut seen[id as usize], true) {
                continue;
            }
            let children = if depth < MAX_DEPTH { self.children(id) } else { Vec::new() };
            if self.is_module(id) || children.iter().any(|(_, child)| self.is_tensor(*child)) {
                found.push((path.clone(), id));
            }
            for (name, child) in children.into_iter().rev() {
                if !self.children(child).is_empty() || self.is_module(child) {
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    waiting.push((path, child, depth + 1));
                }
            }
        }
        found
    }

    /// The only state dict or module under a well-known key, where the outermost dictionary has no tensors.
    fn only_state_dict(&self) -> Option<(&str, Id)> {
        let outer = self.graph.dict(self.root)?;
        if outer.entries.iter().any(|(_, value)| self.is_tensor(*value)) {
            return None;
        }
        let mut likely = outer.entries.iter().filter_map(|(key, value)| {
            let key = self.graph.text(*key)?;
            (WELL_KNOWN.contains(&key) && self.is_state_dict(*value)).then_some((key, *value))
        });
        likely.next().filter(|_| likely.next().is_none())
    }

    /// Whether a value is a module, or a dictionary of tensors by name and nothing that holds more.
    fn is_state_dict(&self, id: Id) -> bool {
        let Some(dict) = self.graph.dict(id) else { return self.is_module(id) };
        let plain = |value: Id| {
            let node = self.graph.node(value);
            matches!(
                node,
                Node::None | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text(_)
            )
        };
        dict.entries.iter().any(|(_, value)| self.is_tensor(*value))
            && dict.entries.iter().all(|(key, value)| {
                self.graph.text(*key).is_some() && (self.is_tensor(*value) || plain(*value))
            })
    }
}

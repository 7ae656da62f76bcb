//! Writes a state dict as `torch.save` does.

use std::collections::BTreeMap;
use std::path::Path;

use super::fault::TorchFault;
use super::flatten::METADATA;
use super::globals;
use crate::atomic::write_atomically;
use crate::checkpoint::Checkpoint;
use crate::codec::strided;
use crate::codec::zip::ZipWriter;
use crate::error::Error;
use crate::tensor::NamedTensor;

/// The folder that all members are in. PyTorch takes the file's name, and accepts any.
const FOLDER: &str = "archive";

/// The version of the archive that PyTorch 1.6 to 2.15 write.
const VERSION: &str = "3\n";

/// Writes a PyTorch file with a state dict, atomically (see [`write_atomically`]): what `torch.save` makes of an
/// `OrderedDict` of tensors, for `torch.load` with `weights_only=True`, which is its default.
///
/// The order is kept. Tied tensors have one storage, and PyTorch ties them again. Equal checkpoints give equal
/// bytes. Metadata goes into the attribute `metadata` of the dictionary, a `dict`, where `load_state_dict` does not
/// see it.
///
/// # Errors
///
/// [`TorchFault::NoSuchDtype`] for 4-bit and 6-bit floats, which PyTorch has not. Otherwise as
/// [`write_atomically`].
///
/// ```
/// use espalier_checkpoint::{Checkpoint, NamedTensor, write_torch};
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("model.pt");
/// let weight = NamedTensor::f32("embedding.weight", vec![1, 2], &[0.5, -0.5])?;
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(weight.clone())?;
/// checkpoint.push(weight.with_name("decoder.weight"))?;
/// write_torch(&path, &checkpoint)?;
/// let back = Checkpoint::open(&path)?;
/// assert_eq!(back, checkpoint);
/// assert_eq!(back.ties(), [("decoder.weight", "embedding.weight")]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_torch(path: impl AsRef<Path>, checkpoint: &Checkpoint) -> Result<(), Error> {
    let path = path.as_ref();
    let fault = |cause| Error::Torch { path: path.to_path_buf(), cause };
    // The storage of each tensor, and the tensor whose bytes it holds.
    let firsts = checkpoint.firsts();
    let tensors: Vec<&NamedTensor> = checkpoint.iter().collect();
    let mut storages: Vec<&NamedTensor> = Vec::new();
    let mut keys: Vec<usize> = Vec::with_capacity(firsts.len());
    for (place, first) in firsts.iter().enumerate() {
        if *first == place {
            keys.push(storages.len());
            storages.push(tensors[place]);
        } else {
            keys.push(keys[*first]);
        }
    }
    let mut pickle = Pickle::new();
    pickle.dictionary(&tensors, &keys, &checkpoint.metadata).map_err(fault)?;
    write_atomically(path, |out| {
        let mut zip = ZipWriter::new(out);
        let text = |zip: &mut ZipWriter<_>, name: &str, bytes: &[u8]| {
            zip.add(&format!("{FOLDER}/{name}"), bytes.len() as u64, |out| out.write_all(bytes))
        };
        text(&mut zip, "data.pkl", &pickle.out)?;
        text(&mut zip, "byteorder", b"little")?;
        for (key, tensor) in storages.iter().enumerate() {
            let name = format!("{FOLDER}/data/{key}");
            zip.add(&name, tensor.byte_len() as u64, |out| tensor.write_to(out))?;
        }
        text(&mut zip, "version", VERSION.as_bytes())?;
        // PyTorch writes 40 digits made of sums here, by which it tells files apart.
        let id = format!("{:040}", zip.fingerprint());
        text(&mut zip, ".data/serialization_id", id.as_bytes())?;
        zip.finish()
    })
}

/// A pickle of protocol 2 being written.
struct Pickle {
    out: Vec<u8>,
    /// Numbers of what was stored, by its operations.
    memo: BTreeMap<Vec<u8>, u32>,
}

impl Pickle {
    fn new() -> Self {
        Self { out: b"\x80\x02".to_vec(), memo: BTreeMap::new() }
    }

    /// Writes operations that make a value, the first time, and from then on fetches it.
    fn once(&mut self, operations: &[u8]) {
        let next = self.memo.len() as u32;
        let stored = self.memo.get(operations).copied();
        let (small, large) = if stored.is_some() { (b'h', b'j') } else { (b'q', b'r') };
        if stored.is_none() {
            self.out.extend(operations);
            self.memo.insert(operations.to_vec(), next);
        }
        let index = stored.unwrap_or(next);
        match u8::try_from(index) {
            Ok(index) => self.out.extend([small, index]),
            Err(_) => {
                self.out.push(large);
                self.out.extend(index.to_le_bytes());
            }
        }
    }

    fn global(&mut self, module: &str, name: &str) {
        self.once(format!("c{module}\n{name}\n").as_bytes());
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.out.push(b'X');
        self.out.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
        self.out.extend(text.as_bytes());
        Some(())
    }

    fn int(&mut self, value: usize) -> Option<()> {
        let value = i64::try_from(value).ok()?;
        if let Ok(value) = u8::try_from(value) {
            self.out.extend([b'K', value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(b'M');
            self.out.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(b'J');
            self.out.extend(value.to_le_bytes());
        } else {
            self.out.extend([0x8a, 8]);
            self.out.extend(value.to_le_bytes());
        }
        Some(())
    }

    fn tuple(&mut self, values: &[usize]) -> Option<()> {
        if values.is_empty() {
            self.out.push(b')');
            return Some(());
        }
        self.out.push(b'(');
        values.iter().try_for_each(|value| self.int(*value))?;
        self.out.push(b't');
        Some(())
    }

    fn dictionary(
        &mut self,
        tensors: &[&NamedTensor],
        keys: &[usize],
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), TorchFault> {
        self.empty();
        self.out.push(b'(');
        for (tensor, key) in tensors.iter().zip(keys) {
            let name = || tensor.name().to_owned();
            let dtype = tensor.dtype();
            let Some(torch_name) = globals::torch_name(dtype) else {
                return Err(TorchFault::NoSuchDtype { tensor: name(), dtype });
            };
            let written =
                self.text(tensor.name()).and_then(|()| self.tensor(tensor, *key, torch_name));
            written.ok_or_else(|| TorchFault::Unwritable { tensor: name() })?;
        }
        self.out.push(b'u');
        if !metadata.is_empty() {
            self.out.extend(b"}");
            let unwritable = |key: &str| TorchFault::Unwritable { tensor: key.to_owned() };
            self.text(METADATA).ok_or_else(|| unwritable(METADATA))?;
            self.out.extend(b"}(");
            for (key, value) in metadata {
                let written = self.text(key).and_then(|()| self.text(value));
                written.ok_or_else(|| unwritable(key))?;
            }
            self.out.extend(b"usb");
        }
        self.out.push(b'.');
        Ok(())
    }

    /// An empty `OrderedDict`.
    fn empty(&mut self) {
        self.global("collections", "OrderedDict");
        self.out.extend(b")R");
    }

    fn tensor(&mut self, tensor: &NamedTensor, key: usize, torch_name: &str) -> Option<()> {
        let class = globals::storage_class(tensor.dtype());
        let version = if class.is_some() { 2 } else { 3 };
        self.global("torch._utils", &format!("_rebuild_tensor_v{version}"));
        self.out.extend(b"((");
        self.once(b"X\x07\0\0\0storage");
        let numel = match class {
            Some(class) => {
                self.global("torch", class);
                tensor.numel()
            }
            None => {
                self.global("torch.storage", "UntypedStorage");
                tensor.byte_len()
            }
        };
        self.text(&key.to_string())?;
        self.once(b"X\x03\0\0\0cpu");
        self.int(numel)?;
        self.out.extend(b"tQK\0");
        self.tuple(tensor.shape())?;
        self.tuple(&strided::c_order(tensor.shape()))?;
        // No gradient is wanted; no hooks.
        self.out.push(0x89);
        self.empty();
        if class.is_none() {
            self.global("torch", torch_name);
        }
        self.out.extend(b"tR");
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Dtype;

    #[test]
    fn numbers_take_the_shortest_operation() {
        let of = |value| {
            let mut pickle = Pickle { out: Vec::new(), memo: BTreeMap::new() };
            pickle.int(value);
            pickle.out
        };
        assert_eq!(of(255), [b'K', 255]);
        assert_eq!(of(256), [b'M', 0, 1]);
        assert_eq!(of(65536), [b'J', 0, 0, 1, 0]);
        assert_eq!(of(1 << 31), [0x8a, 8, 0, 0, 0, 0x80, 0, 0, 0, 0]);
        assert!(globals::torch_name(Dtype::F4).is_none());
    }
}

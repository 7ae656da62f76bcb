//! State dicts: a module's tensors under PyTorch's names, in PyTorch's layout.

mod alias;
mod layer;
mod legacy;
mod load;
mod packs;
mod peft;
mod report;
mod save;
mod ties;
mod training;
mod walk;

use std::path::Path;

use burn::module::Module;
use espalier_checkpoint::{self as checkpoint, Checkpoint};

pub use peft::{Adapter, PeftFault};
pub use report::{LoadReport, Mismatch, ValueFault};
pub use training::{Progress, TrainingFault, TrainingState};

use crate::error::Error;
use crate::nn::lazy;
pub(crate) use alias::is_part;
use layer::scoped_descriptions;
use load::Wanted;
use packs::Packs;
use save::{EXTRA, Save};
pub(crate) use save::{burn_dtype, dtype_of};
pub(crate) use walk::TorchWalk;

/// Whether every name must match: PyTorch's `strict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strict {
    /// Missing and unexpected names are errors.
    #[default]
    Yes,
    /// Missing and unexpected names are passed over; a wrong shape is an error all the same.
    No,
}

/// A module's tensors by name.
///
/// Names and layouts are PyTorch's: `Linear` weights are `[out, in]`, `gamma` and `beta` of norms
/// are `weight` and `bias`, masks are floats. What a [`Parametrized`](crate::Parametrized) computes
/// is saved as its originals; how, as text in the file's metadata. All bytes are in memory.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::state::{StateDict, Strict};
///
/// let device = Device::default();
/// let state = StateDict::of(&LinearConfig::new(4, 3).init(&device));
/// assert_eq!(state.shapes(), [("weight", &[3, 4][..]), ("bias", &[3][..])]);
/// let other = state.load_into(LinearConfig::new(4, 3).init(&device), Strict::Yes)?;
/// assert_eq!(StateDict::of(&other), state);
/// # Ok::<(), espalier::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StateDict(Checkpoint);

impl StateDict {
    /// The tensors of `module`, parameters and buffers, in visit order.
    ///
    /// A tied tensor is saved once, under the path it is tied to, and so is a tensor that a
    /// container lists twice. For PyTorch to load the file, see [`for_torch`](Self::for_torch).
    pub fn of<M: Module>(module: &M) -> Self {
        Self::saved(Save::of(module))
    }

    /// As [`of`](Self::of), but as PyTorch saves the module: what `load_state_dict` asks for with
    /// `strict=True`. [`load_into`](Self::load_into) takes either kind.
    ///
    /// Tied tensors are there under every name. Of a parameter that is parametrized or pruned, the
    /// originals and the mask have every name, as those of a layer placed twice have in PyTorch. For
    /// the transpose of such a parameter PyTorch has no name: it is left out.
    ///
    /// The gates of `Lstm`, `Gru`, `Rnn` and of their two-way kinds are one tensor
    /// (`weight_ih_l0`, `bias_hh_l0_reverse`), and so are query, key and value of
    /// `MultiHeadAttention` (`in_proj_weight`), whose `output` is `out_proj`. Where one of the parts
    /// is parametrized or pruned, they stay apart: PyTorch has no name for it.
    ///
    /// ```
    /// use burn::nn::{LinearConfig, LstmConfig};
    /// use burn::tensor::Device;
    /// use espalier::nn::Sequential;
    /// use espalier::state::{StateDict, Strict};
    /// use espalier::Parametrized;
    ///
    /// let layer = LinearConfig::new(3, 3).init(&Device::default());
    /// let net = Parametrized::new(Sequential::new().with(layer.clone()).with(layer));
    /// assert_eq!(StateDict::of(&net).shapes().len(), 2);
    /// let state = StateDict::for_torch(&net);
    /// let names: Vec<_> = state.checkpoint().names().collect();
    /// assert_eq!(names, ["0.weight", "0.bias", "1.weight", "1.bias"]);
    /// let net = state.load_into(net, Strict::Yes)?;
    /// # let _ = net;
    ///
    /// let lstm = LstmConfig::new(4, 3, false).init(&Device::default());
    /// let state = StateDict::for_torch(&lstm);
    /// assert_eq!(state.shapes(), [("weight_ih_l0", &[12, 4][..]), ("weight_hh_l0", &[12, 3][..])]);
    /// let lstm = state.load_into(lstm, Strict::Yes)?;
    /// # let _ = lstm;
    /// # Ok::<(), espalier::Error>(())
    /// ```
    pub fn for_torch<M: Module>(module: &M) -> Self {
        let mut save = Save::of(module).with_aliases();
        save.out = Packs::of(&save.walk).pack(save.out);
        Self::saved(save)
    }

    fn saved(save: Save) -> Self {
        let mut out = save.out;
        out.metadata.extend(scoped_descriptions(&save.walk.wrappers, ""));
        Self(out)
    }

    /// Tensors of another kind than a module's: an optimizer's.
    pub(crate) fn over(checkpoint: Checkpoint) -> Self {
        Self(checkpoint)
    }

    /// The tensors of a checkpoint, read into memory.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::state::{StateDict, Strict};
    /// use espalier_checkpoint::Checkpoint;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("model.safetensors");
    /// # StateDict::of(&LinearConfig::new(2, 1).init(&Device::default())).save(&path)?;
    /// # let file = Checkpoint::open(&path)?.renamed(|name| format!("module.{name}"))?;
    /// # espalier_checkpoint::write_safetensors(&path, &file)?;
    /// // A file under other names than the module's.
    /// let file = Checkpoint::open(&path)?.renamed(|name| name.replace("module.", ""))?;
    /// let module = LinearConfig::new(2, 1).init(&Device::default());
    /// let module = StateDict::from_checkpoint(file)?.load_into(module, Strict::Yes)?;
    /// # let _ = module;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if a tensor cannot be read.
    pub fn from_checkpoint(checkpoint: Checkpoint) -> Result<Self, Error> {
        Ok(Self(checkpoint.load()?))
    }

    /// Reads a checkpoint file, of any format that [`Checkpoint::open`] knows.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be read or is not sound.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(Checkpoint::read(path)?))
    }

    /// Writes a safetensors file, atomically. Equal state dicts give equal bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if it cannot be written; an older file is then still there.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        Ok(checkpoint::write_safetensors(path.as_ref(), &self.0)?)
    }

    /// The same with a text under a key in the metadata, which is saved with it.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::state::StateDict;
    /// let state = StateDict::of(&LinearConfig::new(2, 1).init(&Device::default()));
    /// assert_eq!(state.with_note("run", "7").note("run"), Some("7"));
    /// ```
    pub fn with_note(mut self, key: impl Into<String>, text: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), text.into());
        self
    }

    /// The text under a key in the metadata.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.0.metadata.get(key).map(String::as_str)
    }

    /// The named tensors.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.0
    }

    /// Names and shapes in order.
    pub fn shapes(&self) -> Vec<(&str, &[usize])> {
        self.0.iter().map(|tensor| (tensor.name(), tensor.shape())).collect()
    }

    /// How a saved [`Parametrized`](crate::Parametrized) computes its values; see
    /// [`apply_description`](crate::Parametrized::apply_description).
    pub fn description(&self) -> Option<&str> {
        self.note(EXTRA)
    }

    /// `module` with its tensors replaced by these, in its own dtypes and on its own device.
    ///
    /// A tensor that is tied in the module may be here under any of its names, or under several
    /// with equal values; a transposed tie under the alias's name in the alias's own shape. Not
    /// strict, the first name counts where they differ. `num_batches_tracked`, which Burn's batch
    /// norm has not, is passed over. Integers are taken over exactly. Uninitialized
    /// [lazy layers](crate::nn::lazy) get the shapes here. The keys of PyTorch's older weight and spectral
    /// norm (`weight_g`, `weight_v`, `weight_u`) are taken for those of the parametrizations; the packed
    /// tensors of PyTorch's recurrent layers and attention, for their parts (as
    /// [`for_torch`](Self::for_torch) says).
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with everything that is missing, unexpected, of another shape or tied in the
    /// module only. Nothing is loaded then.
    pub fn load_into<M: Module>(&self, module: M, strict: Strict) -> Result<M, Error> {
        let module = self.sized(module);
        let wanted = Wanted::by(&module);
        self.load_layer(module, &wanted, "", strict)
    }

    /// Whether [`load_into`](Self::load_into) would find everything in its shape.
    ///
    /// # Errors
    ///
    /// [`LoadReport`] with everything that does not fit.
    pub fn fits<M: Module>(&self, module: &M, strict: Strict) -> Result<(), LoadReport> {
        if lazy::has_uninitialized(module) {
            let module = self.sized(module.clone());
            return self.fits_layer(&Wanted::by(&module), "", strict);
        }
        self.fits_layer(&Wanted::by(module), "", strict)
    }

    /// `module` with its uninitialized lazy layers made for the shapes here.
    fn sized<M: Module>(&self, module: M) -> M {
        if !lazy::has_uninitialized(&module) {
            return module;
        }
        let shapes =
            self.0.iter().map(|tensor| (tensor.name().to_owned(), tensor.shape().to_vec()));
        module.map(&mut lazy::Shaping::of_state(shapes.collect()))
    }
}

/// The paths of a module's tensors in Burn's names, by PyTorch's.
pub(crate) fn torch_names<M: Module>(module: &M) -> Vec<(String, String)> {
    let wanted = Wanted::by(module);
    wanted.paths()
}

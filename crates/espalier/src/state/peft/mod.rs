//! Adapters in the files of the PEFT library.

mod config;
mod keys;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::module::Module;
use espalier_checkpoint::{self as checkpoint, Checkpoint, NamedTensor, Source, write_atomically};

use self::config::Config;
use self::keys::{Name, SIDES, Site};
use super::report::{LoadReport, Mismatch};
use super::save::Save;
use super::{StateDict, Strict};
use crate::Parametrized;
use crate::error::Error;
use crate::parametrize::Lora;

const CONFIG: &str = "adapter_config.json";
/// Bytes of a configuration; those of PEFT have some thousand.
const LONGEST: u64 = 16 << 20;
const TENSORS: &str = "adapter_model.safetensors";

/// What keeps an adapter from being read, written or put on a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeftFault {
    /// A configuration that says too little.
    #[error("`adapter_config.json`: {reason}")]
    Config {
        /// What is wrong with it.
        reason: String,
    },
    /// Another kind of adapter.
    #[error("`adapter_config.json`: `peft_type` is {found}; expected LORA")]
    Kind {
        /// The kind.
        found: String,
    },
    /// A variant of LoRA that computes something else.
    #[error("the adapter has {what}, which `Lora` does not compute; merge it into its base first")]
    Unsupported {
        /// The option.
        what: &'static str,
    },
    /// Several adapters in one file.
    #[error("the file holds several adapters ({}); save one alone", names.join(", "))]
    Several {
        /// Their names.
        names: Vec<String>,
    },
    /// A module without adapters.
    #[error("the module has no adapters: register `Lora` on the weights to adapt")]
    None,
    /// An adapter on what PEFT has no name for.
    #[error("`{path}`: PEFT adapts the `weight` of layers inside a network only")]
    Place {
        /// The parameter.
        path: String,
    },
    /// Two adapters on one weight.
    #[error("`{path}` has two adapters; PEFT saves one a weight")]
    Twice {
        /// The parameter.
        path: String,
    },
    /// A layer that PEFT does not adapt.
    #[error("`{path}`: PEFT adapts Linear, Embedding and Conv layers, not {layer}")]
    Layer {
        /// The parameter.
        path: String,
        /// The layer's type.
        layer: String,
    },
}

/// The low-rank adapters of a network, in the files of the PEFT library.
///
/// A folder holds `adapter_model.safetensors` and `adapter_config.json`, as `save_pretrained` writes
/// and `PeftModel.from_pretrained` reads. The `lora_A` and `lora_B` of a
/// [`Lora`](crate::parametrize::Lora) link are those of PEFT; of convolutions they have the kernel's
/// dimensions there, of embeddings they are transposed. `r` and `lora_alpha` are in the configuration,
/// for modules that differ in `rank_pattern` and `alpha_pattern`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::Parametrized;
/// use espalier::nn::Sequential;
/// use espalier::parametrize::Lora;
/// use espalier::state::{Adapter, StateDict};
///
/// # let directory = tempfile::tempdir()?;
/// # let folder = directory.path().join("adapter");
/// let device = Device::default();
/// let base = || Sequential::new().with(LinearConfig::new(8, 6).init(&device));
/// let mut net = Parametrized::new(base());
/// net.register("0.weight", Lora::new(2).alpha(4.0))?;
/// Adapter::of(&net)?.save(&folder)?;
///
/// // On a network that has none yet.
/// let mut other = Parametrized::new(base());
/// Adapter::open(&folder)?.attach(&mut other)?;
/// assert!(StateDict::of(&other).checkpoint().get("0.parametrizations.weight.0.lora_A").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    tensors: Checkpoint,
    config: Config,
}

impl Adapter {
    /// The adapters of `module`.
    ///
    /// # Errors
    ///
    /// [`Error::Peft`] if it has none, two on one weight, or some that PEFT has no names for.
    pub fn of<M: Module>(module: &M) -> Result<Self, Error> {
        let save = Save::of(module);
        let sites = Site::all(&save)?;
        if sites.is_empty() {
            return Err(PeftFault::None.into());
        }
        let mut tensors = Checkpoint::new();
        tensors.metadata.insert("format".to_owned(), "pt".to_owned());
        for site in &sites {
            for side in 0..SIDES.len() {
                let ours = save.out.get(&site.names[site.ours(side)]);
                if let Some(tensor) = ours.and_then(|ours| site.encode(ours, side)) {
                    tensors.push(tensor)?;
                }
            }
        }
        let adapters: Vec<(&str, usize, f64)> =
            sites.iter().map(|site| (site.module.as_str(), site.rank, site.alpha)).collect();
        let adapted: BTreeSet<&str> = adapters.iter().map(|of| of.0).collect();
        let modules = keys::modules(&save.walk);
        let others = modules.iter().copied().filter(|module| !adapted.contains(module));
        Ok(Self { tensors, config: Config::of(&adapters, others) })
    }

    /// Reads `adapter_model.safetensors` and `adapter_config.json` in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if a file cannot be read or is not sound, [`Error::Peft`] if the
    /// configuration is not that of a LoRA adapter, or one of DoRA.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let source = Source::open(folder.join(CONFIG))?;
        if source.len() > LONGEST {
            let reason = format!("{} bytes; expected {LONGEST} at most", source.len());
            return Err(PeftFault::Config { reason }.into());
        }
        let text = source.read(0..source.len())?;
        Self::new(Checkpoint::open(folder.join(TENSORS))?, &String::from_utf8_lossy(&text))
    }

    /// Tensors under PEFT's names, which are read into memory, and the text of `adapter_config.json`:
    /// for files that lie elsewhere.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(tensors: Checkpoint, config: &str) -> Result<Self, Error> {
        let config = Config::parse(config)?;
        Ok(Self { tensors: tensors.load()?, config })
    }

    /// Writes both files into `folder`, which is made if it is not there. Each is replaced atomically.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if one cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|cause| {
            let action = checkpoint::Action::CreateDirectory;
            checkpoint::Error::Io { action, path: folder.to_owned(), cause }
        })?;
        checkpoint::write_safetensors(folder.join(TENSORS), &self.tensors)?;
        let text = self.config.text();
        Ok(write_atomically(folder.join(CONFIG), |out| out.write_all(text.as_bytes()))?)
    }

    /// The tensors under PEFT's names.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.tensors
    }

    /// `module`, which has the adapters already, with the values here.
    ///
    /// Tensors of the module itself that the file holds besides (biases, layers saved whole) are loaded
    /// as well, and so is the state dict of a whole PEFT model, with its `base_layer` names.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with all that is missing, unexpected, of another shape or scaled otherwise, in
    /// PEFT's names; [`Error::Peft`] for variants that are not computed here. Nothing is loaded then.
    pub fn load_into<M: Module>(&self, module: M) -> Result<M, Error> {
        let save = Save::of(&module);
        let sites = Site::all(&save)?;
        let (state, report) = self.match_up(&save, &sites)?;
        if report != LoadReport::default() {
            return Err(report.into());
        }
        state.load_into(module, Strict::No)
    }

    /// Registers a [`Lora`] wherever the file has an adapter and `net` has none, and loads the values as
    /// [`load_into`](Self::load_into) does.
    ///
    /// # Errors
    ///
    /// As [`load_into`](Self::load_into) and
    /// [`register`](Parametrized::register). `net` is as it was then.
    pub fn attach<M: Module>(&self, net: &mut Parametrized<M>) -> Result<(), Error> {
        let save = Save::of(net);
        let there: BTreeSet<String> =
            Site::all(&save)?.into_iter().map(|site| site.module).collect();
        let modules = keys::modules(&save.walk);
        let mut ranks: BTreeMap<&str, usize> = BTreeMap::new();
        for tensor in self.tensors.iter() {
            if let Name::Matrix { module, side: 0, .. } = Name::of(tensor.name())
                && !there.contains(module)
                && modules.contains(module)
            {
                ranks.insert(module, tensor.shape().first().copied().unwrap_or_default());
            }
        }
        let mut adapted = net.clone();
        for (module, rank) in ranks {
            let path = burn_path(&save, module);
            let alpha = self.config.scale(module, rank) * rank as f64;
            adapted.register(&*format!("{path}.weight"), Lora::new(rank).alpha(alpha))?;
        }
        *net = self.load_into(adapted)?;
        Ok(())
    }

    /// What the module loads, and all that keeps it from it.
    fn match_up(&self, save: &Save, sites: &[Site]) -> Result<(StateDict, LoadReport), PeftFault> {
        let mut report = LoadReport::default();
        let mut found: BTreeMap<(&str, usize), &NamedTensor> = BTreeMap::new();
        let mut adapters = BTreeSet::new();
        let mut state = Checkpoint::new();
        for tensor in self.tensors.iter() {
            let unexpected = || tensor.name().to_owned();
            match Name::of(tensor.name()) {
                Name::Matrix { module, side, adapter } => {
                    adapters.insert(adapter);
                    if sites.iter().any(|site| site.module == module) {
                        found.insert((module, side), tensor);
                    } else {
                        report.unexpected.push(unexpected());
                    }
                }
                Name::Plain(name) => match own_name(save, &name) {
                    Some(name) => {
                        // A name that is there twice is one tensor of PEFT's under two.
                        let _ = state.push(tensor.clone().with_name(name));
                    }
                    None => report.unexpected.push(unexpected()),
                },
                Name::Unsupported(what) => return Err(PeftFault::Unsupported { what }),
                Name::Foreign => report.unexpected.push(unexpected()),
            }
        }
        if adapters.len() > 1 {
            let names = adapters.into_iter().map(str::to_owned).collect();
            return Err(PeftFault::Several { names });
        }
        for site in sites {
            let (ours, theirs) = (site.scale(), self.config.scale(&site.module, site.rank));
            // Both are quotients of the same two numbers, but for how a pattern was written.
            if (ours - theirs).abs() > 1e-6 * ours.abs() {
                let said = |scale: f64| format!("`{}` scaled by {scale}", site.module);
                report.rules.push((said(ours), said(theirs)));
            }
            for side in 0..SIDES.len() {
                let (name, expected) = site.theirs(side);
                match found.get(&(site.module.as_str(), side)) {
                    None => report.missing.push(name),
                    Some(tensor) if tensor.shape() != expected => {
                        let found = tensor.shape().to_vec();
                        report.mismatched.push(Mismatch { name, expected, found });
                    }
                    Some(tensor) => {
                        if let Some(tensor) = site.decode(tensor, side) {
                            // Two links have no name in common.
                            let _ = state.push(tensor);
                        }
                    }
                }
            }
        }
        Ok((StateDict(state), report))
    }
}

/// The module's name of a tensor that PEFT calls `name` within the base.
fn own_name(save: &Save, name: &str) -> Option<String> {
    let (owner, leaf) = name.rsplit_once('.')?;
    let original = format!("{owner}.parametrizations.{leaf}.original");
    [name.to_owned(), original].into_iter().find(|name| save.out.get(name).is_some())
}

/// The path of a module in Burn's names.
fn burn_path(save: &Save, module: &str) -> String {
    let entered = save.walk.entered.iter().find(|entered| entered.torch == module);
    entered.map_or_else(|| module.to_owned(), |entered| entered.burn.clone())
}

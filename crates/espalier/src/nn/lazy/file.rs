//! Sizes of lazy layers from elsewhere: a file, or an input that nobody computes with.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Tensor, TensorData};

use super::uninitialized;
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;
use crate::init::Rng;
use crate::nn::layer::Layer;
use crate::state::TorchWalk;
use crate::tree::{Layout, Walk, contiguous, follow_walk};

/// `net` with every lazy layer initialized for an input of shape `input`, batch first.
///
/// A forward pass on zeros runs on a validation copy, so that running statistics stay as they are
/// and nothing is recorded for gradients. Layers that are initialized stay as they are. Hooks run.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Relu;
/// use burn::tensor::Device;
/// use espalier::nn::lazy::{LazyLinearConfig, initialize};
/// use espalier::nn::Sequential;
///
/// let device = Device::default();
/// let net = Sequential::new()
///     .with(LazyLinearConfig::new(8).init(&device))
///     .with(Relu::new())
///     .with(LazyLinearConfig::new(2).init(&device));
/// assert_eq!(net.num_params(), 0);
/// let net = initialize(net, &[1, 4])?;
/// assert_eq!(net.num_params(), 4 * 8 + 8 + 8 * 2 + 2);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Layer`] for an input that does not fit, [`Error::Rank`] for more than eight dimensions.
pub fn initialize<L: Layer>(net: L, input: &[usize]) -> Result<L, Error> {
    if !has_uninitialized(&net) {
        return Ok(net);
    }
    let probe = net.valid();
    let device = probe.devices().into_iter().next().unwrap_or_default();
    let zeros: AnyTensor = with_rank!(input.len(), D => {
        let Ok(dims) = <[usize; D]>::try_from(input) else { unreachable!("the rank was asked for") };
        Tensor::<D>::zeros(dims, &device).into()
    }, else return Err(Error::Rank { expected: 8, found: input.to_vec() }));
    let located = |source| crate::nn::LayerError { name: String::new(), kind: net.kind(), source };
    probe.check_input(input).map_err(located)?;
    probe.forward_any(zeros)?;
    let mut values = Values::default();
    probe.visit(&mut values);
    Ok(net.map(&mut Assign { values: values.found, walk: Walk::default() }))
}

/// Loads a burnpack file into a module that may have uninitialized lazy layers: they get the shapes
/// that the file has.
///
/// Burn's own `try_load_file` refuses shapes other than the module's, and an uninitialized layer's
/// are empty. A [`Parametrized`](crate::Parametrized) needs this no more than a module without lazy
/// layers.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::lazy::{LazyLinearConfig, load_file};
///
/// let device = Device::default();
/// let layer = LazyLinearConfig::new(3).init(&device);
/// layer.forward(Tensor::<2>::ones([1, 5], &device))?;
/// let file = std::env::temp_dir().join(format!("espalier-lazy-{}.bpk", std::process::id()));
/// layer.save_file(&file)?;
///
/// let fresh = LazyLinearConfig::new(3).init(&device);
/// assert!(fresh.clone().try_load_file(&file).is_err(), "Burn's own");
/// let loaded = load_file(fresh, &file)?;
/// assert_eq!(loaded.weight()?.dims(), [5, 3]);
/// # std::fs::remove_file(&file).ok();
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Record`] if the file cannot be read or does not fit.
pub fn load_file<M: Module>(module: M, path: impl AsRef<Path>) -> Result<M, Error> {
    let path = path.as_ref();
    let module = match has_uninitialized(&module) {
        true => module.map(&mut Shaping::of_record(shapes_of_file(path)?)),
        false => module,
    };
    Ok(module.try_load_file(path)?)
}

/// As [`load_file`], for a record in memory.
///
/// # Errors
///
/// [`Error::Record`] if the record does not fit.
pub fn load_record<M: Module>(module: M, record: ModuleRecord) -> Result<M, Error> {
    let module = match has_uninitialized(&module) {
        true => module.map(&mut Shaping::of_record(shapes_of_record(&record)?)),
        false => module,
    };
    Ok(module.try_load_record(record)?)
}

type Shapes = BTreeMap<String, Vec<usize>>;

fn shapes(reader: burn_pack::Reader) -> Result<Shapes, RecordError> {
    let tensors = reader.into_tensors()?;
    Ok(tensors.into_iter().map(|tensor| (tensor.name, tensor.shape.to_vec())).collect())
}

/// The shape of every tensor in a burnpack file.
pub(crate) fn shapes_of_file(path: &Path) -> Result<Shapes, RecordError> {
    shapes(burn_pack::Reader::from_file(path)?)
}

/// The shape of every tensor in a record, which tells them to nobody but its own file format.
fn shapes_of_record(record: &ModuleRecord) -> Result<Shapes, RecordError> {
    shapes(burn_pack::Reader::from_bytes(record.clone().into_bytes()?)?)
}

/// Whether some layer of `module` has not seen an input.
pub(crate) fn has_uninitialized<M: Module>(module: &M) -> bool {
    #[derive(Default)]
    struct Find {
        walk: Walk,
        found: bool,
    }
    impl ModuleVisitor for Find {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.walk.enter(name, container);
            self.found |= uninitialized(self.walk.layer()).is_some();
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.walk.exit();
        }
    }
    let mut find = Find::default();
    module.visit(&mut find);
    find.found
}

/// Gives the empty parameters of uninitialized layers the shapes that a file has for them. The
/// values are there to be replaced by the file's; a shape that cannot be theirs is passed over, for
/// the load to report.
pub(crate) struct Shaping {
    walk: TorchWalk,
    shapes: Shapes,
    /// The shapes that were given, by id: of clones a file names the first alone.
    given: BTreeMap<u64, Vec<usize>>,
    /// Whether names and layouts are PyTorch's.
    torch: bool,
    rng: Rng,
}

impl Shaping {
    /// For shapes by PyTorch's names, in PyTorch's layout.
    pub(crate) fn of_state(shapes: Shapes) -> Self {
        let given = BTreeMap::new();
        Self { walk: TorchWalk::default(), shapes, given, torch: true, rng: Rng::seeded(0) }
    }

    /// For shapes by Burn's names, in Burn's layout.
    pub(crate) fn of_record(shapes: Shapes) -> Self {
        Self { torch: false, ..Self::of_state(shapes) }
    }

    /// The shape for an empty parameter of shape `empty`, in Burn's layout.
    fn shape(&self, empty: &[usize]) -> Option<Vec<usize>> {
        uninitialized(self.walk.walk.layer())?;
        let layout = self.walk.layout(empty.len());
        let name = if self.torch { self.walk.name() } else { self.walk.walk.path() };
        let (parent, leaf) = match name.rsplit_once('.') {
            Some((parent, leaf)) => (format!("{parent}."), leaf),
            None => (String::new(), name.as_str()),
        };
        // The originals of a parameter that was pruned or parametrized when it was saved, of which
        // the last (or only) one mostly has its shape.
        let names = [
            name.clone(),
            format!("{name}_orig"),
            format!("{parent}parametrizations.{leaf}.original"),
            format!("{parent}parametrizations.{leaf}.original1"),
        ];
        let found = names.iter().find_map(|name| self.shapes.get(name))?;
        let found = if self.torch { layout.torch_shape(found) } else { found.clone() };
        let fits = found.len() == empty.len()
            && empty.iter().zip(&found).all(|(empty, found)| match empty {
                0 => *found > 0,
                _ => empty == found,
            });
        fits.then_some(found)
    }
}

impl ModuleMapper for Shaping {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id.val();
        let same = || self.given.get(&id).filter(|shape| shape.len() == D).cloned();
        let Some(shape) = self.shape(&param.dims()).or_else(same) else { return param };
        self.given.insert(id, shape.clone());
        let Ok(shape) = <[usize; D]>::try_from(shape) else { return param };
        let count = shape.iter().product();
        let values = (0..count).map(|_| 0.2 * self.rng.uniform() - 0.1).collect();
        super::draw::with_values(param, values, shape, Layout::Torch)
    }
}

/// The values of the parameters by path.
#[derive(Default)]
struct Values {
    walk: Walk,
    found: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Values {
    follow_walk!();
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.walk.path(), param.val().into_data());
    }
}

/// Puts values into the empty parameters of uninitialized layers.
struct Assign {
    values: BTreeMap<String, TensorData>,
    walk: Walk,
}

impl ModuleMapper for Assign {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if uninitialized(self.walk.layer()).is_none() {
            return param;
        }
        let Some(data) = self.values.remove(&self.walk.path()) else { return param };
        let grad = param.is_require_grad();
        param.map(|old| {
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            let new = contiguous(new);
            if grad { new.require_grad() } else { new }
        })
    }
}

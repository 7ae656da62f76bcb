//! Functions that are called before and after a layer's forward pass.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use burn::module::{
    Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

use super::layer::{Layer, LayerError, WidthError};
use crate::erase::AnyTensor;
use crate::error::Error;

/// What a hook failed with.
pub type HookError = Box<dyn StdError + Send + Sync>;

/// What a hook may return: nothing (it only looked), a tensor to go on with in place of the one it
/// was given, an `Option` of one, or a `Result` of these.
pub trait HookReturn {
    /// The tensor to go on with, if it is another one.
    ///
    /// # Errors
    ///
    /// What the hook failed with.
    fn replacement(self) -> Result<Option<AnyTensor>, HookError>;
}

impl HookReturn for () {
    fn replacement(self) -> Result<Option<AnyTensor>, HookError> {
        Ok(None)
    }
}

impl HookReturn for AnyTensor {
    fn replacement(self) -> Result<Option<AnyTensor>, HookError> {
        Ok(Some(self))
    }
}

impl<const D: usize> HookReturn for Tensor<D> {
    fn replacement(self) -> Result<Option<AnyTensor>, HookError> {
        Ok(Some(self.into()))
    }
}

impl<R: HookReturn> HookReturn for Option<R> {
    fn replacement(self) -> Result<Option<AnyTensor>, HookError> {
        self.map_or(Ok(None), R::replacement)
    }
}

impl<R: HookReturn, E: Into<HookError>> HookReturn for Result<R, E> {
    fn replacement(self) -> Result<Option<AnyTensor>, HookError> {
        self.map_err(Into::into)?.replacement()
    }
}

type Pre<L> = dyn Fn(&L, &AnyTensor) -> Result<Option<AnyTensor>, HookError> + Send + Sync;
type Post<L> =
    dyn Fn(&L, &AnyTensor, &AnyTensor) -> Result<Option<AnyTensor>, HookError> + Send + Sync;

struct Registry<L> {
    next: u64,
    pre: Vec<(u64, Arc<Pre<L>>)>,
    post: Vec<(u64, Arc<Post<L>>)>,
}

impl<L> Registry<L> {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Locked only to read or change the lists, never while a hook runs.
type Shared<L> = Mutex<Registry<L>>;

fn lock<L>(shared: &Shared<L>) -> MutexGuard<'_, Registry<L>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets the type of the layer that hooks are for.
trait Remove: Send + Sync {
    fn remove(&self, id: u64);
}

impl<L> Remove for Shared<L> {
    fn remove(&self, id: u64) {
        let mut registry = lock(self);
        let pre: Vec<_> = registry.pre.extract_if(.., |(other, _)| *other == id).collect();
        let post: Vec<_> = registry.post.extract_if(.., |(other, _)| *other == id).collect();
        // What a hook owned may touch the list again when it is dropped.
        drop(registry);
        drop((pre, post));
    }
}

/// Removes the hook it was returned for. Dropping it removes nothing.
#[derive(Clone)]
pub struct HookHandle {
    registry: Weak<dyn Remove>,
    id: u64,
}

impl HookHandle {
    /// Removes the hook from the layer and all its clones; a second time changes nothing.
    ///
    /// A pass that has begun to call the hooks of its kind still calls it.
    pub fn remove(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.remove(self.id);
        }
    }
}

impl fmt::Debug for HookHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A layer with functions that are called before and after its forward pass:
/// `register_forward_pre_hook` and `register_forward_hook` of `torch.nn.Module`.
///
/// It stands wherever the layer stood: parameters keep their names, types and identities, and it is
/// shown and named in errors as the layer. Only its Rust type differs
/// (`net[0].get::<Hooked<Linear>>()`).
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use espalier::nn::{Hooked, Sequential};
/// use espalier::AnyTensor;
///
/// let device = Device::default();
/// let layer = Hooked::new(LinearConfig::new(4, 2).init(&device));
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let shapes = Arc::clone(&seen);
/// let handle = layer.register_forward_hook(move |_: &Linear, _: &AnyTensor, y: &AnyTensor| {
///     shapes.lock().unwrap().push(y.dims());
/// });
/// let net = Sequential::new().with(layer);
/// let x = Tensor::<2>::ones([3, 4], &device);
/// net.forward::<2, 2>(x.clone())?;
/// handle.remove();
/// net.forward::<2, 2>(x)?;
/// assert_eq!(*seen.lock().unwrap(), [[3, 2]], "of the first pass alone");
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// A layer of a network that is there already is hooked in its place:
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::tensor::{Device, Tensor};
/// # use espalier::nn::{Hooked, Sequential};
/// use espalier::nn::AnyLayer;
/// # let device = Device::default();
/// # let mut net = Sequential::new().with(LinearConfig::new(4, 2).init(&device));
///
/// let hooked = Hooked::new(net[0].clone());
/// net[0] = AnyLayer::new(hooked.clone());
/// hooked.register_forward_hook(|layer, _, y| println!("{} gives {:?}", layer.type_name(), y.dims()));
/// # net.forward::<2, 2>(Tensor::ones([1, 4], &device))?;
/// # assert_eq!(net[0].get::<Hooked<AnyLayer>>().map(Hooked::hook_counts), Some((0, 1)));
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Order
///
/// Pre-hooks as registered, each given what the one before made of the input; the forward pass;
/// forward hooks as registered, each given that input and what the one before made of the output.
/// Hooks registered or removed while others run take part from the next pass on. A hook that fails
/// ends the pass with [`Error::Hook`].
///
/// # What a hook sees
///
/// The layer of this very pass: in a network from
/// [`effective`](crate::Parametrized::effective), with its computed weights. Weights assigned to the
/// wrapper by a hook, before or after, belong to the next `effective`, and this pass is computed
/// with the old ones. Tensors are in the autodiff graph, and so is what replaces them.
///
/// # Clones
///
/// All clones share one list of hooks, and so do the copies that `valid`, `train` and
/// `deep_copy` make: a handle works whichever of them is being trained. Hooks are not saved.
///
/// # Shapes
///
/// [`output_dims`](Layer::output_dims) tells the layer's shapes; hooks may make others, and then the
/// layers behind are checked against what they are given.
pub struct Hooked<L> {
    layer: L,
    hooks: Arc<Shared<L>>,
}

impl<L: Layer> Hooked<L> {
    /// `layer` without hooks yet.
    pub fn new(layer: L) -> Self {
        let registry = Registry { next: 0, pre: Vec::new(), post: Vec::new() };
        Self { layer, hooks: Arc::new(Mutex::new(registry)) }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// The layer for editing in place.
    pub fn layer_mut(&mut self) -> &mut L {
        &mut self.layer
    }

    /// The layer without its hooks.
    pub fn into_layer(self) -> L {
        self.layer
    }

    /// How many hooks there are, before and after the forward pass.
    pub fn hook_counts(&self) -> (usize, usize) {
        let registry = lock(&self.hooks);
        (registry.pre.len(), registry.post.len())
    }

    /// Calls `hook` with the layer and its input before each forward pass, after the pre-hooks that
    /// are there. What it returns takes the place of the input; see [`HookReturn`].
    pub fn register_forward_pre_hook<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor) -> R + Send + Sync + 'static,
    ) -> HookHandle {
        self.add_pre(hook, false)
    }

    /// As [`register_forward_pre_hook`](Self::register_forward_pre_hook), before those that are
    /// there: PyTorch's `prepend=True`.
    pub fn prepend_forward_pre_hook<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor) -> R + Send + Sync + 'static,
    ) -> HookHandle {
        self.add_pre(hook, true)
    }

    /// Calls `hook` with the layer, its input and its output after each forward pass, after the
    /// forward hooks that are there. What it returns takes the place of the output; see
    /// [`HookReturn`].
    pub fn register_forward_hook<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor, &AnyTensor) -> R + Send + Sync + 'static,
    ) -> HookHandle {
        self.add_post(hook, false)
    }

    /// As [`register_forward_hook`](Self::register_forward_hook), before those that are there:
    /// PyTorch's `prepend=True`.
    pub fn prepend_forward_hook<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor, &AnyTensor) -> R + Send + Sync + 'static,
    ) -> HookHandle {
        self.add_post(hook, true)
    }

    fn add_pre<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor) -> R + Send + Sync + 'static,
        first: bool,
    ) -> HookHandle {
        let hook: Arc<Pre<L>> = Arc::new(move |layer, input| hook(layer, input).replacement());
        let mut registry = lock(&self.hooks);
        let id = registry.id();
        let place = if first { 0 } else { registry.pre.len() };
        registry.pre.insert(place, (id, hook));
        self.handle(id)
    }

    fn add_post<R: HookReturn>(
        &self,
        hook: impl Fn(&L, &AnyTensor, &AnyTensor) -> R + Send + Sync + 'static,
        first: bool,
    ) -> HookHandle {
        let hook: Arc<Post<L>> =
            Arc::new(move |layer, input, output| hook(layer, input, output).replacement());
        let mut registry = lock(&self.hooks);
        let id = registry.id();
        let place = if first { 0 } else { registry.post.len() };
        registry.post.insert(place, (id, hook));
        self.handle(id)
    }

    fn handle(&self, id: u64) -> HookHandle {
        let registry: Arc<dyn Remove> = Arc::clone(&self.hooks) as _;
        HookHandle { registry: Arc::downgrade(&registry), id }
    }

    /// The layer's output for `input`, hooks included.
    ///
    /// # Errors
    ///
    /// [`Error::Hook`] if a hook fails, [`Error::Layer`] if the layer does not fit what the
    /// pre-hooks made of the input, [`Error::Rank`] if the output has another rank than `O`.
    pub fn forward<const I: usize, const O: usize>(
        &self,
        input: Tensor<I>,
    ) -> Result<Tensor<O>, Error> {
        self.forward_any(input.into())?.into_rank()
    }

    fn failed(&self, hook: &'static str, source: HookError) -> Error {
        Error::Hook { name: String::new(), layer: self.layer.kind(), hook, source }
    }

    fn with_layer(self, change: impl FnOnce(L) -> L) -> Self {
        Self { layer: change(self.layer), hooks: self.hooks }
    }
}

impl<L: Layer> Layer for Hooked<L> {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        self.layer.output_dims(input)
    }

    fn forward_any(&self, mut input: AnyTensor) -> Result<AnyTensor, Error> {
        // Copies of the lists, so that a hook can change them.
        let pre = lock(&self.hooks).pre.clone();
        for (_, hook) in pre {
            let replaced = hook(&self.layer, &input);
            if let Some(other) = replaced.map_err(|e| self.failed("forward pre-hook", e))? {
                input = other;
            }
        }
        self.layer.check_input(&input.dims()).map_err(|mut source| {
            let (name, kind) = match source.inside.take() {
                Some(inside) => *inside,
                None => (String::new(), self.layer.kind()),
            };
            LayerError { name, kind, source }
        })?;
        let mut output = self.layer.forward_any(input.clone())?;
        let post = lock(&self.hooks).post.clone();
        for (_, hook) in post {
            let replaced = hook(&self.layer, &input, &output);
            if let Some(other) = replaced.map_err(|e| self.failed("forward hook", e))? {
                output = other;
            }
        }
        Ok(output)
    }

    /// Nothing while there are pre-hooks: they may make another shape, which is checked then.
    fn check_input(&self, input: &[usize]) -> Result<(), WidthError> {
        if lock(&self.hooks).pre.is_empty() { self.layer.check_input(input) } else { Ok(()) }
    }

    fn kind(&self) -> &'static str {
        self.layer.kind()
    }
}

impl<L: Clone> Clone for Hooked<L> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), hooks: Arc::clone(&self.hooks) }
    }
}

impl<L: fmt::Debug> fmt::Debug for Hooked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").field("layer", &self.layer).finish_non_exhaustive()
    }
}

impl<L: Layer> Module for Hooked<L> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.layer.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        self.with_layer(|layer| layer.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        self.with_layer(|layer| layer.to_device(device))
    }
    fn train(self) -> Self {
        self.with_layer(Module::train)
    }
    fn valid(&self) -> Self {
        Self { layer: self.layer.valid(), hooks: Arc::clone(&self.hooks) }
    }
    fn materialize(self) -> Self {
        self.with_layer(Module::materialize)
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.layer.visit(visitor);
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        self.with_layer(|layer| layer.map(mapper))
    }
}

impl<L: Layer> ModuleDisplayDefault for Hooked<L> {
    fn content(&self, content: Content) -> Option<Content> {
        self.layer.content(content)
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<L: Layer> ModuleDisplay for Hooked<L> {
    fn format(&self, settings: DisplaySettings) -> String {
        self.layer.format(settings)
    }
}

impl<L: Layer> fmt::Display for Hooked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(DisplaySettings::default()))
    }
}

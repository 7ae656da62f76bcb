//! A layer that is made when its input size is known.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::module::{Devices, Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Distribution, Int, Tensor};

use super::marks::Marks;
use crate::erase::AnyTensor;
use crate::error::Error;
use crate::nn::layer::{Layer, LayerError, WidthError};

/// How a lazy layer comes to be: its configuration.
pub(super) trait Recipe: Clone + std::fmt::Debug + Send + Sync + 'static {
    /// The plain layer.
    type Layer: Layer;
    /// The lazy layer's type, and Burn's name for it.
    const NAME: &'static str;
    const CONTAINER: &'static str;

    /// The plain layer with empty parameters.
    fn blank(&self, device: &Device) -> Self::Layer;
    /// The output for `input`, after a check of the configuration and of `input`.
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError>;
    /// The input size that a checked `input` has.
    fn size(input: &[usize]) -> usize;
    /// The input size of a layer whose parameters were given values, if they were.
    fn found(&self, layer: &Self::Layer) -> Option<usize>;
    /// `layer` with every parameter that is not yet of the right shape drawn anew.
    fn fill(&self, layer: Self::Layer, size: usize, seed: u64) -> Result<Self::Layer, Error>;
    /// What a map made of `blank` without an input size, but for values that could never fit.
    fn tidied(&self, mapped: Self::Layer, blank: &Self::Layer) -> Self::Layer {
        let _ = blank;
        mapped
    }
    /// `layer` sharing nothing that a map writes through.
    fn isolated(layer: Self::Layer) -> Self::Layer {
        layer
    }
}

/// What the clones of an uninitialized layer share.
#[derive(Debug)]
struct Cell<L> {
    layer: OnceLock<L>,
    filling: Mutex<()>,
}

impl<L> Cell<L> {
    fn new() -> Arc<Self> {
        Arc::new(Self { layer: OnceLock::new(), filling: Mutex::new(()) })
    }
}

#[derive(Clone, Debug)]
enum State<L> {
    /// Empty parameters with their identities, until the cell is filled.
    Blank {
        layer: L,
        cell: Arc<Cell<L>>,
    },
    Ready(L),
}

impl<L> State<L> {
    fn blank(layer: L) -> Self {
        Self::Blank { layer, cell: Cell::new() }
    }
}

/// A layer of type `R::Layer`, once it has seen an input.
#[derive(Clone, Debug)]
pub(super) struct Deferred<R: Recipe> {
    recipe: R,
    seed: u64,
    state: State<R::Layer>,
}

impl<R: Recipe> Deferred<R> {
    pub(super) fn new(recipe: R, seed: Option<u64>, device: &Device) -> Self {
        let seed = seed.unwrap_or_else(|| draw_seed(device));
        let state = State::blank(recipe.blank(device));
        Self { recipe, seed, state }
    }

    pub(super) fn recipe(&self) -> &R {
        &self.recipe
    }

    /// The layer, if it is initialized.
    pub(super) fn layer(&self) -> Option<&R::Layer> {
        match &self.state {
            State::Ready(layer) => Some(layer),
            State::Blank { cell, .. } => cell.layer.get(),
        }
    }

    pub(super) fn get(&self) -> Result<&R::Layer, Error> {
        self.layer().ok_or(Error::Uninitialized { path: String::new(), layer: R::NAME })
    }

    pub(super) fn get_mut(&mut self) -> Result<&mut R::Layer, Error> {
        if let Some(layer) = self.layer()
            && matches!(self.state, State::Blank { .. })
        {
            self.state = State::Ready(layer.clone());
        }
        match &mut self.state {
            State::Ready(layer) => Ok(layer),
            State::Blank { .. } => {
                Err(Error::Uninitialized { path: String::new(), layer: R::NAME })
            }
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        if self.layer().is_some() { burn::module::extract_type_name::<R::Layer>() } else { R::NAME }
    }

    pub(super) fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        match self.layer() {
            Some(layer) => layer.output_dims(input),
            None => self.recipe.output_dims(input),
        }
    }

    pub(super) fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, Error> {
        let dims = input.dims();
        let layer = self.ready(&dims)?;
        layer.output_dims(&dims).map_err(|source| self.at_fault(source))?;
        layer.forward_any(input)
    }

    fn at_fault(&self, source: WidthError) -> LayerError {
        LayerError { name: String::new(), kind: self.kind(), source }
    }

    /// The layer, made for such an input if there is none.
    fn ready(&self, input: &[usize]) -> Result<&R::Layer, Error> {
        let (layer, cell) = match &self.state {
            State::Ready(layer) => return Ok(layer),
            State::Blank { layer, cell } => (layer, cell),
        };
        if let Some(filled) = cell.layer.get() {
            return Ok(filled);
        }
        self.recipe.output_dims(input).map_err(|source| self.at_fault(source))?;
        let _one = cell.filling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filled) = cell.layer.get() {
            return Ok(filled);
        }
        let filled = self.recipe.fill(R::isolated(layer.clone()), R::size(input), self.seed)?;
        Ok(cell.layer.get_or_init(|| filled))
    }

    /// The layer changed, in a state of its own. It is moved, not cloned, where nobody shares it:
    /// optimizers update what is uniquely theirs in place.
    fn change(self, change: impl FnOnce(R::Layer) -> R::Layer) -> Self {
        let state = match self.state {
            State::Ready(layer) => State::Ready(change(layer)),
            State::Blank { layer, cell } => match take(cell) {
                Some(filled) => State::Ready(change(filled)),
                None => State::blank(change(R::isolated(layer))),
            },
        };
        Self { state, ..self }
    }
}

/// What is in the cell: the only one of it, if nobody shares the cell.
fn take<L: Clone>(cell: Arc<Cell<L>>) -> Option<L> {
    match Arc::try_unwrap(cell) {
        Ok(cell) => cell.layer.into_inner(),
        Err(shared) => shared.layer.get().cloned(),
    }
}

/// A seed from the device's generator.
fn draw_seed(device: &Device) -> u64 {
    let bytes = Tensor::<1>::random([8], Distribution::Uniform(0.0, 256.0), device).into_data();
    bytes.iter::<f64>().fold(0, |seed, byte| (seed << 8) | (byte as u64 & 0xff))
}

impl<R: Recipe> Module for Deferred<R> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        match (self.layer(), &self.state) {
            (Some(layer), _) | (None, State::Blank { layer, .. } | State::Ready(layer)) => {
                layer.collect_devices(devices)
            }
        }
    }
    fn fork(self, device: &Device) -> Self {
        self.change(|layer| layer.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        self.change(|layer| layer.to_device(device))
    }
    fn train(self) -> Self {
        self.change(Module::train)
    }
    fn valid(&self) -> Self {
        self.clone().change(|layer| layer.valid())
    }
    fn materialize(self) -> Self {
        self.change(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        match (self.layer(), &self.state) {
            (None, State::Blank { layer, .. }) => {
                layer.visit(&mut Renamed { inner: visitor, container: R::CONTAINER });
            }
            (Some(layer), _) | (None, State::Ready(layer)) => layer.visit(visitor),
        }
    }

    /// Values for the empty parameters make the layer initialized. A map that changes nothing
    /// leaves it shared: an effective module is made by one, and filling that must fill this.
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        let (layer, cell) = match self.state {
            State::Blank { layer, cell } if cell.layer.get().is_none() => (layer, cell),
            _ => return self.change(|layer| layer.map(mapper)),
        };
        let mut renamed = Renamed { inner: mapper, container: R::CONTAINER };
        let mapped = R::isolated(layer.clone()).map(&mut renamed);
        let state = match self.recipe.found(&mapped) {
            Some(size) => match self.recipe.fill(mapped, size, self.seed) {
                Ok(filled) => State::Ready(filled),
                Err(_) => State::Blank { layer, cell },
            },
            None => {
                let mapped = self.recipe.tidied(mapped, &layer);
                if Marks::of(&mapped) == Marks::of(&layer) {
                    State::Blank { layer, cell }
                } else {
                    State::blank(mapped)
                }
            }
        };
        Self { state, recipe: self.recipe, seed: self.seed }
    }
}

/// Passes a visit or map on, with another name for the owner's type.
struct Renamed<'a, V> {
    inner: &'a mut V,
    container: &'static str,
}

impl<V: ModuleVisitor> ModuleVisitor for Renamed<'_, V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.inner.enter_module(name, self.container);
    }
    fn exit_module(&mut self, name: &str, _: &str) {
        self.inner.exit_module(name, self.container);
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.inner.visit_float(param);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.inner.visit_int(param);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.inner.visit_bool(param);
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.inner.visit_flag(flag);
    }
}

impl<V: ModuleMapper> ModuleMapper for Renamed<'_, V> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.inner.enter_module(name, self.container);
    }
    fn exit_module(&mut self, name: &str, _: &str) {
        self.inner.exit_module(name, self.container);
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.inner.map_float(param)
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.inner.map_int(param)
    }
    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.inner.map_bool(param)
    }
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.inner.map_flag(flag)
    }
}

/// A public lazy layer: a struct around [`Deferred`].
macro_rules! lazy_layer {
    ($(#[$doc:meta])* $name:ident, $config:ident, $layer:ident, $seed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name($crate::nn::lazy::deferred::Deferred<$config>);

        impl $config {
            /// The layer. Its parameters live on `device` once there are any.
            ///
            /// A configuration that no input fits is reported by the first forward pass.
            pub fn init(&self, device: &burn::tensor::Device) -> $name {
                let seed: fn(&Self) -> Option<u64> = $seed;
                $name($crate::nn::lazy::deferred::Deferred::new(self.clone(), seed(self), device))
            }
        }

        impl $name {
            /// Whether the layer has seen an input, or was loaded.
            pub fn is_initialized(&self) -> bool {
                self.0.layer().is_some()
            }

            /// The plain layer.
            ///
            /// # Errors
            ///
            /// [`Error::Uninitialized`](crate::Error::Uninitialized) before the first forward pass.
            pub fn get(&self) -> Result<&$layer, $crate::Error> {
                self.0.get()
            }

            /// The plain layer for editing in place; clones made before do not see the change.
            ///
            /// # Errors
            ///
            /// [`Error::Uninitialized`](crate::Error::Uninitialized) before the first forward pass.
            pub fn get_mut(&mut self) -> Result<&mut $layer, $crate::Error> {
                self.0.get_mut()
            }

            /// What the layer was configured with.
            pub fn config(&self) -> &$config {
                self.0.recipe()
            }
        }

        impl $crate::nn::Layer for $name {
            fn output_dims(
                &self,
                input: &[usize],
            ) -> Result<Vec<usize>, $crate::nn::WidthError> {
                self.0.output_dims(input)
            }
            fn forward_any(
                &self,
                input: $crate::AnyTensor,
            ) -> Result<$crate::AnyTensor, $crate::Error> {
                self.0.forward_any(input)
            }
            fn kind(&self) -> &'static str {
                self.0.kind()
            }
        }

        const _: () = {
            use burn::module::{
                Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault,
                ModuleMapper, ModuleVisitor,
            };
            use burn::tensor::Device;

            impl Module for $name {
                fn collect_devices(&self, devices: Devices) -> Devices {
                    self.0.collect_devices(devices)
                }
                fn fork(self, device: &Device) -> Self {
                    Self(self.0.fork(device))
                }
                fn to_device(self, device: &Device) -> Self {
                    Self(self.0.to_device(device))
                }
                fn train(self) -> Self {
                    Self(self.0.train())
                }
                fn valid(&self) -> Self {
                    Self(self.0.valid())
                }
                fn materialize(self) -> Self {
                    Self(self.0.materialize())
                }
                fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                    self.0.visit(visitor);
                }
                fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
                    Self(self.0.map(mapper))
                }
            }

            impl ModuleDisplayDefault for $name {
                fn content(&self, content: Content) -> Option<Content> {
                    match self.0.layer() {
                        Some(layer) => layer.content(content),
                        None => content.add_formatted(&self.uninitialized_text()).optional(),
                    }
                }
                fn num_params(&self) -> usize {
                    Module::num_params(self)
                }
            }

            impl ModuleDisplay for $name {
                fn format(&self, settings: DisplaySettings) -> String {
                    match self.0.layer() {
                        Some(layer) => layer.format(settings),
                        None => self.uninitialized_text(),
                    }
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(&self.format(DisplaySettings::default()))
                }
            }
        };
    };
}
pub(super) use lazy_layer;

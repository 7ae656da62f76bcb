//! The contract of a layer in a [`Sequential`](super::Sequential).

use std::any::Any;
use std::fmt;

use burn::module::{
    Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor,
};
use burn::tensor::Device;

use crate::erase::{AnyModule, AnyTensor};

/// What a layer wants of its input, and what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found} (input {input:?})")]
pub struct WidthError {
    /// The size expected, in words: `128 input features`.
    pub expected: String,
    /// The size found: `64`.
    pub found: String,
    /// The whole shape of the input.
    pub input: Vec<usize>,
    /// Name and type of the layer at fault, if it stands inside the one that was asked.
    pub inside: Option<Box<(String, &'static str)>>,
}

impl WidthError {
    /// Checks that dimension `dim` of `input` is `expected`; `what` names it (`input features`).
    ///
    /// ```
    /// use espalier::nn::WidthError;
    /// assert!(WidthError::check(&[8, 64], 1, 64, "input features").is_ok());
    /// let error = WidthError::check(&[8, 64], 1, 128, "input features").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "expected 128 input features, found 64 (input [8, 64])"
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// If the dimension is missing or of another size.
    pub fn check(input: &[usize], dim: usize, expected: usize, what: &str) -> Result<(), Self> {
        match input.get(dim) {
            Some(&found) if found == expected => Ok(()),
            found => Err(Self {
                expected: format!("{expected} {what}"),
                found: found.map_or_else(|| "none".to_owned(), ToString::to_string),
                input: input.to_vec(),
                inside: None,
            }),
        }
    }

    /// Checks the number of dimensions; `layout` names them (`[batch, channels, height, width]`).
    ///
    /// # Errors
    ///
    /// If `input` has another number of dimensions.
    pub fn check_rank(input: &[usize], rank: usize, layout: &str) -> Result<(), Self> {
        if input.len() == rank {
            return Ok(());
        }
        Err(Self {
            expected: format!("{rank} dimensions {layout}"),
            found: input.len().to_string(),
            input: input.to_vec(),
            inside: None,
        })
    }
}

/// A [`WidthError`] with the layer it happened at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {source}", crate::error::layer_text(name, kind))]
pub struct LayerError {
    /// The layer's name in its container: `2`, or `1.0` in a nested one; empty if it stands alone.
    pub name: String,
    /// The layer's type: `Linear`.
    pub kind: &'static str,
    /// What did not fit.
    pub source: WidthError,
}

/// A module that maps one tensor to one tensor, so that it can stand in a
/// [`Sequential`](super::Sequential).
///
/// Implemented for Burn's layers. For an own layer:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use espalier::AnyTensor;
/// use espalier::nn::{Layer, Sequential, WidthError};
///
/// #[derive(Module, Debug)]
/// struct Residual {
///     inner: Linear,
/// }
///
/// impl Layer for Residual {
///     fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
///         self.inner.output_dims(input)
///     }
///     fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, espalier::Error> {
///         let x: Tensor<2> = input.into_rank()?;
///         Ok((self.inner.forward(x.clone()) + x).into())
///     }
/// }
///
/// let device = Device::default();
/// let net = Sequential::new().with(Residual { inner: LinearConfig::new(4, 4).init(&device) });
/// let y: Tensor<2> = net.forward(Tensor::<2>::ones([1, 4], &device))?;
/// assert_eq!(y.dims(), [1, 4]);
/// # Ok::<(), espalier::Error>(())
/// ```
pub trait Layer: Module + ModuleDisplay + Sync + 'static {
    /// The shape of the output for an input of shape `input`, batch first.
    ///
    /// # Errors
    ///
    /// If such an input does not fit the layer.
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError>;

    /// The layer's forward pass. Its input has passed [`check_input`](Self::check_input).
    ///
    /// # Errors
    ///
    /// If the layer cannot take the tensor.
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, crate::Error>;

    /// Checks an input of shape `input` right before [`forward_any`](Self::forward_any) is called
    /// with it.
    ///
    /// What [`output_dims`](Self::output_dims) says, except for layers that check for themselves.
    ///
    /// # Errors
    ///
    /// If such an input does not fit the layer.
    fn check_input(&self, input: &[usize]) -> Result<(), WidthError> {
        self.output_dims(input).map(drop)
    }

    /// [`output_dims`](Self::output_dims) for a layer that takes several tensors.
    ///
    /// # Errors
    ///
    /// If such inputs do not fit the layer; most take one.
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        match inputs {
            [only] => self.output_dims(only),
            _ => Err(one_input(inputs.len(), inputs.first().copied().unwrap_or_default())),
        }
    }

    /// [`forward_any`](Self::forward_any) for a layer that takes several tensors, whose shapes have
    /// passed [`output_dims_many`](Self::output_dims_many).
    ///
    /// # Errors
    ///
    /// If the layer cannot take the tensors.
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, crate::Error> {
        let count = inputs.len();
        let mut inputs = inputs.into_iter();
        match (inputs.next(), count) {
            (Some(only), 1) => self.forward_any(only),
            (first, _) => {
                let input = first.map(|first| first.dims()).unwrap_or_default();
                let source = one_input(count, &input);
                Err(LayerError { name: String::new(), kind: self.kind(), source }.into())
            }
        }
    }

    /// The name of the layer's type in messages: `Linear`. A wrapper gives that of its layer.
    fn kind(&self) -> &'static str {
        burn::module::extract_type_name::<Self>()
    }
}

fn one_input(found: usize, input: &[usize]) -> WidthError {
    WidthError {
        expected: "one input".to_owned(),
        found: found.to_string(),
        input: input.to_vec(),
        inside: None,
    }
}

/// What is asked of a layer about the shape of an input.
type AboutInput<T> = fn(&dyn Any, &[usize]) -> Result<T, WidthError>;

/// What is asked of a layer about the shapes of several inputs.
type AboutInputs = fn(&dyn Any, &[&[usize]]) -> Result<Vec<usize>, WidthError>;

/// A layer's methods on `&dyn Any`, which holds that layer.
struct Methods {
    forward: fn(&dyn Any, AnyTensor) -> Result<AnyTensor, crate::Error>,
    output_dims: AboutInput<Vec<usize>>,
    check_input: AboutInput<()>,
    forward_many: fn(&dyn Any, Vec<AnyTensor>) -> Result<AnyTensor, crate::Error>,
    output_dims_many: AboutInputs,
    kind: fn(&dyn Any) -> &'static str,
}

trait HasMethods {
    const METHODS: Methods;
}

impl<L: Layer> HasMethods for L {
    const METHODS: Methods = Methods {
        forward: |layer, input| known::<L>(layer).forward_any(input),
        output_dims: |layer, input| known::<L>(layer).output_dims(input),
        check_input: |layer, input| known::<L>(layer).check_input(input),
        forward_many: |layer, inputs| known::<L>(layer).forward_many(inputs),
        output_dims_many: |layer, inputs| known::<L>(layer).output_dims_many(inputs),
        kind: |layer| known::<L>(layer).kind(),
    };
}

fn known<L: 'static>(layer: &dyn Any) -> &L {
    match layer.downcast_ref() {
        Some(layer) => layer,
        None => unreachable!("made for this type, which `map` keeps"),
    }
}

/// A [`Layer`] whose type is forgotten.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use espalier::nn::AnyLayer;
///
/// let layer = AnyLayer::new(LinearConfig::new(3, 2).init(&Device::default()));
/// assert_eq!(layer.type_name(), "Linear");
/// assert!(layer.get::<Linear>().is_some());
/// ```
#[derive(Clone)]
pub struct AnyLayer {
    module: AnyModule,
    methods: &'static Methods,
}

impl AnyLayer {
    /// Forgets the type of `layer`. An `AnyLayer` is returned as it is, not wrapped twice.
    pub fn new<L: Layer>(layer: L) -> Self {
        if let Some(already) = (&layer as &dyn Any).downcast_ref::<Self>() {
            return already.clone();
        }
        Self { module: AnyModule::new(layer), methods: &L::METHODS }
    }

    /// The name of the layer's type: `Linear`; see [`Layer::kind`].
    pub fn type_name(&self) -> &'static str {
        (self.methods.kind)(self.module.as_any())
    }

    /// The layer, if it is an `L`.
    pub fn get<L: 'static>(&self) -> Option<&L> {
        self.module.get()
    }

    /// The layer for editing in place, if it is an `L`.
    pub fn get_mut<L: 'static>(&mut self) -> Option<&mut L> {
        self.module.get_mut()
    }

    /// See [`Layer::output_dims`].
    ///
    /// # Errors
    ///
    /// If such an input does not fit the layer.
    pub fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        (self.methods.output_dims)(self.module.as_any(), input)
    }

    /// See [`Layer::forward_any`].
    ///
    /// # Errors
    ///
    /// If the layer cannot take the tensor.
    pub fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, crate::Error> {
        (self.methods.forward)(self.module.as_any(), input)
    }

    /// See [`Layer::check_input`].
    ///
    /// # Errors
    ///
    /// If such an input does not fit the layer.
    pub fn check_input(&self, input: &[usize]) -> Result<(), WidthError> {
        (self.methods.check_input)(self.module.as_any(), input)
    }
}

impl Layer for AnyLayer {
    fn output_dims(&self, input: &[usize]) -> Result<Vec<usize>, WidthError> {
        self.output_dims(input)
    }
    fn forward_any(&self, input: AnyTensor) -> Result<AnyTensor, crate::Error> {
        self.forward_any(input)
    }
    fn check_input(&self, input: &[usize]) -> Result<(), WidthError> {
        self.check_input(input)
    }
    fn output_dims_many(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, WidthError> {
        (self.methods.output_dims_many)(self.module.as_any(), inputs)
    }
    fn forward_many(&self, inputs: Vec<AnyTensor>) -> Result<AnyTensor, crate::Error> {
        (self.methods.forward_many)(self.module.as_any(), inputs)
    }
    fn kind(&self) -> &'static str {
        self.type_name()
    }
}

impl fmt::Debug for AnyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.module.fmt(f)
    }
}

impl fmt::Display for AnyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.module, f)
    }
}

impl Module for AnyLayer {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.module.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Self { module: self.module.fork(device), ..self }
    }
    fn to_device(self, device: &Device) -> Self {
        Self { module: self.module.to_device(device), ..self }
    }
    fn train(self) -> Self {
        Self { module: self.module.train(), ..self }
    }
    fn valid(&self) -> Self {
        Self { module: self.module.valid(), ..*self }
    }
    fn materialize(self) -> Self {
        Self { module: self.module.materialize(), ..self }
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.module.visit(visitor);
    }
    fn map<V: ModuleMapper>(self, mapper: &mut V) -> Self {
        Self { module: self.module.map(mapper), ..self }
    }
}

impl ModuleDisplayDefault for AnyLayer {
    fn content(&self, content: Content) -> Option<Content> {
        self.module.content(content)
    }
    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for AnyLayer {
    fn format(&self, settings: DisplaySettings) -> String {
        self.module.format(settings)
    }
}

//! Layers whose input size is set by the first forward pass: `torch.nn.LazyLinear` and the like.
//!
//! ```
//! use burn::nn::Relu;
//! use burn::tensor::{Device, Tensor};
//! use espalier::nn::lazy::{LazyConv2dConfig, LazyLinear, LazyLinearConfig};
//! use espalier::nn::{Flatten, Sequential};
//! use espalier::ParameterTree;
//!
//! let device = Device::default();
//! let net = Sequential::new()
//!     .with(LazyConv2dConfig::new(4, [3, 3]).init(&device))
//!     .with(Relu::new())
//!     .with(Flatten::new())
//!     .with(LazyLinearConfig::new(2).init(&device));
//! assert_eq!(net.check(&[1, 3, 8, 8])?, [1, 2]); // nothing is initialized by this
//! assert!(net[3].get::<LazyLinear>().is_some_and(|linear| !linear.is_initialized()));
//!
//! let _: Tensor<2> = net.forward(Tensor::<4>::ones([1, 3, 8, 8], &device))?;
//! let shapes: Vec<_> = net.named_parameters().into_iter().map(|p| p.shape).collect();
//! assert_eq!(shapes, [vec![4, 3, 3, 3], vec![4], vec![144, 2], vec![2]]);
//! # Ok::<(), espalier::Error>(())
//! ```
//!
//! # Before the first forward pass
//!
//! The parameters are listed, moved, frozen and grouped like any others, under identities that
//! stay, but they are empty (a dimension of size 0) and their layer type is `LazyLinear`. Reading,
//! assigning, parametrizing, tying or pruning one is [`Error::Uninitialized`]. An optimizer made
//! now trains the layer later.
//!
//! # The first forward pass
//!
//! It fills the layer, and with it all its clones, since a step is computed on one
//! ([`Parametrized::effective`](crate::Parametrized::effective)): of several threads that come
//! first, one initializes. A copy made by `valid`, `train`, `to_device` or a change of a parameter
//! (freezing it, say) is filled by its own first forward pass, with the same values. From then on
//! the layer is the plain one, `Linear` for selectors, files and further inputs of other widths.
//! Low-rank adapters are attached after it.
//!
//! [`initialize`] does it without training anything.
//!
//! # Initial values
//!
//! Those of Burn's initializers for the plain layer, drawn on the host in `f64` from
//! [`Rng`](crate::init::Rng) streams of one seed: 0 for the weight, 1 for the bias, row-major in
//! PyTorch's layout. They depend on the seed, the sizes and the initializer alone, not on which
//! layer is touched first. Without `with_seed`, the seed is drawn from the device's generator when
//! the layer is made, so that `device.seed` fixes it too. Layers given one seed start out equal
//! where their shapes are.
//!
//! # Files
//!
//! A file with real shapes initializes the layers it is loaded into: by
//! [`StateDict::load_into`](crate::state::StateDict::load_into), by the `try_load_file` of a
//! [`Parametrized`](crate::Parametrized), for other modules by [`load_file`] and [`load_record`]
//! (Burn's own loader takes no new shapes and says so). What is saved before the first forward pass
//! is saved empty, and can be loaded where it is still uninitialized only.
//!
//! [`Error::Uninitialized`]: crate::Error::Uninitialized

mod batch_norm;
mod conv;
mod deferred;
mod draw;
mod file;
mod linear;
mod marks;

pub use batch_norm::{LazyBatchNorm, LazyBatchNormConfig};
pub use conv::{
    LazyConv1d, LazyConv1dConfig, LazyConv2d, LazyConv2dConfig, LazyConv3d, LazyConv3dConfig,
};
pub use file::{initialize, load_file, load_record};
pub use linear::{LazyLinear, LazyLinearConfig};

pub(crate) use file::{Shaping, has_uninitialized, shapes_of_file};

/// The layer types that parameters have before the first forward pass.
const LAZY: [&str; 5] = ["LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyBatchNorm"];

/// `layer`, if it is the type of a layer that is not initialized.
pub(crate) fn uninitialized(layer: &str) -> Option<&'static str> {
    LAZY.into_iter().find(|lazy| *lazy == layer)
}

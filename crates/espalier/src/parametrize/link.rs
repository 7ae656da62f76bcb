//! A parametrization at its place on one parameter, its type forgotten.

use std::any::Any;
use std::fmt::Debug;

use burn::module::{Devices, Module, ModuleVisitor};
use burn::tensor::{DType, Device};
use serde_json::Value;

use super::{Parametrization, RuleError};
use crate::erase::{AnyModule, AnyTensor};
use crate::init::Rng;
use crate::tree::Layout;

/// Where a rule is being registered.
#[derive(Debug, Clone)]
pub struct Site {
    /// The parameter's shape, in Burn's layout.
    pub shape: Vec<usize>,
    /// How that layout relates to PyTorch's.
    pub layout: Layout,
    /// The element type.
    pub dtype: DType,
    /// Where the parameter lives.
    pub device: Device,
    /// The type of the layer it belongs to (`ConvTranspose2d`), `?` where that is not known.
    pub layer: String,
    /// Its present value, where a rule is registered on it.
    pub value: Option<AnyTensor>,
}

impl Site {
    /// The Burn dimension for a dimension counted in PyTorch's layout (0 = output features).
    ///
    /// # Errors
    ///
    /// [`RuleError::Dim`] if the parameter has no such dimension.
    pub fn dim(&self, torch_dim: usize) -> Result<usize, RuleError> {
        let rank = self.shape.len();
        if torch_dim >= rank {
            let found = self.layout.torch_shape(&self.shape);
            return Err(RuleError::Dim { dim: torch_dim, found });
        }
        Ok(match self.layout {
            Layout::Transposed if torch_dim + 2 == rank => rank - 1,
            Layout::Transposed if torch_dim + 1 == rank => rank - 2,
            _ => torch_dim,
        })
    }

    /// Its shape in PyTorch's layout.
    pub fn torch_shape(&self) -> Vec<usize> {
        self.layout.torch_shape(&self.shape)
    }

    /// Refuses a tensor without elements.
    pub(super) fn elements(&self) -> Result<(), RuleError> {
        if self.shape.contains(&0) {
            return Err(RuleError::Empty { found: self.torch_shape() });
        }
        Ok(())
    }

    /// Refuses what is no stack of matrices with elements.
    pub(super) fn matrices(&self) -> Result<(), RuleError> {
        if self.shape.len() < 2 {
            return Err(RuleError::Rank { expected: 2, found: self.shape.clone() });
        }
        self.elements()
    }

    /// Refuses what is no stack of square matrices with elements.
    pub(super) fn squares(&self) -> Result<(), RuleError> {
        self.matrices()?;
        let rank = self.shape.len();
        if self.shape[rank - 1] != self.shape[rank - 2] {
            return Err(RuleError::NotSquare { found: self.torch_shape() });
        }
        Ok(())
    }
}

/// The link of a rule made for the rank of the site, at least 2.
macro_rules! matrix_link {
    ($site:expr, $D:ident => $link:expr) => {
        $crate::erase::with_rank!($site.shape.len(), $D => {
            if $D < 2 {
                $site.matrices()?;
            }
            $link
        }, else Err($crate::parametrize::RuleError::Rank {
            expected: 2,
            found: $site.shape.clone(),
        }))
    };
}
pub(super) use matrix_link;

/// What can be registered: makes a [`Link`] for one parameter.
pub trait Rule: Debug + Send + Sync {
    /// The name it is saved under: `weight_norm`.
    fn name(&self) -> &str;

    /// The version of its mathematics and options, saved with it.
    fn version(&self) -> u32 {
        1
    }

    /// Its options, from which [`Rules`](super::Rules) makes it again.
    fn options(&self) -> Value {
        Value::Null
    }

    /// Whether it may change shape and dtype without being asked (PyTorch registers `orthogonal`
    /// and `weight_norm` that way).
    fn is_unsafe(&self) -> bool {
        false
    }

    /// The link for a parameter at `site`.
    ///
    /// # Errors
    ///
    /// If the rule does not fit such a parameter.
    fn link(&self, site: &Site) -> Result<Link, RuleError>;
}

type Forward = fn(&dyn Any, &[AnyTensor]) -> Result<AnyTensor, RuleError>;
type RightInverse = fn(&mut dyn Any, AnyTensor) -> Result<Vec<AnyTensor>, RuleError>;
type Advance = fn(&dyn Any, &[AnyTensor]) -> Result<(), RuleError>;
type Check = fn(&dyn Any, AnyTensor) -> Result<(), RuleError>;
type Sample = fn(&dyn Any, AnyTensor, &mut Rng) -> Result<AnyTensor, RuleError>;

/// One parametrization of a chain, on one parameter.
#[derive(Debug, Clone)]
pub struct Link {
    pub(crate) rule: String,
    pub(crate) version: u32,
    pub(crate) options: Value,
    module: AnyModule,
    forward: Forward,
    right_inverse: RightInverse,
    advance: Advance,
    check: Check,
    sample: Sample,
}

fn own_ranks<const D: usize>(
    tensors: &[AnyTensor],
) -> Result<Vec<burn::tensor::Tensor<D>>, RuleError> {
    tensors.iter().cloned().map(own_rank).collect()
}

fn own_rank<const D: usize>(tensor: AnyTensor) -> Result<burn::tensor::Tensor<D>, RuleError> {
    let found = tensor.dims();
    tensor.into_rank().map_err(|_| RuleError::OwnRank { expected: D, found })
}

impl Link {
    /// The link of `rule` that computes with `parametrization`.
    pub fn new<const D: usize, P: Parametrization<D>>(rule: &dyn Rule, parametrization: P) -> Self {
        const MADE_FOR: &str = "a link keeps the type it was made for";
        Self {
            rule: rule.name().to_owned(),
            version: rule.version(),
            options: rule.options(),
            module: AnyModule::new(parametrization),
            forward: |link, originals| match link.downcast_ref::<P>() {
                Some(link) => Ok(link.forward(&own_ranks(originals)?).into()),
                None => unreachable!("{MADE_FOR}"),
            },
            right_inverse: |link, value| match link.downcast_mut::<P>() {
                Some(link) => {
                    let originals = link.right_inverse(own_rank::<D>(value)?)?;
                    Ok(originals.into_iter().map(AnyTensor::from).collect())
                }
                None => unreachable!("{MADE_FOR}"),
            },
            advance: |link, originals| match link.downcast_ref::<P>() {
                Some(link) => {
                    link.advance(&own_ranks(originals)?);
                    Ok(())
                }
                None => unreachable!("{MADE_FOR}"),
            },
            sample: |link, like, rng| match link.downcast_ref::<P>() {
                Some(link) => Ok(link.sample(&own_rank::<D>(like)?, rng)?.into()),
                None => unreachable!("{MADE_FOR}"),
            },
            check: |link, value| match link.downcast_ref::<P>() {
                Some(link) => link.check(&own_rank::<D>(value)?),
                None => unreachable!("{MADE_FOR}"),
            },
        }
    }

    /// The name of its rule.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The options of its rule.
    pub fn options(&self) -> &Value {
        &self.options
    }

    /// The parametrization, if it is a `P`.
    pub fn get<P: 'static>(&self) -> Option<&P> {
        self.module.get()
    }

    /// See [`Parametrization::forward`].
    ///
    /// # Errors
    ///
    /// [`RuleError::OwnRank`] if a tensor has another rank than the parametrization's.
    pub fn forward(&self, originals: &[AnyTensor]) -> Result<AnyTensor, RuleError> {
        (self.forward)(self.module.as_any(), originals)
    }

    /// See [`Parametrization::right_inverse`].
    ///
    /// # Errors
    ///
    /// If the rule has none or refuses the value.
    pub fn right_inverse(&mut self, value: AnyTensor) -> Result<Vec<AnyTensor>, RuleError> {
        (self.right_inverse)(self.module.as_any_mut(), value)
    }

    /// See [`Parametrization::advance`].
    ///
    /// # Errors
    ///
    /// [`RuleError::OwnRank`] if a tensor has another rank than the parametrization's.
    pub fn advance(&self, originals: &[AnyTensor]) -> Result<(), RuleError> {
        (self.advance)(self.module.as_any(), originals)
    }

    /// See [`Parametrization::sample`].
    ///
    /// # Errors
    ///
    /// [`RuleError::NoSample`] if its set allows none.
    pub fn sample(&self, like: &AnyTensor, rng: &mut Rng) -> Result<AnyTensor, RuleError> {
        (self.sample)(self.module.as_any(), like.clone(), rng)
    }

    /// See [`Parametrization::check`].
    ///
    /// # Errors
    ///
    /// If the value is not in the rule's set.
    pub fn check(&self, value: &AnyTensor) -> Result<(), RuleError> {
        (self.check)(self.module.as_any(), value.clone())
    }

    pub(crate) fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.module.visit(visitor);
    }

    pub(crate) fn collect_devices(&self, devices: Devices) -> Devices {
        self.module.collect_devices(devices)
    }

    pub(crate) fn module_mut(&mut self) -> &mut AnyModule {
        &mut self.module
    }
}

/// An own [`Parametrization`] as a [`Rule`]: every parameter it is registered on gets a copy.
///
/// To rebuild it from a file, add it to [`Rules`](super::Rules) under the same name. See
/// [`Parametrization`] for an example.
#[derive(Debug, Clone)]
pub struct Own<const D: usize, P> {
    name: String,
    parametrization: P,
}

impl<const D: usize, P: Parametrization<D>> Own<D, P> {
    /// The rule that registers copies of `parametrization`, saved under `name`.
    pub fn new(name: impl Into<String>, parametrization: P) -> Self {
        Self { name: name.into(), parametrization }
    }
}

impl<const D: usize, P: Parametrization<D>> Rule for Own<D, P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn link(&self, site: &Site) -> Result<Link, RuleError> {
        if site.shape.len() != D {
            return Err(RuleError::OwnRank { expected: D, found: site.shape.clone() });
        }
        Ok(Link::new::<D, P>(self, self.parametrization.clone()))
    }
}

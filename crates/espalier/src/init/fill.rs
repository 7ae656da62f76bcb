//! Initial values into the parameters of a module.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use super::{Init, Rng};
use crate::error::Error;
use crate::select::Selector;
use crate::tree::{Kind, Layout, ParamInfo, Walk, contiguous, follow_walk};

/// Values for one parameter, row-major in PyTorch's layout.
pub(crate) struct Drawn {
    pub(crate) info: ParamInfo,
    pub(crate) data: TensorData,
}

/// Values for the parameters of `all` that are chosen, each from its own stream of `seed`: its
/// place among all, so that they do not depend on what else is chosen. Buffers are not asked for,
/// nor is a parameter of several names (clones) once it is drawn.
pub(crate) fn draw(
    all: &[ParamInfo],
    seed: u64,
    mut choose: impl FnMut(&ParamInfo, &mut Rng) -> Option<Init>,
) -> Result<Vec<Drawn>, Error> {
    let mut drawn: Vec<Drawn> = Vec::new();
    for (place, info) in all.iter().enumerate() {
        if info.kind != Kind::Parameter {
            continue;
        }
        let is_same = |other: &ParamInfo| other.id == info.id && other.kind == Kind::Parameter;
        if drawn.iter().any(|drawn| is_same(&drawn.info)) {
            continue;
        }
        let first = all.iter().position(is_same).unwrap_or(place);
        let mut rng = Rng::stream(seed, first as u64);
        let Some(init) = choose(info, &mut rng) else { continue };
        info.require_initialized()?;
        let shape = info.layout().torch_shape(&info.shape);
        let values = init
            .values(&shape, &mut rng)
            .map_err(|reason| Error::Init { path: info.path.clone(), reason })?;
        drawn.push(Drawn { info: info.clone(), data: TensorData::new(values, shape) });
    }
    Ok(drawn)
}

impl Init {
    /// Fills the selected parameters of `module`, each from its own stream of `seed`.
    ///
    /// The stream of a parameter is its place among all parameters of the module, so that its
    /// values do not depend on what else is selected. Buffers are left alone. A parameter of several
    /// names (a layer placed twice) is filled once, whichever is selected, and stays one.
    ///
    /// In a [`Parametrized`](crate::Parametrized) this fills originals, by their names; its
    /// [`init`](crate::Parametrized::init) fills what they make.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    /// use espalier::init::Init;
    /// use espalier::Selector;
    ///
    /// let linear = LinearConfig::new(4, 3).init(&Device::default());
    /// let linear = Init::Constant(0.5).apply(linear, &Selector::path("bias"), 0)?;
    /// let bias = linear.bias.map(|b| b.val().into_data().try_to_vec::<f32>());
    /// assert_eq!(bias, Some(Ok(vec![0.5; 3])));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::RunningStatistic`] if only buffers are;
    /// [`Error::Uninitialized`] before the first forward pass of a lazy layer; [`Error::Init`] if the method cannot fill a parameter's shape, or an option is out of range.
    pub fn apply<M: Module>(self, module: M, select: &Selector, seed: u64) -> Result<M, Error> {
        let all = crate::tree::tensors(&module);
        let selection = select.select_from(&all)?;
        let drawn = draw(&all, seed, |info, _| select.matches(info).then_some(self))?;
        if drawn.is_empty() {
            return Err(Error::RunningStatistic { path: selection.paths().swap_remove(0) });
        }
        Ok(fill(module, drawn))
    }
}

/// Asks `choose` for each parameter how to fill it, none to leave it as it is: PyTorch's
/// `net.apply(fn)`, where `fn` looks at the type of each layer.
///
/// Each parameter is filled from its own stream of `seed`, which is given along: what `choose` draws
/// from it does not change the others. Buffers are not asked for.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::init::{Init, apply_with};
/// use espalier::nn::Sequential;
///
/// let linear = || LinearConfig::new(3, 3).init(&Device::default());
/// let net = Sequential::new().with(linear()).with(linear());
/// let net = apply_with(net, 7, |info, _| match (info.layer.as_str(), info.name()) {
///     ("Linear", "weight") if info.path == "0.weight" => Some(Init::XavierUniform(1.0)),
///     ("Linear", "weight") => Some(Init::Normal(0.0, 0.01)),
///     ("Linear", "bias") => Some(Init::Zeros),
///     _ => None,
/// })?;
/// # let _ = net;
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Init`] if a method cannot fill its parameter.
pub fn apply_with<M: Module>(
    module: M,
    seed: u64,
    choose: impl FnMut(&ParamInfo, &mut Rng) -> Option<Init>,
) -> Result<M, Error> {
    let drawn = draw(&crate::tree::tensors(&module), seed, choose)?;
    Ok(fill(module, drawn))
}

fn fill<M: Module>(module: M, drawn: Vec<Drawn>) -> M {
    let fills = drawn.into_iter().map(|Drawn { info, data }| (info.id.val(), data)).collect();
    module.map(&mut Fill { fills, walk: Walk::default() })
}

/// Replaces parameters by values in PyTorch's layout, by id, so that all names of one are filled.
struct Fill {
    fills: BTreeMap<u64, TensorData>,
    walk: Walk,
}

impl ModuleMapper for Fill {
    follow_walk!();
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.fills.get(&param.id.val()).cloned() else {
            return param;
        };
        let path = self.walk.path();
        let layout = Layout::of(self.walk.layer(), path.split('.'), D);
        let grad = param.is_require_grad();
        param.map(|old| {
            let data = data.convert_dtype(old.dtype());
            let new = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
            let new = contiguous(layout.turn(new));
            if grad { new.require_grad() } else { new }
        })
    }
}

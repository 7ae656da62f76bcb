//! Initial values for what a wrapper computes.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Parametrized, access};
use crate::erase::{AnyTensor, with_rank};
use crate::error::Error;
use crate::init::{Drawn, Init, Rng, draw};
use crate::select::IntoSelector;
use crate::tree::ParamInfo;

impl<M: Module> Parametrized<M> {
    /// Fills the selected parameters, by their effective names; returns their paths.
    ///
    /// A parametrized one is assigned what was drawn, through its right inverses, so that it has
    /// these values after. (PyTorch's initializers write into what a parametrization computed,
    /// which the next access computes anew: there nothing stays.) A rule that cannot take the
    /// values refuses. A pruned one keeps its mask: what is drawn under it is remembered and does
    /// not show. A tied one is filled once, whatever name selects it, in the layout of the path it
    /// is tied to.
    ///
    /// Each parameter is filled from its own stream of `seed`, by its place in the module: the same
    /// values as [`Init::apply`] gives the plain module, whatever else is selected.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::init::Init;
    /// use espalier::parametrize::WeightNorm;
    /// use espalier::Parametrized;
    ///
    /// let mut net = Parametrized::new(LinearConfig::new(4, 3).init(&Device::default()));
    /// net.register("weight", WeightNorm::dim(0))?;
    /// net.init("weight", Init::Constant(0.5), 0)?;
    /// let weight: Tensor<2> = net.get("weight")?;
    /// assert!((weight - 0.5).abs().max().into_scalar::<f32>() < 1e-6);
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::RunningStatistic`] if only running
    /// statistics are, [`Error::Init`] if the method cannot fill a parameter, [`Error::Rule`] if a
    /// rule cannot take the values. Nothing is filled then.
    pub fn init(
        &mut self,
        selector: impl IntoSelector,
        init: Init,
        seed: u64,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let selected: Vec<String> =
            self.locate(selector)?.into_iter().map(|info| info.path).collect();
        self.init_with(seed, |info, _| selected.contains(&info.path).then_some(init))
    }

    /// Asks `choose` for each parameter how to fill it, none to leave it as it is; see
    /// [`init`](Self::init) and [`apply_with`](crate::init::apply_with). Tied paths are not asked
    /// for. Returns the paths that were filled.
    ///
    /// # Errors
    ///
    /// [`Error::Init`] and [`Error::Rule`] as for [`init`](Self::init).
    pub fn init_with(
        &mut self,
        seed: u64,
        mut choose: impl FnMut(&ParamInfo, &mut Rng) -> Option<Init>,
    ) -> Result<Vec<String>, Error> {
        self.settle();
        let own = |info: &ParamInfo| self.canonical(&info.path) == info.path;
        let drawn =
            draw(
                &self.present_entries(),
                seed,
                |info, rng| {
                    if own(info) { choose(info, rng) } else { None }
                },
            )?;
        let paths = drawn.iter().map(|drawn| drawn.info.path.clone()).collect();
        let mut net = self.clone();
        let mut leaves = BTreeMap::new();
        for drawn in drawn {
            let path = drawn.info.path.clone();
            let value = net.tensor_of(drawn)?;
            if net.slots.contains_key(&path) {
                with_rank!(value.rank(), D => net.set::<D>(&path, value.into_rank()?)?,
                    else unreachable!("tensors have up to eight dimensions"));
            } else {
                let leaf = access::leaf_like(&net.template_param(&path)?, &value, true);
                leaves.insert(path, leaf);
            }
        }
        net.edit_template(|template| access::restore(template, leaves));
        *self = net.refresh();
        Ok(paths)
    }

    /// Drawn values in Burn's layout, with the dtype and on the device of the parameter.
    fn tensor_of(&self, Drawn { info, data }: Drawn) -> Result<AnyTensor, Error> {
        let device = access::read(&self.template_param(&info.path)?).value.device();
        Ok(with_rank!(info.shape.len(), D => {
            let data = data.convert_dtype(info.dtype);
            let tensor = Tensor::<D>::from_data(data, (&device, info.dtype));
            AnyTensor::from(info.layout().turn(tensor))
        }, else unreachable!("tensors have up to eight dimensions")))
    }
}

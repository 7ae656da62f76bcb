//! Values drawn from the sets of rules.

use burn::module::Module;

use super::{Parametrized, chain_error};
use crate::error::Error;
use crate::init::Rng;
use crate::select::IntoSelector;

impl<M: Module> Parametrized<M> {
    /// Gives each selected parameter a value drawn from the set of its last rule, assigned through
    /// the right inverses: a random orthogonal matrix where
    /// [`Orthogonal`](crate::parametrize::Orthogonal) is registered. Returns the paths.
    ///
    /// Each is drawn from its own stream of `seed`, by its path, so that the values do not depend
    /// on what else is selected. (geotorch has a `sample` for each of its manifolds, and draws from
    /// PyTorch's generator.) Of a chain, earlier rules are given what the last one's right inverse
    /// makes of the value; where they cannot hold that, the value is what they make of it. What is
    /// drawn under a pruning mask is remembered and does not show.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::init::Rng;
    /// use espalier::parametrize::{Own, Parametrization, RuleError};
    /// use espalier::Parametrized;
    ///
    /// /// Every value positive: `exp(original)`.
    /// #[derive(Module, Debug)]
    /// struct Positive {}
    ///
    /// impl Parametrization<2> for Positive {
    ///     fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
    ///         originals[0].clone().exp()
    ///     }
    ///     fn right_inverse(&mut self, value: Tensor<2>) -> Result<Vec<Tensor<2>>, RuleError> {
    ///         Ok(vec![value.log()])
    ///     }
    ///     fn sample(&self, like: &Tensor<2>, rng: &mut Rng) -> Result<Tensor<2>, RuleError> {
    ///         Ok(Tensor::full_like(like, 1.0 + rng.uniform()))
    ///     }
    /// }
    ///
    /// let linear = LinearConfig::new(3, 2).init(&Device::default());
    /// let mut net = Parametrized::new(linear);
    /// net.register("weight", Own::new("positive", Positive {}))?;
    /// assert_eq!(net.sample("weight", 7)?, ["weight"]);
    /// let least: f32 = net.get::<2>("weight")?.min().into_scalar();
    /// assert!((0.999..2.001).contains(&least));
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::NotParametrized`] if a selected
    /// parameter has no rule, [`Error::Rule`] with
    /// [`RuleError::NoSample`](crate::parametrize::RuleError::NoSample) if nothing can be drawn from
    /// the set, or with what a right inverse refuses. Nothing is changed then.
    pub fn sample(&mut self, selector: impl IntoSelector, seed: u64) -> Result<Vec<String>, Error> {
        self.settle();
        let mut paths = Vec::new();
        let mut net = self.clone();
        for info in self.locate_with_buffers(&selector.into_selector()?)? {
            let mut slot = net.chain_of(&info.path)?.clone();
            let Some(last) = slot.links.last() else {
                return Err(Error::NotParametrized { path: info.path });
            };
            let refused = chain_error(&info.path);
            let mut rng = Rng::stream(seed, stream(&info.path));
            let value = last
                .sample(&slot.dense().detach(), &mut rng)
                .map_err(|error| refused((last.rule().to_owned(), error)))?;
            slot.assign(value).map_err(&refused)?;
            net.put_slot(&info.path, slot);
            paths.push(info.path);
        }
        *self = if net.folded { net.refresh() } else { net };
        Ok(paths)
    }
}

/// The number of a path's stream: FNV-1a, the same on every machine and in every version.
fn stream(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

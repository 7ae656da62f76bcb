//! What pruning costs, layer by layer.

use std::fmt;

use burn::module::Module;

use super::{Amount, BasePruningMethod};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::select::{IntoSelector, Selector};

/// The loss with one layer pruned at a time. Displays as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    /// The sparsities tried, in their order.
    pub rates: Vec<f64>,
    /// The loss with nothing more pruned.
    pub unpruned: f64,
    /// The selected parameters, and the loss at each rate.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl<M: Module> Parametrized<M> {
    /// Prunes each selected parameter alone to every rate and asks for the loss. The network itself
    /// stays as it is.
    ///
    /// `method` makes the pruning method for an amount, `loss` computes what is to be compared from
    /// the network with one parameter pruned.
    ///
    /// ```
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    /// use espalier::nn::Sequential;
    /// use espalier::prune::L1Unstructured;
    /// use espalier::Parametrized;
    ///
    /// let device = Device::default();
    /// let net = Sequential::new()
    ///     .with(LinearConfig::new(4, 8).init(&device))
    ///     .with(LinearConfig::new(8, 1).init(&device));
    /// let net = Parametrized::new(net);
    /// let x = Tensor::<2>::ones([5, 4], &device);
    /// let table = net.sensitivity("*.weight", &[0.5, 0.9], L1Unstructured::new, |net| {
    ///     let y: Tensor<2> = net.forward(x.clone())?;
    ///     Ok(y.square().mean().into_scalar::<f64>())
    /// })?;
    /// assert_eq!((table.rows.len(), table.rows[0].1.len()), (2, 2));
    /// println!("{table}");
    /// # Ok::<(), espalier::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMatch`] if nothing is selected, [`Error::Prune`] for a rate outside `[0, 1]` or a
    /// method that does not fit, and what `loss` returns.
    pub fn sensitivity<P: BasePruningMethod>(
        &self,
        selector: impl IntoSelector,
        rates: &[f64],
        method: impl Fn(Amount) -> P,
        mut loss: impl FnMut(&M) -> Result<f64, Error>,
    ) -> Result<Sensitivity, Error> {
        let unpruned = loss(&self.effective())?;
        let mut rows = Vec::new();
        for path in self.parameters_of(selector)? {
            let mut losses = Vec::new();
            for rate in rates {
                let mut net = self.clone();
                net.prune(Selector::path(&path), method(Amount::until(*rate)))?;
                losses.push(loss(&net.effective())?);
            }
            rows.push((path, losses));
        }
        Ok(Sensitivity { rates: rates.to_vec(), unpruned, rows })
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(path, _)| path.len()).max().unwrap_or(0).max(9);
        write!(f, "{:width$}  {:>12}", "parameter", "0 %")?;
        for rate in &self.rates {
            write!(f, "  {:>12}", format!("{} %", (rate * 1e4).round() / 100.0))?;
        }
        for (path, losses) in &self.rows {
            write!(f, "\n{path:width$}  {:>12.6}", self.unpruned)?;
            for loss in losses {
                write!(f, "  {loss:>12.6}")?;
            }
        }
        Ok(())
    }
}

//! How a network's sparsity is shared out to its layers.

use burn::module::Module;

use super::{AmountError, PruneError};
use crate::error::Error;
use crate::frame::Parametrized;
use crate::select::IntoSelector;

/// The same sparsity for each selected parameter, with its path.
///
/// # Errors
///
/// [`Error::NoMatch`] if nothing is selected, [`Error::Prune`] for a sparsity outside `[0, 1]`.
pub fn uniform<M: Module>(
    net: &Parametrized<M>,
    selector: impl IntoSelector,
    sparsity: f64,
) -> Result<Vec<(String, f64)>, Error> {
    let paths = chosen(net, selector, sparsity)?;
    Ok(paths.into_iter().map(|path| (path, sparsity)).collect())
}

/// Sparsities that leave layer `l` a density in proportion to `(n_1 + ... + n_d) / (n_1 ... n_d)`,
/// with `n` its shape, and the whole selection the density `1 - sparsity`: large layers lose more
/// (Evci, Gale, Menick, Castro, Elsen, "Rigging the Lottery: Making All Tickets Winners", 2020). A
/// layer that would have more than all its weights stays dense.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use espalier::nn::Sequential;
/// use espalier::prune::{erdos_renyi_kernel, Amount, L1Unstructured};
/// use espalier::{Parametrized, Selector};
///
/// let device = Device::default();
/// let net = Sequential::new()
///     .with(LinearConfig::new(100, 200).init(&device))
///     .with(LinearConfig::new(200, 10).init(&device));
/// let mut net = Parametrized::new(net);
/// for (path, sparsity) in erdos_renyi_kernel(&net, "*.weight", 0.9)? {
///     net.prune(Selector::path(path), L1Unstructured::new(Amount::until(sparsity)))?;
/// }
/// assert!(net.sparsity("0.weight")? > 0.9 && net.sparsity("1.weight")? < 0.9);
/// assert!((net.sparsity("*.weight")? - 0.9).abs() < 1e-3);
/// # Ok::<(), espalier::Error>(())
/// ```
///
/// # Errors
///
/// As [`uniform`].
pub fn erdos_renyi_kernel<M: Module>(
    net: &Parametrized<M>,
    selector: impl IntoSelector,
    sparsity: f64,
) -> Result<Vec<(String, f64)>, Error> {
    let paths = chosen(net, selector, sparsity)?;
    let mut shapes = Vec::new();
    for path in &paths {
        shapes.push(net.any_value(path)?.dims());
    }
    let densities = densities(&shapes, 1.0 - sparsity);
    Ok(paths.into_iter().zip(densities).map(|(path, density)| (path, 1.0 - density)).collect())
}

/// The selected paths, for a sparsity that there can be.
fn chosen<M: Module>(
    net: &Parametrized<M>,
    selector: impl IntoSelector,
    found: f64,
) -> Result<Vec<String>, Error> {
    let paths = net.parameters_of(selector)?;
    if (0.0..=1.0).contains(&found) {
        return Ok(paths);
    }
    let source = PruneError::from(AmountError::Fraction { found });
    Err(Error::Prune { path: paths.join(", "), source })
}

fn densities(shapes: &[Vec<usize>], density: f64) -> Vec<f64> {
    let size = |shape: &[usize]| shape.iter().product::<usize>() as f64;
    let raw: Vec<f64> = shapes
        .iter()
        .map(|shape| shape.iter().sum::<usize>() as f64 / size(shape).max(1.0))
        .collect();
    let mut dense = vec![false; shapes.len()];
    let wanted = density * shapes.iter().map(|shape| size(shape)).sum::<f64>();
    loop {
        let (mut left, mut weight) = (wanted, 0.0);
        for ((shape, raw), dense) in shapes.iter().zip(&raw).zip(&dense) {
            if *dense {
                left -= size(shape);
            } else {
                weight += raw * size(shape);
            }
        }
        let factor = if weight > 0.0 { (left / weight).max(0.0) } else { 0.0 };
        let over = raw.iter().zip(&dense).position(|(raw, dense)| !dense && raw * factor > 1.0);
        // The one that is furthest over goes first; its share changes the factor of the others.
        let Some(mut worst) = over else {
            let share = |(raw, dense): (&f64, &bool)| if *dense { 1.0 } else { raw * factor };
            return raw.iter().zip(&dense).map(share).collect();
        };
        for index in 0..raw.len() {
            if !dense[index] && raw[index] > raw[worst] {
                worst = index;
            }
        }
        dense[worst] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn densities_follow_the_formula_and_add_up() {
        let shapes = [vec![64, 3, 3, 3], vec![128, 64, 3, 3], vec![10, 128]];
        let size = |shape: &Vec<usize>| shape.iter().product::<usize>() as f64;
        for density in [0.0, 0.05, 0.1, 0.3, 0.9, 1.0] {
            let found = densities(&shapes, density);
            let kept: f64 = shapes.iter().zip(&found).map(|(s, d)| size(s) * d).sum();
            let all: f64 = shapes.iter().map(size).sum();
            assert!((kept - density * all).abs() < 1e-6 * all, "{density}: {found:?}");
            assert!(found.iter().all(|d| (0.0..=1.0).contains(d)));
        }
        let found = densities(&shapes, 0.02);
        let raw = |shape: &Vec<usize>| shape.iter().sum::<usize>() as f64 / size(shape);
        let ratio = |a: usize, b: usize| raw(&shapes[a]) / raw(&shapes[b]);
        assert!((found[1] / found[2] - ratio(1, 2)).abs() < 1e-9, "{found:?}");
    }
}

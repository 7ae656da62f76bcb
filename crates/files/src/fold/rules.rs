//! From parts whose rule is known to nodes; shapes are held against each other here.

use std::sync::Arc;

use espalier_checkpoint::NamedTensor;
use espalier_kernels::{Frame, OrthogonalMap, Product, Slices};

use super::error::FoldError;
use super::node::{Low, Node, Op, Turn};

/// What an error calls the tensor, and its part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) part: &'a str,
}

impl Place<'_> {
    pub(super) fn shape(self, expected: impl ToString, found: &[usize]) -> FoldError {
        FoldError::Shape {
            name: self.name.to_owned(),
            part: self.part.to_owned(),
            expected: expected.to_string(),
            found: format!("{found:?}"),
        }
    }
}

/// The slices along a dimension of a shape.
pub(super) fn along(shape: &[usize], dim: usize) -> Slices {
    Slices {
        outer: shape[..dim].iter().product(),
        kept: shape[dim],
        inner: shape[dim + 1..].iter().product(),
    }
}

/// The whole tensor as one slice.
pub(super) fn whole(shape: &[usize]) -> Slices {
    Slices { outer: 1, kept: 1, inner: shape.iter().product() }
}

pub(super) fn mask(place: Place<'_>, of: Node, mask: &NamedTensor) -> Result<Node, FoldError> {
    if mask.shape() != of.shape {
        return Err(place.shape(format!("{:?}", of.shape), mask.shape()));
    }
    Ok(of.then(|of| Op::Mask { of, mask: mask.clone() }))
}

/// The shape of the lengths tells the dimension.
pub(super) fn weight_norm(place: Place<'_>, g: Node, v: Node) -> Result<Node, FoldError> {
    let is_along = |dim: &usize| {
        let ones = |(at, size): (usize, &usize)| at == *dim || *size == 1;
        g.shape[*dim] == v.shape[*dim] && g.shape.iter().enumerate().all(ones)
    };
    let dim = (g.shape.len() == v.shape.len()).then(|| (0..v.shape.len()).find(is_along)).flatten();
    let slices = match dim {
        Some(dim) => along(&v.shape, dim),
        None if g.numel() == 1 => whole(&v.shape),
        None => {
            let expected =
                format!("no dimensions, or those of {:?} with all but one of them 1", v.shape);
            return Err(place.shape(expected, &g.shape));
        }
    };
    Ok(v.then(|v| Op::WeightNorm { g: Arc::new(g), v, slices }))
}

/// The lengths of the vectors tell the dimension, unless it is known. The second value tells that
/// several would do.
pub(super) fn spectral_norm(
    place: Place<'_>,
    of: Node,
    u: &NamedTensor,
    v: &NamedTensor,
    dim: Option<usize>,
) -> Result<(Node, bool), FoldError> {
    let fits = |dim: &usize| {
        let slices = along(&of.shape, *dim);
        slices.kept == u.numel() && slices.outer * slices.inner == v.numel()
    };
    let mut dims = (0..of.shape.len()).filter(|at| dim.is_none_or(|dim| dim == *at)).filter(fits);
    let Some(first) = dims.next() else {
        let expected = format!("vectors for a matrix view of {:?}", of.shape);
        return Err(place.shape(expected, &[u.numel(), v.numel()]));
    };
    let is_open = dims.next().is_some();
    let slices = along(&of.shape, first);
    let node = of.then(|of| Op::Spectral { of, u: u.clone(), v: v.clone(), slices });
    Ok((node, is_open))
}

/// Rows, columns and batch of the matrices in the last two dimensions, turned to be tall.
pub(super) fn tall(place: Place<'_>, shape: &[usize]) -> Result<Frame, FoldError> {
    let [batch @ .., n, k] = shape else {
        return Err(place.shape("two dimensions or more", shape));
    };
    let transposed = n < k;
    let (rows, columns) = if transposed { (*k, *n) } else { (*n, *k) };
    Ok(Frame { batch: batch.iter().product(), rows, columns, transposed })
}

pub(super) fn orthogonal(
    place: Place<'_>,
    of: Node,
    base: Option<&NamedTensor>,
    map: OrthogonalMap,
    truncates: bool,
) -> Result<Node, FoldError> {
    let frame = tall(place, &of.shape)?;
    if let Some(base) = base {
        let lead = &of.shape[..of.shape.len() - 2];
        let expected = [lead, &[frame.rows, frame.rows]].concat();
        if base.shape() != expected {
            return Err(place.shape(format!("{expected:?}"), base.shape()));
        }
    }
    let turn = Turn { map, frame, truncates };
    Ok(of.then(|of| Op::Orthogonal { of, base: base.cloned(), turn }))
}

/// The tensors of an adapter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adapter<'a> {
    pub(super) a: &'a NamedTensor,
    pub(super) b: &'a NamedTensor,
    pub(super) magnitude: Option<&'a NamedTensor>,
    pub(super) is_embedding: bool,
}

impl Adapter<'_> {
    /// The rank.
    pub(super) fn rank(&self) -> usize {
        self.a.shape().first().copied().unwrap_or_default()
    }
}

/// `turned` counts where the shape does not tell whether a matrix is stored as `[in, out]`.
pub(super) fn lora(
    place: Place<'_>,
    of: Node,
    adapter: &Adapter<'_>,
    scale: f64,
    turned: bool,
) -> Result<Node, FoldError> {
    let Adapter { a, b, magnitude, is_embedding } = *adapter;
    let inner = adapter.rank();
    let rows = b.shape().first().copied().unwrap_or_default();
    let columns = a.shape().iter().skip(1).product();
    let fits_b = b.shape().len() > 1 && b.shape()[1..].iter().product::<usize>() == inner;
    let is_matrix = |shape: [usize; 2]| of.shape == shape;
    let upright = !is_embedding
        && of.shape.len() > 1
        && of.shape[0] == rows
        && of.shape[1..].iter().product::<usize>() == columns;
    let aside = is_matrix([columns, rows]);
    if !fits_b || a.shape().len() < 2 || !(upright || aside) {
        let expected = format!("factors of a matrix for {:?}", of.shape);
        return Err(FoldError::Shape {
            name: place.name.to_owned(),
            part: place.part.to_owned(),
            expected,
            found: format!("{:?} and {:?}", b.shape(), a.shape()),
        });
    }
    let transposed = aside && (!upright || turned);
    let sizes = Product { rows, inner, columns, transposed };
    let magnitude = match magnitude {
        None => None,
        Some(lengths) if lengths.numel() == rows => {
            let slices = along(&of.shape, if transposed { of.shape.len() - 1 } else { 0 });
            Some((lengths.clone(), slices))
        }
        Some(lengths) => {
            let place = Place { part: lengths.name(), ..place };
            return Err(place.shape(format!("{rows} lengths"), lengths.shape()));
        }
    };
    let (a, b, low) = (a.clone(), b.clone(), Low { sizes, scale });
    Ok(of.then(|of| Op::Lora { of, a, b, low, magnitude }))
}

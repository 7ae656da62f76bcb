//! A value that is computed from stored tensors when it is asked for.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use espalier_checkpoint::{Action, Checkpoint, Dtype, Error, NamedTensor, Provider};
use espalier_kernels::{
    DenseError, Frame, OrthogonalMap, Product, Real, Slices, add_product, bilinear, orthogonal,
    skew, symmetric, weight_norm,
};
use half::{bf16, f16};

use super::spectrum::{Spectrum, softplus};

/// How a value is made. Shapes were held against each other when it was planned.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// It is stored.
    Stored(NamedTensor),
    /// `of` times the mask, element by element.
    Mask { of: Arc<Node>, mask: NamedTensor },
    /// `g v / |v|` over each slice.
    WeightNorm { g: Arc<Node>, v: Arc<Node>, slices: Slices },
    /// `of / (u^T M v)`.
    Spectral { of: Arc<Node>, u: NamedTensor, v: NamedTensor, slices: Slices },
    /// `radius of / |of|` over each slice, lengths below `least` taken for it.
    Sphere { of: Arc<Node>, slices: Slices, radius: f64, least: f64 },
    /// An orthogonal matrix.
    Orthogonal { of: Arc<Node>, base: Option<NamedTensor>, turn: Turn },
    /// `of + scale B A`, which may be given a length along each slice.
    Lora {
        of: Arc<Node>,
        a: NamedTensor,
        b: NamedTensor,
        low: Low,
        magnitude: Option<(NamedTensor, Slices)>,
    },
    /// `of + scale bias`.
    Bias { of: Arc<Node>, bias: NamedTensor, scale: f64 },
    /// Mirrored triangles of square matrices.
    Mirror { of: Arc<Node>, n: usize, is_skew: bool },
    /// A matrix by its singular values or eigenvalues, from two bases or one.
    Spectrum { of: Arc<Node>, bases: Vec<NamedTensor>, spectrum: Spectrum },
    /// Each element through a function.
    Map { of: Arc<Node>, map: Map },
    /// `of` times the sigmoid of the scores over the temperature.
    Gates { of: Arc<Node>, scores: NamedTensor, temperature: f64 },
    /// `of` times a stored factor.
    Learned { of: Arc<Node>, factor: NamedTensor },
}

/// How an orthogonal matrix is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) map: OrthogonalMap,
    pub(super) frame: Frame,
    /// Whether reflections are multiplied by the diagonal rounded towards zero, as PyTorch does, and not
    /// by its sign.
    pub(super) truncates: bool,
}

/// The product of an adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Low {
    pub(super) sizes: Product,
    pub(super) scale: f64,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Map {
    Softplus,
    Square,
    Scale(f64),
}

/// A value: how it is made, its shape, and the type it is stored in.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) op: Op,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
}

impl Node {
    pub(super) fn stored(tensor: &NamedTensor) -> Self {
        Self {
            op: Op::Stored(tensor.clone()),
            shape: tensor.shape().to_vec(),
            dtype: tensor.dtype(),
        }
    }

    /// What is made of this one, in its shape and type.
    pub(super) fn then(self, op: impl FnOnce(Arc<Self>) -> Op) -> Self {
        let (shape, dtype) = (self.shape.clone(), self.dtype);
        Self { op: op(Arc::new(self)), shape, dtype }
    }

    pub(super) fn numel(&self) -> usize {
        self.shape.iter().product()
    }

    /// The nodes it is made from, then the tensors.
    fn inputs(&self) -> (Vec<&Arc<Self>>, Vec<&NamedTensor>) {
        match &self.op {
            Op::Stored(tensor) => (vec![], vec![tensor]),
            Op::Mask { of, mask } => (vec![of], vec![mask]),
            Op::WeightNorm { g, v, .. } => (vec![g, v], vec![]),
            Op::Spectral { of, u, v, .. } => (vec![of], vec![u, v]),
            Op::Orthogonal { of, base, .. } => (vec![of], base.iter().collect()),
            Op::Lora { of, a, b, magnitude, .. } => {
                let magnitude = magnitude.iter().map(|(magnitude, _)| magnitude);
                (vec![of], [a, b].into_iter().chain(magnitude).collect())
            }
            Op::Bias { of, bias, .. } => (vec![of], vec![bias]),
            Op::Spectrum { of, bases, .. } => (vec![of], bases.iter().collect()),
            Op::Gates { of, scores, .. } => (vec![of], vec![scores]),
            Op::Learned { of, factor } => (vec![of], vec![factor]),
            Op::Sphere { of, .. } | Op::Mirror { of, .. } | Op::Map { of, .. } => {
                (vec![of], vec![])
            }
        }
    }

    /// Every stored tensor that it is made from, in order.
    pub(super) fn tensors(&self) -> Vec<&NamedTensor> {
        let (nodes, tensors) = self.inputs();
        nodes.into_iter().flat_map(|node| node.tensors()).chain(tensors).collect()
    }

    /// The elements, computed in `T`.
    pub(super) fn values<T: Number>(&self) -> Result<Vec<T>, Error> {
        Ok(match &self.op {
            Op::Stored(tensor) => T::read(tensor)?,
            Op::Mask { of, mask } => {
                let mut values = of.values::<T>()?;
                let mask = mask.values()?;
                values.iter_mut().zip(mask).for_each(|(x, kept)| *x *= T::of(kept));
                values
            }
            Op::WeightNorm { g, v, slices } => {
                weight_norm(slices, &g.values::<T>()?, &v.values::<T>()?).0
            }
            Op::Sphere { of, slices, radius, least } => {
                let x = of.values::<T>()?;
                let lengths = vec![T::of(*radius); slices.kept];
                let (mut value, norms) = weight_norm(slices, &lengths, &x);
                // Only a vector of one slice has a least length.
                if norms.iter().any(|norm| norm.wide() < *least) {
                    value = x.iter().map(|x| T::of(x.wide() * radius / least)).collect();
                }
                value
            }
            Op::Spectral { of, u, v, slices } => {
                let mut w = of.values::<T>()?;
                let sigma = T::of(bilinear(slices, &w, &T::read(u)?, &T::read(v)?));
                w.iter_mut().for_each(|x| *x /= sigma);
                w
            }
            Op::Orthogonal { of, base, turn } => {
                let base = base.as_ref().map(T::read).transpose()?;
                turned(turn, &of.values::<T>()?, base.as_deref()).map_err(computed)?
            }
            Op::Lora { of, a, b, low, magnitude } => {
                let mut w = of.values::<T>()?;
                let (a, b) = (T::read(a)?, T::read(b)?);
                add_product(&low.sizes, low.scale, &b, &a, &mut w).map_err(computed)?;
                match magnitude {
                    Some((lengths, slices)) => weight_norm(slices, &T::read(lengths)?, &w).0,
                    None => w,
                }
            }
            Op::Bias { of, bias, scale } => {
                let mut values = of.values::<T>()?;
                let added = T::read(bias)?;
                values.iter_mut().zip(added).for_each(|(x, b)| *x += T::of(*scale) * b);
                values
            }
            Op::Mirror { of, n, is_skew } => {
                let x = of.values::<T>()?;
                let batch = x.len() / (n * n).max(1);
                if *is_skew { skew(batch, *n, true, &x) } else { symmetric(batch, *n, false, &x) }
            }
            Op::Spectrum { of, bases, spectrum } => {
                let x = of.values::<T>()?;
                let bases: Vec<Vec<T>> = bases.iter().map(T::read).collect::<Result<_, _>>()?;
                let value = match bases.as_slice() {
                    [base] => spectrum.eigen(&x, base),
                    [u, v, ..] => spectrum.singular(&x, u, v),
                    [] => Ok(x),
                };
                value.map_err(computed)?
            }
            Op::Map { of, map } => {
                let mut values = of.values::<T>()?;
                values.iter_mut().for_each(|x| *x = T::of(map.of(x.wide())));
                values
            }
            Op::Gates { of, scores, temperature } => {
                let mut values = of.values::<T>()?;
                let gates = scores.values()?.map(|s| 1.0 / (1.0 + (-s / temperature).exp()));
                values.iter_mut().zip(gates).for_each(|(x, gate)| *x *= T::of(gate));
                values
            }
            Op::Learned { of, factor } => {
                let mut values = of.values::<T>()?;
                let factor = T::read(factor)?;
                let factor = factor.first().copied().unwrap_or_default();
                values.iter_mut().for_each(|x| *x *= factor);
                values
            }
        })
    }

    /// The value as a tensor to write, which is made when it is read.
    pub(super) fn named(self, name: &str) -> Result<NamedTensor, Error> {
        if let Op::Stored(tensor) = &self.op
            && tensor.dtype() == self.dtype
        {
            return Ok(tensor.clone().with_name(name));
        }
        let (dtype, shape) = (self.dtype, self.shape.clone());
        NamedTensor::lazy(name, dtype, shape, Arc::new(Made(self)))
    }

    /// Whether both are made in the same way of the same tensors.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        if self.shape != other.shape || self.dtype != other.dtype {
            return false;
        }
        let is_alike = match (&self.op, &other.op) {
            (Op::Stored(_), Op::Stored(_))
            | (Op::Mask { .. }, Op::Mask { .. })
            | (Op::Bias { .. }, Op::Bias { .. })
            | (Op::Learned { .. }, Op::Learned { .. }) => true,
            (Op::WeightNorm { slices: a, .. }, Op::WeightNorm { slices: b, .. })
            | (Op::Spectral { slices: a, .. }, Op::Spectral { slices: b, .. }) => a == b,
            (Op::Orthogonal { turn: a, .. }, Op::Orthogonal { turn: b, .. }) => a == b,
            (Op::Lora { low: a, .. }, Op::Lora { low: b, .. }) => a == b,
            (Op::Mirror { is_skew: a, .. }, Op::Mirror { is_skew: b, .. }) => a == b,
            (Op::Spectrum { spectrum: a, .. }, Op::Spectrum { spectrum: b, .. }) => a == b,
            (Op::Map { map: a, .. }, Op::Map { map: b, .. }) => a == b,
            (Op::Gates { temperature: a, .. }, Op::Gates { temperature: b, .. }) => a == b,
            (Op::Sphere { slices: a, radius: r, .. }, Op::Sphere { slices: b, radius: s, .. }) => {
                a == b && r == s
            }
            _ => false,
        };
        let ((nodes, tensors), (others, other_tensors)) = (self.inputs(), other.inputs());
        is_alike
            && nodes.len() == others.len()
            && tensors.len() == other_tensors.len()
            && nodes.iter().zip(others).all(|(a, b)| a.is_same(b))
            && tensors.iter().zip(other_tensors).all(|(a, b)| a.is_tied_to(b))
    }
}

impl Map {
    fn of(self, x: f64) -> f64 {
        match self {
            Self::Softplus => softplus(x),
            Self::Square => x * x,
            Self::Scale(factor) => factor * x,
        }
    }
}

/// The orthogonal matrices of `x`.
fn turned<T: Number>(turn: &Turn, x: &[T], base: Option<&[T]>) -> Result<Vec<T>, DenseError> {
    let Turn { map, frame, truncates } = turn;
    let (mut q, _) = orthogonal(*map, frame, x, base, false)?;
    if *map == OrthogonalMap::Householder && *truncates {
        let size = frame.rows * frame.columns;
        for (q, x) in q.chunks_exact_mut(size.max(1)).zip(x.chunks_exact(size.max(1))) {
            for column in 0..frame.columns {
                let width = if frame.transposed { frame.rows } else { frame.columns };
                let factor = x[column * width + column].wide().trunc().abs();
                if factor == 1.0 {
                    continue;
                }
                for row in 0..frame.rows {
                    let at =
                        if frame.transposed { column * width + row } else { row * width + column };
                    q[at] *= T::of(factor);
                }
            }
        }
    }
    Ok(q)
}

/// What cannot be computed; it was held against its shapes, so nothing should come here.
fn computed(error: DenseError) -> Error {
    let cause = io::Error::new(io::ErrorKind::InvalidData, error);
    Error::Io { path: PathBuf::from("a folded tensor"), action: Action::Read, cause }
}

/// A type that is computed in.
pub(super) trait Number: Real {
    fn read(tensor: &NamedTensor) -> Result<Vec<Self>, Error>;
    /// The bytes of values in a type of floating-point numbers, each rounded once.
    fn bytes(values: &[Self], dtype: Dtype) -> Vec<u8>;
}

impl Number for f32 {
    fn read(tensor: &NamedTensor) -> Result<Vec<Self>, Error> {
        tensor.to_f32_vec()
    }

    fn bytes(values: &[Self], dtype: Dtype) -> Vec<u8> {
        let each = values.iter();
        match dtype {
            Dtype::F16 => each.flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::BF16 => each.flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
            Dtype::F64 => each.flat_map(|x| f64::from(*x).to_le_bytes()).collect(),
            _ => each.flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

impl Number for f64 {
    fn read(tensor: &NamedTensor) -> Result<Vec<Self>, Error> {
        tensor.to_f64_vec()
    }

    fn bytes(values: &[Self], dtype: Dtype) -> Vec<u8> {
        let each = values.iter();
        match dtype {
            Dtype::F16 => each.flat_map(|x| f16::from_f64(*x).to_le_bytes()).collect(),
            Dtype::BF16 => each.flat_map(|x| bf16::from_f64(*x).to_le_bytes()).collect(),
            Dtype::F32 => each.flat_map(|x| (*x as f32).to_le_bytes()).collect(),
            _ => each.flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// Makes a value whenever its bytes are asked for.
#[derive(Debug)]
struct Made(Node);

impl Provider for Made {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let node = &self.0;
        let is_wide = node.dtype == Dtype::F64
            || node.tensors().iter().any(|tensor| tensor.dtype() == Dtype::F64);
        if is_wide {
            Ok(f64::bytes(&node.values()?, node.dtype))
        } else {
            Ok(f32::bytes(&node.values()?, node.dtype))
        }
    }
}

/// The diagonals of the matrices in the last two dimensions.
pub(super) fn diagonals(node: &Node) -> Result<Vec<f64>, Error> {
    let [.., rows, columns] = node.shape[..] else { return Ok(Vec::new()) };
    let size = rows * columns;
    let values = node.values::<f64>()?;
    let along = |matrix: &[f64]| -> Vec<f64> {
        (0..rows.min(columns)).map(|i| matrix[i * columns + i]).collect()
    };
    Ok(values.chunks_exact(size.max(1)).flat_map(along).collect())
}

/// The tensors of a checkpoint that is being put together: what is the same stays one tensor.
#[derive(Debug, Default)]
pub(super) struct Put {
    pub(super) out: Checkpoint,
    made: Vec<(Node, NamedTensor)>,
}

impl Put {
    /// A tensor as it is: ties among those are in their data.
    pub(super) fn copy(&mut self, name: &str, node: Node) -> Result<(), Error> {
        self.out.push(node.named(name)?)
    }

    pub(super) fn push(&mut self, name: &str, node: Node) -> Result<(), Error> {
        let known = self.made.iter().find(|(known, _)| known.is_same(&node));
        let tensor = match known {
            Some((_, tensor)) => tensor.clone().with_name(name),
            None => {
                let tensor = node.clone().named(name)?;
                self.made.push((node, tensor.clone()));
                tensor
            }
        };
        self.out.push(tensor)
    }
}

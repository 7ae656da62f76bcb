//! What a layer makes of its inputs, and what it needs for that.

use crate::input::Kind;
use crate::plan::Parameter;

/// Shape and kind of a value, without the batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub(crate) dims: Vec<usize>,
    pub(crate) kind: Kind,
}

/// What a layer gives and holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Effect {
    pub(crate) output: Vec<usize>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) buffers: Vec<Parameter>,
    pub(crate) macs: u128,
}

impl Effect {
    /// Of a layer without parameters.
    pub(crate) fn of(output: impl Into<Vec<usize>>) -> Self {
        Self { output: output.into(), parameters: Vec::new(), buffers: Vec::new(), macs: 0 }
    }

    /// With a parameter more.
    pub(crate) fn with(mut self, name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        self.parameters.push(Parameter::new(name, shape));
        self
    }

    /// With a `bias` of this width, if there is one.
    pub(crate) fn with_bias(self, bias: bool, width: usize) -> Self {
        if bias { self.with("bias", [width]) } else { self }
    }

    pub(crate) fn with_macs(self, macs: u128) -> Self {
        Self { macs, ..self }
    }
}

/// What a layer cannot be given.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// What was found, where the shapes of the inputs alone do not show it.
    pub(crate) found: Option<String>,
    /// What would be right.
    pub(crate) expected: String,
    /// What the layer would give all the same, so that what follows can be checked.
    pub(crate) output: Option<Vec<usize>>,
}

impl Misfit {
    pub(crate) fn new(expected: impl Into<String>) -> Self {
        Self { found: None, expected: expected.into(), output: None }
    }

    pub(crate) fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    pub(crate) fn giving(self, output: impl Into<Vec<usize>>) -> Self {
        Self { output: Some(output.into()), ..self }
    }
}

pub(crate) type Fit = Result<Effect, Misfit>;

/// The channels and the size of a signal.
pub(crate) fn signal(dims: &[usize]) -> Result<(usize, [usize; 1]), Misfit> {
    match *dims {
        [channels, length] => Ok((channels, [length])),
        _ => Err(Misfit::new("a signal, [channels, length]")),
    }
}

/// The channels and the size of an image.
pub(crate) fn image(dims: &[usize]) -> Result<(usize, [usize; 2]), Misfit> {
    match *dims {
        [channels, height, width] => Ok((channels, [height, width])),
        _ => Err(Misfit::new("an image, [channels, height, width]")),
    }
}

/// The times and the features of a sequence.
pub(crate) fn sequence(dims: &[usize]) -> Result<[usize; 2], Misfit> {
    match *dims {
        [time, features] => Ok([time, features]),
        _ => Err(Misfit::new("a sequence, [time, features]")),
    }
}

pub(crate) fn first(dims: &[usize]) -> usize {
    dims.first().copied().unwrap_or_default()
}

pub(crate) fn last(dims: &[usize]) -> usize {
    dims.last().copied().unwrap_or_default()
}

/// The number of values of a shape, no more than a `u128` holds.
pub(crate) fn product(dims: &[usize]) -> u128 {
    dims.iter().fold(1, |product, size| product.saturating_mul(*size as u128))
}

/// As a size; what is too large for one is too large anyway.
pub(crate) fn size(number: u128) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The place of a dimension that may count from the end.
pub(crate) fn axis(dim: isize, dims: &[usize]) -> Result<usize, Misfit> {
    let rank = dims.len();
    let place =
        if dim < 0 { rank.checked_sub(dim.unsigned_abs()) } else { Some(dim.unsigned_abs()) };
    place.filter(|place| *place < rank).ok_or_else(|| {
        let (least, most) = (-(rank.cast_signed()), rank.cast_signed() - 1);
        Misfit::new(format!("a dim from {least} to {most}")).found(format!("dim {dim}"))
    })
}

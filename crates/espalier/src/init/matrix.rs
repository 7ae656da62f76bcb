//! Initial values with a structure: identities, orthogonal and sparse matrices.

use super::{InitError, Rng, expect};

/// The two sizes of a matrix.
fn matrix(shape: &[usize], needs: &'static str) -> Result<(usize, usize), InitError> {
    match *shape {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(InitError::Rank { needs, shape: shape.to_vec() }),
    }
}

pub(super) fn eye(shape: &[usize]) -> Result<Vec<f64>, InitError> {
    let (rows, columns) = matrix(shape, "an identity has two dimensions")?;
    let mut values = vec![0.0; rows * columns];
    for i in 0..rows.min(columns) {
        values[i * columns + i] = 1.0;
    }
    Ok(values)
}

pub(super) fn dirac(shape: &[usize], groups: usize) -> Result<Vec<f64>, InitError> {
    let (outputs, inputs, window) = match shape {
        [outputs, inputs, window @ ..] if (1..=3).contains(&window.len()) => {
            (*outputs, *inputs, window)
        }
        _ => {
            let needs = "a convolution has three to five dimensions";
            return Err(InitError::Rank { needs, shape: shape.to_vec() });
        }
    };
    expect(
        groups > 0 && outputs % groups == 0,
        "groups that divide the output channels",
        format!("{groups} for {outputs}"),
    )?;
    let field: usize = window.iter().product();
    let mut values = vec![0.0; outputs * inputs * field];
    if field == 0 {
        return Ok(values);
    }
    let centre = window.iter().fold(0, |at, size| at * size + size / 2);
    let each = outputs / groups;
    for group in 0..groups {
        for channel in 0..each.min(inputs) {
            values[((group * each + channel) * inputs + channel) * field + centre] = 1.0;
        }
    }
    Ok(values)
}

pub(super) fn orthogonal(shape: &[usize], gain: f64, rng: &mut Rng) -> Result<Vec<f64>, InitError> {
    let [rows, rest @ ..] = shape else {
        let needs = "an orthogonal matrix has two dimensions";
        return Err(InitError::Rank { needs, shape: shape.to_vec() });
    };
    if rest.is_empty() {
        let needs = "an orthogonal matrix has two dimensions";
        return Err(InitError::Rank { needs, shape: shape.to_vec() });
    }
    let (rows, columns) = (*rows, rest.iter().product::<usize>());
    let (tall, short) = (rows.max(columns), rows.min(columns));
    let normal: Vec<f64> = (0..tall * short).map(|_| rng.normal()).collect();
    let q = match espalier_kernels::orthonormal_columns(tall, short, &normal) {
        Ok(q) => q,
        Err(error) => unreachable!("a tall matrix of finite numbers has the factor: {error}"),
    };
    let at = |row: usize, column: usize| {
        if rows >= columns { q[row * short + column] } else { q[column * short + row] }
    };
    Ok((0..rows * columns).map(|i| gain * at(i / columns, i % columns)).collect())
}

pub(super) fn sparse(
    shape: &[usize],
    sparsity: f64,
    std: f64,
    rng: &mut Rng,
) -> Result<Vec<f64>, InitError> {
    let (rows, columns) = matrix(shape, "a sparse matrix has two dimensions")?;
    expect((0.0..=1.0).contains(&sparsity), "a share of zeros in 0.0..=1.0", sparsity)?;
    let zeros = (sparsity * rows as f64).ceil() as usize;
    let mut values: Vec<f64> = (0..rows * columns).map(|_| std * rng.normal()).collect();
    let mut order: Vec<usize> = (0..rows).collect();
    for column in 0..columns {
        rng.shuffle(&mut order);
        for row in order.iter().take(zeros) {
            values[row * columns + column] = 0.0;
        }
    }
    Ok(values)
}

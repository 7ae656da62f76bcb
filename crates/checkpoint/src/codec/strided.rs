//! Elements that do not lie in C order.

/// The steps of a tensor in C order, in elements. The shape has been counted before and does not overflow.
pub(crate) fn c_order(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

/// The steps of a tensor in Fortran order, first index fastest.
pub(crate) fn fortran_order(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1].max(1);
    }
    strides
}

/// The number of elements from the first that is used to the last, or nothing if it does not fit.
pub(crate) fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .zip(strides)
        .try_fold(1usize, |last, (size, stride)| last.checked_add((size - 1).checked_mul(*stride)?))
}

/// Whether the elements lie in C order without gaps.
pub(crate) fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = Some(1usize);
    for (size, stride) in shape.iter().zip(strides).rev() {
        if *size != 1 && Some(*stride) != step {
            return shape.contains(&0);
        }
        step = step.and_then(|step| step.checked_mul(*size));
    }
    true
}

/// Brings elements of `width` bytes into C order. `strides` are in elements, and `bytes` reach from the
/// first element that is used to the last.
pub(crate) fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], width: usize) -> Vec<u8> {
    match width {
        1 => gather_of::<1>(bytes, shape, strides),
        2 => gather_of::<2>(bytes, shape, strides),
        4 => gather_of::<4>(bytes, shape, strides),
        8 => gather_of::<8>(bytes, shape, strides),
        _ => gather_of::<16>(bytes, shape, strides),
    }
}

fn gather_of<const WIDTH: usize>(bytes: &[u8], shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let numel: usize = shape.iter().product();
    let mut out = Vec::with_capacity(numel * WIDTH);
    // Sizes of one change nothing, and without them the rank is small.
    let axes: Vec<(usize, usize)> =
        shape.iter().copied().zip(strides.iter().copied()).filter(|axis| axis.0 != 1).collect();
    let Some((&(length, step), outer)) = axes.split_last() else {
        out.extend_from_slice(&bytes[..numel * WIDTH]);
        return out;
    };
    let (elements, _) = bytes.as_chunks::<WIDTH>();
    let mut index = vec![0; outer.len()];
    let mut offset = 0;
    for _ in 0..numel.checked_div(length).unwrap_or(0) {
        if step == 1 {
            out.extend_from_slice(elements[offset..offset + length].as_flattened());
        } else {
            (0..length).for_each(|i| out.extend_from_slice(&elements[offset + i * step]));
        }
        // Count up the index in C order, and the offset with it.
        for (axis, &(size, stride)) in outer.iter().enumerate().rev() {
            index[axis] += 1;
            offset += stride;
            if index[axis] < size {
                break;
            }
            offset -= stride * size;
            index[axis] = 0;
        }
    }
    out
}

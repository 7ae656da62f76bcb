//! Parts of images.

/// How far a part of this size can be moved within an image with a margin.
pub(super) fn free(sides: [usize; 2], padding: usize, size: [usize; 2]) -> [usize; 2] {
    let of = |axis: usize| (sides[axis] + 2 * padding).saturating_sub(size[axis]);
    [of(0), of(1)]
}

/// The part at `top` and `left` of the image within a margin; `to` holds zeros.
pub(super) fn crop(
    from: &[f32],
    to: &mut [f32],
    [width, new_width]: [usize; 2],
    padding: usize,
    [top, left]: [usize; 2],
) {
    // Columns of the part that are in the image, and the first column in the image.
    let start = padding.saturating_sub(left).min(new_width);
    let source = (left + start).saturating_sub(padding);
    let shown = (new_width - start).min(width.saturating_sub(source));
    for (row, to) in to.chunks_exact_mut(new_width).enumerate() {
        let Some(row) = (row + top).checked_sub(padding) else { continue };
        let Some(from) = from.chunks_exact(width).nth(row) else { continue };
        to[start..start + shown].copy_from_slice(&from[source..source + shown]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_reach_into_the_margin() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let part = |size: [usize; 2], padding, at| {
            let mut to = vec![0.0; size[0] * size[1]];
            crop(&image, &mut to, [3, size[1]], padding, at);
            to
        };
        assert_eq!(part([1, 2], 0, [1, 1]), [5.0, 6.0]);
        assert_eq!(part([2, 3], 0, [0, 0]), image);
        assert_eq!(part([2, 2], 1, [0, 0]), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(part([2, 2], 1, [2, 3]), [6.0, 0.0, 0.0, 0.0]);
        assert_eq!(part([1, 5], 1, [1, 0]), [0.0, 1.0, 2.0, 3.0, 0.0]);
        assert_eq!(part([1, 1], 5, [0, 0]), [0.0]);
        assert_eq!(free([2, 3], 1, [1, 5]), [3, 0]);
    }
}

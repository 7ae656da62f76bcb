//! Images mirrored.

/// The image with left and right, and top and bottom, in each other's place.
pub(super) fn flip(from: &[f32], to: &mut [f32], width: usize, horizontal: bool, vertical: bool) {
    let rows = from.len() / width;
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        let row = if vertical { rows - 1 - row } else { row };
        to.copy_from_slice(&from[row * width..][..width]);
        if horizontal {
            to.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_alone_and_both() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let flipped = |horizontal, vertical| {
            let mut to = [0.0; 6];
            flip(&image, &mut to, 3, horizontal, vertical);
            to
        };
        assert_eq!(flipped(true, false), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        assert_eq!(flipped(false, true), [4.0, 5.0, 6.0, 1.0, 2.0, 3.0]);
        assert_eq!(flipped(true, true), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    }
}

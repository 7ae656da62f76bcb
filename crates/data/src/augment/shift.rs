//! Images moved.

/// The image moved `down` and `right`; `to` holds zeros, which stay where nothing comes from.
pub(super) fn shift(from: &[f32], to: &mut [f32], width: usize, down: isize, right: isize) {
    let (source_row, target_row, rows) = shown(from.len() / width, down);
    let (source, target, columns) = shown(width, right);
    let from = from[source_row * width..].chunks_exact(width);
    let to = to[target_row * width..].chunks_exact_mut(width);
    for (from, to) in from.zip(to).take(rows) {
        let (from, to) = (&from[source..source + columns], &mut to[target..target + columns]);
        // Rows of small images are shorter than a call to copy memory is long.
        for (from, to) in from.iter().zip(to) {
            *to = *from;
        }
    }
}

/// Along one axis, where what is still seen starts, where it comes to, and how much it is.
fn shown(side: usize, by: isize) -> (usize, usize, usize) {
    let hidden = by.unsigned_abs().min(side);
    if by < 0 { (hidden, 0, side - hidden) } else { (0, hidden, side - hidden) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_move_and_leave_zeros() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let moved = |down, right| {
            let mut to = [0.0; 6];
            shift(&image, &mut to, 3, down, right);
            to
        };
        assert_eq!(moved(0, 0), image);
        assert_eq!(moved(1, 0), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(-1, 2), [0.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
        assert_eq!(moved(0, -1), [2.0, 3.0, 0.0, 5.0, 6.0, 0.0]);
        assert_eq!(moved(0, 5), [0.0; 6]);
        assert_eq!(moved(-2, 0), [0.0; 6]);
    }
}

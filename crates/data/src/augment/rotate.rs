//! Images turned.

/// The image turned around its centre, against the clock for a positive angle.
///
/// The pixel at an offset `(x, y)` from the centre, `y` downwards, is the bilinear mean at
/// `(x cos a - y sin a, x sin a + y cos a)`, with zeros outside the image.
pub(super) fn rotate(from: &[f32], to: &mut [f32], width: usize, radians: f64) {
    let height = from.len() / width;
    let (sin, cos) = radians.sin_cos();
    let (middle_x, middle_y) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let pixel = |x: f64, y: f64| {
        let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
        if inside { f64::from(from[y as usize * width + x as usize]) } else { 0.0 }
    };
    for (row, to) in to.chunks_exact_mut(width).enumerate() {
        let y = row as f64 - middle_y;
        for (column, to) in to.iter_mut().enumerate() {
            let x = column as f64 - middle_x;
            let at_x = x * cos - y * sin + middle_x;
            let at_y = x * sin + y * cos + middle_y;
            let (left, top) = (at_x.floor(), at_y.floor());
            let (right_part, low_part) = (at_x - left, at_y - top);
            let upper = pixel(left, top) * (1.0 - right_part) + pixel(left + 1.0, top) * right_part;
            let lower = pixel(left, top + 1.0) * (1.0 - right_part)
                + pixel(left + 1.0, top + 1.0) * right_part;
            *to = (upper * (1.0 - low_part) + lower * low_part) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

    fn turned(image: &[f32], width: usize, radians: f64) -> Vec<f32> {
        let mut to = vec![0.0; image.len()];
        rotate(image, &mut to, width, radians);
        to
    }

    fn close(found: &[f32], expected: &[f32]) {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(found.iter().zip(expected).all(near), "{found:?} {expected:?}");
    }

    #[test]
    fn quarter_turns() {
        let image = [1.0, 2.0, 3.0, 4.0];
        close(&turned(&image, 2, 0.0), &image);
        close(&turned(&image, 2, FRAC_PI_2), &[2.0, 4.0, 1.0, 3.0]);
        close(&turned(&image, 2, PI), &[4.0, 3.0, 2.0, 1.0]);
        // The corners of a wide image leave it.
        close(&turned(&[1.0, 5.0, 2.0], 3, FRAC_PI_2), &[0.0, 5.0, 0.0]);
    }

    #[test]
    fn between_pixels_is_their_mean() {
        let mut image = [0.0; 25];
        image[12] = 1.0;
        image[13] = 1.0;
        let found = turned(&image, 5, FRAC_PI_4);
        assert_eq!(found[12], 1.0);
        // What was right of the centre is above and right of it, `sqrt 2` away where 1 is seen.
        close(&[found[8], found[16]], &[(2.0 - 2f64.sqrt()) as f32, 0.0]);
    }
}

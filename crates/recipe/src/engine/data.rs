//! The digits: images, labels, split and batches.

use std::io::Read as _;
use std::ops::Range;
use std::sync::OnceLock;

use burn::tensor::{Device, Int, Tensor, TensorData};
use espalier::init::Rng;
use flate2::read::GzDecoder;

/// Channels, height and width of an image.
pub(crate) const SHAPE: [usize; 3] = [1, SIDE, SIDE];
/// Digits, 0 to 9.
pub(crate) const CLASSES: usize = 10;
/// The darkest pixel; networks see pixels divided by it.
pub(crate) const DARKEST: u8 = 16;

const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const COUNT: usize = 1797;
/// Magic and three sizes; see `data/README.md`.
const HEADER: usize = 20;

/// What the split is drawn from: the same for every training seed, so that runs compare.
const SPLIT_SEED: u64 = 0;
/// Where the streams of epochs start. Initial values use those from 0.
const EPOCHS: u64 = 1 << 32;
/// Where the streams of steps start.
const STEPS: u64 = 1 << 48;

static PACKED: &[u8] = include_bytes!("../../data/digits.bin.gz");

/// All images and labels; empty if the built-in file were damaged, which a test rules out.
fn unpacked() -> &'static [u8] {
    static UNPACKED: OnceLock<Vec<u8>> = OnceLock::new();
    UNPACKED.get_or_init(|| {
        let size = HEADER + COUNT * (PIXELS + 1);
        let mut bytes = Vec::with_capacity(size);
        match GzDecoder::new(PACKED).read_to_end(&mut bytes) {
            Ok(found) if found == size => bytes,
            _ => unreachable!("the built-in digits are whole"),
        }
    })
}

fn pixels(image: usize) -> &'static [u8] {
    &unpacked()[HEADER + image * PIXELS..][..PIXELS]
}

fn label(image: usize) -> usize {
    usize::from(unpacked()[HEADER + COUNT * PIXELS + image])
}

/// Images to train on and images to test with, by their places in the data set.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Split {
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

impl Split {
    /// Holds `fraction` of every class out for testing, at least one image and not all.
    pub(crate) fn new(fraction: f64) -> Self {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for class in 0..CLASSES {
            let mut images: Vec<usize> =
                (0..COUNT).filter(|&image| label(image) == class).collect();
            Rng::stream(SPLIT_SEED, class as u64).shuffle(&mut images);
            let held = (fraction * images.len() as f64).round() as usize;
            let held = held.clamp(1, images.len() - 1);
            test.extend_from_slice(&images[..held]);
            train.extend_from_slice(&images[held..]);
        }
        // The classes' order must not be one to learn from.
        train.sort_unstable();
        test.sort_unstable();
        Self { train, test }
    }
}

/// Images with their labels, ready for a network.
pub(crate) struct Batch {
    pub(crate) images: Tensor<4>,
    pub(crate) targets: Tensor<1, Int>,
    pub(crate) labels: Vec<usize>,
}

/// Images of pixels 0 to 16, each `SIDE * SIDE` of them, as a network takes them.
pub(crate) fn tensor(mut values: Vec<f32>, count: usize, device: &Device) -> Tensor<4> {
    for value in &mut values {
        *value /= f32::from(DARKEST);
    }
    let [channels, height, width] = SHAPE;
    Tensor::from_data(TensorData::new(values, [count, channels, height, width]), device)
}

/// A batch of these images, each moved by up to `shift` pixels along each axis if there is a `rng`.
pub(crate) fn batch(
    images: &[usize],
    mut shifts: Option<(&mut Rng, usize)>,
    device: &Device,
) -> Batch {
    let mut values = vec![0.0; images.len() * PIXELS];
    for (image, to) in images.iter().zip(values.chunks_exact_mut(PIXELS)) {
        let [down, right] = match &mut shifts {
            Some((rng, shift)) => [(); 2].map(|()| offset(rng, *shift)),
            None => [0, 0],
        };
        shifted(pixels(*image), down, right, to);
    }
    let labels: Vec<usize> = images.iter().map(|image| label(*image)).collect();
    let targets: Vec<i64> = labels.iter().map(|label| *label as i64).collect();
    Batch {
        images: tensor(values, images.len(), device),
        targets: Tensor::from_data(TensorData::new(targets, [images.len()]), device),
        labels,
    }
}

/// From `-shift` to `shift`.
fn offset(rng: &mut Rng, shift: usize) -> isize {
    rng.below(2 * shift + 1) as isize - shift as isize
}

/// The image moved `down` and `right`, zeros where nothing comes from.
fn shifted(from: &[u8], down: isize, right: isize, to: &mut [f32]) {
    let source = |to: usize, by: isize| to.checked_add_signed(-by).filter(|at| *at < SIDE);
    for row in 0..SIDE {
        for column in 0..SIDE {
            if let (Some(y), Some(x)) = (source(row, down), source(column, right)) {
                to[row * SIDE + column] = f32::from(from[y * SIDE + x]);
            }
        }
    }
}

/// The order and the changes of one epoch's images, all from `(seed, epoch)`.
pub(crate) struct Epoch {
    order: Vec<usize>,
    rng: Rng,
    shift: usize,
}

impl Epoch {
    pub(crate) fn new(train: &[usize], shift: usize, seed: u64, epoch: usize) -> Self {
        let mut rng = Rng::stream(seed, EPOCHS + epoch as u64);
        let mut order = train.to_vec();
        rng.shuffle(&mut order);
        Self { order, rng, shift }
    }

    /// The places in this epoch's order of each batch.
    pub(crate) fn batches(&self, size: usize) -> Vec<Range<usize>> {
        (0..self.order.len())
            .step_by(size)
            .map(|start| start..self.order.len().min(start + size))
            .collect()
    }

    /// The batch at `places`; each call draws new shifts.
    pub(crate) fn batch(&mut self, places: Range<usize>, device: &Device) -> Batch {
        let shifts = (self.shift > 0).then_some((&mut self.rng, self.shift));
        batch(&self.order[places], shifts, device)
    }
}

/// A seed for what the framework itself draws in one step.
pub(crate) fn step_seed(seed: u64, step: usize) -> u64 {
    Rng::stream(seed, STEPS + step as u64).uniform().to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_its_readme_says() {
        let bytes = unpacked();
        assert_eq!(&bytes[..8], b"ESPDIGIT");
        let sizes: Vec<u32> = bytes[8..HEADER]
            .chunks_exact(4)
            .map(|size| u32::from_le_bytes(size.try_into().unwrap()))
            .collect();
        assert_eq!(sizes, [COUNT as u32, SIDE as u32, SIDE as u32]);
        assert!((0..COUNT).all(|image| pixels(image).iter().all(|pixel| *pixel <= DARKEST)));
        let mut counts = [0; CLASSES];
        (0..COUNT).for_each(|image| counts[label(image)] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn the_split_takes_its_share_of_every_class() {
        let split = Split::new(0.2);
        assert_eq!((split.train.len(), split.test.len()), (1438, 359));
        for class in 0..CLASSES {
            let count =
                |images: &[usize]| images.iter().filter(|image| label(**image) == class).count();
            let (train, test) = (count(&split.train), count(&split.test));
            assert_eq!(test, ((train + test) as f64 * 0.2).round() as usize);
        }
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..COUNT).collect::<Vec<_>>());
        assert_eq!(split, Split::new(0.2));
        assert_eq!(Split::new(1e-9).test.len(), CLASSES);
        assert_eq!(Split::new(1.0 - 1e-9).train.len(), CLASSES);
    }

    #[test]
    fn shifts_move_and_leave_zeros() {
        let mut image = [0; PIXELS];
        image[0] = 3; // top left
        image[SIDE + 2] = 5; // row 1, column 2
        let mut moved = [0.0; PIXELS];
        shifted(&image, -1, 2, &mut moved);
        let mut expected = [0.0; PIXELS];
        expected[4] = 5.0; // row 0, column 4; the other left at the top
        assert_eq!(moved, expected);
        let mut rng = Rng::seeded(1);
        let offsets: Vec<isize> = (0..200).map(|_| offset(&mut rng, 1)).collect();
        assert!([-1, 0, 1].iter().all(|by| offsets.contains(by)));
        assert!(offsets.iter().all(|by| by.abs() <= 1));
    }

    #[test]
    fn an_epoch_sees_every_image_once_in_its_own_order() {
        let train: Vec<usize> = (0..50).collect();
        let epoch = Epoch::new(&train, 0, 3, 0);
        assert_eq!(epoch.batches(20), [0..20, 20..40, 40..50]);
        let mut order = epoch.order.clone();
        assert_ne!(order, Epoch::new(&train, 0, 3, 1).order);
        assert_ne!(order, Epoch::new(&train, 0, 4, 0).order);
        assert_eq!(order, Epoch::new(&train, 0, 3, 0).order);
        order.sort_unstable();
        assert_eq!(order, train);
        assert_ne!(step_seed(0, 1), step_seed(0, 2));
    }
}

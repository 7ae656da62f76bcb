//! The built-in images, as files that a user would bring.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use espalier_checkpoint::write_npy;
use flate2::read::GzDecoder;

const PIXELS: usize = 64;

/// Some images with their labels.
pub(crate) struct Digits {
    pixels: Vec<u8>,
    pub(crate) labels: Vec<u8>,
}

/// The first `count` images; the layout is described beside the file.
pub(crate) fn digits(count: usize) -> Digits {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/data/digits.bin.gz");
    let mut content = Vec::new();
    GzDecoder::new(File::open(file).unwrap()).read_to_end(&mut content).unwrap();
    let (pixels, labels) = content[20..].split_at(content.len() / (PIXELS + 1) * PIXELS);
    Digits { pixels: pixels[..count * PIXELS].to_vec(), labels: labels[..count].to_vec() }
}

impl Digits {
    pub(crate) fn csv(&self, directory: &Path) -> PathBuf {
        let mut text = String::new();
        for (image, label) in self.pixels.chunks(PIXELS).zip(&self.labels) {
            for pixel in image {
                write!(text, "{pixel},").unwrap();
            }
            writeln!(text, "{label}").unwrap();
        }
        let path = directory.join("digits.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn npy(&self, directory: &Path) -> PathBuf {
        let path = directory.join("digits.npy");
        let values: Vec<f32> = self.pixels.iter().map(|&pixel| f32::from(pixel)).collect();
        write_npy(&path, &[self.labels.len(), 1, 8, 8], &values).unwrap();
        path
    }
}

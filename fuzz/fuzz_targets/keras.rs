//! The reader of `.keras` never panics.
#![no_main]

use espalier_checkpoint::{Checkpoint, Format, Source};
use libfuzzer_sys::fuzz_target;

/// Tensors up to this many bytes are read.
const SMALL: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let source = Source::from_bytes(data.to_vec(), "fuzz");
    if !matches!(Format::of(&source), Ok(Format::Keras)) {
        return;
    }
    if let Ok(checkpoint) = Checkpoint::open_source(&source) {
        for tensor in checkpoint.iter().filter(|tensor| tensor.byte_len() <= SMALL).take(64) {
            let _ = tensor.bytes();
        }
    }
});

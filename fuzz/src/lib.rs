//! What the fuzz targets share.

use espalier_checkpoint::{Checkpoint, Format, Source};

/// Tensors of more bytes together are listed only.
const SMALL: usize = 16 << 20;

/// Opens a file if it begins as one of this format does, and loads what it lists.
pub fn read(data: &[u8], format: Format) {
    let source = Source::from_bytes(data.to_vec(), "fuzz");
    if Format::of(&source).ok() != Some(format) {
        return;
    }
    let Ok(checkpoint) = Checkpoint::open_source(&source) else { return };
    let total =
        checkpoint.iter().fold(0, |total: usize, tensor| total.saturating_add(tensor.byte_len()));
    if total > SMALL {
        return;
    }
    for tensor in &checkpoint {
        // Read at once and in pieces, it is the same.
        let mut streamed = Vec::new();
        let written = tensor.write_to(&mut streamed);
        match tensor.bytes() {
            Ok(bytes) => {
                assert!(written.is_ok());
                assert!(bytes[..] == streamed[..]);
            }
            Err(_) => assert!(written.is_err()),
        }
    }
}

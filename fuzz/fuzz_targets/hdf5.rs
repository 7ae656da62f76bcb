//! The reader of HDF5 never panics, and never takes more memory than a file of that length may ask for.
#![no_main]

use espalier_checkpoint::{Checkpoint, Source};
use libfuzzer_sys::fuzz_target;

/// Tensors up to this many bytes are read, and all of them together up to ten times as many.
const SMALL: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    // The signature is given, so that every input is of this format.
    let mut file = b"\x89HDF\r\n\x1a\n".to_vec();
    file.extend(data.get(8..).unwrap_or_default());
    if let Ok(checkpoint) = Checkpoint::open_source(&Source::from_bytes(file, "fuzz")) {
        let mut read = 0;
        for tensor in &checkpoint {
            if tensor.byte_len() <= SMALL && read < 10 * SMALL {
                read += tensor.byte_len();
                let whole = tensor.bytes().map(|bytes| bytes.into_owned());
                let mut parts = Vec::new();
                let streamed = tensor.write_to(&mut parts);
                assert_eq!(whole.is_ok(), streamed.is_ok());
                if let Ok(whole) = whole {
                    assert_eq!(whole, parts);
                }
            }
        }
    }
});

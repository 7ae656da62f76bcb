//! Any bytes as an index and its shards, with 0xff between them.
#![no_main]

use espalier_checkpoint::{Checkpoint, Source, open_shards};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0xff).map(<[u8]>::to_vec);
    let index = Source::from_bytes(parts.next().unwrap_or_default(), "index");
    // The next part for each, and nothing when there are no more.
    let opened =
        open_shards(&index, |name| Ok(Source::from_bytes(parts.next().unwrap_or_default(), name)));
    if let Ok(checkpoint) = opened.and_then(Checkpoint::load) {
        assert!(checkpoint.iter().all(|tensor| tensor.is_loaded()));
    }
    // Nothing is looked for on the disk.
    if let Ok(checkpoint) = Checkpoint::open_source(&index) {
        assert!(checkpoint.is_empty() || checkpoint.iter().all(|tensor| tensor.bytes().is_ok()));
    }
});

#![no_main]

use espalier_checkpoint::{Format, Source, TorchFile};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espalier_fuzz::read(data, Format::Torch);
    let Ok(file) = TorchFile::open_source(&Source::from_bytes(data.to_vec(), "fuzz")) else {
        return;
    };
    // Whatever is listed can be chosen, though it may not be sound.
    for path in file.inner() {
        let _ = file.select(&path);
    }
    let _ = file.all();
});

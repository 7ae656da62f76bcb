//! Any bytes as a safetensors file. What is accepted, the library that defines the format accepts too.
#![no_main]

use espalier_checkpoint::{Checkpoint, Source, read_safetensors_bytes};
use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;

fuzz_target!(|data: &[u8]| {
    let ours = read_safetensors_bytes(data, "fuzz");
    if let Ok(checkpoint) = &ours {
        let library = SafeTensors::deserialize(data).expect("the library refuses it");
        assert_eq!(library.len(), checkpoint.len());
        for tensor in checkpoint {
            let view = library.tensor(tensor.name()).expect("the library has the tensor");
            assert_eq!(view.data(), &*tensor.bytes().expect("it was loaded"));
        }
    }
    // The same by its content.
    let any = Checkpoint::open_source(&Source::from_bytes(data.to_vec(), "fuzz"));
    if let Ok(any) = any.and_then(Checkpoint::load) {
        assert!(ours.is_err() || ours.is_ok_and(|ours| ours == any));
    }
});

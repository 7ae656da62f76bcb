//! Any bytes as a file of the format npz.
#![no_main]

use espalier_checkpoint::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| espalier_fuzz::read(data, Format::Npz));

//! The old formats of PyTorch with something wrong in what is around their pickles.

use espalier_checkpoint::{Checkpoint, Source, TorchFault as Fault};

use crate::torch_faults::{START, legacy, torch_fault};
use crate::torch_golden::data;

#[test]
fn the_preamble_of_the_old_format() {
    let good = legacy(b"}.", b"].", b"");
    let mut protocol = good.clone();
    protocol[18] = 0xe8;
    let expected = Fault::Preamble { what: "protocol number 1001" };
    assert_eq!(torch_fault(protocol), expected);
    let system = [&good[..21], b"\x80\x02].", &good[START..]].concat();
    let expected = Fault::Preamble { what: "description of the machine" };
    assert_eq!(torch_fault(system), expected);
    let keys = legacy(b"}.", b"}.", b"");
    assert_eq!(torch_fault(keys), Fault::Preamble { what: "list of storages" });
}

/// The tar archive of the golden files with a change in the header of its first member.
fn tar(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut file = std::fs::read(data("tar.pt")).unwrap();
    change(&mut file[..512]);
    let blanks = file[..148].iter().chain(&[b' '; 8]).chain(&file[156..512]);
    let sum: u32 = blanks.map(|byte| u32::from(*byte)).sum();
    file[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    file
}

#[test]
fn tar_members() {
    let fault_of = |change: fn(&mut [u8])| match torch_fault(tar(change)) {
        Fault::Tar { member: 0, what } => what,
        other => panic!("{other}"),
    };
    let source = Source::from_bytes(tar(|_| {}), "sound.pt");
    assert_eq!(Checkpoint::open_source(&source).unwrap().len(), 4);
    assert!(fault_of(|header| header[156] = b'S').contains("GNU sparse"));
    assert!(fault_of(|header| header[156] = b'2').contains("neither"));
    let long = fault_of(|header| header[124..136].copy_from_slice(b"77777777777\0"));
    assert!(long.contains("longer than the file"));
    let octal = fault_of(|header| header[124..136].copy_from_slice(b"9          \0"));
    assert!(octal.contains("no length"));
    let mut damaged = std::fs::read(data("tar.pt")).unwrap();
    damaged[0x90] ^= 1;
    assert!(matches!(torch_fault(damaged), Fault::Tar { member: 0, .. }));
    // A member that is there twice, and a flood of them.
    let whole = std::fs::read(data("tar.pt")).unwrap();
    let twice = [&whole[..1024], &whole].concat();
    let expected = Fault::Tar { member: 1, what: "there are two of its name" };
    assert_eq!(torch_fault(twice), expected);
    let folder = &tar(|header| {
        header[156] = b'5';
        header[124..136].copy_from_slice(b"00000000000\0");
    })[..512];
    let flood = [folder.repeat(64), whole].concat();
    assert_eq!(torch_fault(flood), Fault::Tar { member: 64, what: "there are too many" });
}

//! Pickles made to do harm, and files that are not as they say. Each is one fixture with its exact error.

use espalier_checkpoint::{Checkpoint, Error, Source, TorchFault as Fault, TorchFile};

use crate::zips::{Member, zip};

/// A file of the old format around a pickle; the pickle begins at byte [`START`].
pub(crate) fn legacy(pickle: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
    assert_eq!(file.len(), START);
    for part in [pickle, keys, storages] {
        file.extend(part);
    }
    file
}

pub(crate) const START: usize = 25;

pub(crate) fn torch_fault(bytes: Vec<u8>) -> Fault {
    let error = Checkpoint::open_source(&Source::from_bytes(bytes, "dir/hostile.pt")).unwrap_err();
    assert!(error.to_string().starts_with("dir/hostile.pt: "), "{error}");
    match error {
        Error::Torch { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

/// What is wrong with a file around this pickle, which has no storages.
fn fault(pickle: &[u8]) -> Fault {
    torch_fault(legacy(pickle, b"].", b""))
}

fn accepted(pickle: &[u8]) -> Checkpoint {
    let source = Source::from_bytes(legacy(pickle, b"].", b""), "sound.pt");
    Checkpoint::open_source(&source).unwrap_or_else(|error| panic!("{error}"))
}

/// A state dict with the tensor `w`, whose storage `0` claims `numel` single-precision elements.
fn of_tensor(numel: &str, offset: &str, size: &str, stride: &str) -> Vec<u8> {
    let mut pickle =
        b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
    pickle.extend(b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu");
    let tuple = |text: &str| {
        let numbers = text.split_whitespace().map(|n| format!("I{n}\n"));
        format!("({}t", numbers.collect::<String>())
    };
    pickle.extend(format!("I{numel}\ntQI{offset}\n{}{}", tuple(size), tuple(stride)).bytes());
    pickle.extend(b"\x89}tRs.");
    pickle
}

/// The same within a file that has those elements.
fn stored(numel: usize, claimed: &str, offset: &str, size: &str, stride: &str) -> Vec<u8> {
    let mut storage = (claimed.parse::<i64>().unwrap()).to_le_bytes().to_vec();
    storage.resize(8 + 4 * numel, 0x3f);
    legacy(&of_tensor(claimed, offset, size, stride), b"]X\x01\0\0\x000a.", &storage)
}

#[test]
fn the_fixtures_are_sound() {
    let source = Source::from_bytes(stored(6, "6", "1", "2 2", "2 1"), "sound.pt");
    let checkpoint = Checkpoint::open_source(&source).unwrap().load().unwrap();
    assert_eq!(checkpoint.get("w").unwrap().shape(), [2, 2]);
    assert!(accepted(b"}.").is_empty());
}

#[test]
fn globals_that_could_do_harm() {
    for (pickle, global) in [
        (&b"cos\nsystem\nX\x02\0\0\0ls\x85R."[..], "os.system"),
        (b"cposix\nsystem\nX\x02\0\0\0ls\x85R.", "posix.system"),
        (b"cnt\nsystem\nN.", "nt.system"),
        (b"csubprocess\nPopen\n.", "subprocess.Popen"),
        (b"cbuiltins\neval\n.", "builtins.eval"),
        (b"c__builtin__\nexec\n.", "__builtin__.exec"),
        (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x8c\x0atorch.nn.x\x8c\x09os.system\x93.", "torch.nn.x.os.system"),
        (b"(ios\nsystem\n.", "os.system"),
        (b"ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"),
        (b"ctorch.hub\nload\n.", "torch.hub.load"),
        (b"ctorch\nload\n.", "torch.load"),
        (b"csys\nmodules\n.", "sys.modules"),
        (b"cimportlib\nimport_module\n.", "importlib.import_module"),
    ] {
        let found = fault(pickle);
        let Fault::Forbidden { global: named, position } = &found else { panic!("{found}") };
        assert_eq!(named, global);
        assert!((START..START + pickle.len()).contains(&(*position as usize)), "{found}");
    }
    // The place is that of the operation, wherever it stands.
    let late = [&b"(K\x01K\x02cos\nsystem\nt."[..]].concat();
    let expected = Fault::Forbidden { global: "os.system".into(), position: START as u64 + 5 };
    assert_eq!(fault(&late), expected);
}

#[test]
fn a_forbidden_global_within_a_zip_archive() {
    let pickle = Member::new("m/data.pkl", b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.");
    let expected = Fault::Forbidden { global: "os.system".into(), position: 2 };
    assert_eq!(torch_fault(zip(&[pickle])), expected);
}

#[test]
fn calls_of_what_is_neither_known_nor_a_class() {
    let found = fault(b"cmymodule\nrun\n)R.");
    assert_eq!(found, Fault::Call { global: "mymodule.run".into(), position: START as u64 + 15 });
    assert!(matches!(fault(b"K\x01)R."), Fault::Call { .. }));
    assert!(matches!(fault(b"K\x01)\x81."), Fault::Call { .. }));
    // A class is not called either: it is a name, and its object has no behaviour.
    assert!(accepted(b"cmymodule\nNet\n)R.").is_empty());
    assert!(accepted(b"cmymodule\nnet\n)\x81}b.").is_empty());
    // A function that is only named, such as an activation, is not called.
    assert!(accepted(b"ctorch.nn.functional\nrelu\n.").is_empty());
}

#[test]
fn the_state_of_an_object_is_not_applied() {
    // As a class with its own way to take its state would run it.
    let pickle = b"cmymodule\nNet\n)\x81}X\x05\0\0\0shellX\x02\0\0\0lssb.";
    assert!(accepted(pickle).is_empty());
}

#[test]
fn known_functions_with_other_arguments() {
    for pickle in [
        &b"ctorch._utils\n_rebuild_tensor_v2\n)R."[..],
        b"ctorch._utils\n_rebuild_tensor_v2\nNR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))t\x85R.",
        b"ctorch._utils\n_rebuild_tensor_v3\n(NNNNNNNtR.",
        b"ctorch._utils\n_rebuild_parameter\n)R.",
        b"ctorch._utils\n_rebuild_parameter\nK\x01\x85R.",
        b"c_codecs\nencode\nK\x01\x85R.",
        b"c_codecs\nencode\nX\x03\0\0\0\xe2\x82\xac\x85R.",
        b"ccollections\nOrderedDict\nK\x01\x85R.",
        b"ccopyreg\n_reconstructor\n)R.",
    ] {
        let found = fault(pickle);
        let Fault::Arguments { global, .. } = &found else { panic!("{found}") };
        let name = pickle.split(|byte| *byte == b'\n').nth(1).unwrap();
        assert!(global.as_bytes().ends_with(name), "{found}");
    }
    let wrapped =
        [&b"ctorch._tensor\n_rebuild_from_type_v2\n"[..], b"(cm\nf\nN)Nt", b"R."].concat();
    assert!(matches!(fault(&wrapped), Fault::Call { global, .. } if global == "m.f"));
}

#[test]
fn references_to_anything_but_storages() {
    for pickle in [
        &b"K\x01Q."[..],
        b")Q.",
        b"X\x04\0\0\0fileQ.",
        b"X\x07\0\0\0storage\x85Q.",
        b"(X\x07\0\0\0storagecm\nC\nX\x01\0\0\x000X\x03\0\0\0cpuK\x01tQ.",
        b"(X\x06\0\0\0moduleK\x01tQ.",
    ] {
        let found = fault(pickle);
        assert!(matches!(found, Fault::Reference { .. }), "{found}");
    }
    assert!(matches!(fault(b"P1\n."), Fault::Reference { .. }));
}

#[test]
fn the_stack() {
    let at = |offset: u64| START as u64 + offset;
    assert_eq!(fault(b"."), Fault::Underflow { opcode: b'.', position: at(0) });
    assert_eq!(fault(b"t."), Fault::Underflow { opcode: b't', position: at(0) });
    assert_eq!(fault(b"R."), Fault::Underflow { opcode: b'R', position: at(0) });
    assert_eq!(fault(b"N\x86."), Fault::Underflow { opcode: 0x86, position: at(1) });
    // A mark is a floor.
    assert_eq!(fault(b"N(\x85."), Fault::Underflow { opcode: 0x85, position: at(2) });
    assert_eq!(fault(b"}(K\x01u."), Fault::Underflow { opcode: b'u', position: at(4) });
    assert_eq!(fault(b"q\x00."), Fault::Underflow { opcode: b'q', position: at(0) });
    assert!(matches!(fault(b"NN."), Fault::Malformed { .. }));
    assert!(matches!(fault(b"N(N."), Fault::Malformed { .. }));
}

#[test]
fn values_that_were_never_stored() {
    let at = |offset: u64| START as u64 + offset;
    assert_eq!(fault(b"h\x07."), Fault::DanglingMemo { index: 7, position: at(0) });
    assert_eq!(
        fault(b"Nq\x01j\0\0\0\x80."),
        Fault::DanglingMemo { index: 1 << 31, position: at(3) }
    );
    assert_eq!(fault(b"g5\n."), Fault::DanglingMemo { index: 5, position: at(0) });
    assert!(matches!(fault(b"gx\n."), Fault::Malformed { .. }));
}

#[test]
fn no_stop() {
    let file = legacy(b"}", b"", b"");
    assert_eq!(torch_fault(file), Fault::NoStop { position: START as u64 + 1 });
    let pickle = Member::new("m/data.pkl", b"\x80\x02}");
    assert_eq!(torch_fault(zip(&[pickle])), Fault::NoStop { position: 3 });
    let pickle = Member::new("m/data.pkl", b"}.}.");
    assert_eq!(torch_fault(zip(&[pickle])), Fault::AfterStop { position: 2 });
}

#[test]
fn unknown_operations() {
    // The registry of extensions, buffers from elsewhere, and what no protocol has.
    for opcode in [0x82, 0x83, 0x84, 0x97, 0x98, 0xff, b'!'] {
        assert_eq!(fault(&[opcode, b'.']), Fault::Opcode { opcode, position: START as u64 });
    }
}

#[test]
fn things_that_take_no_values() {
    let at = |offset: u64| START as u64 + offset;
    let target = |opcode, target, offset| Fault::Target { opcode, target, position: at(offset) };
    assert_eq!(fault(b"]K\x01K\x02s."), target(b's', "a list", 5));
    assert_eq!(fault(b"NK\x01K\x02s."), target(b's', "a value that cannot be changed", 5));
    assert_eq!(fault(b"](K\x01K\x02u."), target(b'u', "a list", 6));
    assert_eq!(fault(b"}K\x01a."), target(b'a', "a dictionary", 3));
    assert_eq!(fault(b"](K\x01\x90."), target(0x90, "a list", 4));
    assert_eq!(fault(b"N}b."), target(b'b', "a value that cannot be changed", 2));
    assert_eq!(fault(b"cm\nC\n}b."), target(b'b', "a class or function", 6));
    assert_eq!(fault(b"cm\nC\nNNs."), target(b's', "a class or function", 7));
}

#[test]
fn lengths_that_no_file_has() {
    let long = [&b"\x8d"[..], &(1u64 << 63).to_le_bytes(), b"."].concat();
    let expected = Fault::Length { length: 1 << 63, left: 3, position: START as u64 };
    assert_eq!(fault(&long), expected);
    for opcode in [0x8e, 0x96] {
        let long = [&[opcode][..], &u64::MAX.to_le_bytes(), b"."].concat();
        assert!(matches!(fault(&long), Fault::Length { length: u64::MAX, .. }));
    }
    assert!(matches!(fault(b"X\xff\xff\xff\xff."), Fault::Length { length: 0xffff_ffff, .. }));
    assert!(matches!(fault(b"\x8b\xff\xff\xff\xff."), Fault::Length { .. }));
    assert!(matches!(fault(b"X\x01\0\0\0\xff."), Fault::Malformed { .. }));
    assert!(matches!(fault(b"Ixyz\n."), Fault::Malformed { .. }));
    assert!(matches!(fault(b"S'a\n."), Fault::Malformed { .. }));
}

/// Runs and gives the peak of memory above that before, where the system tells.
fn with_peak<T>(run: impl FnOnce() -> T) -> (T, Option<u64>) {
    let read = |what: &str| {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with(what))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    let reset = std::fs::write("/proc/self/clear_refs", "5").ok();
    let before = reset.and_then(|()| read("VmRSS:"));
    let done = run();
    let peak = before.and_then(|before| Some(read("VmHWM:")?.saturating_sub(before)));
    (done, peak)
}

#[test]
fn floods_take_no_more_than_twice_the_file_and_64_mib() {
    let flood = |start: &[u8], repeated: &[u8], times: usize| {
        let mut pickle = start.to_vec();
        (0..times).for_each(|_| pickle.extend(repeated));
        pickle.push(b'.');
        legacy(&pickle, b"].", b"")
    };
    for (what, file) in [
        ("lists", flood(b"", b"]", 8 << 20)),
        ("nothings", flood(b"", b"N", 8 << 20)),
        ("marks", flood(b"", b"(", 8 << 20)),
        ("tuples in tuples", flood(b"N", b"\x85", 8 << 20)),
        ("memos", flood(b"\x80\x04N", b"\x94", 16 << 20)),
        ("items", flood(b"](", b"N", 8 << 20)),
        ("globals", flood(b"(", b"cm\nC\n", 2 << 20)),
        ("objects", flood(b"cm\nC\nq\x000(", b"h\x00)\x81", 2 << 20)),
    ] {
        let length = file.len() as u64;
        let (found, peak) = with_peak(|| torch_fault(file));
        let refused = matches!(found, Fault::TooLarge { .. } | Fault::TooDeep { .. });
        assert!(refused, "{what}: {found}");
        // Other tests run beside this one; they are small.
        if let Some(peak) = peak {
            assert!(peak < 2 * length + (96 << 20), "{what}: {peak} bytes for {length}");
        }
    }
}

#[test]
fn repetition_within_repetition() {
    // Thirty dictionaries, each twice in the next: a billion values when they are followed.
    let mut pickle = b"}X\x01\0\0\0xK\x01sq\x00".to_vec();
    for _ in 0..30 {
        pickle.extend(b"0}(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00uq\x00");
    }
    pickle.push(b'.');
    assert!(matches!(fault(&pickle), Fault::TooLarge { .. }));
    // A list within itself.
    assert!(matches!(fault(b"]q\x00h\x00a."), Fault::TooDeep { limit: 64 }));
    // A long name on every level of a deep dictionary.
    let mut pickle = b"X\x00\x00\x10\x00".to_vec();
    pickle.resize(pickle.len() + (1 << 20), b'n');
    pickle.extend(b"q\x000K\x01q\x01");
    for _ in 0..60 {
        pickle.extend(b"0}(h\x00h\x01uq\x01");
    }
    pickle.push(b'.');
    assert!(matches!(fault(&pickle), Fault::TooLarge { .. }));
}

#[test]
fn deep_nesting() {
    let mut pickle = b"K\x01q\x01".to_vec();
    for _ in 0..100 {
        pickle.extend(b"0}X\x01\0\0\0ah\x01sq\x01");
    }
    pickle.push(b'.');
    assert_eq!(fault(&pickle), Fault::TooDeep { limit: 64 });
}

#[test]
fn keys_that_collide_when_flattened() {
    let both = |outer: &[u8]| {
        let tensor = of_tensor("0", "0", "0", "1");
        let tensor = &tensor[7..tensor.len() - 2];
        let mut pickle = b"}(".to_vec();
        pickle.extend(b"X\x03\0\0\0a.b");
        pickle.extend(tensor);
        pickle.extend(outer);
        pickle.extend(tensor);
        pickle.extend(b"su.");
        legacy(&pickle, b"]X\x01\0\0\x000a.", &[0; 8])
    };
    let found = torch_fault(both(b"X\x01\0\0\0a}X\x01\0\0\0b"));
    assert_eq!(found, Fault::Collision { name: "a.b".into() });
    // A number and the text of it; and one key twice.
    let twice = |first: &[u8], second: &[u8], name: &str| {
        let tensor = of_tensor("0", "0", "0", "1");
        let tensor = &tensor[7..tensor.len() - 2];
        let pickle = [b"}(", first, tensor, second, tensor, b"u."].concat();
        let found = torch_fault(legacy(&pickle, b"]X\x01\0\0\x000a.", &[0; 8]));
        assert_eq!(found, Fault::Collision { name: name.into() });
    };
    twice(b"K\x01", b"X\x01\0\0\x001", "1");
    twice(b"X\x01\0\0\x00k", b"X\x01\0\0\x00k", "k");
}

#[test]
fn keys_of_another_kind() {
    let tensor = of_tensor("0", "0", "0", "1");
    let tensor = &tensor[7..tensor.len() - 2];
    let pickle = [b"}(X\x01\0\0\0m}N", tensor, b"su."].concat();
    let found = torch_fault(legacy(&pickle, b"]X\x01\0\0\x000a.", &[0; 8]));
    assert_eq!(found, Fault::Key { within: "m".into() });
    assert!(accepted(b"}NK\x01s.").is_empty(), "without a tensor it is of no interest");
}

#[test]
fn shapes_steps_and_offsets() {
    let tensor = || "w".to_owned();
    let of = |offset, size, stride| torch_fault(stored(6, "6", offset, size, stride));
    let negative = |what, value| Fault::Negative { tensor: tensor(), what, value };
    assert_eq!(of("0", "-2", "1"), negative("size", -2));
    assert_eq!(of("0", "2", "-1"), negative("step", -1));
    assert_eq!(of("-1", "2", "1"), negative("offset", -1));
    let overflow = Fault::Overflow { tensor: tensor() };
    assert_eq!(of("0", "4611686018427387904 4", "0 0"), overflow);
    assert_eq!(of("0", "4294967296 4294967296 0", "0 0 0"), overflow);
    assert_eq!(of("0", "2 9223372036854775807", "9223372036854775807 1"), overflow);
    assert_eq!(of("0", "4", "9223372036854775807"), overflow);
    let most = "9223372036854775807";
    let needed = i64::MAX as u64 + 2;
    assert_eq!(of(most, "2", "1"), Fault::PastEnd { tensor: tensor(), needed, found: 6 });
    let past = |needed| Fault::PastEnd { tensor: tensor(), needed, found: 6 };
    assert_eq!(of("0", "7", "1"), past(7));
    assert_eq!(of("5", "2", "1"), past(7));
    assert_eq!(of("0", "2 2", "5 2"), past(8));
    assert_eq!(of("0", "2 2", "1"), Fault::Rank { tensor: tensor(), sizes: 2, strides: 1 });
    let many = "1 ".repeat(65);
    assert_eq!(of("0", &many, &many), Fault::RankOverLimit { tensor: tensor(), limit: 64 });
}

#[test]
fn expansion_by_steps_of_zero() {
    let found = torch_fault(stored(1, "1", "0", "1099511627776", "0"));
    let numel = 1 << 40;
    assert_eq!(found, Fault::Expansion { tensor: "w".into(), numel, stored: 1 });
    let found = torch_fault(stored(1, "1", "0", "4096 4096", "0 0"));
    assert!(matches!(found, Fault::Expansion { numel: 16_777_216, .. }));
    // A row that is there a few times is what models have.
    let source = Source::from_bytes(stored(2, "2", "0", "3 2", "0 1"), "sound.pt");
    let tensor = Checkpoint::open_source(&source).unwrap().remove("w").unwrap();
    assert_eq!(tensor.bytes().unwrap().len(), 24);
}

#[test]
fn many_large_views_of_one_storage() {
    // A storage of 16 MiB under a hundred shapes: each would be read by itself.
    let numel = 4 << 20;
    let mut pickle = b"}(".to_vec();
    for row in 1..=100 {
        let tensor = of_tensor("4194304", "0", &format!("{}", numel - row), "1");
        pickle.extend([b"K", &[row as u8][..], &tensor[7..tensor.len() - 2]].concat());
    }
    pickle.extend(b"u.");
    let mut storage = (numel as i64).to_le_bytes().to_vec();
    storage.resize(8 + 4 * numel, 0);
    let file = legacy(&pickle, b"]X\x01\0\0\x000a.", &storage);
    assert!(matches!(torch_fault(file), Fault::TotalOverLimit { .. }));
}

#[test]
fn storages_and_their_bytes() {
    let length = |needed, found| Fault::StorageLength { key: "0".into(), needed, found };
    // More elements than bytes; another number in front of them; 2^63 of them; none at all.
    assert_eq!(torch_fault(stored(5, "6", "0", "1", "1")), length(24, 20));
    let mut other = stored(6, "6", "0", "1", "1");
    let at = other.len() - 32;
    other[at] = 5;
    assert_eq!(torch_fault(other), length(6, 5));
    let huge = stored(6, "9223372036854775807", "0", "1", "1");
    assert!(matches!(torch_fault(huge), Fault::StorageLength { found: 24, .. }));
    let pickle = of_tensor("6", "0", "1", "1");
    let none = legacy(&pickle, b"].", b"");
    let missing = Fault::MissingStorage { tensor: "w".into(), key: "0".into() };
    assert_eq!(torch_fault(none), missing);
    let unknown = legacy(&pickle, b"]X\x01\0\0\x007a.", &[0; 8]);
    assert!(matches!(torch_fault(unknown), Fault::Preamble { .. }));
}

#[test]
fn storages_of_a_zip_archive_and_their_bytes() {
    let pickle = of_tensor("6", "0", "6", "1");
    let file = |members: &[Member]| zip(&[&[Member::new("m/data.pkl", &pickle)], members].concat());
    let sound = Source::from_bytes(file(&[Member::new("m/data/0", &[1; 24])]), "m.pt");
    assert_eq!(Checkpoint::open_source(&sound).unwrap().load().unwrap().len(), 1);
    for found in [20, 28] {
        let expected = Fault::StorageCount { tensor: "w".into(), claimed: 6, width: 4, found };
        assert_eq!(
            torch_fault(file(&[Member::new("m/data/0", &vec![1; found as usize])])),
            expected
        );
    }
    let missing = Fault::MissingStorage { tensor: "w".into(), key: "0".into() };
    assert_eq!(torch_fault(file(&[Member::new("n/data/0", &[1; 24])])), missing);
    let order = Member::new("m/byteorder", b"middle");
    assert_eq!(torch_fault(file(&[order])), Fault::ByteOrder { found: "middle".into() });
    let second = Member::new("n/data.pkl", b"}.");
    assert_eq!(torch_fault(file(&[second])), Fault::Pickles { found: 2 });
}

#[test]
fn nothing_is_taken_for_torch_that_is_not() {
    for bytes in [&b""[..], b"\x80\x02", b"\x80\x02}.", b"PK", b"L11\n."] {
        let error =
            TorchFile::open_source(&Source::from_bytes(bytes.to_vec(), "x.pt")).unwrap_err();
        assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
    }
    let other = zip(&[Member::new("a/b/data.pkl", b"}.")]);
    let error = Checkpoint::open_source(&Source::from_bytes(other, "x.zip")).unwrap_err();
    assert!(matches!(error, Error::UnknownFormat { .. }), "{error}");
}

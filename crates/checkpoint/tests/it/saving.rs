//! Saves and reads that get in each other's way, and what killed ones leave behind.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use espalier_checkpoint::{
    Action, Checkpoint, Dtype, Error, NamedTensor, Provider, WriteMode, write_atomically,
    write_atomically_with, write_safetensors, write_safetensors_sharded,
    write_safetensors_sharded_with, write_safetensors_with,
};

use crate::names;

/// Several tensors of which all bytes have this value.
pub(crate) fn uniform(value: u8) -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    for number in 0..5 {
        let (name, bytes) = (format!("t{number}"), vec![value; 10_000]);
        checkpoint.push(NamedTensor::new(name, Dtype::U8, vec![10_000], bytes).unwrap()).unwrap();
    }
    checkpoint
}

/// The value of all bytes.
pub(crate) fn value_of(checkpoint: &Checkpoint) -> u8 {
    assert_eq!(checkpoint.len(), 5);
    let value = checkpoint.get("t0").unwrap().bytes().unwrap()[0];
    for tensor in checkpoint {
        assert_eq!(*tensor.bytes().unwrap(), [value; 10_000]);
    }
    value
}

/// The file of a single-file checkpoint, and the index of shards, in a directory.
fn paths(dir: &Path) -> [std::path::PathBuf; 2] {
    [dir.join("m.safetensors"), dir.join("m.safetensors.index.json")]
}

fn save(path: &Path, checkpoint: &Checkpoint, mode: WriteMode) -> Result<(), Error> {
    if path.extension().is_some_and(|ending| ending == "json") {
        write_safetensors_sharded_with(path, checkpoint, 20_000, mode)
    } else {
        write_safetensors_with(path, checkpoint, mode)
    }
}

#[test]
fn a_reader_during_replaces() {
    let dir = tempfile::tempdir().unwrap();
    for path in paths(dir.path()) {
        save(&path, &uniform(0), WriteMode::Replace).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let (mut last, mut over) = (0, false);
                        while !over {
                            over = done.load(Ordering::SeqCst);
                            let value = value_of(&Checkpoint::open(&path).unwrap());
                            assert!(value >= last, "{value} after {last}");
                            last = value;
                        }
                        last
                    })
                })
                .collect();
            for value in 1..=40 {
                save(&path, &uniform(value), WriteMode::Replace).unwrap();
            }
            done.store(true, Ordering::SeqCst);
            for reader in readers {
                assert_eq!(reader.join().unwrap(), 40);
            }
        });
    }
    assert_eq!(names(dir.path()).len(), 5);
}

#[test]
fn two_writers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for path in paths(dir.path()) {
        save(&path, &uniform(0), WriteMode::Replace).unwrap();
        thread::scope(|scope| {
            for writer in [1, 101] {
                let path = &path;
                scope.spawn(move || {
                    for value in writer..writer + 15 {
                        save(path, &uniform(value), WriteMode::Replace).unwrap();
                        value_of(&Checkpoint::open(path).unwrap());
                    }
                });
            }
        });
        assert!([15, 115].contains(&value_of(&Checkpoint::open(&path).unwrap())));
        // Both may have taken the other's old shards for their own to remove, or neither has.
        save(&path, &uniform(1), WriteMode::Replace).unwrap();
    }
    assert_eq!(names(dir.path()).len(), 5);
}

#[test]
fn of_several_that_create_one_succeeds() {
    for place in [0, 1] {
        let dir = tempfile::tempdir().unwrap();
        let path = &paths(dir.path())[place];
        let won = AtomicUsize::new(0);
        thread::scope(|scope| {
            for writer in 1..=6 {
                let won = &won;
                scope.spawn(move || match save(path, &uniform(writer), WriteMode::CreateNew) {
                    Ok(()) => assert_eq!(won.swap(writer.into(), Ordering::SeqCst), 0),
                    Err(Error::AlreadyExists { path: named }) => assert_eq!(named, *path),
                    Err(other) => panic!("{other}"),
                });
            }
        });
        let value = value_of(&Checkpoint::open(path).unwrap());
        assert_eq!(usize::from(value), won.load(Ordering::SeqCst));
        assert_eq!(names(dir.path()).len(), if place == 0 { 1 } else { 4 });
    }
}

#[test]
fn what_is_there_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "mine").unwrap();
    let written = write_atomically_with(&path, WriteMode::CreateNew, |_| panic!("not asked"));
    assert!(matches!(written, Err(Error::AlreadyExists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    assert_eq!(names(dir.path()), ["f"]);
}

/// A tensor whose bytes cannot be had.
#[derive(Debug)]
struct Failing(fn() -> Error);

impl Provider for Failing {
    fn read(&self) -> Result<Vec<u8>, Error> {
        Err(self.0())
    }
}

fn failing(error: fn() -> Error) -> Checkpoint {
    let mut checkpoint = uniform(2);
    let last = NamedTensor::lazy("last", Dtype::U8, vec![10_000], Arc::new(Failing(error)));
    checkpoint.push(last.unwrap()).unwrap();
    checkpoint
}

#[test]
fn a_provider_that_panics() {
    let dir = tempfile::tempdir().unwrap();
    for path in paths(dir.path()) {
        save(&path, &uniform(1), WriteMode::Replace).unwrap();
        let before = names(dir.path());
        let panicking = failing(|| panic!("the provider gave up"));
        let saving = || save(&path, &panicking, WriteMode::Replace);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(saving)).is_err());
        assert_eq!(value_of(&Checkpoint::open(&path).unwrap()), 1);
        assert_eq!(names(dir.path()), before);
    }
}

#[test]
fn a_provider_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    for path in paths(dir.path()) {
        save(&path, &uniform(1), WriteMode::Replace).unwrap();
        let before = names(dir.path());
        let failing = failing(|| Error::DuplicateName { name: "its own".into() });
        let error = save(&path, &failing, WriteMode::Replace).unwrap_err();
        assert!(matches!(error, Error::DuplicateName { .. }), "{error}");
        assert_eq!(value_of(&Checkpoint::open(&path).unwrap()), 1);
        assert_eq!(names(dir.path()), before);
    }
}

#[test]
fn what_killed_saves_left_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let leave = |name: &str| fs::write(dir.path().join(name), b"left behind").unwrap();
    let left = [
        ".espalier-AAAAAA.tmp",
        ".m-saveaaaaaaaa.tmp",
        "m-saveaaaaaaaa-00001-of-00002.safetensors",
        "m-savebbbbbbbb-00002-of-00002.safetensors",
    ];
    let others =
        [".espalier-AAAAA.tmp", ".espalier-notes.txt", ".m-saveaaaa.tmp", ".x-saveaaaaaaaa.tmp"];
    left.iter().chain(&others).for_each(|name| leave(name));
    // A save of a single file removes only what such saves leave.
    write_safetensors(dir.path().join("m.safetensors"), &uniform(1)).unwrap();
    let now = names(dir.path());
    assert!(!now.contains(&left[0].to_owned()));
    assert!(left[1..].iter().chain(&others).all(|name| now.contains(&(*name).to_owned())));
    write_safetensors_sharded(dir.path().join("m"), &uniform(1), 1 << 20).unwrap();
    let now = names(dir.path());
    assert!(others.iter().all(|name| now.contains(&(*name).to_owned())));
    assert!(left.iter().all(|name| !now.contains(&(*name).to_owned())));
    assert_eq!(now.len(), others.len() + 3);
}

#[test]
fn what_living_saves_are_writing_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let living = [
        ".espalier-AAAAAA.tmp",
        ".m-saveaaaaaaaa.tmp",
        "m-saveaaaaaaaa-00001-of-00002.safetensors",
    ];
    let locks: Vec<File> = living
        .iter()
        .map(|name| {
            let file = File::create(dir.path().join(name)).unwrap();
            file.try_lock().unwrap();
            file
        })
        .collect();
    let write = || write_safetensors_sharded(dir.path().join("m"), &uniform(1), 1 << 20).unwrap();
    write();
    assert_eq!(names(dir.path()).len(), 5);
    drop(locks);
    write();
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn a_file_that_is_cut_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for path in paths(dir.path()) {
        save(&path, &uniform(1), WriteMode::Replace).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        for name in names(dir.path()).iter().filter(|name| name.ends_with(".safetensors")) {
            let file = fs::OpenOptions::new().write(true).open(dir.path().join(name)).unwrap();
            file.set_len(100).unwrap();
        }
        for tensor in &checkpoint {
            let cut = |error: Error| {
                let Error::Io { action: Action::Read, cause, .. } = &error else {
                    panic!("{error}")
                };
                assert_eq!(cause.kind(), io::ErrorKind::UnexpectedEof);
            };
            cut(tensor.bytes().unwrap_err());
            cut(tensor.stream(|_| Ok(())).unwrap_err());
        }
        // Saved elsewhere, it leaves nothing.
        let copy = dir.path().join("copy");
        let error = write_safetensors(&copy, &checkpoint).unwrap_err();
        assert!(matches!(error, Error::Io { action: Action::Read, .. }), "{error}");
        assert!(!copy.exists() && Checkpoint::open(&path).is_err());
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn shards_have_the_mode_of_the_old_index() {
        let dir = tempfile::tempdir().unwrap();
        let [_, index] = paths(dir.path());
        save(&index, &uniform(1), WriteMode::Replace).unwrap();
        fs::write(dir.path().join("plain"), b"x").unwrap();
        let usual = mode(&dir.path().join("plain")) & 0o644;
        fs::remove_file(dir.path().join("plain")).unwrap();
        for expected in [usual, 0o600, 0o640, 0o666] {
            if expected != usual {
                fs::set_permissions(&index, fs::Permissions::from_mode(expected)).unwrap();
                save(&index, &uniform(2), WriteMode::Replace).unwrap();
            }
            for name in names(dir.path()) {
                assert_eq!(mode(&dir.path().join(&name)), expected, "{name} {expected:o}");
            }
        }
    }

    #[test]
    fn a_link_to_an_index_is_saved_through() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        let link = dir.path().join("m.safetensors.index.json");
        symlink("real/m.safetensors.index.json", &link).unwrap();
        for value in [1, 2] {
            save(&link, &uniform(value), WriteMode::Replace).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(value_of(&Checkpoint::open(&link).unwrap()), value);
        }
        assert_eq!(names(dir.path()).len(), 2);
        assert_eq!(names(&dir.path().join("real")).len(), 4);
        let again = save(&link, &uniform(3), WriteMode::CreateNew);
        assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    }

    #[test]
    fn a_link_of_the_name_of_a_leftover_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), b"x").unwrap();
        let left = [".espalier-AAAAAA.tmp", "m-savebbbbbbbb-00001-of-00001.safetensors"];
        for name in left {
            symlink("precious", dir.path().join(name)).unwrap();
        }
        write_safetensors_sharded(dir.path().join("m"), &uniform(1), 1 << 20).unwrap();
        let now = names(dir.path());
        assert!(left.iter().all(|name| now.contains(&(*name).to_owned())));
        assert_eq!(fs::read(dir.path().join("precious")).unwrap(), b"x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn shards_where_no_file_can_be_created() {
        // Not even the superuser creates files there.
        let error = write_safetensors_sharded("/proc/self/m", &uniform(1), 1).unwrap_err();
        assert!(matches!(error, Error::Io { action: Action::CreateTemporary, .. }), "{error}");
    }

    const LIMITED: &str = "ESPALIER_TEST_LIMITED";

    /// A limit on the size of files makes the system refuse a write in the middle of a file, with no need
    /// for a small disk. Only a process of its own can live with it.
    #[test]
    fn files_over_a_limit_of_the_system() {
        let dir = tempfile::tempdir().unwrap();
        for path in paths(dir.path()) {
            save(&path, &uniform(1), WriteMode::Replace).unwrap();
        }
        let before = names(dir.path());
        // The signal that comes with the refusal would end the process. The unit is 512 bytes or more.
        let ran = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "saving::unix::limited", "--ignored", "--nocapture"])
            .env(LIMITED, dir.path())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(String::from_utf8_lossy(&ran.stdout).contains("refused twice"));
        for path in paths(dir.path()) {
            assert_eq!(value_of(&Checkpoint::open(path).unwrap()), 1);
        }
        assert_eq!(names(dir.path()), before);
    }

    #[test]
    #[ignore = "run by files_over_a_limit_of_the_system in a process with that limit"]
    fn limited() {
        let dir = std::env::var(LIMITED).expect("a directory");
        for path in paths(Path::new(&dir)) {
            let error = save(&path, &uniform(2), WriteMode::Replace).unwrap_err();
            let Error::Io { action: Action::Write, cause, .. } = &error else { panic!("{error}") };
            assert_eq!(cause.kind(), io::ErrorKind::FileTooLarge);
        }
        println!("refused twice");
    }
}

#[test]
fn a_stale_file_of_one_name_does_not_stop_a_save() {
    let dir = tempfile::tempdir().unwrap();
    // A directory has the name of a temporary file.
    fs::create_dir(dir.path().join(".espalier-AAAAAA.tmp")).unwrap();
    write_atomically(dir.path().join("f"), |out| out.write_all(b"new")).unwrap();
    assert_eq!(names(dir.path()), [".espalier-AAAAAA.tmp", "f"]);
}

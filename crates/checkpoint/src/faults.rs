//! What a save does when the operating system refuses: each call in turn, with each answer.

use std::cell::{Cell, RefCell};
use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir, TempPath};

use crate::atomic::{Target, WriteMode, write_target};
use crate::calls::{Calls, Directory, System};
use crate::codec::sharded_write;
use crate::{Action, Checkpoint, Error, NamedTensor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    CreateTemporary,
    CreateNew,
    Write,
    SetPermissions,
    Sync,
    Rename,
    SyncDirectory,
    Remove,
}

/// When calls are refused.
#[derive(Debug, Clone, Copy)]
enum Refuse {
    Never,
    /// Only this one, with that error number.
    One(usize, i32),
    /// This one and all that follow: as if the process had been killed.
    From(usize),
    /// From this one on every write, as on a full disk; other calls work.
    WritesFrom(usize),
}

/// The operating system, refusing.
struct Faulty {
    refuse: Refuse,
    /// The most bytes that are written at once.
    piece: usize,
    made: Cell<usize>,
    refused: RefCell<Vec<Call>>,
}

const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

impl Faulty {
    fn new(refuse: Refuse) -> Self {
        Self { refuse, piece: usize::MAX, made: Cell::new(0), refused: RefCell::default() }
    }

    fn ask(&self, call: Call) -> io::Result<()> {
        let number = self.made.replace(self.made.get() + 1);
        let error = match self.refuse {
            Refuse::One(at, error) if at == number => error,
            Refuse::From(at) if at <= number => EIO,
            Refuse::WritesFrom(at) if at <= number && call == Call::Write => ENOSPC,
            _ => return Ok(()),
        };
        self.refused.borrow_mut().push(call);
        Err(io::Error::from_raw_os_error(error))
    }
}

impl Calls for Faulty {
    fn create_temporary(&self, named: &Builder<'_, '_>, at: &Path) -> io::Result<NamedTempFile> {
        self.ask(Call::CreateTemporary)?;
        System.create_temporary(named, at)
    }

    fn create_new(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.ask(Call::CreateNew)?;
        System.create_new(path, mode)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        self.ask(Call::Write)?;
        System.write(file, &bytes[..bytes.len().min(self.piece)])
    }

    fn set_permissions(&self, file: &File, permissions: Permissions) -> io::Result<()> {
        self.ask(Call::SetPermissions)?;
        System.set_permissions(file, permissions)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.ask(Call::Sync)?;
        System.sync(file)
    }

    fn rename(&self, from: TempPath, to: &Path) -> io::Result<()> {
        self.ask(Call::Rename)?;
        System.rename(from, to)
    }

    fn rename_new(&self, from: TempPath, to: &Path) -> io::Result<()> {
        self.ask(Call::Rename)?;
        System.rename_new(from, to)
    }

    fn sync_directory(&self, directory: &Directory) -> io::Result<()> {
        self.ask(Call::SyncDirectory)?;
        System.sync_directory(directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Call::Remove)?;
        System.remove(path)
    }
}

/// A save of either kind into a directory of its own, and what a reader finds there.
struct Bench {
    directory: TempDir,
    sharded: bool,
}

/// Tensors, each larger than a shard but for the two last, which share one.
const SIZES: [usize; 5] = [40, 50, 60, 10, 10];
const SHARD: u64 = 30;

impl Bench {
    /// With a checkpoint of ones.
    fn new(sharded: bool) -> Self {
        let bench = Self { directory: tempfile::tempdir().unwrap(), sharded };
        bench.save(&System, 1, WriteMode::Replace).unwrap();
        bench
    }

    fn path(&self) -> PathBuf {
        let name = if self.sharded { "m.safetensors.index.json" } else { "m.safetensors" };
        self.directory.path().join(name)
    }

    fn save(&self, calls: &dyn Calls, value: u8, mode: WriteMode) -> Result<(), Error> {
        let mut checkpoint = Checkpoint::new();
        for (number, size) in SIZES.into_iter().enumerate() {
            let bytes = vec![value; size];
            let tensor =
                NamedTensor::new(format!("t{number}"), crate::Dtype::U8, vec![size], bytes);
            checkpoint.push(tensor?)?;
        }
        if self.sharded {
            sharded_write::write(calls, &self.path(), &checkpoint, SHARD, mode)
        } else {
            let path = self.path();
            let layout = crate::codec::safetensors::bytes_of(&checkpoint);
            write_target(calls, &path, &Target::find(&path, mode)?, |out| out.write_all(&layout))
        }
    }

    /// The value that all tensors have.
    fn value(&self) -> u8 {
        let checkpoint = Checkpoint::read(self.path()).unwrap();
        assert_eq!(checkpoint.len(), SIZES.len());
        let value = checkpoint.iter().next().unwrap().bytes().unwrap()[0];
        for (tensor, size) in checkpoint.iter().zip(SIZES) {
            assert_eq!(*tensor.bytes().unwrap(), vec![value; size]);
        }
        value
    }

    fn files(&self) -> usize {
        fs::read_dir(self.directory.path()).unwrap().count()
    }

    /// The files of one checkpoint.
    fn one(&self) -> usize {
        if self.sharded { 5 } else { 1 }
    }
}

/// What an error tells was tried.
fn action_of(call: Call) -> Action {
    match call {
        Call::CreateTemporary => Action::CreateTemporary,
        Call::CreateNew => Action::Create,
        Call::Write => Action::Write,
        Call::SetPermissions => Action::SetMode,
        Call::Sync => Action::Sync,
        Call::Rename => Action::Rename,
        Call::SyncDirectory => Action::SyncDirectory,
        Call::Remove => Action::Remove,
    }
}

/// Each call of a save fails once: the old checkpoint is whole and nothing else is there, or if it was the
/// very last step that failed, the new one.
#[test]
fn every_call_refused_once() {
    let mut seen = Vec::new();
    for (sharded, error) in
        [false, true].into_iter().flat_map(|s| [EIO, ENOSPC, EACCES, EDQUOT].map(|e| (s, e)))
    {
        for at in 0.. {
            let bench = Bench::new(sharded);
            let calls = Faulty::new(Refuse::One(at, error));
            let saved = bench.save(&calls, 2, WriteMode::Replace);
            let Some(call) = calls.refused.borrow().first().copied() else {
                assert!(saved.is_ok() && at > 4, "{at} calls");
                break;
            };
            seen.push(call);
            let case = format!("sharded {sharded}, call {at}, {call:?}, {error}: {saved:?}");
            match saved {
                // An old file that cannot be removed is no reason to say that the save failed.
                Ok(()) => {
                    assert_eq!((call, bench.value()), (Call::Remove, 2), "{case}");
                    bench.save(&System, 3, WriteMode::Replace).unwrap();
                    assert_eq!((bench.value(), bench.files()), (3, bench.one()), "{case}");
                }
                Err(Error::Io { action, cause, .. }) => {
                    assert_eq!(action, action_of(call), "{case}");
                    assert_eq!(cause.raw_os_error(), Some(error), "{case}");
                    let after = bench.value() == 2;
                    assert!(!after || call == Call::SyncDirectory, "{case}");
                    // Until the rename is on the disk, the shards of both are needed.
                    let files = if after && sharded { 2 * bench.one() - 1 } else { bench.one() };
                    assert_eq!(bench.files(), files, "{case}");
                }
                Err(other) => panic!("{case}: {other}"),
            }
        }
    }
    for call in [
        Call::CreateTemporary,
        Call::CreateNew,
        Call::Write,
        Call::SetPermissions,
        Call::Sync,
        Call::Rename,
        Call::SyncDirectory,
        Call::Remove,
    ] {
        assert!(seen.contains(&call), "{call:?}");
    }
}

/// The process ends at each call in turn, without any cleaning up: the old checkpoint or the new one is
/// whole, and the next save leaves only its own files.
#[test]
fn stopped_at_every_call() {
    for sharded in [false, true] {
        let (mut old, mut new) = (0, 0);
        for at in 0.. {
            let bench = Bench::new(sharded);
            let calls = Faulty::new(Refuse::From(at));
            let _ = bench.save(&calls, 2, WriteMode::Replace);
            match bench.value() {
                1 => old += 1,
                2 => new += 1,
                other => panic!("{other}"),
            }
            bench.save(&System, 3, WriteMode::Replace).unwrap();
            assert_eq!((bench.value(), bench.files()), (3, bench.one()), "{sharded} {at}");
            if calls.refused.borrow().is_empty() {
                break;
            }
        }
        assert!(old > 4 && new > 1, "{old} {new}");
    }
}

/// No space from some write on.
#[test]
fn a_disk_that_fills_up() {
    for sharded in [false, true] {
        for at in 0..40 {
            let bench = Bench::new(sharded);
            let calls = Faulty { piece: 50, ..Faulty::new(Refuse::WritesFrom(at)) };
            let saved = bench.save(&calls, 2, WriteMode::Replace);
            if calls.refused.borrow().is_empty() {
                saved.unwrap();
                assert_eq!(bench.value(), 2);
                continue;
            }
            let Err(Error::Io { action: Action::Write, cause, path }) = saved else { panic!() };
            assert_eq!(cause.kind(), io::ErrorKind::StorageFull);
            assert!(path.starts_with(bench.directory.path()));
            assert_eq!((bench.value(), bench.files()), (1, bench.one()));
        }
    }
}

/// Every write takes fewer bytes than it is given.
#[test]
fn short_writes() {
    for (sharded, piece) in [(false, 1), (false, 7), (true, 1), (true, 7)] {
        let bench = Bench::new(sharded);
        let calls = Faulty { piece, ..Faulty::new(Refuse::Never) };
        bench.save(&calls, 2, WriteMode::Replace).unwrap();
        assert!(calls.made.get() > 100 / piece);
        assert_eq!((bench.value(), bench.files()), (2, bench.one()));
    }
}

/// A write that takes nothing is an error, not an endless loop.
#[test]
fn writes_of_nothing() {
    for sharded in [false, true] {
        let bench = Bench::new(sharded);
        let calls = Faulty { piece: 0, ..Faulty::new(Refuse::Never) };
        let error = bench.save(&calls, 2, WriteMode::Replace).unwrap_err();
        assert!(
            matches!(&error, Error::Io { action: Action::Write, cause, .. }
            if cause.kind() == io::ErrorKind::WriteZero),
            "{error}"
        );
        assert_eq!((bench.value(), bench.files()), (1, bench.one()));
    }
}

/// Another process creates the file just before the rename of a save that must not replace one.
#[test]
fn a_file_that_comes_into_being() {
    struct Late<'a>(&'a Bench);
    impl Calls for Late<'_> {
        fn rename_new(&self, from: TempPath, to: &Path) -> io::Result<()> {
            self.0.save(&System, 7, WriteMode::CreateNew).unwrap();
            System.rename_new(from, to)
        }
    }
    for sharded in [false, true] {
        let bench = Bench { directory: tempfile::tempdir().unwrap(), sharded };
        let saved = bench.save(&Late(&bench), 2, WriteMode::CreateNew);
        assert!(matches!(saved, Err(Error::AlreadyExists { .. })), "{saved:?}");
        assert_eq!((bench.value(), bench.files()), (7, bench.one()));
    }
}

/// Another program removes a shard before the index is there.
#[test]
fn a_shard_that_is_lost() {
    struct Greedy<'a>(&'a Bench, Cell<usize>);
    impl Calls for Greedy<'_> {
        fn sync_directory(&self, directory: &Directory) -> io::Result<()> {
            let written = fs::read_dir(self.0.directory.path())?.map(|e| e.unwrap().path());
            let old = Checkpoint::open(self.0.path()).unwrap();
            drop(old);
            let index = fs::read_to_string(self.0.path())?;
            for path in written.filter(|path| path.extension().unwrap() == "safetensors") {
                if !index.contains(path.file_name().unwrap().to_str().unwrap()) {
                    fs::remove_file(path)?;
                    self.1.set(self.1.get() + 1);
                }
            }
            System.sync_directory(directory)
        }
    }
    let bench = Bench::new(true);
    let calls = Greedy(&bench, Cell::new(0));
    let saved = bench.save(&calls, 2, WriteMode::Replace);
    assert!(
        matches!(saved, Err(Error::Shards { cause: crate::ShardFault::Lost { .. }, .. })),
        "{saved:?}"
    );
    assert_eq!((calls.1.get(), bench.value(), bench.files()), (4, 1, bench.one()));
}

//! What a save must survive.

use std::fs;
use std::io;
use std::path::Path;

use espalier_checkpoint::{Action, Error, check_writable_dir, write_atomically};

use crate::names;

#[test]
fn writes_and_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    write_atomically(&path, |out| out.write_all(b"old and long")).unwrap();
    write_atomically(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"old").unwrap();
    let error = write_atomically(&path, |out| {
        out.write_all(&[1; 1 << 21])?;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    })
    .unwrap_err();
    assert!(matches!(&error, Error::Io { action: Action::Write, cause, .. }
        if cause.kind() == io::ErrorKind::StorageFull));
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_panic_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"old").unwrap();
    let caught = std::panic::catch_unwind(|| {
        write_atomically(&path, |out| {
            out.write_all(b"half")?;
            panic!("the provider gave up");
        })
    });
    assert!(caught.is_err());
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn a_reader_sees_the_old_file_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"old").unwrap();
    write_atomically(&path, |out| {
        out.write_all(b"new")?;
        out.flush()?;
        assert_eq!(fs::read(&path)?, b"old");
        Ok(())
    })
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn two_writers_leave_one_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::thread::scope(|scope| {
        for letter in [b'a', b'b'] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..20 {
                    write_atomically(path, |out| out.write_all(&[letter; 10_000])).unwrap();
                    let seen = fs::read(path).unwrap();
                    assert!(seen == [b'a'; 10_000] || seen == [b'b'; 10_000]);
                }
            });
        }
    });
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn names_as_long_as_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n".repeat(255));
    write_atomically(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn only_files_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &Path| write_atomically(path, |out| out.write_all(b"x"));
    assert!(matches!(write(dir.path()), Err(Error::NotAFile { .. })));
    assert!(matches!(write(Path::new("/dev/null")), Err(Error::NotAFile { .. })));
    assert!(matches!(write(Path::new("")), Err(Error::NoFileName { .. })));
    let missing = write(&dir.path().join("no/such/f")).unwrap_err();
    assert!(matches!(missing, Error::Io { action: Action::Open, .. }), "{missing}");
    assert!(names(dir.path()).is_empty());
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_mode_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"old").unwrap();
        for kept in [0o600, 0o640, 0o666, 0o777, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            write_atomically(&path, |out| out.write_all(b"new")).unwrap();
            assert_eq!(mode(&path), kept, "{kept:o}");
        }
    }

    #[test]
    fn a_new_file_may_be_read_as_the_umask_says() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("ours"), dir.path().join("plain"));
        write_atomically(&ours, |out| out.write_all(b"x")).unwrap();
        fs::write(&plain, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&plain) & 0o644);
    }

    #[test]
    fn the_temporary_file_is_no_more_open_than_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"secret").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, |_| {
            for name in names(dir.path()) {
                assert_eq!(mode(&dir.path().join(name)), 0o600);
            }
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn symbolic_links_are_followed_and_stay() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        let (target, link) = (dir.path().join("real/f"), dir.path().join("link"));
        symlink("real/f", &link).unwrap();
        // First to a file that is not there, then to one that is.
        for contents in [b"one", b"two"] {
            write_atomically(&link, |out| out.write_all(contents)).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(&target).unwrap(), contents);
        }
        assert_eq!(names(&dir.path().join("real")), ["f"]);
    }

    #[test]
    fn links_in_a_circle() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        symlink(&b, &a).unwrap();
        symlink(&a, &b).unwrap();
        let error = write_atomically(&a, |out| out.write_all(b"x")).unwrap_err();
        assert!(matches!(error, Error::SymlinkLoop { .. }), "{error}");
    }

    #[test]
    fn a_directory_without_permission() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("f"), b"old").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
        let written = write_atomically(closed.join("f"), |out| out.write_all(b"new"));
        let checked = check_writable_dir(&closed);
        // The superuser may write everywhere: then both succeed, and agree all the same.
        assert_eq!(written.is_ok(), checked.is_ok());
        let expected: &[u8] = if written.is_ok() { b"new" } else { b"old" };
        assert_eq!(fs::read(closed.join("f")).unwrap(), expected);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(names(&closed), ["f"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_takes_no_files() {
    // Not even the superuser creates files there.
    let error = check_writable_dir("/proc/self").unwrap_err();
    assert!(matches!(error, Error::Io { action: Action::CreateTemporary, .. }), "{error}");
    let error = check_writable_dir("/proc/self/runs/a").unwrap_err();
    assert!(matches!(error, Error::Io { action: Action::CreateDirectory, .. }), "{error}");
    let error = write_atomically("/proc/self/f", |out| out.write_all(b"x")).unwrap_err();
    assert!(matches!(error, Error::Io { action: Action::CreateTemporary, .. }), "{error}");
}

#[test]
fn a_writable_directory_is_created_and_left_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c");
    check_writable_dir(&path).unwrap();
    check_writable_dir(&path).unwrap();
    assert!(names(&path).is_empty());
}

#[test]
fn a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, b"x").unwrap();
    for path in [file.clone(), file.join("below"), file.join("far/below")] {
        match check_writable_dir(&path) {
            Err(Error::NotADirectory { path: named }) => assert_eq!(named, file),
            other => panic!("{other:?}"),
        }
    }
}

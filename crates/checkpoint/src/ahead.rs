//! Telling the operating system early what is coming, so that a large file is on the disk sooner.
//!
//! All of it is advice: where it is not taken the file is written as ever. Room on the disk is set aside ahead
//! of the writing, which spares looking for it block by block, and what is written starts for the disk at once
//! rather than when everything is to be there.

use std::fs::File;

/// Bytes of a file that are written before the system is told, and then each time.
const STEP: u64 = 16 << 20;

/// Bytes that are set aside at once.
const ROOM: u64 = 64 << 20;

/// What a file was told about.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Where the writing has got to at most.
    end: u64,
    /// Up to where it is on its way to the disk.
    started: u64,
    /// Up to where there is room.
    reserved: u64,
}

impl Ahead {
    /// After bytes were written that end at `position`.
    pub(crate) fn wrote(&mut self, file: &File, position: u64) {
        self.end = self.end.max(position);
        if self.end - self.started < STEP {
            return;
        }
        system::start(file, self.started, self.end - self.started);
        self.started = self.end;
        if self.end + STEP > self.reserved {
            let from = self.reserved.max(self.end);
            system::reserve(file, from, ROOM);
            self.reserved = from + ROOM;
        }
    }

    /// Gives back the room that is behind the end.
    pub(crate) fn finish(&mut self, file: &File) {
        if self.reserved > self.end
            && let Ok(found) = file.metadata()
        {
            // The same length: what was set aside behind it is no part of the file.
            let _ = file.set_len(found.len());
            self.reserved = 0;
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::num::NonZeroU64;

    use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

    /// Linux begins to write what is said not to be needed, and drops only what is on the disk already.
    pub(super) fn start(file: &File, from: u64, length: u64) {
        let _ = fadvise(file, from, NonZeroU64::new(length), Advice::DontNeed);
    }

    pub(super) fn reserve(file: &File, from: u64, length: u64) {
        let _ = fallocate(file, FallocateFlags::KEEP_SIZE, from, length);
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;

    pub(super) fn start(_: &File, _: u64, _: u64) {}

    pub(super) fn reserve(_: &File, _: u64, _: u64) {}
}

#[cfg(test)]
mod tests {
    use std::io::SeekFrom;

    use super::*;

    #[test]
    fn a_large_file_is_what_was_written_and_takes_no_more_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        let block: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
        crate::write_atomically(&path, |out| {
            for _ in 0..40 {
                out.write_all(&block)?;
            }
            // As archives do: back to the start, and on.
            out.seek(SeekFrom::Start(5))?;
            out.write_all(b"here")?;
            out.seek(SeekFrom::End(0))?;
            out.write_all(b"end")
        })
        .unwrap();
        let mut expected = block.repeat(40);
        expected[5..9].copy_from_slice(b"here");
        expected.extend(b"end");
        assert!(std::fs::read(&path).unwrap() == expected);
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt;
            let taken = std::fs::metadata(&path).unwrap().blocks() * 512;
            assert!(taken < expected.len() as u64 + (1 << 20), "{taken}");
        }
    }

    #[test]
    fn the_system_is_told_once_a_step() {
        let mut ahead = Ahead::default();
        let file = tempfile::tempfile().unwrap();
        ahead.wrote(&file, STEP - 1);
        assert_eq!((ahead.started, ahead.reserved), (0, 0));
        ahead.wrote(&file, STEP + 7);
        assert_eq!((ahead.started, ahead.reserved), (STEP + 7, STEP + 7 + ROOM));
        // Writing further back tells nothing.
        ahead.wrote(&file, 3);
        assert_eq!(ahead.end, STEP + 7);
        ahead.finish(&file);
        assert_eq!(file.metadata().unwrap().len(), 0);
    }
}

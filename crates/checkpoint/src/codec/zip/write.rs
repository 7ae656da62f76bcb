//! Writes archives of stored members, the same bytes for the same members.

use std::io::{self, Write};

/// Where the bytes of a member start, in bytes: elements of any type are aligned, and pages of a disk cut
/// few of them.
const ALIGNMENT: u64 = 64;

/// Lengths, offsets and counts from here on are written in the fields of zip64.
const LARGE: u64 = u32::MAX as u64;

/// Summed and written at once.
const PIECE: usize = 1 << 20;

/// Fills the space before the bytes, as PyTorch does: an extra field of this name that holds only `Z`.
const PADDING: &[u8; 2] = b"FB";

/// An archive being written. Nothing is kept but the directory.
pub(crate) struct ZipWriter<'a, W: Write + ?Sized> {
    out: &'a mut W,
    at: u64,
    directory: Vec<u8>,
    count: u64,
    /// The sum of all sums, which tells archives from one another.
    sums: crc32fast::Hasher,
}

/// Counts and sums what passes through.
struct Counted<'a, W: Write + ?Sized> {
    out: &'a mut W,
    length: u64,
    sum: crc32fast::Hasher,
}

impl<W: Write + ?Sized> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        // In pieces that are still in the cache when they are copied.
        bytes.chunks(PIECE).try_for_each(|piece| {
            self.sum.update(piece);
            self.out.write_all(piece)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'a, W: Write + ?Sized> ZipWriter<'a, W> {
    /// Begins an archive at the start of `out`.
    pub(crate) fn new(out: &'a mut W) -> Self {
        let sums = crc32fast::Hasher::new();
        Self { out, at: 0, directory: Vec::new(), count: 0, sums }
    }

    /// Adds a member of `size` bytes, which `write` writes. Their sum follows them, so that nothing written
    /// has to be changed.
    pub(crate) fn add(
        &mut self,
        name: &str,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let name_length =
            u16::try_from(name.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let header_at = self.at;
        let unpadded = header_at + 30 + name.len() as u64 + 4;
        let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
        let mut header = b"PK\x03\x04\x2d\0\x08\x08".to_vec();
        // Method, time, date, sum and lengths: nothing here.
        header.extend([0; 18]);
        header.extend(name_length.to_le_bytes());
        header.extend((4 + padding as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(PADDING);
        header.extend((padding as u16).to_le_bytes());
        header.resize(header.len() + padding as usize, b'Z');
        self.out.write_all(&header)?;

        let sum = crc32fast::Hasher::new();
        let mut counted = Counted { out: &mut *self.out, length: 0, sum };
        write(&mut counted)?;
        let (length, sum) = (counted.length, counted.sum.finalize());
        if length != size {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.sums.update(&sum.to_le_bytes());

        let large = size >= LARGE || header_at >= LARGE;
        let mut descriptor = b"PK\x07\x08".to_vec();
        descriptor.extend(sum.to_le_bytes());
        for _ in 0..2 {
            if large {
                descriptor.extend(size.to_le_bytes());
            } else {
                descriptor.extend((size as u32).to_le_bytes());
            }
        }
        self.out.write_all(&descriptor)?;
        self.at += (header.len() + descriptor.len()) as u64 + size;
        self.entry(name, name_length, size, sum, header_at);
        Ok(())
    }

    /// Adds an entry to the directory.
    fn entry(&mut self, name: &str, name_length: u16, size: u64, sum: u32, header_at: u64) {
        let mut extra = Vec::new();
        let mut small = |value: u64| {
            if value < LARGE {
                return value as u32;
            }
            extra.extend(value.to_le_bytes());
            u32::MAX
        };
        let (size, packed, header_at) = (small(size), small(size), small(header_at));
        let directory = &mut self.directory;
        directory.extend(b"PK\x01\x02\x2d\0\x2d\0\x08\x08\0\0\0\0\0\0");
        directory.extend([sum, packed, size].map(u32::to_le_bytes).as_flattened());
        directory.extend(name_length.to_le_bytes());
        let extra_length = if extra.is_empty() { 0 } else { 4 + extra.len() as u16 };
        directory.extend(extra_length.to_le_bytes());
        // Comment, disk and attributes: none.
        directory.extend([0; 10]);
        directory.extend(header_at.to_le_bytes());
        directory.extend(name.as_bytes());
        if !extra.is_empty() {
            directory.extend([1, 0]);
            directory.extend((extra.len() as u16).to_le_bytes());
            directory.extend(&extra);
        }
        self.count += 1;
    }

    /// A number that is the same for the same members.
    pub(crate) fn fingerprint(&self) -> u32 {
        self.sums.clone().finalize()
    }

    /// Writes the directory.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Self { out, at: start, directory, count, .. } = self;
        let length = directory.len() as u64;
        out.write_all(&directory)?;
        let mut end = b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0".to_vec();
        end.extend([count, count, length, start].map(u64::to_le_bytes).as_flattened());
        end.extend(b"PK\x06\x07\0\0\0\0");
        end.extend((start + length).to_le_bytes());
        end.extend(b"\x01\0\0\0PK\x05\x06\0\0\0\0");
        let small_count = count.min(0xffff) as u16;
        end.extend([small_count; 2].map(u16::to_le_bytes).as_flattened());
        end.extend(
            [length, start].map(|v| v.min(LARGE) as u32).map(u32::to_le_bytes).as_flattened(),
        );
        end.extend([0; 2]);
        out.write_all(&end)
    }
}

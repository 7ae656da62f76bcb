//! Undoes what chunks went through.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

use super::space::Filter;

/// Bytes that one of a compressed stream can become at most: 258 of them take two bits.
pub(super) const DEFLATE_RATIO: u64 = 1032;

/// The bytes of a checksum.
const CHECKSUM: usize = 4;

impl Filter {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Shuffle { .. } => "shuffle",
            Self::Fletcher32 => "fletcher32",
        }
    }
}

/// The filters that a chunk went through, in order; `skipped` has a bit for each that was left out.
pub(super) fn applied(
    filters: &[Filter],
    skipped: u32,
) -> impl DoubleEndedIterator<Item = &Filter> {
    let all = filters.iter().enumerate();
    all.filter(move |(place, _)| skipped >> place & 1 == 0).map(|(_, filter)| filter)
}

/// Whether `stored` bytes can be those of a chunk of `needed` bytes.
pub(super) fn can_hold(filters: &[Filter], skipped: u32, stored: u64, needed: u64) -> bool {
    let count =
        |wanted: fn(&&Filter) -> bool| applied(filters, skipped).filter(wanted).count() as u64;
    if count(|filter| matches!(filter, Filter::Deflate)) > 0 {
        return stored.saturating_mul(DEFLATE_RATIO) >= needed;
    }
    let checksums = count(|filter| matches!(filter, Filter::Fletcher32));
    needed.checked_add(checksums * CHECKSUM as u64) == Some(stored)
}

/// The bytes of a chunk, which are `needed`; or the name of the filter that fails.
pub(super) fn undo(
    filters: &[Filter],
    skipped: u32,
    stored: Vec<u8>,
    needed: usize,
) -> Result<Vec<u8>, &'static str> {
    let mut bytes = stored;
    let mut last = "length";
    // On the way back no filter leaves more than the chunk and the checksums.
    let most = needed + CHECKSUM * filters.len();
    for filter in applied(filters, skipped).rev() {
        last = filter.name();
        bytes = match filter {
            Filter::Deflate => inflate(&bytes, most),
            Filter::Shuffle { element } => Some(unshuffle(&bytes, *element)),
            Filter::Fletcher32 => checked(bytes),
        }
        .ok_or(last)?;
    }
    if bytes.len() == needed { Ok(bytes) } else { Err(last) }
}

fn inflate(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(most).ok()?;
    // One more than there may be: what ends there is too long, and what ends before has been checked.
    let mut decoder = ZlibDecoder::new(bytes).take(most as u64 + 1);
    decoder.read_to_end(&mut out).ok()?;
    (out.len() <= most).then_some(out)
}

/// Whether a chunk comes out of its compression with the length that it should have, found without keeping
/// what comes out; or the name of the filter that fails.
pub(super) fn check(
    filters: &[Filter],
    skipped: u32,
    stored: Vec<u8>,
    needed: usize,
) -> Result<(), &'static str> {
    let mut bytes = stored;
    let mut inner = applied(filters, skipped);
    while let Some(filter) = inner.next_back() {
        match filter {
            Filter::Shuffle { element } => bytes = unshuffle(&bytes, *element),
            Filter::Fletcher32 => bytes = checked(bytes).ok_or(filter.name())?,
            Filter::Deflate => {
                // Compressed once: the rest only add checksums.
                let checksums = inner.filter(|filter| matches!(filter, Filter::Fletcher32)).count();
                let most = (needed + CHECKSUM * checksums) as u64;
                let mut decoder = ZlibDecoder::new(&bytes[..]).take(most + 1);
                let length = io::copy(&mut decoder, &mut io::sink()).ok();
                return if length == Some(most) { Ok(()) } else { Err(filter.name()) };
            }
        }
    }
    Ok(())
}

/// Brings the bytes of each element together again. What does not fill an element is at the end as it was.
fn unshuffle(bytes: &[u8], element: usize) -> Vec<u8> {
    let count = bytes.len() / element;
    if element < 2 || count < 2 {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len());
    for index in 0..count {
        out.extend((0..element).map(|byte| bytes[byte * count + index]));
    }
    out.extend_from_slice(&bytes[count * element..]);
    out
}

/// The bytes without the checksum behind them, if it is theirs.
fn checked(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let found = bytes.last_chunk::<CHECKSUM>().copied()?;
    bytes.truncate(bytes.len() - CHECKSUM);
    let sum = fletcher32(&bytes);
    // Some old versions of the HDF5 library swap the bytes of each half.
    let [a, b, c, d] = sum.to_le_bytes();
    (found == [a, b, c, d] || found == [b, a, d, c]).then_some(bytes)
}

/// Fletcher's checksum over big-endian words of 16 bits, as the HDF5 library computes it.
fn fletcher32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
    let (mut low, mut high) = (0u32, 0u32);
    // As many words as cannot overflow the sums.
    for block in bytes.chunks(2 * 360) {
        for word in block.chunks(2) {
            let second = word.get(1).copied().unwrap_or_default();
            low += u32::from(word[0]) << 8 | u32::from(second);
            high += low;
        }
        (low, high) = (fold(low), fold(high));
    }
    (low, high) = (fold(low), fold(high));
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_together() {
        let bytes = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 12];
        assert_eq!(unshuffle(&bytes, 4), (0..13).collect::<Vec<u8>>());
        assert_eq!(unshuffle(&[1, 2, 3], 4), [1, 2, 3]);
    }

    #[test]
    fn a_stream_is_not_inflated_beyond_its_chunk() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &[7; 100_000]).unwrap();
        let stored = encoder.finish().unwrap();
        let filters = [Filter::Deflate];
        assert_eq!(undo(&filters, 0, stored.clone(), 100_000).unwrap(), [7; 100_000]);
        assert_eq!(undo(&filters, 0, stored.clone(), 99_999), Err("deflate"));
        assert_eq!(undo(&filters, 0, stored.clone(), 100_001), Err("deflate"));
        let checked = |needed| check(&filters, 0, stored.clone(), needed);
        assert_eq!(checked(100_000), Ok(()));
        assert_eq!((checked(99_999), checked(100_001)), (Err("deflate"), Err("deflate")));
    }

    #[test]
    fn a_checksum_must_be_that_of_the_bytes() {
        // 0x0102 and 0x0300: the sums are 0x0402 and 0x0504.
        let stored = vec![1, 2, 3, 2, 4, 4, 5];
        assert_eq!(undo(&[Filter::Fletcher32], 0, stored.clone(), 3).unwrap(), [1, 2, 3]);
        let mut wrong = stored;
        wrong[0] = 0;
        assert_eq!(undo(&[Filter::Fletcher32], 0, wrong, 3), Err("fletcher32"));
    }
}

//! TensorBoard's event format: records with checksums, around a few protobuf messages.
//!
//! A record is the length of its data (8 bytes, little-endian), a checksum of those bytes, the
//! data, and a checksum of the data. The checksum is CRC-32C, rotated right by 15 and offset, so
//! that checksums of data with checksums in it stay good. Formats:
//! [TFRecord](https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details),
//! `event.proto` and `summary.proto` of TensorBoard.

use super::stats::Stats;

/// A named number or histogram of an event.
pub(super) enum Value<'a> {
    Scalar(f64),
    Histogram(&'a Stats),
}

/// A record around the event that begins every file.
pub(super) fn version(wall_time: f64) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.bytes(3, b"brain.Event:2");
    record(&event.0)
}

/// A record around an event with these values.
pub(super) fn summary(wall_time: f64, step: usize, values: &[(String, Value<'_>)]) -> Vec<u8> {
    let mut summary = Message::default();
    for (tag, value) in values {
        let mut entry = Message::default();
        entry.bytes(1, tag.as_bytes());
        match value {
            Value::Scalar(number) => entry.float(2, *number as f32),
            Value::Histogram(stats) => entry.bytes(5, &histogram(stats)),
        }
        summary.bytes(1, &entry.0);
    }
    let mut event = Message::default();
    event.double(1, wall_time);
    event.varint_field(2, step as u64);
    event.bytes(5, &summary.0);
    record(&event.0)
}

/// `HistogramProto`: upper edges and counts.
fn histogram(stats: &Stats) -> Vec<u8> {
    let n = stats.finite() as f64;
    let mut histogram = Message::default();
    histogram.double(1, stats.min);
    histogram.double(2, stats.max);
    histogram.double(3, n);
    histogram.double(4, stats.mean * n);
    histogram.double(5, stats.norm * stats.norm);
    histogram.packed(6, stats.edges().into_iter().skip(1));
    histogram.packed(7, stats.bins.iter().map(|count| *count as f64));
    histogram.0
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A protobuf message in the making. As in proto3, a zero is left out.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn varint_field(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, 0);
            self.varint(value);
        }
    }

    fn double(&mut self, field: u64, value: f64) {
        if value.to_bits() != 0 {
            self.key(field, 1);
            self.0.extend(value.to_le_bytes());
        }
    }

    /// Always written: it is one of several that a value can be.
    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn packed(&mut self, field: u64, values: impl Iterator<Item = f64>) {
        let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
        if !bytes.is_empty() {
            self.bytes(field, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_format() {
        // CRC-32C of "123456789" by its definition, and of 32 zeros by RFC 3720, B.4.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        // 0xe306_9283 turned right by 15 is 0x2507_c60d; with the offset:
        assert_eq!(masked(b"123456789"), 0xc78a_b0e5);
    }

    #[test]
    fn varints_take_seven_bits_a_byte() {
        let encoded = |value| {
            let mut message = Message::default();
            message.varint(value);
            message.0
        };
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(300), [0xac, 0x02]);
        assert_eq!(encoded(u64::MAX).len(), 10);
    }

    #[test]
    fn a_zero_is_left_out_but_as_a_value() {
        let data = summary(0.0, 0, &[("x".to_owned(), Value::Scalar(0.0))]);
        let event = &data[12..data.len() - 4];
        assert_eq!(event, [0x2a, 10, 0x0a, 8, 0x0a, 1, b'x', 0x15, 0, 0, 0, 0]);
    }
}

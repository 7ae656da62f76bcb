//! A reader of event files that shares nothing with the writer.

use std::collections::BTreeMap;

#[derive(Debug, Default, PartialEq)]
pub struct Histogram {
    pub min: f64,
    pub max: f64,
    pub num: f64,
    pub sum: f64,
    pub sum_squares: f64,
    pub limits: Vec<f64>,
    pub counts: Vec<f64>,
}

#[derive(Debug, Default)]
pub struct Event {
    pub wall_time: f64,
    pub step: u64,
    pub version: Option<String>,
    pub scalars: BTreeMap<String, f32>,
    pub histograms: BTreeMap<String, Histogram>,
}

/// CRC-32C bit by bit, by its definition.
fn crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn checked(data: &[u8], stored: &[u8]) -> bool {
    let crc = crc(data);
    let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
    masked == u32::from_le_bytes(stored.try_into().unwrap())
}

/// The whole events of a file, and how many bytes are left of a cut one.
pub fn read(mut bytes: &[u8]) -> (Vec<Event>, usize) {
    let mut events = Vec::new();
    while bytes.len() >= 12 {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert!(checked(&bytes[..8], &bytes[8..12]), "checksum of a length");
        if bytes.len() < length + 16 {
            break;
        }
        let (data, stored) = bytes[12..length + 16].split_at(length);
        assert!(checked(data, stored), "checksum of an event");
        events.push(event(data));
        bytes = &bytes[length + 16..];
    }
    (events, bytes.len())
}

enum Field<'a> {
    Number(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at(count);
            bytes = rest;
            taken
        };
        let field = match key & 7 {
            1 => Field::Double(f64::from_le_bytes(take(8).try_into().unwrap())),
            5 => Field::Float(f32::from_le_bytes(take(4).try_into().unwrap())),
            0 => Field::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (taken, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(taken)
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn event(bytes: &[u8]) -> Event {
    let mut event = Event::default();
    for field in fields(bytes) {
        match field {
            (1, Field::Double(time)) => event.wall_time = time,
            (2, Field::Number(step)) => event.step = step,
            (3, Field::Bytes(version)) => event.version = Some(text(version)),
            (5, Field::Bytes(summary)) => {
                for value in fields(summary) {
                    let (1, Field::Bytes(value)) = value else { panic!("no value") };
                    add(&mut event, value);
                }
            }
            (number, _) => panic!("field {number} of an event"),
        }
    }
    event
}

fn add(event: &mut Event, value: &[u8]) {
    let mut tag = String::new();
    for field in fields(value) {
        match field {
            (1, Field::Bytes(bytes)) => tag = text(bytes),
            (2, Field::Float(number)) => {
                assert!(event.scalars.insert(tag.clone(), number).is_none(), "{tag} twice");
            }
            (5, Field::Bytes(bytes)) => {
                event.histograms.insert(tag.clone(), histogram(bytes));
            }
            (number, _) => panic!("field {number} of a value"),
        }
    }
}

fn histogram(bytes: &[u8]) -> Histogram {
    let doubles = |bytes: &[u8]| {
        bytes.chunks(8).map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap())).collect()
    };
    let mut histogram = Histogram::default();
    for field in fields(bytes) {
        match field {
            (1, Field::Double(min)) => histogram.min = min,
            (2, Field::Double(max)) => histogram.max = max,
            (3, Field::Double(num)) => histogram.num = num,
            (4, Field::Double(sum)) => histogram.sum = sum,
            (5, Field::Double(squares)) => histogram.sum_squares = squares,
            (6, Field::Bytes(limits)) => histogram.limits = doubles(limits),
            (7, Field::Bytes(counts)) => histogram.counts = doubles(counts),
            (number, _) => panic!("field {number} of a histogram"),
        }
    }
    histogram
}

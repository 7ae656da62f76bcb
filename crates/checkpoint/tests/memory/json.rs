//! Safetensors, and indexes of shards.

use crate::{Attack, Hostile, attack, file, with_hole};

fn with_header(json: &str, data: usize) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn joined(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect::<Vec<_>>().join(",")
}

fn one_safetensors(json: &str, data: usize) -> Vec<Hostile> {
    vec![file("a.safetensors", with_header(json, data))]
}

/// Tensors without elements, with names of that many letters.
fn empty_tensors(count: usize, width: usize, shape: &str) -> String {
    joined(count, |i| {
        format!(r#""{i:0width$x}":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,0]}}"#)
    })
}

pub(crate) fn safetensors() -> Vec<Attack> {
    vec![
        attack("safetensors: header over the limit", || {
            vec![with_hole("a", [&100_000_001u64.to_le_bytes()[..], b"{"].concat(), 1 << 40)]
        }),
        attack("safetensors: header past the end", || {
            vec![with_hole("a", [&(1u64 << 41).to_le_bytes()[..], b"{"].concat(), 1 << 40)]
        }),
        attack("safetensors: a tensor of the size of a hole", || {
            let length = (1u64 << 40) - 1;
            let json = format!(
                r#"{{"a":{{"dtype":"U8","shape":[{length}],"data_offsets":[0,{length}]}}}}"#
            );
            vec![with_hole("a", with_header(&json, 0), 1 << 40)]
        }),
        attack("safetensors: flood of tensors", || {
            one_safetensors(&format!("{{{}}}", empty_tensors((1 << 17) + 1, 1, "0")), 0)
        }),
        attack("safetensors: as many tensors as may be, and a byte too much", || {
            one_safetensors(&format!("{{{}}}", empty_tensors(1 << 17, 1, "0")), 1)
        }),
        attack("safetensors: long names, and a byte too much", || {
            one_safetensors(&format!("{{{}}}", empty_tensors(1 << 16, 500, "0")), 1)
        }),
        attack("safetensors: flood of dimensions", || {
            let shape = ["0"; 64].join(",");
            one_safetensors(&format!("{{{}}}", empty_tensors((1 << 13) + 1, 1, &shape)), 0)
        }),
        attack("safetensors: flood of metadata", || {
            let entries = joined(1 << 17, |i| format!(r#""{i:x}":"""#));
            one_safetensors(&format!(r#"{{"__metadata__":{{{entries}}}}}"#), 0)
        }),
        attack("safetensors: long metadata, and a byte too much", || {
            let long = "k".repeat(7 << 20);
            let entries = joined(6, |i| format!(r#""{i}":"{long}""#));
            one_safetensors(&format!(r#"{{"__metadata__":{{{entries}}}}}"#), 1)
        }),
        attack("safetensors: text over the limit", || {
            one_safetensors(&format!(r#"{{"{}":1}}"#, "\\u0000".repeat(3 << 20)), 0)
        }),
        attack("safetensors: deep nesting", || {
            one_safetensors(&format!(r#"{{"a":{{"b":{}"#, "[".repeat(16 << 20)), 0)
        }),
        attack("safetensors: nothing but blanks", || {
            one_safetensors(&format!("{{{}", " ".repeat(32 << 20)), 0)
        }),
        attack("safetensors: overlaps", || {
            let entries = joined(1 << 16, |i| {
                format!(r#""{i:x}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#)
            });
            one_safetensors(&format!("{{{entries}}}"), 1)
        }),
    ]
}

fn one_index(map: &str) -> Hostile {
    file("a.safetensors.index.json", format!(r#"{{"weight_map":{{{map}}}}}"#))
}

pub(crate) fn shards() -> Vec<Attack> {
    vec![
        attack("shards: index over the limit", || {
            vec![with_hole("a.json", r#"{"weight_map":{"a":"b""#, 1 << 40)]
        }),
        attack("shards: flood of tensors", || {
            vec![one_index(&joined(1 << 17, |i| format!(r#""{i:x}":"b""#)))]
        }),
        attack("shards: flood of shards", || {
            vec![one_index(&joined(10_001, |i| format!(r#""{i:x}":"{i:x}""#)))]
        }),
        attack("shards: as many as may be, all missing", || {
            vec![one_index(&joined(130_000, |i| format!(r#""{i:x}":"{:x}""#, i % 10_000)))]
        }),
        attack("shards: long names", || {
            let long = "n".repeat(7 << 20);
            vec![one_index(&joined(8, |i| format!(r#""{long}{i}":"b""#)))]
        }),
        attack("shards: long name of a shard", || {
            vec![one_index(&format!(r#""a":"{}""#, "n".repeat(8 << 20)))]
        }),
        attack("shards: flood of metadata", || {
            let entries = joined(120_000, |i| format!(r#""{i:0400x}":"""#));
            let json = format!(r#"{{"weight_map":{{}},"metadata":{{{entries},"0":{{}}"#);
            vec![file("a.json", json)]
        }),
        attack("shards: long metadata, and another kind behind it", || {
            let long = "k".repeat(7 << 20);
            let entries = joined(8, |i| format!(r#""{long}{i}":"""#));
            vec![one_index(&format!(r#"}},"metadata":{{{entries}}},"x":{{}},"x":{{"#))]
        }),
        attack("shards: deep nesting", || {
            vec![file("a.json", format!(r#"{{"weight_map":{{}},"a":{}"#, "[".repeat(16 << 20)))]
        }),
        attack("shards: text over the limit", || {
            vec![one_index(&format!(r#""{}":"b""#, "\\u0000".repeat(3 << 20)))]
        }),
        attack("shards: tensors that are not in the index", || {
            let shard = with_header(&format!("{{{}}}", empty_tensors(1 << 17, 1, "0")), 0);
            vec![one_index(r#""0":"b""#), file("b", shard)]
        }),
        attack("shards: the same tensors in each", || {
            let shard = with_header(&format!("{{{}}}", empty_tensors(100_000, 1, "0")), 0);
            let map = joined(100_000, |i| format!(r#""{i:x}":"{}""#, ["b", "c"][i % 2]));
            vec![one_index(&map), file("b", shard.clone()), file("c", shard)]
        }),
        attack("shards: a tensor missing among many", || {
            let shard = with_header(&format!("{{{}}}", empty_tensors(130_000, 1, "0")), 0);
            vec![one_index(&joined(130_001, |i| format!(r#""{i:x}":"b""#))), file("b", shard)]
        }),
    ]
}

use std::io::Write as _;

use espalier_data::{Dataset, Input, Target, Targets, read_idx, read_idx_bytes};
use flate2::{Compression, write::GzEncoder};

use crate::{examples, message};

/// An IDX file of this type and these sizes.
pub(crate) fn file(kind: u8, dims: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, dims.len() as u8];
    dims.iter().for_each(|dim| bytes.extend(dim.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn images() -> Vec<u8> {
    file(8, &[2, 1, 2], &[1, 2, 3, 255])
}

fn labels() -> Vec<u8> {
    file(8, &[2], &[3, 0])
}

fn of(images: &[u8], labels: &[u8]) -> String {
    message(read_idx_bytes((images, "x"), (labels, "y"), None))
}

#[test]
fn packed_and_not_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let [x, y] = ["x.gz", "y"].map(|name| directory.path().join(name));
    std::fs::write(&x, gzip(&images())).unwrap();
    std::fs::write(&y, labels()).unwrap();
    let data = read_idx(&x, &y, None).unwrap();
    assert_eq!(data, read_idx_bytes((&images(), "x"), (&gzip(&labels()), "y"), None).unwrap());
    assert_eq!(data.schema().dims, [1, 1, 2]);
    assert_eq!(data.schema().input, Input::Values { largest: Some(255.0) });
    assert_eq!(data.schema().target.classes(), Some(4));
    assert_eq!(examples(&data)[1].inputs.values(), Some(&[3.0, 255.0][..]));
    assert_eq!(data.targets(), &Targets::Classes(vec![3, 0]));
}

#[test]
fn every_type_is_read() {
    let of = |kind, elements: Vec<u8>| {
        let images = file(kind, &[1, 2], &elements);
        let labels = file(8, &[1], &[0]);
        let data = read_idx_bytes((&images, "x"), (&labels, "y"), None).unwrap();
        assert_eq!(data.schema().dims, [2]);
        examples(&data)[0].inputs.values().unwrap().to_vec()
    };
    assert_eq!(of(0x09, vec![0xff, 5]), [-1.0, 5.0]);
    assert_eq!(of(0x0b, [-300i16, 300].map(i16::to_be_bytes).concat()), [-300.0, 300.0]);
    assert_eq!(of(0x0c, [-70_000i32, 1].map(i32::to_be_bytes).concat()), [-70_000.0, 1.0]);
    assert_eq!(of(0x0d, [-0.5f32, 2.0].map(f32::to_be_bytes).concat()), [-0.5, 2.0]);
    assert_eq!(of(0x0e, [-0.5f64, 2.0].map(f64::to_be_bytes).concat()), [-0.5, 2.0]);
    let labels = file(0x0c, &[1], &1i32.to_be_bytes());
    let images = file(8, &[1, 3, 2, 2], &[0; 12]);
    let names = vec!["a".to_owned(), "b".to_owned()];
    let data = read_idx_bytes((&images, "x"), (&labels, "y"), Some(names.clone())).unwrap();
    assert_eq!((&data.schema().dims[..], data.class(0).unwrap()), (&[3, 2, 2][..], Some(1)));
    assert_eq!(data.schema().target, Target::Class { names });
}

#[test]
fn wrong_files_say_what() {
    assert_eq!(
        of(b"\x00\x00", &labels()),
        "x: not a valid IDX file: it ends after 2 bytes; expected a header of 4"
    );
    assert_eq!(
        of(&[0, 0, 8, 3, 0, 0, 0, 1], &labels()),
        "x: not a valid IDX file: it ends after 8 bytes; expected a header of 16"
    );
    assert_eq!(
        of(b"\x89PNG\r\n", &labels()),
        "x: not a valid IDX file: it starts with 89 50 4e 47; expected 00 00, a type from 08 to 0e, \
         and the number of dimensions"
    );
    assert!(of(&[0, 0, 0x0a, 1], &labels()).contains("it starts with 00 00 0a 01"));
    assert_eq!(
        of(&images()[..19], &labels()),
        "x: not a valid IDX file: [2, 1, 2] elements of 1 bytes take 4 bytes; found 3"
    );
    let longer = [images(), vec![0]].concat();
    assert!(of(&longer, &labels()).ends_with("take 4 bytes; found more"));
    // Sizes that no memory holds are not believed.
    let huge = file(8, &[u32::MAX, u32::MAX, u32::MAX], &[1]);
    assert!(of(&huge, &labels()).contains("take more than can be counted bytes; found 17"));
    let large = file(8, &[u32::MAX, 1000], &[1]);
    assert!(of(&large, &labels()).ends_with("take 4294967295000 bytes; found at most 13"));
    assert!(of(&gzip(&large), &labels()).contains("found at most "));
    assert!(of(&file(8, &[0, 2, 2], &[]), &labels()).contains("its sizes are [0, 2, 2]; expected"));
    assert!(
        of(&file(8, &[2], &[1, 2]), &labels()).contains("its sizes are [2]; expected those of")
    );
    assert_eq!(
        of(&labels(), &images()),
        "x: not a valid IDX file: its sizes are [2]; expected those of inputs, [n, height, width], \
         [n, channels, height, width] or [n, features], none of them 0"
    );
    assert!(
        of(&images(), &images())
            .ends_with("expected those of labels, [n]: are the two files swapped?")
    );
    let real = file(0x0d, &[2], &[0; 8]);
    assert!(of(&images(), &real).contains("its elements are of type 0d, floating point;"));
    assert_eq!(
        of(&images(), &file(8, &[3], &[0, 1, 2])),
        "x holds 2 inputs and y 3 targets; expected a target for each input: are the files of the \
         same part?"
    );
    assert_eq!(
        of(&images(), &file(9, &[2], &[0, 0xff])),
        "y: record 1: found the label -1; expected a class from 0 to 65535"
    );
    let names = Some(vec!["a".to_owned()]);
    assert_eq!(
        message(read_idx_bytes((&images(), "x"), (&labels(), "y"), names)),
        "y: record 0: found the label 3; expected a class from 0 to 0"
    );
    let nan = file(0x0d, &[2, 1], &[0.5, f32::NAN].map(f32::to_be_bytes).concat());
    assert_eq!(of(&nan, &labels()), "x: record 1: found NaN; expected finite numbers");
    let mut packed = gzip(&images());
    packed.truncate(packed.len() - 9);
    assert!(
        of(&packed, &labels()).contains("it cannot be unpacked: "),
        "{}",
        of(&packed, &labels())
    );
    let end = packed.len();
    packed[end - 1] ^= 1;
    assert!(of(&packed, &labels()).starts_with("x: not a valid IDX file: "));
}

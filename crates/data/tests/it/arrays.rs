use std::path::Path;

use espalier_checkpoint::{
    Checkpoint, Dtype, NamedTensor, write_npy_tensor, write_npz, write_npz_compressed,
};
use espalier_data::{
    ArrayFile, ArrayOptions, ArrayTarget, Arrays, Dataset, IGNORED, Input, Target,
};

use crate::{examples, message};

fn whole(name: &str, shape: &[usize], values: &[i64]) -> NamedTensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    NamedTensor::new(name, Dtype::I64, shape.to_vec(), bytes).unwrap()
}

fn bytes(name: &str, shape: &[usize], values: &[u8]) -> NamedTensor {
    NamedTensor::new(name, Dtype::U8, shape.to_vec(), values.to_vec()).unwrap()
}

fn npz(directory: &Path, tensors: Vec<NamedTensor>) -> std::path::PathBuf {
    let path = directory.join("xy.npz");
    let mut file = Checkpoint::new();
    tensors.into_iter().for_each(|tensor| file.push(tensor).unwrap());
    write_npz(&path, &file).unwrap();
    path
}

fn open(path: &Path, options: ArrayOptions) -> Result<Arrays, espalier_data::DataError> {
    Arrays::open(&ArrayFile::named(path, "x"), &ArrayFile::named(path, "y"), options)
}

#[test]
fn two_files_and_one_archive_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let x = bytes("x", &[2, 1, 1, 2], &[0, 255, 7, 8]);
    let y = whole("y", &[2, 1], &[2, 0]);
    let files = ["x.npy", "y.npy"].map(|name| directory.path().join(name));
    write_npy_tensor(&files[0], &x).unwrap();
    write_npy_tensor(&files[1], &y).unwrap();
    let [inputs, targets] = files.map(ArrayFile::new);
    let two = Arrays::open(&inputs, &targets, ArrayOptions::default()).unwrap();
    assert_eq!(two.schema().dims, [1, 1, 2]);
    assert_eq!(two.schema().input, Input::Values { largest: Some(255.0) });
    assert_eq!((two.schema().target.classes(), two.class(0).unwrap()), (Some(3), Some(2)));
    assert_eq!(examples(&two)[0].inputs.values(), Some(&[0.0, 255.0][..]));

    let path = npz(directory.path(), vec![x.clone(), y.clone()]);
    assert_eq!(examples(&open(&path, ArrayOptions::default()).unwrap()), examples(&two));
    let mut file = Checkpoint::new();
    file.push(x).unwrap();
    file.push(y).unwrap();
    write_npz_compressed(&path, &file).unwrap();
    assert_eq!(examples(&open(&path, ArrayOptions::default()).unwrap()), examples(&two));
}

#[test]
fn tokens_and_labels_are_whole_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let (x, y) =
        (whole("x", &[2, 3], &[0, 1, 4, 2, 2, 2]), whole("y", &[2, 3], &[0, 1, 1, -100, 0, 2]));
    let path = npz(directory.path(), vec![x, y]);
    let options = ArrayOptions { vocabulary: Some(5), ..ArrayOptions::default() };
    let data = open(&path, options.clone()).unwrap();
    assert_eq!(data.schema().target, Target::Labels { length: 3, classes: 3 });
    let records = examples(&data);
    assert_eq!(records[1].targets.classes(), Some(&[IGNORED, 0, 2][..]));
    assert_eq!(records[0].inputs.tokens(), Some(&[0, 1, 4][..]));
    let data = open(&path, ArrayOptions { vocabulary: Some(4), ..options.clone() }).unwrap();
    let mut record = espalier_data::Record::new(data.schema());
    assert_eq!(
        message(data.read(0, &mut record)),
        format!("{}: record 0: found 4; expected tokens from 0 to 3", path.display())
    );
    let target = ArrayTarget::Labels { classes: Some(2) };
    assert!(message(open(&path, ArrayOptions { target, ..options })).ends_with(
        "record 1: found the label 2; expected a class from 0 to 1, or -100 where none counts"
    ));
}

#[test]
fn wrong_arrays_say_what() {
    let directory = tempfile::tempdir().unwrap();
    let reals = |name: &str, shape: &[usize], values: &[f32]| {
        NamedTensor::f32(name, shape.to_vec(), values).unwrap()
    };
    let x = || reals("x", &[2, 2], &[0.0, 1.0, 2.0, f32::INFINITY]);
    let path = npz(directory.path(), vec![x(), reals("y", &[2], &[0.0, 1.5])]);
    let shown = path.display().to_string();
    let data = open(&path, ArrayOptions::default()).unwrap();
    assert_eq!(data.schema().target, Target::Values { features: 1 });
    let mut record = espalier_data::Record::new(data.schema());
    assert_eq!(
        message(data.read(1, &mut record)),
        format!("{shown}: record 1: found inf; expected finite numbers of single precision")
    );
    let target = ArrayTarget::Class { classes: None };
    assert_eq!(
        message(open(&path, ArrayOptions { target, ..ArrayOptions::default() })),
        format!("{shown}: record 1: found the label 1.5; expected a class from 0 to 65535")
    );
    let dims = Some(vec![3]);
    assert_eq!(
        message(open(&path, ArrayOptions { dims, ..ArrayOptions::default() })),
        "dims is [3]; expected sizes whose product is 2, the numbers of an input"
    );
    let other = ArrayFile::named(&path, "xs");
    assert_eq!(
        message(Arrays::open(&other, &other, ArrayOptions::default())),
        format!("{shown}: no array \"xs\"; expected one of `x`, `y`; did you mean `x`?")
    );
    let none = ArrayFile::new(&path);
    assert_eq!(
        message(Arrays::open(&none, &none, ArrayOptions::default())),
        format!("{shown}: no array \"\"; expected one of `x`, `y`")
    );
    let path = npz(directory.path(), vec![x(), reals("y", &[3], &[0.0; 3])]);
    assert!(message(open(&path, ArrayOptions::default())).contains("holds 2 inputs and "));
    let path = npz(directory.path(), vec![x(), reals("y", &[2, 2], &[0.0; 4])]);
    let target = ArrayTarget::Class { classes: None };
    assert_eq!(
        message(open(&path, ArrayOptions { target, ..ArrayOptions::default() })),
        format!("{shown}: y is F32 [2, 2]; expected a class for each input, [n] or [n, 1]")
    );
    let path = npz(directory.path(), vec![reals("x", &[0, 2], &[]), reals("y", &[0], &[])]);
    assert_eq!(
        message(open(&path, ArrayOptions::default())),
        format!("{shown}: x is F32 [0, 2]; expected [n, ...] of at least one number")
    );
    std::fs::write(&path, b"not an archive").unwrap();
    assert!(message(open(&path, ArrayOptions::default())).contains("xy.npz: not a checkpoint"));
}

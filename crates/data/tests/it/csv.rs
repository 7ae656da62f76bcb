use espalier_data::{
    Column, CsvOptions, CsvTarget, Dataset, Header, Target, Targets, read_csv, read_csv_bytes,
};

use crate::{examples, message};

fn class(column: Column, classes: Option<&[&str]>) -> CsvTarget {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    CsvTarget::Class { column, classes: classes.map(owned) }
}

fn options(target: CsvTarget) -> CsvOptions {
    CsvOptions { target, ..CsvOptions::default() }
}

fn names(target: &Target) -> &[String] {
    match target {
        Target::Class { names } => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn columns_are_chosen_by_name_and_by_place() {
    let text = b"id,kind,a,b\n7,dog,1,2\r\n8,cat,3,4\n\n9,dog,\"5\", 6\n";
    let by_name = CsvOptions { ignore: vec!["id".into()], ..options(class("kind".into(), None)) };
    let by_place = CsvOptions { ignore: vec![0.into()], ..options(class(1.into(), None)) };
    let data = read_csv_bytes(text, "pets.csv", &by_name).unwrap();
    assert_eq!(data, read_csv_bytes(text, "pets.csv", &by_place).unwrap());
    assert_eq!(names(&data.schema().target), ["cat", "dog"]);
    assert_eq!(data.targets(), &Targets::Classes(vec![1, 0, 1]));
    let records = examples(&data);
    assert_eq!(records[2].inputs.values(), Some(&[5.0, 6.0][..]));
}

#[test]
fn labels_that_are_numbers_are_ordered_as_numbers() {
    let data = read_csv_bytes(b"1,10\n2,9.0\n3,9\n", "t", &CsvOptions::default()).unwrap();
    assert_eq!(names(&data.schema().target), ["9", "10"]);
    assert_eq!(data.targets(), &Targets::Classes(vec![1, 0, 0]));
}

#[test]
fn given_classes_keep_their_numbers() {
    let given = options(class(Column::Last, Some(&["ant", "bee", "NA"])));
    let data = read_csv_bytes(b"1,bee\n2,NA\n", "t", &given).unwrap();
    assert_eq!(data.targets(), &Targets::Classes(vec![1, 2]));
    assert_eq!(names(&data.schema().target), ["ant", "bee", "NA"]);
    assert_eq!(
        message(read_csv_bytes(b"1,bee\n2,bea\n", "t.csv", &given)),
        "t.csv: line 2, column 2: found the label \"bea\"; expected one of `ant`, `bee`, `NA`; did \
         you mean `bee`?"
    );
}

#[test]
fn several_numbers_are_learnt_in_the_order_asked_for() {
    let target = CsvTarget::Values { columns: vec!["y".into(), 0.into()] };
    let data = read_csv_bytes(b"\xef\xbb\xbfz,x,y\n1,2,3\n4,5,6\n", "t", &options(target)).unwrap();
    assert_eq!(data.schema().target, Target::Values { features: 2 });
    assert_eq!(data.targets(), &Targets::Values(vec![3.0, 1.0, 6.0, 4.0]));
    assert_eq!(examples(&data)[1].inputs.values(), Some(&[5.0][..]));
}

#[test]
fn pixels_have_a_shape_and_a_largest() {
    let images =
        CsvOptions { dims: Some(vec![1, 1, 2]), largest: Some(255.0), ..CsvOptions::default() };
    let data = read_csv_bytes(b"0,255,7\n", "t", &images).unwrap();
    assert_eq!(data.schema().dims, [1, 1, 2]);
    assert_eq!(
        message(read_csv_bytes(b"0,256,7\n", "t.csv", &images)),
        "t.csv: line 1, column 2: found \"256\"; expected a number from 0 to 255"
    );
    assert_eq!(
        message(read_csv_bytes(b"0,25,5,7\n", "t.csv", &images)),
        "dims is [1, 1, 2]; expected sizes whose product is 3, the columns of inputs"
    );
}

#[test]
fn a_header_may_be_numbers_or_none() {
    let present = CsvOptions { header: Header::Present, ..CsvOptions::default() };
    assert_eq!(read_csv_bytes(b"1,2\n3,4\n", "t", &present).unwrap().len(), 1);
    let absent = CsvOptions { header: Header::Absent, ..CsvOptions::default() };
    assert_eq!(
        message(read_csv_bytes(b"x,y\n3,4\n", "t.csv", &absent)),
        "t.csv: line 1, column 1: found \"x\"; expected a finite number"
    );
}

#[test]
fn wrong_tables_say_where() {
    let of = |text: &[u8]| message(read_csv_bytes(text, "t.csv", &CsvOptions::default()));
    assert_eq!(
        of(b"a,b,c\n1,2,x\n\n\n1,2\n"),
        "t.csv: line 5: 2 columns; expected 3, as in the line before: is the delimiter right, and \
         are fields that hold it in quotes?"
    );
    assert_eq!(
        of(b"a,b,c\n1,2,x\n1,NaN,x\n"),
        "t.csv: line 3, column 2 (`b`): the value is missing; expected a number: fill it in or \
         leave the line out"
    );
    assert_eq!(
        of(b"1,2,x\n1,3,\n"),
        "t.csv: line 2, column 3: the value is missing; expected a class: fill it in or leave the \
         line out"
    );
    assert_eq!(
        of(b"1,1e39,x\n"),
        "t.csv: line 1, column 2: found \"1e39\"; expected a finite number"
    );
    assert_eq!(
        of(b"1;2;x\n"),
        "t.csv holds no examples; expected lines of at least one column besides targets and ignored \
         ones; is the delimiter ','?"
    );
    let nothing = "t.csv holds no examples; expected a line for each, of numbers and its target";
    assert_eq!((of(b"a,b\n"), of(b"")), (nothing.to_owned(), nothing.to_owned()));
    assert!(of(b"1,x\n2,\xff\n").starts_with("t.csv: CSV parse error: record 1 (line 2"));
    let with = |target| message(read_csv_bytes(b"width,kind\n1,x\n", "t.csv", &options(target)));
    assert_eq!(
        with(class("kin".into(), None)),
        "t.csv: no column \"kin\"; expected one of `width`, `kind`; did you mean `kind`?"
    );
    assert_eq!(with(class(2.into(), None)), "t.csv: no column 2; expected one from 0 to 1");
    let twice = CsvTarget::Values { columns: vec![0.into(), "width".into()] };
    assert!(with(twice).starts_with("the column is \"width\" twice; expected each column once"));
    assert_eq!(
        message(read_csv_bytes(b"1,2\n", "t.csv", &options(class("kind".into(), None)))),
        "t.csv: no column \"kind\"; expected a place from 0 to 1: the file has no line of names"
    );
    let same =
        message(read_csv_bytes(b"a,a,b\n1,2,3\n", "t.csv", &options(class("a".into(), None))));
    assert!(same.ends_with("expected a name that only one column has; give its place"), "{same}");
}

#[test]
fn paths_that_are_no_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let of = |path| message(read_csv(path, &CsvOptions::default()));
    assert!(of(directory.path().to_owned()).ends_with("is a folder; expected a file"));
    let missing = of(directory.path().join("none.csv"));
    assert!(missing.starts_with("cannot read ") && missing.contains("none.csv"), "{missing}");
}

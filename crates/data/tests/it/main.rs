//! Whole files into batches, and what holds for any data.
#![allow(clippy::unwrap_used)]

mod arrays;
mod csv;
mod idx;
mod images;
mod loader;
mod properties;

use espalier_data::{DataError, Dataset, Record};

/// Inputs and classes (or labels) of every example.
fn examples<D: Dataset>(data: &D) -> Vec<Record> {
    let read = |index| {
        let mut record = Record::new(data.schema());
        data.read(index, &mut record).unwrap();
        record
    };
    (0..data.len()).map(read).collect()
}

/// The text of what is wrong.
fn message<T>(result: Result<T, DataError>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.to_string(),
    }
}

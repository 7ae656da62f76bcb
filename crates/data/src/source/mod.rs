//! Where examples come from, one kind a file.

pub(crate) mod arrays;
pub(crate) mod copying;
pub(crate) mod csv;
pub(crate) mod digits;
pub(crate) mod file;
pub(crate) mod idx;
pub(crate) mod idx_fault;
pub(crate) mod images;
pub(crate) mod labels;
pub(crate) mod memory;
pub(crate) mod sequences;
pub(crate) mod subset;
pub(crate) mod text;

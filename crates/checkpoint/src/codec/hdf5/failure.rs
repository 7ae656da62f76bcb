//! A fault, or an error of the file system, before the path of the file is added.

use std::path::Path;

use super::fault::Hdf5Fault;
use crate::error::Error;

/// What keeps a structure from being read.
#[derive(Debug)]
pub(super) enum Failure {
    Fault(Hdf5Fault),
    Error(Error),
}

impl From<Hdf5Fault> for Failure {
    fn from(fault: Hdf5Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// The same of the object at that path.
    pub(super) fn within(self, object: &str) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(fault.within(object)),
            Self::Error(error) => Self::Error(error),
        }
    }

    /// The error of the crate.
    pub(super) fn of(self, path: &Path) -> Error {
        match self {
            Self::Fault(cause) => Error::Hdf5 { path: path.to_path_buf(), cause },
            Self::Error(error) => error,
        }
    }
}

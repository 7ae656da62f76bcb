//! What is told of an operation while it goes on.

use std::io;
use std::sync::Arc;

use espalier_checkpoint::{Checkpoint, Error, NamedTensor, Provider};

/// Is told of progress, and may cancel. Called from several threads.
///
/// ```
/// use espalier_files::{Observer, Silent};
/// assert!(!Silent.cancelled());
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A part begins that handles so many bytes.
    fn begin(&self, part: &'static str, bytes: u64) {
        let _ = (part, bytes);
    }

    /// So many more of them are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Whether to stop: the operation then fails with [`FilesError::Cancelled`](crate::FilesError::Cancelled) and leaves
    /// nothing behind.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing and goes on.
///
/// ```
/// use espalier_files::{Observer, Silent};
/// Silent.begin("reading", 10);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// What travels in an [`io::Error`] when an observer cancels.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(crate) struct Cancel;

/// The same checkpoint; whenever its bytes are streamed, `observer` is told, and is asked whether to go on. Ties stay.
///
/// ```
/// use std::sync::Arc;
/// use espalier_checkpoint::{Checkpoint, NamedTensor};
/// use espalier_files::{Silent, observed};
/// let mut checkpoint = Checkpoint::new();
/// checkpoint.push(NamedTensor::f32("a", vec![1], &[1.0])?)?;
/// assert_eq!(observed(&checkpoint, &Arc::new(Silent))?, checkpoint);
/// # Ok::<(), espalier_checkpoint::Error>(())
/// ```
pub fn observed<O: Observer>(
    checkpoint: &Checkpoint,
    observer: &Arc<O>,
) -> Result<Checkpoint, Error> {
    let mut out = Checkpoint::new();
    out.metadata.clone_from(&checkpoint.metadata);
    out.origin.clone_from(&checkpoint.origin);
    let ties: std::collections::HashMap<&str, &str> = checkpoint.ties().into_iter().collect();
    for tensor in checkpoint {
        let tied = ties.get(tensor.name()).and_then(|first| out.get(first)).cloned();
        let tensor = match tied {
            Some(first) => first.with_name(tensor.name()),
            None => {
                let provider = Observed { tensor: tensor.clone(), observer: Arc::clone(observer) };
                let shape = tensor.shape().to_vec();
                NamedTensor::lazy(tensor.name(), tensor.dtype(), shape, Arc::new(provider))?
            }
        };
        out.push(tensor)?;
    }
    Ok(out)
}

struct Observed<O> {
    tensor: NamedTensor,
    observer: Arc<O>,
}

impl<O> std::fmt::Debug for Observed<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tensor.fmt(f)
    }
}

impl<O: Observer> Provider for Observed<O> {
    fn read(&self) -> Result<Vec<u8>, Error> {
        let bytes = self.tensor.bytes()?.into_owned();
        self.observer.advance(bytes.len() as u64);
        Ok(bytes)
    }

    fn stream(&self, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error> {
        self.tensor.stream(|piece| {
            if self.observer.cancelled() {
                return Err(io::Error::other(Cancel));
            }
            take(piece)?;
            self.observer.advance(piece.len() as u64);
            Ok(())
        })
    }
}

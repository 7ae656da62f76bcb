//! All bytes of tensors, once, in pieces that all threads take.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use espalier_checkpoint::{Error, NamedTensor};

use crate::error::FilesError;
use crate::observe::{Cancel, Observer};

/// Elements handed on at once: their bytes stay in the second cache on the way from the system's.
const PIECE: usize = 1 << 16;

/// Elements that make one result. What is cut where never depends on the number of threads or the format, so that
/// results do not either.
const SHARE: usize = 1 << 20;

/// Some elements of a tensor, or of tensors of as many elements that are read side by side.
pub(crate) struct Piece<'a> {
    /// Which of the tracks.
    pub(crate) track: usize,
    /// The place of the first element.
    pub(crate) first: usize,
    /// The bytes, of each tensor of the track.
    pub(crate) bytes: &'a [&'a [u8]],
}

/// Tensors of as many elements that are read side by side.
pub(crate) type Track<'a> = Vec<&'a NamedTensor>;

/// Hands all elements to `take`, which adds them to one of the results of their track; these come back in the order of
/// the elements. A tensor that cannot be read for what it is, such as a quantized one, is an error of its track; any other
/// error ends the whole.
///
/// What a file does not let be read from the middle, compressed members most of all, is read by one thread from first to
/// last, or as a whole if it stands beside another.
pub(crate) fn sweep<S: Default + Send, O: Observer>(
    tracks: &[Track<'_>],
    observer: &O,
    take: impl Fn(&mut S, Piece<'_>) + Sync,
) -> Result<Vec<Result<Vec<S>, Error>>, FilesError> {
    let tasks = tasks(tracks);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::with_capacity(tasks.len()));
    let work = || {
        let mut buffers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(at) else { return };
            let given = task.run(&tracks[task.track], &mut buffers, observer, &take);
            let fatal = given.as_ref().is_err_and(|error| !is_unread(error));
            stop.fetch_or(fatal, Ordering::Relaxed);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, given));
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(tasks.len()) {
            scope.spawn(|_| work());
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    let mut results: Vec<Result<Vec<S>, Error>> = tracks.iter().map(|_| Ok(Vec::new())).collect();
    for (at, given) in done {
        let result = &mut results[tasks[at].track];
        match (given, result) {
            (Ok(parts), Ok(all)) => all.extend(parts),
            (Err(error), result) if is_unread(&error) => *result = Err(error),
            (Err(error), _) => return Err(error.into()),
            (Ok(_), Err(_)) => {}
        }
    }
    Ok(results)
}

/// Whether an error says that the kind of a tensor is not read, and others in the file are.
pub(crate) fn is_unread(error: &Error) -> bool {
    use espalier_checkpoint::{BurnpackFault, GgufFault};
    matches!(
        error,
        Error::Gguf { cause: GgufFault::Quantized { .. }, .. }
            | Error::Burnpack { cause: BurnpackFault::Quantized { .. }, .. }
    )
}

/// What one thread does at a time.
struct Task {
    track: usize,
    first: usize,
    end: usize,
}

/// In the order of the files.
fn tasks(tracks: &[Track<'_>]) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let numel = track.first().map_or(0, |tensor| tensor.numel());
        let size = if track.iter().all(|tensor| tensor.is_seekable()) { SHARE } else { numel };
        tasks.extend((0..numel).step_by(size.max(1)).map(|first| Task {
            track: index,
            first,
            end: numel.min(first + size),
        }));
    }
    tasks
}

impl Task {
    fn run<S: Default, O: Observer>(
        &self,
        tensors: &Track<'_>,
        buffers: &mut Vec<Vec<u8>>,
        observer: &O,
        take: &impl Fn(&mut S, Piece<'_>),
    ) -> Result<Vec<S>, Error> {
        match tensors[..] {
            [tensor] if !tensor.is_seekable() => self.stream(tensor, buffers, observer, take),
            _ => {
                let loaded: Vec<NamedTensor> = tensors
                    .iter()
                    .map(|tensor| match tensor.is_seekable() {
                        true => Ok((*tensor).clone()),
                        false => (*tensor).clone().load(),
                    })
                    .collect::<Result<_, _>>()?;
                self.read(&loaded, buffers, observer, take)
            }
        }
    }

    /// Reads by place.
    fn read<S: Default, O: Observer>(
        &self,
        tensors: &[NamedTensor],
        buffers: &mut Vec<Vec<u8>>,
        observer: &O,
        take: &impl Fn(&mut S, Piece<'_>),
    ) -> Result<Vec<S>, Error> {
        buffers.resize_with(tensors.len().max(buffers.len()), Vec::new);
        let mut results = Vec::with_capacity((self.end - self.first).div_ceil(SHARE));
        for first in (self.first..self.end).step_by(PIECE) {
            if observer.cancelled() {
                return Err(cancelled());
            }
            let count = PIECE.min(self.end - first);
            let mut read = 0;
            for (tensor, buffer) in tensors.iter().zip(&mut *buffers) {
                let bits = tensor.dtype().size_bits();
                buffer.resize(count * bits / 8, 0);
                tensor.read_at((first * bits / 8) as u64, buffer)?;
                read += buffer.len() as u64;
            }
            let bytes: Vec<&[u8]> = buffers[..tensors.len()].iter().map(Vec::as_slice).collect();
            let piece = Piece { track: self.track, first, bytes: &bytes };
            give(&mut results, piece, take);
            observer.advance(read);
        }
        Ok(results)
    }

    /// Reads from first to last, and cuts at the same places.
    fn stream<S: Default, O: Observer>(
        &self,
        tensor: &NamedTensor,
        buffers: &mut Vec<Vec<u8>>,
        observer: &O,
        take: &impl Fn(&mut S, Piece<'_>),
    ) -> Result<Vec<S>, Error> {
        buffers.resize_with(buffers.len().max(1), Vec::new);
        let buffer = &mut buffers[0];
        buffer.clear();
        let whole = PIECE * tensor.dtype().size_bits() / 8;
        let (mut results, mut first) = (Vec::new(), 0);
        let mut hand = |buffer: &mut Vec<u8>| {
            let piece = Piece { track: self.track, first, bytes: &[buffer.as_slice()] };
            give(&mut results, piece, take);
            observer.advance(buffer.len() as u64);
            first += PIECE;
            buffer.clear();
        };
        tensor.stream(|mut bytes| {
            while !bytes.is_empty() {
                if observer.cancelled() {
                    return Err(io::Error::other(Cancel));
                }
                let (now, later) = bytes.split_at(bytes.len().min(whole - buffer.len()));
                buffer.extend_from_slice(now);
                bytes = later;
                if buffer.len() == whole {
                    hand(buffer);
                }
            }
            Ok(())
        })?;
        if !buffer.is_empty() {
            hand(buffer);
        }
        Ok(results)
    }
}

/// To the result that the piece belongs to, the last one or a new one.
fn give<S: Default>(results: &mut Vec<S>, piece: Piece<'_>, take: &impl Fn(&mut S, Piece<'_>)) {
    if piece.first.is_multiple_of(SHARE) || results.is_empty() {
        results.push(S::default());
    }
    if let Some(result) = results.last_mut() {
        take(result, piece);
    }
}

/// The error that [`FilesError`] knows for a cancel.
fn cancelled() -> Error {
    let cause = io::Error::other(Cancel);
    Error::Io { path: "a tensor".into(), action: espalier_checkpoint::Action::Read, cause }
}

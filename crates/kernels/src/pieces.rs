//! Work cut into pieces that all threads take.
//!
//! Small work stays on the calling thread, since waking another one costs more than it gives. How
//! work is cut never depends on the number of threads, so that sums do not either.

use std::sync::Mutex;

/// Elements below which threads cost more than they give.
pub(crate) const PARALLEL: usize = 1 << 17;

/// Elements in a piece. Long runs keep the prefetchers going: a quarter of this took twice the time
/// for SGD.
pub(crate) const PIECE: usize = 1 << 16;

/// Slices of one length that can be cut at the same places.
pub(crate) trait Cut: Sized + Send {
    /// Everything before `at`, and the rest.
    fn cut(self, at: usize) -> (Self, Self);
}

impl<T: Sync> Cut for &[T] {
    #[inline(always)]
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}
impl<T: Send> Cut for &mut [T] {
    #[inline(always)]
    fn cut(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

macro_rules! cut_tuple {
    ($($name:ident)+) => {
        #[allow(non_snake_case)]
        impl<$($name: Cut),+> Cut for ($($name,)+) {
            #[inline(always)]
            fn cut(self, at: usize) -> (Self, Self) {
                let ($($name,)+) = self;
                $(let $name = $name.cut(at);)+
                (($($name.0,)+), ($($name.1,)+))
            }
        }
    };
}
cut_tuple!(A B);
cut_tuple!(A B C);
cut_tuple!(A B C D);
cut_tuple!(A B C D E);

/// Slices of `left` elements, `size` at a time.
pub(crate) struct Pieces<S> {
    rest: Option<S>,
    left: usize,
    size: usize,
}

impl<S: Cut> Pieces<S> {
    #[inline(always)]
    pub(crate) fn new(size: usize, n: usize, slices: S) -> Self {
        Self { rest: (n > 0).then_some(slices), left: n, size }
    }
}

impl<S: Cut> Iterator for Pieces<S> {
    type Item = S;

    #[inline(always)]
    fn next(&mut self) -> Option<S> {
        let rest = self.rest.take()?;
        if self.left <= self.size {
            return Some(rest);
        }
        let (piece, rest) = rest.cut(self.size);
        self.rest = Some(rest);
        self.left -= self.size;
        Some(piece)
    }
}

/// Does `work` on slices of `n` elements, in pieces on all threads if that pays.
pub(crate) fn pieces<S: Cut>(n: usize, slices: S, work: impl Fn(S) + Sync + Send) {
    each(n, Pieces::new(PIECE, n, slices), work);
}

/// Does `work` on every task, `n` elements in all, on all threads if that pays.
pub(crate) fn each<S>(
    n: usize,
    tasks: impl Iterator<Item = S> + Send,
    work: impl Fn(S) + Sync + Send,
) {
    if n < PARALLEL || rayon::current_num_threads() == 1 {
        return tasks.for_each(work);
    }
    // The calling thread takes tasks too: waiting for a pool to wake costs as much as a small
    // tensor.
    let queue = Mutex::new(tasks);
    let drain = || {
        while let Some(task) = queue.lock().ok().and_then(|mut queue| queue.next()) {
            work(task);
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| drain());
        }
        drain();
    });
}

/// Does `first` on every task, `between` on what those gave, and `second` on every task, the last
/// ones first: the caches still hold those.
pub(crate) fn twice<S: Send + Sync, R: Default + Send, M: Sync>(
    n: usize,
    tasks: impl Iterator<Item = S>,
    first: impl Fn(&S) -> R + Sync + Send,
    between: impl FnOnce(Vec<R>) -> M,
    second: impl Fn(S, &M) + Sync + Send,
) -> M {
    let tasks: Vec<S> = tasks.collect();
    let mut given: Vec<R> = tasks.iter().map(|_| R::default()).collect();
    each(n, tasks.iter().zip(&mut given), |(task, given)| *given = first(task));
    let middle = between(given);
    each(n, tasks.into_iter().rev(), |task| second(task, &middle));
    middle
}

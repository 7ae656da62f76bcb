//! Loops compiled for the widest vectors that the machine has.

use pulp::{Arch, NullaryFnOnce};

/// Does `work` with the instructions that the machine has, if all that it calls is inlined into it: it has to be
/// `#[inline(always)]` itself.
///
/// Given to [`Arch::dispatch`] as it is, a closure that could be called again is not called but through a function that
/// consumes it, which is not inlined where it is large, and has none of these instructions.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnMut() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnMut() -> R> NullaryFnOnce for Work<F> {
        type Output = R;

        #[inline(always)]
        fn call(mut self) -> R {
            (self.0)()
        }
    }
    Arch::new().dispatch(Work(work))
}

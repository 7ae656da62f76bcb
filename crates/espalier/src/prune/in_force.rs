//! The mask over the parameter that is being mapped.
//!
//! An optimizer that knows of it writes zeros where nothing is kept in the pass that it makes anyway;
//! after one that does not, the wrapper makes a pass of its own.

use std::cell::RefCell;
use std::sync::Arc;

use espalier_kernels::Bits;

thread_local! {
    static IN_FORCE: RefCell<Option<InForce>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct InForce {
    kept: Arc<Bits>,
    applied: bool,
}

/// Maps a parameter with a mask in force; tells whether it was applied.
pub(crate) fn under<R>(kept: &Arc<Bits>, map: impl FnOnce() -> R) -> (R, bool) {
    /// What was in force before, also if the mapper panics: a rule may hold a network itself.
    struct Restore(Option<InForce>);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_FORCE.replace(self.0.take());
        }
    }
    let now = InForce { kept: Arc::clone(kept), applied: false };
    let _restore = Restore(IN_FORCE.replace(Some(now)));
    let result = map();
    let applied = IN_FORCE.with_borrow(|now| now.as_ref().is_some_and(|now| now.applied));
    (result, applied)
}

/// The mask for a parameter of so many values, in its own order, if one is in force. Whoever asks applies
/// it.
pub(crate) fn take(numel: usize) -> Option<Arc<Bits>> {
    IN_FORCE.with_borrow_mut(|now| {
        let now = now.as_mut().filter(|now| now.kept.len() == numel)?;
        now.applied = true;
        Some(Arc::clone(&now.kept))
    })
}

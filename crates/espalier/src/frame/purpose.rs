//! What a visit or map of a wrapper is for.

use std::cell::Cell;

/// What a wrapper shows its visitors and mappers depends on what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Not known: every tensor as it is held.
    Any,
    /// Parameters only. The slots are not described, nor are running statistics brought up to date, which
    /// costs more than a small network's gradients.
    Parameters,
    /// A file: originals with all their values, however their masks are held.
    File,
}

thread_local! {
    static PURPOSE: Cell<Purpose> = const { Cell::new(Purpose::Any) };
}

impl Purpose {
    /// That of the visit or map on this thread.
    pub(crate) fn now() -> Self {
        PURPOSE.get()
    }

    /// Visits or maps for this purpose.
    pub(crate) fn during<R>(self, visit: impl FnOnce() -> R) -> R {
        /// Undone also if a visitor panics.
        struct Reset(Purpose);
        impl Drop for Reset {
            fn drop(&mut self) {
                PURPOSE.set(self.0);
            }
        }
        let _reset = Reset(PURPOSE.replace(self));
        visit()
    }
}

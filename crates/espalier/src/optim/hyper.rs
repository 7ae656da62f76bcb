//! The cell that a group's optimizer reads and its schedules write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::schedule::Values;

/// The present rate, momentum and decay of a group.
///
/// Burn's `ModuleOptimizer` fixes the options of a group when it is made. Our optimizers read those
/// that change from here at each step; a clone is the same cell.
#[derive(Debug, Clone)]
pub struct Hyper(Arc<[AtomicU64; 3]>);

impl Hyper {
    /// A cell with these values.
    pub fn new(values: Values) -> Self {
        let hyper = Self(Arc::default());
        hyper.set(values);
        hyper
    }

    /// The present values.
    pub fn get(&self) -> Values {
        let [rate, momentum, decay] =
            std::array::from_fn(|i| f64::from_bits(self.0[i].load(Ordering::Relaxed)));
        Values { rate, momentum, decay }
    }

    /// Replaces the values, for the next step on.
    pub fn set(&self, values: Values) {
        let Values { rate, momentum, decay } = values;
        for (cell, value) in self.0.iter().zip([rate, momentum, decay]) {
            cell.store(value.to_bits(), Ordering::Relaxed);
        }
    }
}

//! The defaults of PyTorch and of Burn, by name.

use super::adam::{Adam, AdamW};
use super::sgd::Sgd;

/// Whose defaults: they differ, and results with them.
///
/// | | PyTorch 2.15 | Burn 0.22 |
/// | --- | --- | --- |
/// | SGD | no momentum; dampening 0 | no momentum; dampening 0.1 once there is one |
/// | Adam | epsilon 1e-8 | epsilon 1e-5 |
/// | AdamW | epsilon 1e-8, decay 0.01 | epsilon 1e-5, decay 1e-4 |
///
/// ```
/// use espalier::optim::{Defaults, GroupOptimizer};
/// assert_eq!(Defaults::torch().adamw().values().decay, 1e-2);
/// assert_eq!(Defaults::burn().adamw().values().decay, f64::from(1e-4f32));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    burn: bool,
}

impl Defaults {
    /// PyTorch's, which `Adam::new()` and the others start from too.
    pub fn torch() -> Self {
        Self { burn: false }
    }

    /// Burn's, in the single precision that it keeps them in.
    pub fn burn() -> Self {
        Self { burn: true }
    }

    /// Stochastic gradient descent.
    pub fn sgd(self) -> Sgd {
        if self.burn { Sgd::new().with_dampening(0.1) } else { Sgd::new() }
    }

    /// Adam.
    pub fn adam(self) -> Adam {
        let adam = Adam::new();
        if self.burn { adam.with_betas(BURN_BETAS).with_epsilon(f64::from(1e-5f32)) } else { adam }
    }

    /// AdamW.
    pub fn adamw(self) -> AdamW {
        let adamw = AdamW::new();
        if self.burn {
            adamw
                .with_betas(BURN_BETAS)
                .with_epsilon(f64::from(1e-5f32))
                .with_decay(f64::from(1e-4f32))
        } else {
            adamw
        }
    }
}

const BURN_BETAS: [f64; 2] = [0.9f32 as f64, 0.999f32 as f64];

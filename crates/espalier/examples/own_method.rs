//! A pruning method of one's own, on a layer and on a bare tensor.
//!
//! Run it: `cargo run --release --example own_method`

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::prune::{BasePruningMethod, L1Unstructured, PruneError, PruningType, Target};

/// Every other value in each row, as PyTorch's tutorial does.
#[derive(Debug)]
struct EveryOther;

impl BasePruningMethod for EveryOther {
    fn pruning_type(&self) -> PruningType {
        PruningType::Unstructured
    }

    fn compute_mask(&self, target: &mut Target) -> Result<(), PruneError> {
        // Positions count in PyTorch's layout, however the layer stores its weight.
        (0..target.len()).step_by(2).for_each(|position| target.prune(position));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::default();
    let mut net = Parametrized::new(LinearConfig::new(4, 3).init(&device));
    net.prune("weight", EveryOther)?;
    let kept = net.kept("weight")?;
    println!("kept {kept:?}");
    assert!(kept.iter().enumerate().all(|(i, kept)| *kept == (i % 2 == 1)));

    // It composes with others: half of the six values that are left.
    net.prune("weight", L1Unstructured::new(0.5))?;
    assert_eq!(net.zeros("weight")?, 9);

    let bare = Tensor::<1>::from_floats([1.0, 2.0, 3.0, 4.0], &device);
    let pruned: Vec<f32> = EveryOther.prune(bare, None, None)?.into_data().try_into_vec()?;
    println!("bare {pruned:?}");
    assert_eq!(pruned, [0.0, 2.0, 0.0, 4.0]);
    Ok(())
}

//! Burn's learner on a parametrized and pruned network: the example's parts, and a resumed run.
#![cfg(feature = "flex")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../examples/learner.rs"]
mod example;

use burn::tensor::Device;
use espalier::state::StateDict;
use example::{Net, accuracy, constraints, load, train};

#[test]
fn a_resumed_run_is_the_run_that_went_on() {
    let device = Device::flex().autodiff();
    let fresh = StateDict::of(&Net::new(&device).unwrap());
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());

    let straight = train(whole.path(), 4, None, &device).unwrap();
    train(parts.path(), 2, None, &device).unwrap();
    let resumed = train(parts.path(), 4, Some(2), &device).unwrap();
    assert_ne!(StateDict::of(&straight), fresh, "it has learned");
    assert_eq!(StateDict::of(&straight), StateDict::of(&resumed));

    for net in [&resumed, &load(parts.path(), 4, &device).unwrap()] {
        let (off, zeros) = constraints(net, &device).unwrap();
        assert!(off < 1e-5, "orthogonal: {off}");
        assert_eq!(zeros, 8);
        assert_eq!(StateDict::of(net), StateDict::of(&straight));
        assert!(accuracy(net, &device).unwrap() > 0.8);
    }
    let log = std::fs::read_dir(parts.path().join("valid/epoch-4")).unwrap();
    let logs: Vec<_> = log.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(logs.len(), 2, "loss and accuracy: {logs:?}");
}

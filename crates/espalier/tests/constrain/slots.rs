//! What is parametrized, tied or pruned, and what a module has besides.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::nn::{BatchNormConfig, Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::Tensor;
use espalier::constrain::{Constraints, MaxNorm, NonNeg, OrthogonalProjection, UnitNorm};
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::{ParameterTree, Parametrized};

use crate::common::{
    assert_near, device, everything, linear, norms, numbers, off_orthogonal, only, pair, square,
    values,
};

fn ids<M: Module>(net: &Parametrized<M>) -> Vec<(String, u64)> {
    net.named_parameters().into_iter().map(|info| (info.path, info.id.val())).collect()
}

#[test]
fn the_value_of_a_parametrized_weight_is_assigned_through_its_right_inverse() {
    let mut net = linear(1);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let (before, direction) =
        (ids(&net), net.get::<2>("parametrizations.weight.original1").unwrap());
    let net = only(MaxNorm::new(0.5)).apply(net).unwrap();
    let found = norms(&values(&net, "weight", &[3, 4]), &[3, 4], Some(0));
    assert!(found.iter().all(|n| *n < 0.5 + 1e-6), "{found:?}");
    let lengths = values(&net, "parametrizations.weight.original0", &[1, 3]);
    assert_near(&lengths, &found);
    assert_eq!(ids(&net), before);
    let after = net.get::<2>("parametrizations.weight.original1").unwrap();
    assert_ne!(after.into_data(), direction.into_data());
}

#[test]
fn originals_of_a_value_in_its_set_stay_as_they_are() {
    let mut net = square(2);
    net.register("weight", Orthogonal::cayley()).unwrap();
    let before = everything(&net);
    // Assigning would move the base to the value and the original to its start.
    let net = only(MaxNorm::new(1.1)).apply(net).unwrap();
    assert_eq!(everything(&net), before);
}

#[test]
fn where_a_rule_cannot_hold_what_was_projected_it_makes_its_own_of_it() {
    let mut net = square(3);
    net.register("weight", Symmetric::new()).unwrap();
    let net = only(MaxNorm::new(0.5)).apply(net).unwrap();
    let w: Tensor<2> = net.get("weight").unwrap();
    w.clone().into_data().assert_eq(&w.transpose().into_data(), true);
}

#[test]
fn an_original_is_reached_by_its_name() {
    let mut net = linear(4);
    net.register("weight", WeightNorm::dim(0)).unwrap();
    let path = "parametrizations.weight.original0";
    net.set(path, Tensor::<2>::from_floats([[-1.0, 2.0, 3.0]], &device())).unwrap();
    let before = ids(&net);
    let constraints = Constraints::new().with(path, NonNeg::new()).unwrap();
    let net = constraints.apply(net).unwrap();
    assert_eq!(values(&net, path, &[1, 3]), [0.0, 2.0, 3.0]);
    assert_eq!(ids(&net), before);

    // One that is parametrized itself, too.
    let mut net = square(5);
    net.register("weight", WeightNorm::whole()).unwrap();
    let path = "parametrizations.weight.original1";
    net.register(path, Symmetric::new()).unwrap();
    let constraints = Constraints::new().with(path, UnitNorm::new().whole()).unwrap();
    let net = constraints.apply(net).unwrap();
    let found = norms(&values(&net, path, &[4, 4]), &[4, 4], None);
    assert!((found[0] - 1.0).abs() < 1e-6);
}

#[test]
fn a_tied_weight_is_projected_once_by_either_name() {
    for selector in ["0.weight", "2.weight", "*.weight"] {
        let mut net = pair(6);
        net.tie("2.weight", "0.weight").unwrap();
        let before = values(&net, "0.weight", &[4, 4]);
        let constraints = Constraints::new().with(selector, Halved).unwrap();
        let net = constraints.apply(net).unwrap();
        let half: Vec<f64> = before.iter().map(|x| x / 2.0).collect();
        assert_near(&values(&net, "0.weight", &[4, 4]), &half);
        assert_near(&values(&net, "2.weight", &[4, 4]), &half);
    }
    // Also where the two are laid out differently: [in, out] and [tokens, features].
    let net = Tokens {
        embedding: EmbeddingConfig::new(5, 3).init(&device()),
        head: LinearConfig::new(3, 5).with_bias(false).init(&device()),
    };
    let (embedding, head) = ("embedding.weight", "head.weight");
    let mut net = Parametrized::new(net);
    net.set(embedding, numbers([5, 3], 7)).unwrap();
    net.tie(head, embedding).unwrap();
    let constraints = Constraints::new().with(head, UnitNorm::new()).unwrap();
    let net = constraints.apply(net).unwrap();
    let found = norms(&values(&net, embedding, &[5, 3]), &[5, 3], Some(0));
    assert!(found.iter().all(|n| (n - 1.0).abs() < 1e-6));
    assert_eq!(values(&net, embedding, &[5, 3]), values(&net, head, &[5, 3]));
}

/// Laid out as [tokens, features], and [in, out] = [features, tokens].
#[derive(Module, Debug)]
struct Tokens {
    embedding: Embedding,
    head: Linear,
}

/// A constraint of one's own that shows how often it was applied.
#[derive(Debug)]
struct Halved;

impl espalier::constrain::Constraint for Halved {
    fn name(&self) -> &str {
        "halved"
    }
    fn apply(
        &self,
        value: espalier::AnyTensor,
        _: &espalier::parametrize::Site,
    ) -> Result<espalier::AnyTensor, espalier::parametrize::RuleError> {
        Ok(value.scale(0.5))
    }
}

#[test]
fn a_pruned_weight_stays_pruned_and_remembers_what_is_under_the_mask() {
    for parametrized in [false, true] {
        let mut net = linear(8);
        if parametrized {
            net.register("weight", WeightNorm::whole()).unwrap();
        }
        let dense = values(&net, "weight", &[3, 4]);
        net.prune("weight", L1Unstructured::new(5)).unwrap();
        let kept = net.kept("weight").unwrap();
        let before = ids(&net);
        let net = only(MaxNorm::new(0.5)).apply(net).unwrap();
        assert_eq!(net.kept("weight").unwrap(), kept);
        assert_eq!(ids(&net), before);
        let after = values(&net, "weight", &[3, 4]);
        for (value, kept) in after.iter().zip(&kept) {
            assert_eq!(*value == 0.0, !kept);
        }
        // The norms are those of what is kept.
        let masked: Vec<f64> =
            dense.iter().zip(&kept).map(|(x, kept)| if *kept { *x } else { 0.0 }).collect();
        for (place, value) in after.iter().enumerate() {
            let norm = norms(&masked, &[3, 4], Some(0))[place / 4];
            let expected = masked[place] * norm.min(0.5) / norm;
            assert!((value - expected).abs() < 2e-6);
        }
        let mut net = net;
        net.remove("weight", espalier::Leave::Parametrized).unwrap();
        if !parametrized {
            continue;
        }
        assert_eq!(values(&net, "weight", &[3, 4]), after);
    }
    let mut net = linear(8);
    let dense = values(&net, "weight", &[3, 4]);
    net.prune("weight", L1Unstructured::new(5)).unwrap();
    let kept = net.kept("weight").unwrap();
    let mut net = only(MaxNorm::new(0.5)).apply(net).unwrap();
    net.remove("weight", espalier::Leave::Original).unwrap();
    let original = values(&net, "weight", &[3, 4]);
    for place in (0..12).filter(|place| !kept[*place]) {
        assert_eq!(original[place], dense[place]);
    }
}

#[test]
fn constraints_apply_in_order_and_leave_the_rest_alone() {
    let net = pair(20);
    let before = (ids(&net), values(&net, "2.weight", &[4, 4]), values(&net, "0.bias", &[4]));
    let constraints = Constraints::new()
        .with("0.*", NonNeg::new())
        .unwrap()
        .with("0.weight", UnitNorm::new())
        .unwrap();
    let net = constraints.apply(net).unwrap();
    let weight = values(&net, "0.weight", &[4, 4]);
    assert!(weight.iter().all(|x| *x >= 0.0));
    assert!(norms(&weight, &[4, 4], Some(0)).iter().all(|n| (n - 1.0).abs() < 1e-6));
    let clamped: Vec<f64> = before.2.iter().map(|x| x.max(0.0)).collect();
    assert_eq!(values(&net, "0.bias", &[4]), clamped);
    assert_eq!((ids(&net), values(&net, "2.weight", &[4, 4])), (before.0, before.1));
}

#[test]
fn buffers_and_frozen_parameters() {
    let net = Sequential::new()
        .with(LinearConfig::new(3, 3).init(&device()).no_grad())
        .with(BatchNormConfig::new(3).init(&device()));
    let mut net = Parametrized::new(net);
    net.set("0.weight", numbers([3, 3], 1)).unwrap();
    let (before, trained): (Vec<_>, Vec<_>) = (
        net.named_buffers().into_iter().map(|info| info.path).collect(),
        net.named_parameters().into_iter().map(|info| info.trainable).collect(),
    );
    let net = Constraints::new().with("**", NonNeg::new()).unwrap().apply(net).unwrap();
    assert!(values(&net, "0.weight", &[3, 3]).iter().all(|x| *x >= 0.0));
    let after: Vec<_> = net.named_buffers().into_iter().map(|info| info.path).collect();
    assert_eq!(after, before);
    let still: Vec<_> = net.named_parameters().into_iter().map(|info| info.trainable).collect();
    assert_eq!(still, trained);
}

#[test]
fn clones_in_a_plain_module_stay_one() {
    let layer = LinearConfig::new(3, 3).init(&device());
    let net = Sequential::new().with(layer.clone()).with(layer);
    let constraints = Constraints::new().with("1.weight", Halved).unwrap();
    let before: Tensor<2> = net.get_parameter("0.weight").unwrap();
    let net = constraints.apply_module(net).unwrap();
    let half = (before.inner() * 0.5).into_data();
    for path in ["0.weight", "1.weight"] {
        let found: Tensor<2> = net.get_parameter(path).unwrap();
        assert!(found.is_require_grad());
        found.inner().into_data().assert_eq(&half, true);
    }
    let ids: BTreeSet<u64> = net.named_parameters().iter().map(|info| info.id.val()).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_validation_snapshot_is_projected_too() {
    let mut net = pair(10);
    net.register("0.weight", WeightNorm::dim(0)).unwrap();
    let net = net.valid();
    let constraints = Constraints::new().with("*.weight", OrthogonalProjection::new()).unwrap();
    let net = constraints.apply(net).unwrap();
    let plain = net.effective();
    for path in ["0.weight", "2.weight"] {
        let found: Tensor<2> = plain.get_parameter(path).unwrap();
        assert!(off_orthogonal(found) < 1e-5, "{path}");
    }
}

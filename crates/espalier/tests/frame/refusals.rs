//! What is refused, with its words, and that nothing changes then.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::{ModuleList, ParameterList, Sequential};
use espalier::optim::Groups;
use espalier::parametrize::{Orthogonal, Symmetric, WeightNorm};
use espalier::prune::{Amount, L1Unstructured};
use espalier::schedule::Schedule;
use espalier::state::{StateDict, Strict};
use espalier::{Leave, Parametrized, Selector};

use crate::common::{plain, wrapped};

fn refused(
    net: &mut Parametrized<Sequential>,
    change: impl Fn(&mut Parametrized<Sequential>) -> espalier::Error,
) -> String {
    let before = (net.description(), StateDict::of(net));
    let text = change(net).to_string();
    assert_eq!((net.description(), StateDict::of(net)), before, "{text}: nothing changes");
    text
}

#[test]
fn each_refusal_says_what_and_how_to_mend() {
    let mut net = wrapped(30);
    net.register("3.weight", Symmetric::new()).unwrap();
    net.register("5.weight", WeightNorm::dim(0)).unwrap();
    let device = Device::default();
    let cases: Vec<(String, &str)> = vec![
        (
            refused(&mut net, |n| n.register("7.weight", Symmetric::new()).unwrap_err()),
            "`7.weight` matches no parameter; nearest: `0.weight`, `3.weight`, `5.weight`",
        ),
        (
            refused(&mut net, |n| n.register("**.wait", Symmetric::new()).unwrap_err()),
            "`**.wait` matches no parameter; nearest: `0.weight`, `3.weight`, `5.weight`",
        ),
        (
            refused(&mut net, |n| n.register("**.weight", Symmetric::new()).unwrap_err()),
            "`0.weight`: symmetric: expected a square matrix, found shape [8, 6]",
        ),
        (
            refused(&mut net, |n| n.register("0.bias", Orthogonal::cayley()).unwrap_err()),
            "`0.bias`: orthogonal: expected at least 2 dimensions, found 1 [8]",
        ),
        (
            refused(&mut net, |n| n.register("0.weight", WeightNorm::dim(2)).unwrap_err()),
            "`0.weight`: weight_norm: dimension 2 is outside the shape [8, 6]",
        ),
        (
            refused(&mut net, |n| n.register("1.running_mean", WeightNorm::dim(0)).unwrap_err()),
            "`1.running_mean` is a running statistic that its layer writes: it cannot be \
             parametrized, pruned or tied",
        ),
        (
            refused(&mut net, |n| n.remove("0.weight", Leave::Parametrized).unwrap_err()),
            "`0.weight` is not parametrized",
        ),
        (
            refused(&mut net, |n| n.remove("5.weight", Leave::Original).unwrap_err()),
            "`5.weight` is computed from 2 originals and cannot go back to one; remove it with \
             `Leave::Parametrized`",
        ),
        (
            refused(&mut net, |n| {
                n.set("5.weight", Tensor::<2>::ones([3, 8], &device)).unwrap_err()
            }),
            "`5.weight`: expected shape [8, 3], found [3, 8]",
        ),
        (
            refused(&mut net, |n| n.tie("0.weight", "5.weight").unwrap_err()),
            "cannot tie `0.weight` to `5.weight`: shapes [8, 6] and [3, 8] differ (in PyTorch's \
             layout, output features first)",
        ),
        (
            refused(&mut net, |n| n.tie("3.weight", "5.weight").unwrap_err()),
            "cannot tie `3.weight` to `5.weight`: the first is parametrized or pruned; remove \
             that, then tie",
        ),
        (
            refused(&mut net, |n| n.tie("0.bias", "0.bias").unwrap_err()),
            "cannot tie `0.bias` to `0.bias`: they are one parameter already",
        ),
        (
            refused(&mut net, |n| {
                n.prune("*.weight", L1Unstructured, Amount::fraction(1.5)).unwrap_err()
            }),
            "`0.weight`: a fraction to prune lies in 0.0..=1.0, found 1.5",
        ),
        (
            refused(&mut net, |n| {
                n.prune("*.weight", L1Unstructured, Amount::count(30)).unwrap_err()
            }),
            "`5.weight`: cannot prune 30 of 24 values",
        ),
        (refused(&mut net, |n| n.kept("0.weight").unwrap_err()), "`0.weight` is not pruned"),
        (
            refused(&mut net, |n| n.get::<3>("0.weight").unwrap_err()),
            "expected a tensor of rank 3, found rank 2 [6, 8]",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn groups_that_overlap_or_match_nothing_are_errors() {
    let net = wrapped(31);
    let sgd = || SgdConfig::new().build();
    let overlap = Groups::new("rest", sgd(), 0.1)
        .group("first", "*.bias", sgd(), 0.1)
        .and_then(|g| g.group("linears", Selector::layer("Linear"), sgd(), 0.1))
        .and_then(|g| g.build(&net));
    assert_eq!(
        overlap.unwrap_err().to_string(),
        "`0.bias` is in group `first` and in group `linears`; a parameter has one group"
    );
    let empty = Groups::new("rest", sgd(), 0.1)
        .group("norms", Selector::layer("LayerNorm"), sgd(), 0.1)
        .and_then(|g| g.build(&net));
    assert_eq!(
        empty.unwrap_err().to_string(),
        "layer type `LayerNorm` matches no parameter; nearest: `BatchNorm`, `Linear`"
    );
    assert!(Selector::glob("a[").is_err() && Selector::regex("(").is_err());
    assert!(Schedule::multi_step(&[1], 0.0).is_err());
}

#[test]
fn a_wrong_architecture_is_one_error_that_lists_everything() {
    let device = Device::default();
    let state = StateDict::of(&plain(&device, 0));
    let other = Sequential::new()
        .with(LinearConfig::new(5, 8).init(&device))
        .with(LinearConfig::new(8, 3).with_bias(false).init(&device));
    let error = state.load_into(other.clone(), Strict::Yes).unwrap_err().to_string();
    assert_eq!(
        error,
        "the state dict does not fit the module; nothing was loaded\n  \
         unexpected: `1.bias`\n  unexpected: `1.running_mean`\n  unexpected: `1.running_var`\n  \
         unexpected: `3.weight`\n  unexpected: `3.bias`\n  unexpected: `5.weight`\n  \
         unexpected: `5.bias`\n  \
         shape of `0.weight`: the module has [8, 5], the state dict [8, 6]\n  \
         shape of `1.weight`: the module has [3, 8], the state dict [8]"
    );
    let loose = state.load_into(other, Strict::No).unwrap_err().to_string();
    assert!(!loose.contains("unexpected") && loose.contains("shape of `0.weight`"), "{loose}");
    let fewer = Sequential::new().with(LinearConfig::new(6, 8).init(&device));
    assert!(state.load_into(fewer, Strict::No).is_ok());
}

#[test]
fn lists_answer_with_typed_errors() {
    let device = Device::default();
    let mut modules = ModuleList::new();
    modules.push(LinearConfig::new(2, 2).init(&device));
    assert_eq!(
        modules.get::<burn::nn::Relu>(0).unwrap_err().to_string(),
        "expected a Relu, found a Linear"
    );
    assert_eq!(
        modules.get::<burn::nn::Linear>(1).unwrap_err().to_string(),
        "index 1 is past the end of a list of 1"
    );
    let mut parameters = ParameterList::new();
    parameters.push(Tensor::<2>::ones([2, 3], &device));
    assert_eq!(
        parameters.get::<1>(0).unwrap_err().to_string(),
        "expected a tensor of rank 1, found rank 2 [2, 3]"
    );
    assert_eq!(parameters.num_params(), 6);
}

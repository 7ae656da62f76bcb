//! What is refused, with its words, and that nothing changes then.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::{ModuleList, ParameterList, Sequential};
use espalier::optim::{Groups, Options, Sgd};
use espalier::parametrize::{Orthogonal, Symmetric, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::schedule::Schedule;
use espalier::state::{StateDict, Strict};
use espalier::{Error, Leave, Parametrized, Selector};

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
             parametrized, pruned, tied or trained",
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
            refused(&mut net, |n| n.prune("*.weight", L1Unstructured::new(1.5)).unwrap_err()),
            "`0.weight`: a fraction to prune lies in 0.0..=1.0, found 1.5",
        ),
        (
            refused(&mut net, |n| n.prune("*.weight", L1Unstructured::new(30)).unwrap_err()),
            "`5.weight`: cannot prune 30 of 24 values",
        ),
        (refused(&mut net, |n| n.kept("0.weight").unwrap_err()), "`0.weight` is not pruned"),
        (
            refused(&mut net, |n| n.get::<3>("0.weight").unwrap_err()),
            "`0.weight`: read as a tensor of rank 3, it has rank 2 [6, 8]",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn groups_that_overlap_or_match_nothing_are_errors() {
    let net = wrapped(31);
    let sgd = Sgd::new().with_rate(0.1);
    let overlap = Groups::new(sgd.clone())
        .group("first", "*.bias", Options::new())
        .and_then(|g| g.group("linears", Selector::layer("Linear"), Options::new()))
        .and_then(|g| g.build(&net));
    assert_eq!(
        overlap.unwrap_err().to_string(),
        "`0.bias` is in group `first` and in group `linears`; a parameter has one group"
    );
    let empty = Groups::new(sgd.clone())
        .group("norms", Selector::layer("LayerNorm"), Options::new())
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

#[test]
fn a_group_of_buffers_only_is_an_error() {
    let sgd = Sgd::new().with_rate(0.1);
    let stats = Groups::new(sgd.clone())
        .group("stats", "1.running_*", Options::new().rate(0.0))
        .and_then(|groups| groups.build(&wrapped(32)));
    assert!(stats.unwrap_err().to_string().starts_with("`1.running_mean` is a running statistic"));
}

#[test]
fn tied_paths_are_one_parameter_to_groups() {
    let mut net = wrapped(33);
    net.tie("3.bias", "0.bias").unwrap();
    let sgd = Sgd::new().with_rate(0.1);
    let two = Groups::new(sgd.clone())
        .group("a", "0.bias", Options::new())
        .and_then(|groups| groups.group("b", "3.bias", Options::new().rate(0.0)))
        .and_then(|groups| groups.build(&net));
    assert_eq!(
        two.unwrap_err().to_string(),
        "`3.bias` is in group `a` and in group `b`; a parameter has one group"
    );
    let alias = Groups::new(sgd.clone())
        .group("a", "3.bias", Options::new().rate(0.5))
        .and_then(|groups| groups.build(&net))
        .unwrap();
    let text = alias.to_string();
    assert!(
        text.ends_with("a (SGD): rate 0.5, decay 0, 1 tensor, 8 elements\n  0.bias [8]\n"),
        "{text}"
    );
}

#[test]
fn a_mask_keeps_the_shape_it_was_made_for() {
    let mut net = wrapped(34);
    net.prune("3.weight", L1Unstructured::new(0.5)).unwrap();
    let half = || espalier::parametrize::Own::new("half", Half {});
    let text = refused(&mut net, |n| n.register_unsafe("3.weight", half()).unwrap_err());
    assert!(text.contains("may not change the shape"), "{text}");
    net.register_unsafe("0.weight", half()).unwrap();
    assert_eq!(net.get::<2>("0.weight").unwrap().dims(), [3, 8]);
    // Its one original has another shape, and so has the gradient.
    let none = burn::optim::GradientsParams::new();
    let error = net.gradient::<2>("0.weight", &none).unwrap_err();
    assert!(matches!(error, Error::ComputedGradient { .. }), "{error}");
}

/// Half of the rows.
#[derive(Module, Debug)]
struct Half {}

impl espalier::parametrize::Parametrization<2> for Half {
    fn forward(&self, originals: &[Tensor<2>]) -> Tensor<2> {
        let rows = originals[0].dims()[0] / 2;
        originals[0].clone().narrow(0, 0, rows)
    }
}

#[test]
fn a_state_dict_of_other_rules_is_refused() {
    let (mut a, mut b) = (wrapped(35), wrapped(35));
    a.register("3.weight", Symmetric::new()).unwrap();
    b.register("3.weight", Orthogonal::cayley().trivialization(false)).unwrap();
    let state = StateDict::of(&a);
    let error = state.load_into(b.clone(), Strict::No).unwrap_err().to_string();
    assert!(error.contains("parametrizations: the module has"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.bpk");
    a.clone().save_file(&file).unwrap();
    assert!(b.try_load_file(&file).is_err());
    assert!(a.clone().try_load_file(&file).is_ok());
}

#[test]
fn a_failed_load_leaves_the_statistics_of_clones_alone() {
    let net = wrapped(36);
    let mut other = crate::common::train(wrapped(37), &mut SgdConfig::new().init(), 3);
    other.register("3.weight", Symmetric::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.bpk");
    let record = Sequential::new().with(plain(&Device::default(), 1)).into_record();
    record.save(&file).unwrap();
    let before = StateDict::of(&net);
    assert!(net.clone().try_load_file(&file).is_err());
    assert_eq!(StateDict::of(&net), before);
}

#[test]
fn descriptions_never_register_twice() {
    let mut net = wrapped(38);
    net.register("3.weight", Symmetric::new()).unwrap();
    net.prune("0.weight", L1Unstructured::new(5)).unwrap();
    let (description, kept) = (net.description(), net.kept("0.weight").unwrap());
    let rules = espalier::parametrize::Rules::builtin();
    net.apply_description(&description, &rules).unwrap();
    assert_eq!(net.description(), description);
    assert_eq!(net.kept("0.weight").unwrap(), kept, "an existing mask stays");
    let other = description.replace("symmetric", "weight_norm").replace("{}", "{\"dim\":0}");
    let text = refused(&mut net, |n| n.apply_description(&other, &rules).unwrap_err());
    assert!(text.contains("`3.weight` is parametrized, pruned or tied in another way"), "{text}");
    let tie =
        r#"{"version":1,"slots":[{"path":"0.bias","tie":{"to":"3.bias","transposed":true}}]}"#;
    let text = refused(&mut net, |n| n.apply_description(tie, &rules).unwrap_err());
    assert!(text.contains("no two dimensions"), "{text}");
}

#[test]
fn initializing_leaves_buffers_alone_and_knows_the_layout_of_originals() {
    let net = wrapped(39);
    let norm = espalier::init::Init::Constant(3.0);
    let net = norm.apply(net, &Selector::layer("BatchNorm"), 0).unwrap();
    assert_eq!(crate::common::values::<1>(&net, "1.gamma"), [3.0; 8]);
    assert_eq!(crate::common::values::<1>(&net, "1.running_var"), [1.0; 8]);
    let error = norm.apply(net, &Selector::glob("1.running_*").unwrap(), 0).unwrap_err();
    assert!(error.to_string().contains("running statistic"));

    let mut net = wrapped(40);
    net.prune("0.weight", L1Unstructured::new(0)).unwrap();
    let uniform = espalier::init::Init::XavierUniform(1.0);
    let pruned = uniform.apply(net, &Selector::path("0.weight_orig"), 7).unwrap();
    let plain = uniform.apply(wrapped(40), &Selector::path("0.weight"), 7).unwrap();
    assert_eq!(
        crate::common::values::<2>(&pruned, "0.weight"),
        crate::common::values::<2>(&plain, "0.weight"),
        "the same fans and the same order"
    );
}

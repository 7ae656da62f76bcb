//! Dry runs and presets.

use espalier::optim::{AdamW, Groups, Options, Sgd};

use crate::common::net;

fn members<'a>(plan: &'a espalier::optim::Plan, group: &str) -> Vec<&'a str> {
    let found = plan.groups().iter().find(|known| known.name == group);
    found.unwrap().parameters.iter().map(|(path, _)| path.as_str()).collect()
}

#[test]
fn a_plan_prints_who_lands_where() {
    let groups = Groups::new(AdamW::new().with_rate(0.01))
        .group("head", "4.*", Options::new().rate(0.1).decay(0.0))
        .unwrap();
    let plan = groups.plan(&net()).unwrap();
    assert_eq!(
        plan.to_string(),
        "default (AdamW): rate 0.01, momentum 0.9, decay 0.01, 6 tensors, 44 elements\n  \
         0.weight [3, 4]\n  0.bias [4]\n  1.gamma [4]\n  1.beta [4]\n  \
         3.weight [4, 4]\n  3.bias [4]\n\
         head (AdamW): rate 0.1, momentum 0.9, decay 0, 2 tensors, 10 elements\n  \
         4.weight [4, 2]\n  4.bias [2]\n"
    );
    assert_eq!(groups.build(&net()).unwrap().plan(), &plan);
}

#[test]
fn biases_and_norms_go_without_decay_in_every_group() {
    let groups = Groups::new(AdamW::new())
        .group("head", "4.*", Options::new().rate(0.1))
        .unwrap()
        .no_decay_on_bias_and_norm();
    let plan = groups.plan(&net()).unwrap();
    assert_eq!(members(&plan, "default"), ["0.weight", "3.weight"]);
    let bare = ["0.bias", "1.gamma", "1.beta", "3.bias"];
    assert_eq!(members(&plan, "default (no decay)"), bare);
    assert_eq!(members(&plan, "head (no decay)"), ["4.bias"]);
    let decay = |path| plan.group_of(path).unwrap().values.decay;
    assert_eq!([decay("4.weight"), decay("4.bias")], [0.01, 0.0]);
    assert_eq!(plan.group_of("4.bias").unwrap().values.rate, 0.1);
}

#[test]
fn layers_have_rates_of_their_own_and_keep_them_under_other_presets() {
    let groups = Groups::new(AdamW::new().with_rate(1.0))
        .layer_wise_rate_decay(0.5, ["0.*", "1.*", "3.*"])
        .unwrap()
        .no_decay_on_bias_and_norm();
    let plan = groups.plan(&net()).unwrap();
    let values = |path| {
        let values = plan.group_of(path).unwrap().values;
        (values.rate, values.decay)
    };
    assert_eq!(values("0.weight"), (0.25, 0.01));
    assert_eq!(values("0.bias"), (0.25, 0.0));
    assert_eq!(values("1.gamma"), (0.5, 0.0));
    assert_eq!(values("3.weight"), (1.0, 0.01));
    assert_eq!(values("4.weight"), (1.0, 0.01), "what no layer names keeps its rate");
    let overlap = Groups::new(Sgd::new())
        .layer_wise_rate_decay(0.5, ["0.*", "*.weight"])
        .unwrap()
        .plan(&net());
    assert_eq!(
        overlap.unwrap_err().to_string(),
        "`0.weight` is in group `layer 1` and in group `layer 2`; a parameter has one group"
    );
    let nothing = Groups::new(Sgd::new()).layer_wise_rate_decay(0.5, ["7.*"]).unwrap();
    assert!(nothing.plan(&net()).unwrap_err().to_string().contains("`7.*` matches no parameter"));
    assert!(Groups::new(Sgd::new()).layer_wise_rate_decay(-1.0, ["0.*"]).is_err());
}

#[test]
fn multipliers_multiply() {
    let halve = Options::new().rate_multiplier(0.5);
    let groups = Groups::new(Sgd::new().with_rate(1.0).with_decay(0.2))
        .group("head", "4.*", Options::new().rate(3.0).decay_multiplier(0.5))
        .and_then(|groups| groups.multiply("*.bias", halve))
        .and_then(|groups| groups.multiply("4.*", halve))
        .unwrap();
    let plan = groups.plan(&net()).unwrap();
    let values = |path| {
        let values = plan.group_of(path).unwrap().values;
        (values.rate, values.decay)
    };
    assert_eq!(values("0.weight"), (1.0, 0.2));
    assert_eq!(values("0.bias"), (0.5, 0.2));
    assert_eq!(values("4.weight"), (1.5, 0.1));
    assert_eq!(values("4.bias"), (0.75, 0.1));
    let wrong = Groups::new(Sgd::new()).multiply("0.*", Options::new().rate(1.0));
    let text = wrong.unwrap_err().to_string();
    assert!(text.contains("`rate`"), "{text}");
}

#[test]
fn a_tied_parameter_is_in_the_group_of_either_name() {
    let mut net = net();
    net.tie("3.bias", "0.bias").unwrap();
    let plan = Groups::new(Sgd::new())
        .group("a", "3.bias", Options::new().rate(0.5))
        .unwrap()
        .plan(&net)
        .unwrap();
    assert_eq!(members(&plan, "a"), ["0.bias"]);
    assert!(plan.group_of("3.bias").is_none(), "it is trained under the other name");
}

#[test]
fn a_multiplier_reaches_a_tied_parameter_by_either_name() {
    for name in ["3.bias", "0.bias"] {
        let mut net = net();
        net.tie("3.bias", "0.bias").unwrap();
        let plan = Groups::new(Sgd::new().with_rate(1.0))
            .multiply(name, Options::new().rate_multiplier(0.5))
            .unwrap()
            .plan(&net)
            .unwrap();
        assert_eq!(plan.group_of("0.bias").unwrap().values.rate, 0.5, "{name}");
        assert_eq!(plan.group_of("0.weight").unwrap().values.rate, 1.0);
    }
}

#[derive(burn::module::Module, Debug)]
struct Unusual {
    scale: burn::module::Param<burn::tensor::Tensor<1>>,
    bias: burn::module::Param<burn::tensor::Tensor<3>>,
    weight: burn::module::Param<burn::tensor::Tensor<2>>,
}

#[test]
fn vectors_and_whatever_is_named_bias_go_without_decay() {
    use burn::module::Param;
    use burn::tensor::{Device, Tensor};
    let device = Device::default().autodiff();
    let net = espalier::Parametrized::new(Unusual {
        scale: Param::from_tensor(Tensor::ones([2], &device)),
        bias: Param::from_tensor(Tensor::ones([2, 1, 1], &device)),
        weight: Param::from_tensor(Tensor::ones([2, 2], &device)),
    });
    let plan = Groups::new(AdamW::new()).no_decay_on_bias_and_norm().plan(&net).unwrap();
    assert_eq!(members(&plan, "default (no decay)"), ["scale", "bias"]);
    assert_eq!(members(&plan, "default"), ["weight"]);
}

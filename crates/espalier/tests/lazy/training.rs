//! Optimizers, groups, ties and copies around lazy layers.

use burn::module::{Module, ParamGroup};
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Tanh};
use burn::optim::{
    AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, Optimizer, Sgd, SgdConfig,
    momentum::MomentumConfig,
};
use burn::tensor::{Device, Tensor};
use espalier::nn::lazy::*;
use espalier::nn::{AnyLayer, Sequential};
use espalier::optim::{Groups, Options};
use espalier::parametrize::{Orthogonal, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{ParameterTree, Parametrized};

use crate::common::{INPUT, data, device, images, lazy, normal};

fn loss(net: &Parametrized<Sequential>, step: u64) -> Tensor<1> {
    let y: Tensor<2> = net.effective().forward(images(step, &device())).unwrap();
    (y - 0.5).square().mean()
}

fn trained(
    mut net: Parametrized<Sequential>,
    optim: &mut ModuleOptimizer,
    steps: u64,
) -> Parametrized<Sequential> {
    for step in 0..steps {
        let grads = net.grads(loss(&net, step % 3).backward()).unwrap();
        net = optim.step(0.02, net, grads);
    }
    net
}

/// The plain network that a lazy one became, with tensors and running statistics of its own.
fn plain(net: &Sequential) -> Sequential {
    let mut plain = Sequential::new();
    for layer in net.clone().train().iter() {
        plain.push(if let Some(lazy) = layer.get::<LazyConv2d>() {
            AnyLayer::new::<Conv2d>(lazy.get().unwrap().clone())
        } else if let Some(lazy) = layer.get::<LazyBatchNorm>() {
            AnyLayer::new::<BatchNorm>(lazy.get().unwrap().clone())
        } else if let Some(lazy) = layer.get::<LazyLinear>() {
            AnyLayer::new::<Linear>(lazy.get().unwrap().clone())
        } else {
            layer.clone()
        });
    }
    plain
}

#[test]
fn an_optimizer_made_before_the_first_pass_trains_every_layer_as_a_plain_one() {
    type Make = fn() -> ModuleOptimizer;
    let optimizers: [(&str, Make); 3] = [
        ("sgd", || SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init()),
        ("adam", || AdamConfig::new().init()),
        ("adamw", || AdamWConfig::new().with_weight_decay(0.01).init()),
    ];
    for (name, optim) in optimizers {
        let mut early = optim();
        let net = Parametrized::new(lazy(&device(), 3));
        let reference = initialize(lazy(&device(), 3), &INPUT).unwrap();
        let reference = Parametrized::new(plain(&reference));
        let before = loss(&net.deep_copy(), 0).into_scalar::<f32>();
        let start = StateDict::of(&reference);
        let net = trained(net, &mut early, 20);
        let after = loss(&net.deep_copy(), 0).into_scalar::<f32>();
        assert!(after < 0.5 * before, "{name}: {before} then {after}");
        let reference = trained(reference, &mut optim(), 20);
        let state = StateDict::of(&net);
        assert_eq!(state, StateDict::of(&reference), "{name}: the same bits as plain layers");
        for (tensor, first) in state.checkpoint().iter().zip(start.checkpoint().iter()) {
            assert_eq!(tensor.name(), first.name());
            // A batch norm takes away what a bias before it adds.
            if tensor.name() == "0.bias" {
                continue;
            }
            assert_ne!(tensor, first, "{name}: {} was trained", tensor.name());
        }
    }
}

#[test]
fn gradients_of_the_first_pass_reach_every_parameter() {
    let net = Parametrized::new(lazy(&device(), 3));
    let before: Vec<_> = net.named_parameters().into_iter().map(|info| info.id).collect();
    let grads = net.grads(loss(&net, 0).backward()).unwrap();
    assert_eq!(grads.len(), 8);
    let parameters = net.named_parameters();
    assert_eq!(parameters.iter().map(|info| info.id).collect::<Vec<_>>(), before);
    let first = grads.get::<4>(parameters[0].id).unwrap();
    assert_eq!(first.dims().as_slice(), parameters[0].shape);
    assert!(first.abs().sum().into_scalar::<f32>() > 0.0);
}

#[test]
fn groups_made_before_the_first_pass_hold_after_it() {
    let mut net = Parametrized::new(lazy(&device(), 3));
    let mut optim = Groups::new(espalier::optim::Sgd::new().with_rate(0.1))
        .group("still", "4.*", Options::new().rate(0.0))
        .unwrap()
        .build(&net)
        .unwrap();
    let still = optim.plan().groups().last().unwrap();
    assert_eq!((still.values.rate, still.parameters.len()), (0.0, 2));
    let grads = net.grads(loss(&net, 0).backward()).unwrap();
    let (still, moves) =
        (data(net.get::<2>("4.weight").unwrap()), data(net.get::<2>("6.weight").unwrap()));
    net = optim.step(net, grads);
    assert_eq!(data(net.get::<2>("4.weight").unwrap()), still);
    assert_ne!(data(net.get::<2>("6.weight").unwrap()), moves);
}

/// An optimizer that leaves everything as it is: to see who is in its group.
#[derive(Clone)]
struct Frozen;

impl Optimizer for Frozen {
    type State<const D: usize> = <Sgd as Optimizer>::State<D>;
    fn step<const D: usize>(
        &self,
        _: f64,
        tensor: Tensor<D>,
        _: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        (tensor, state)
    }
    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        Sgd::to_device(state, device)
    }
}

#[test]
fn burns_groups_by_id_hold_too() {
    let mut net = Parametrized::new(lazy(&device(), 3));
    let ids = net.named_parameters().into_iter().filter(|p| p.path.starts_with("4.")).map(|p| p.id);
    let group = ParamGroup::from_ids(ids.collect());
    let mut optim = AdamConfig::new().init().with_group(group, Frozen, None);
    let grads = net.grads(loss(&net, 0).backward()).unwrap();
    let (still, moves) =
        (data(net.get::<2>("4.weight").unwrap()), data(net.get::<2>("6.weight").unwrap()));
    net = optim.step(0.1, net, grads);
    assert_eq!(data(net.get::<2>("4.weight").unwrap()), still);
    assert_ne!(data(net.get::<2>("6.weight").unwrap()), moves);
}

#[test]
fn a_slot_elsewhere_does_not_keep_the_first_pass_from_filling_the_wrapper() {
    // With slots, the effective module is made by a map.
    let net = Sequential::new()
        .with(LazyLinearConfig::new(6).with_seed(Some(1)).init(&device()))
        .with(LazyBatchNormConfig::new().init(&device()))
        .with(LinearConfig::new(6, 6).init(&device()));
    let mut net = Parametrized::new(net);
    net.register("2.weight", WeightNorm::dim(0)).unwrap();
    let mut optim = AdamConfig::new().init();
    for step in 0..2 {
        let y: Tensor<2> = net.effective().forward(normal([4, 3], 0, &device())).unwrap();
        let grads = net.grads(y.square().mean().backward()).unwrap();
        assert_eq!(grads.len(), 7, "step {step}");
        let before = data(net.get::<2>("0.weight").unwrap());
        net = optim.step(0.1, net, grads);
        assert_ne!(data(net.get::<2>("0.weight").unwrap()), before);
    }
    net.register("0.weight", Orthogonal::cayley()).unwrap();
    net.prune("0.weight", L1Unstructured::new(0.5)).unwrap();
    let _: Tensor<2> = net.effective().forward(normal([4, 3], 0, &device())).unwrap();
    assert_eq!(net.zeros("0.weight").unwrap(), 9);
    let folded = net.fold();
    let weight = folded[0].get::<LazyLinear>().unwrap().weight().unwrap();
    assert_eq!(data(weight).iter().filter(|w| **w == 0.0).count(), 9);
}

#[test]
fn a_layer_placed_twice_is_tied_once_it_is_initialized() {
    let device = device();
    let shared = LazyLinearConfig::new(4).with_seed(Some(2)).init(&device);
    let twice = Sequential::new().with(shared.clone()).with(Tanh::new()).with(shared);
    let mut net = Parametrized::new(twice);
    let mut reference = Parametrized::new(
        initialize(
            Sequential::new()
                .with(LazyLinearConfig::new(4).with_seed(Some(2)).init(&device))
                .with(Tanh::new())
                .with(LazyLinearConfig::new(4).with_seed(Some(2)).init(&device)),
            &[1, 4],
        )
        .unwrap(),
    );
    reference.tie("2.weight", "0.weight").unwrap();
    reference.tie("2.bias", "0.bias").unwrap();
    let (mut a, mut b) = (AdamConfig::new().init(), AdamConfig::new().init());
    for step in 0..4 {
        for (net, optim) in [(&mut net, &mut a), (&mut reference, &mut b)] {
            let y: Tensor<2> = net.effective().forward(normal([5, 4], step, &device)).unwrap();
            let grads = net.grads((y - 1.0).square().mean().backward()).unwrap();
            assert_eq!(grads.len(), 2);
            *net = optim.step(0.05, net.clone(), grads);
        }
        let tied = [("2.bias", "0.bias"), ("2.weight", "0.weight")];
        assert_eq!(net.ties(), tied.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(net.named_parameters().len(), 2);
        let weights = |net: &Parametrized<Sequential>| data(net.get::<2>("2.weight").unwrap());
        assert_eq!(weights(&net), weights(&reference), "step {step}");
        assert_eq!(weights(&net), data(net.get::<2>("0.weight").unwrap()));
    }
}

#[test]
fn ties_and_copies_after_the_first_pass() {
    let mut net = Parametrized::new(
        Sequential::new()
            .with(LazyLinearConfig::new(4).init(&device()))
            .with(LazyBatchNormConfig::new().init(&device()))
            .with(LazyLinearConfig::new(4).init(&device())),
    );
    let x = || normal([5, 4], 0, &device());
    let untouched = net.deep_copy();
    let _: Tensor<2> = net.effective().forward(x()).unwrap();
    assert!(untouched.get::<2>("0.weight").is_err(), "a deep copy shares nothing");
    net.tie("2.weight", "0.weight").unwrap();
    let copy = net.deep_copy();
    let before = StateDict::of(&copy);
    let mut optim = AdamConfig::new().init();
    for _ in 0..3 {
        let y: Tensor<2> = net.effective().forward(x()).unwrap();
        let grads = net.grads((y - 1.0).square().mean().backward()).unwrap();
        net = optim.step(0.05, net, grads);
    }
    assert_eq!(StateDict::of(&copy), before, "running statistics included");
    assert_ne!(StateDict::of(&net), before);
    let valid = net.valid();
    let y: Tensor<2> = valid.effective().forward(normal([5, 4], 0, &Device::default())).unwrap();
    let back: Tensor<2> = valid
        .clone()
        .train()
        .valid()
        .effective()
        .forward(normal([5, 4], 0, &Device::default()))
        .unwrap();
    assert_eq!(data(y), data(back));
}

/// A module of one's own, with a plain layer beside a lazy one.
#[derive(Module, Debug)]
struct Net {
    features: LazyConv2d,
    norm: LazyBatchNorm,
    scale: BatchNorm,
    head: LazyLinear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            features: LazyConv2dConfig::new(3, [3, 3]).init(device),
            norm: LazyBatchNormConfig::new().init(device),
            scale: BatchNormConfig::new(3).init(device),
            head: LazyLinearConfig::new(2).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<2>, espalier::Error> {
        let x = self.scale.forward(self.norm.forward(self.features.forward(x)?)?);
        self.head.forward(x.tanh().flatten::<2>(1, 3))
    }
}

#[test]
fn in_a_derived_module() {
    let mut net = Net::new(&device());
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..15 {
        let loss = (net.forward(images(0, &device())).unwrap() - 0.5).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        // Without the wrapper too: Burn's own collection of gradients finds them.
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        assert_eq!(grads.len(), 8);
        net = optim.step(0.02, net, grads);
    }
    assert!(losses[14] < 0.5 * losses[0], "{losses:?}");
    let names: Vec<_> = net.named_parameters().into_iter().map(|p| (p.path, p.layer)).collect();
    assert_eq!(names[0], ("features.weight".to_owned(), "Conv2d".to_owned()));
    assert_eq!(names[6], ("head.weight".to_owned(), "Linear".to_owned()));
    let mut net = Parametrized::new(net);
    net.register("head.weight", WeightNorm::dim(0)).unwrap();
    let y = net.effective().forward(images(0, &device())).unwrap();
    assert!(net.grads(y.sum().backward()).is_ok());
}

#[test]
fn wrapped_in_a_derived_module_before_the_first_pass() {
    let mut net = Parametrized::new(Net::new(&device()));
    let mut optim = AdamWConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..15 {
        let step = net.effective();
        let loss = (step.forward(images(0, &device())).unwrap() - 0.5).square().mean();
        drop(step);
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward()).unwrap();
        net = optim.step(0.02, net, grads);
    }
    assert!(losses[14] < 0.5 * losses[0], "{losses:?}");
}

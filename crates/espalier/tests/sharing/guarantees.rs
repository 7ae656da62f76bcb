//! What sharing promises, one test each; and the trap that it avoids.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, RmsPropConfig,
    SgdConfig,
};
use burn::tensor::Tensor;
use espalier::nn::Sequential;
use espalier::parametrize::{Orthogonal, Rules, WeightNorm};
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{ParameterTree, Parametrized};

use crate::common::{assert_shared, device, gradients, loss, mlp, shared, train, values};

fn optimizers() -> Vec<(&'static str, ModuleOptimizer)> {
    vec![
        ("sgd", SgdConfig::new().init()),
        ("adam", AdamConfig::new().init()),
        ("adamw", AdamWConfig::new().init()),
        ("adagrad", AdaGradConfig::new().init()),
        ("rmsprop", RmsPropConfig::new().init()),
    ]
}

#[test]
fn one_an_edit_through_either_name_is_seen_through_both() {
    for (through, seen) in [("2.weight", "4.weight"), ("4.weight", "2.weight")] {
        let mut net = shared(1);
        let weight: Tensor<2> = net.get(through).unwrap();
        let hundred = Tensor::full([1, 1], 100.0, &device());
        net.set(through, weight.detach().slice_assign([0..1, 0..1], hundred)).unwrap();
        assert_eq!(values(&net, seen)[0], 100.0);
        assert_shared(&net);
    }
}

#[test]
fn two_it_is_counted_once() {
    let (apart, net) = (mlp(1), shared(1));
    assert_eq!((apart.num_params(), net.num_params()), (60, 40));
    let names: Vec<String> = net.named_parameters().into_iter().map(|p| p.path).collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
    assert_eq!(StateDict::of(&net).shapes().len(), 4);
    assert_eq!(gradients(&net, 0).len(), 4);
}

#[test]
fn three_gradients_are_summed() {
    let net = shared(1);
    // The same values without ties: each place has its own gradient.
    let apart = Parametrized::new(net.clone().fold());
    assert_eq!(apart.named_parameters().len(), 6);
    let gradient = |net: &Parametrized<Sequential>, path: &str| -> Vec<f32> {
        let grads = gradients(net, 0);
        let info = net.entries().into_iter().find(|info| info.path == path).unwrap();
        match info.shape.len() {
            1 => grads.get::<1>(info.id).unwrap().into_data().iter().collect(),
            _ => grads.get::<2>(info.id).unwrap().into_data().iter().collect(),
        }
    };
    for name in ["weight", "bias"] {
        let [first, second] = ["2", "4"].map(|layer| gradient(&apart, &format!("{layer}.{name}")));
        assert_ne!(first, second);
        let sum = gradient(&net, &format!("2.{name}"));
        for ((sum, first), second) in sum.iter().zip(&first).zip(&second) {
            let expected = first + second;
            assert!((sum - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{sum} {expected}");
        }
    }
}

#[test]
fn four_it_is_still_tied_after_many_steps_of_any_optimizer() {
    for (name, mut optim) in optimizers() {
        let before = shared(1);
        let net = train(before.clone(), &mut optim, 60);
        assert_shared(&net);
        assert_ne!(values(&net, "2.weight"), values(&before, "2.weight"), "{name}");
        assert_eq!(net.num_params(), 40, "{name}");
        assert_eq!(net.ties().len(), 2, "{name}");
    }
}

#[test]
fn five_it_is_still_tied_after_saving_and_loading() {
    let dir = tempfile::tempdir().unwrap();
    let net = train(shared(1), &mut AdamConfig::new().init(), 5);
    let check = |loaded: Parametrized<Sequential>, how: &str| {
        assert_eq!(loaded.ties(), net.ties(), "{how}");
        for path in ["0.weight", "2.weight", "2.bias", "4.weight"] {
            assert_eq!(values(&loaded, path), values(&net, path), "{how}: {path}");
        }
        assert_shared(&train(loaded, &mut SgdConfig::new().init(), 3));
    };

    for (how, state) in
        [("one name", StateDict::of(&net)), ("both names", StateDict::for_torch(&net))]
    {
        let path = dir.path().join("net.safetensors");
        state.save(&path).unwrap();
        let state = StateDict::open(&path).unwrap();
        let mut fresh = mlp(2);
        fresh.apply_description(state.description().unwrap(), &Rules::builtin()).unwrap();
        check(state.load_into(fresh, Strict::Yes).unwrap(), how);
    }

    let path = dir.path().join("net.bpk");
    net.clone().save_file(&path).unwrap();
    check(mlp(2).try_load_file(&path).unwrap(), "burnpack");
}

#[test]
fn six_it_is_still_tied_after_parametrizing_either_name() {
    for name in ["2.weight", "4.weight"] {
        let mut net = shared(1);
        net.register(name, WeightNorm::dim(0)).unwrap();
        assert!(net.is_parametrized("2.weight") && net.is_parametrized("4.weight"));
        assert_shared(&net);
        let net = train(net, &mut AdamConfig::new().init(), 10);
        assert_shared(&net);

        let mut net = shared(1);
        net.register(name, Orthogonal::cayley()).unwrap();
        let net = train(net, &mut SgdConfig::new().init(), 10);
        assert_shared(&net);
        let removed = {
            let mut net = net.clone();
            net.remove(name, espalier::Leave::Parametrized).unwrap();
            net
        };
        assert_shared(&train(removed, &mut SgdConfig::new().init(), 3));
    }
}

#[test]
fn seven_it_is_still_tied_after_pruning_either_name() {
    for name in ["2.weight", "4.weight"] {
        let mut net = shared(1);
        net.prune(name, L1Unstructured::new(6)).unwrap();
        assert!(net.is_pruned("2.weight") && net.is_pruned("4.weight"));
        let mut net = train(net, &mut AdamWConfig::new().init(), 10);
        assert_shared(&net);
        assert_eq!(net.zeros("4.weight").unwrap(), 6);
        net.remove(name, espalier::Leave::Parametrized).unwrap();
        assert_shared(&net);
        assert_shared(&train(net, &mut SgdConfig::new().init(), 3));
    }
}

#[test]
fn the_trap_clones_in_a_plain_module_drift_apart_in_training() {
    let device = device();
    let layer = LinearConfig::new(4, 4).init(&device);
    let plain = Sequential::new().with(layer.clone()).with(burn::nn::Tanh::new()).with(layer);
    let weight = |net: &Sequential, place: usize| -> Vec<f32> {
        let layer = net[place].get::<burn::nn::Linear>().unwrap();
        layer.weight.val().into_data().try_to_vec().unwrap()
    };

    let (mut burn, mut optim) = (plain.clone(), SgdConfig::new().init());
    assert_eq!(weight(&burn, 0), weight(&burn, 2));
    for step in 0..5 {
        let grads = GradientsParams::from_grads(loss(&burn, step).backward(), &burn);
        burn = optim.step(0.05, burn, grads);
    }
    assert_ne!(weight(&burn, 0), weight(&burn, 2), "Burn updates one and leaves the other");

    let mut net = Parametrized::new(plain);
    assert_eq!(net.ties().len(), 2, "found by their identity, weight and bias");
    net = train(net, &mut SgdConfig::new().init(), 5);
    assert_eq!(values(&net, "0.weight"), values(&net, "2.weight"));
}

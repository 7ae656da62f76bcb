//! Saving and loading before and after the first forward pass.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Tanh};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::nn::lazy::*;
use espalier::parametrize::WeightNorm;
use espalier::prune::L1Unstructured;
use espalier::state::{StateDict, Strict};
use espalier::{Error, ParameterTree, Parametrized};

use crate::common::{data, device, ids, images, lazy, normal, parameter_ids};

fn filled(seed: u64) -> Sequential {
    let net = lazy(&device(), seed);
    // Twice, so that statistics have moved.
    for step in 0..2 {
        let _: Tensor<2> = net.forward(images(step, &device())).unwrap();
    }
    net
}

fn output(net: &Sequential) -> Vec<f32> {
    data(net.valid().forward::<4, 2>(images(9, &Device::default())).unwrap())
}

#[test]
fn a_state_dict_initializes_the_layers_it_is_loaded_into() {
    let net = filled(1);
    let file = tempfile::NamedTempFile::new().unwrap();
    StateDict::of(&net).save(file.path()).unwrap();
    let state = StateDict::open(file.path()).unwrap();
    assert_eq!(state.shapes()[0], ("0.weight", &[4, 2, 3, 3][..]));
    assert!(state.shapes().contains(&("1.running_mean", &[4][..])));
    assert!(state.shapes().contains(&("4.weight", &[6, 36][..])));
    let fresh = lazy(&device(), 5);
    let identities = ids(&fresh);
    state.fits(&fresh, Strict::Yes).unwrap();
    assert_eq!(fresh.num_params(), 0, "asking initializes nothing");
    let loaded = state.load_into(fresh, Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&loaded), state);
    assert_eq!(output(&loaded), output(&net));
    assert_eq!(ids(&loaded), identities);
    assert!(loaded.named_parameters().iter().all(|info| info.trainable));
    // And into a wrapper, whose clone made before is left alone.
    let wrapper = Parametrized::new(lazy(&device(), 5));
    let before = wrapper.clone();
    let loaded = state.load_into(wrapper, Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&loaded), state);
    assert!(before.get::<2>("4.weight").is_err());
}

#[test]
fn a_state_dict_of_plain_layers_fits_lazy_ones_and_back() {
    let device = Device::default();
    let plain = Sequential::new()
        .with(LinearConfig::new(3, 4).init(&device))
        .with(Tanh::new())
        .with(LinearConfig::new(4, 2).init(&device));
    let lazy = || {
        Sequential::new()
            .with(LazyLinearConfig::new(4).init(&device))
            .with(Tanh::new())
            .with(LazyLinearConfig::new(2).init(&device))
    };
    let state = StateDict::of(&plain);
    let loaded = state.load_into(lazy(), Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&loaded), state);
    let x = normal([2, 3], 0, &device);
    let (a, b): (Tensor<2>, Tensor<2>) =
        (plain.forward(x.clone()).unwrap(), loaded.forward(x).unwrap());
    assert_eq!(data(a), data(b));
    let back = StateDict::of(&loaded).load_into(plain, Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&back), state);
}

#[test]
fn what_does_not_fit_is_reported_and_nothing_is_loaded() {
    let device = Device::default();
    let state = |inputs, outputs, biases| {
        let mut linear: Linear = LinearConfig::new(inputs, outputs).init(&device);
        linear.bias = linear.bias.map(|bias| bias.map(|_| Tensor::zeros([biases], &device)));
        StateDict::of(&linear)
    };
    let fresh = || LazyLinearConfig::new(2).init(&device);
    let report =
        |state: StateDict, strict| state.load_into(fresh(), strict).unwrap_err().to_string();
    let head = "the state dict does not fit the module; nothing was loaded\n";
    assert_eq!(
        report(state(3, 4, 4), Strict::Yes),
        format!(
            "{head}  shape of `bias`: the module has [0], the state dict [4]\n  shape of \
             `weight`: the module has [2, 0], the state dict [4, 3]"
        )
    );
    assert_eq!(
        report(state(3, 2, 5), Strict::No),
        format!("{head}  shape of `bias`: the module has [2], the state dict [5]")
    );
    // Nor is a bias that could never fit kept for the first forward pass.
    let biased = LazyLinearConfig::new(2).with_bias(true).init(&device);
    let error = load_shapes(&[("bias".to_owned(), vec![3])], biased, Strict::No);
    assert_eq!(error, format!("{head}  shape of `bias`: the module has [0], the state dict [3]"));
    // A norm whose statistics have another size than its scales.
    let norm = LazyBatchNormConfig::new().init(&device);
    norm.forward(Tensor::<2>::ones([2, 3], &device)).unwrap();
    let state = StateDict::of(&norm);
    let mut mixed = names_and_shapes(&state);
    mixed.retain(|(name, _)| name != "running_var");
    mixed.push(("running_var".to_owned(), vec![5]));
    let error = load_shapes(&mixed, LazyBatchNormConfig::new().init(&device), Strict::Yes);
    assert_eq!(
        error,
        format!("{head}  shape of `running_var`: the module has [3], the state dict [5]")
    );
}

fn names_and_shapes(state: &StateDict) -> Vec<(String, Vec<usize>)> {
    state.shapes().into_iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect()
}

/// Loads zeros of these shapes by way of a safetensors file, for the error.
fn load_shapes<M: Module>(shapes: &[(String, Vec<usize>)], module: M, strict: Strict) -> String {
    let mut header = Vec::new();
    let mut bytes = 0;
    for (name, shape) in shapes {
        let size = 4 * shape.iter().product::<usize>();
        let end = bytes + size;
        header.push(format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{bytes},{end}]}}"
        ));
        bytes = end;
    }
    let mut header = format!("{{{}}}", header.join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(vec![0; bytes]);
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), file).unwrap();
    let state = StateDict::open(path.path()).unwrap();
    state.load_into(module, strict).unwrap_err().to_string()
}

#[test]
fn a_part_of_a_state_dict_initializes_with_own_values_for_the_rest() {
    let device = Device::default();
    let unbiased = LinearConfig::new(3, 2).with_bias(false).init(&device);
    let state = StateDict::of(&unbiased);
    let fresh = || LazyLinearConfig::new(2).with_seed(Some(4)).init(&device);
    assert!(state.load_into(fresh(), Strict::Yes).is_err(), "no bias");
    let loaded = state.load_into(fresh(), Strict::No).unwrap();
    assert_eq!(data(loaded.weight().unwrap()), data(unbiased.weight.val()));
    let drawn = fresh();
    drawn.forward(Tensor::<2>::ones([1, 3], &device)).unwrap();
    assert_eq!(data(loaded.bias().unwrap().unwrap()), data(drawn.bias().unwrap().unwrap()));
}

#[test]
fn saved_before_the_first_pass_it_is_loaded_uninitialized_or_refused() {
    let net = lazy(&device(), 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    StateDict::of(&net).save(file.path()).unwrap();
    let state = StateDict::open(file.path()).unwrap();
    assert_eq!(state.shapes()[0], ("0.weight", &[4, 0, 3, 3][..]));
    assert!(state.shapes().contains(&("4.weight", &[6, 0][..])));
    let loaded = state.load_into(lazy(&device(), 1), Strict::Yes).unwrap();
    assert_eq!(loaded.num_params(), 0);
    assert_eq!(loaded.check(&[1, 2, 5, 5]).unwrap(), [1, 2]);
    let _: Tensor<2> = loaded.forward(images(0, &device())).unwrap();
    let error = state.load_into(filled(1), Strict::Yes).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("shape of `4.weight`: the module has [6, 36], the state dict [6, 0]"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("net.bpk");
    net.clone().save_file(&pack).unwrap();
    let loaded = lazy(&device(), 2).try_load_file(&pack).unwrap();
    assert_eq!(parameter_ids(&loaded), parameter_ids(&net), "the identities of the file");
    let identities = ids(&loaded);
    let _: Tensor<2> = loaded.forward(images(0, &device())).unwrap();
    assert!(loaded.num_params() > 0);
    assert_eq!(ids(&loaded), identities);
    assert!(filled(1).try_load_file(&pack).is_err());
}

#[test]
fn a_burnpack_file_initializes_and_restores_identities() {
    let net = filled(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.bpk");
    net.valid().save_file(&file).unwrap();
    let error = lazy(&device(), 5).try_load_file(&file).unwrap_err().to_string();
    assert!(
        error.contains("4.weight: shape mismatch, expected Shape { dims: [0, 6] }")
            || error.contains("4.weight: shape mismatch, expected [0, 6]"),
        "{error}"
    );
    let fresh = lazy(&device(), 5);
    let loaded = load_file(fresh.clone(), &file).unwrap();
    assert_eq!(fresh.num_params(), 0, "a clone is left alone");
    assert_eq!(output(&loaded), output(&net));
    assert_eq!(parameter_ids(&loaded), parameter_ids(&net));
    let record = net.valid().into_record();
    let loaded = load_record(lazy(&device(), 5), record).unwrap();
    assert_eq!(output(&loaded), output(&net));
    let error = load_file(LazyLinearConfig::new(2).init(&device()), &file).unwrap_err();
    assert!(matches!(error, Error::Record(_)), "{error}");
    let missing = load_file(lazy(&device(), 5), "/nowhere/net.bpk").unwrap_err();
    assert!(matches!(missing, Error::Record(_)), "{missing}");
}

#[test]
fn a_wrappers_file_rebuilds_slots_on_lazy_layers_in_a_fresh_process() {
    let step = |net: &Parametrized<Sequential>, seed| {
        let y: Tensor<2> = net.effective().forward(images(seed, &device())).unwrap();
        net.grads((y - 0.5).square().mean().backward()).unwrap()
    };
    let mut net = Parametrized::new(lazy(&device(), 1));
    let mut optim = AdamConfig::new().init();
    for seed in 0..2 {
        let grads = step(&net, seed);
        net = optim.step(0.05, net, grads);
    }
    net.register("4.weight", WeightNorm::dim(0)).unwrap();
    net.prune("6.weight", L1Unstructured::new(0.5)).unwrap();
    let grads = step(&net, 2);
    net = optim.step(0.05, net, grads);
    let folder = tempfile::tempdir().unwrap();
    let (file, state) = (folder.path().join("net.bpk"), folder.path().join("optim.bpk"));
    net.clone().save_file(&file).unwrap();
    optim.to_record().save(&state).unwrap();

    let fresh = Parametrized::new(lazy(&device(), 8));
    let mut fresh = fresh.try_load_file(&file).unwrap();
    assert_eq!(fresh.description(), net.description());
    assert_eq!(StateDict::of(&fresh), StateDict::of(&net));
    // The optimizer's state is found under the identities of the file.
    let mut resumed =
        AdamConfig::new().init().load_record(burn::optim::OptimizerRecord::load(&state).unwrap());
    let (a, b) = (step(&net, 3), step(&fresh, 3));
    net = optim.step(0.05, net, a);
    fresh = resumed.step(0.05, fresh, b);
    assert_eq!(StateDict::of(&fresh), StateDict::of(&net));
}

//! Functions called before and after a layer's forward pass.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex, OnceLock};

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, Relu, Tanh};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use espalier::init::Rng;
use espalier::nn::lazy::{LazyLinear, LazyLinearConfig};
use espalier::nn::{AnyLayer, Flatten, HookHandle, Hooked, Layer, Sequential};
use espalier::parametrize::Symmetric;
use espalier::state::{StateDict, Strict};
use espalier::{AnyTensor, Error, ParameterTree, Parametrized, Selector};

type Log = Arc<Mutex<Vec<String>>>;

fn device() -> Device {
    Device::default().autodiff()
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&device())
}

fn input(seed: u64) -> Tensor<2> {
    let mut rng = Rng::seeded(seed);
    let values: Vec<f32> = (0..12).map(|_| rng.normal() as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), &device()).reshape([3, 4])
}

fn data<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn double(tensor: &AnyTensor) -> Tensor<2> {
    tensor.clone().into_rank::<2>().unwrap() * 2.0
}

#[test]
fn hooks_are_called_in_order_around_the_forward_pass() {
    let log = Log::default();
    let layer = Hooked::new(linear(4, 2));
    let note = |text: &'static str| {
        let log = Arc::clone(&log);
        move || log.lock().unwrap().push(text.to_owned())
    };
    let (a, b, c, d, e, f) = (
        note("pre 1"),
        note("pre 2"),
        note("pre 0"),
        note("post 1"),
        note("post 2"),
        note("post 0"),
    );
    layer.register_forward_hook(move |_, _, _| d());
    layer.register_forward_pre_hook(move |_, _| a());
    layer.register_forward_pre_hook(move |_, _| b());
    layer.register_forward_hook(move |_, _, _| e());
    layer.prepend_forward_pre_hook(move |_, _| c());
    layer.prepend_forward_hook(move |_, _, _| f());
    assert_eq!(layer.hook_counts(), (3, 3));
    let y: Tensor<2> = layer.forward(input(0)).unwrap();
    assert_eq!(*log.lock().unwrap(), ["pre 0", "pre 1", "pre 2", "post 0", "post 1", "post 2"]);
    assert_eq!(data(y), data(layer.layer().forward(input(0))), "only looked");
}

#[test]
fn what_a_hook_returns_takes_the_place_of_the_tensor() {
    let layer = Hooked::new(linear(4, 2));
    let plain = layer.layer().clone();
    let seen: Arc<Mutex<Vec<Vec<f32>>>> = Arc::default();
    let pre = layer.register_forward_pre_hook(|_, x| double(x));
    layer.register_forward_pre_hook(|_, x| Some(double(x)));
    let inputs = Arc::clone(&seen);
    let post = layer.register_forward_hook(move |layer, x, y| {
        // The layer itself, the input it was given, the output it gave.
        let x: Tensor<2> = x.clone().into_rank().unwrap();
        let y: Tensor<2> = y.clone().into_rank().unwrap();
        assert_eq!(data(layer.forward(x.clone())), data(y.clone()));
        inputs.lock().unwrap().push(data(x));
        Ok::<_, Error>(y + 1.0)
    });
    layer.register_forward_hook(|_, _, y| AnyTensor::from(double(y)));
    let y: Tensor<2> = layer.forward(input(1)).unwrap();
    assert_eq!(data(y), data((plain.forward(input(1) * 4.0) + 1.0) * 2.0));
    assert_eq!(*seen.lock().unwrap(), [data(input(1) * 4.0)]);
    post.remove();
    pre.remove();
    pre.remove();
    let y: Tensor<2> = layer.forward(input(1)).unwrap();
    assert_eq!(data(y), data(plain.forward(input(1) * 2.0) * 2.0));
    assert_eq!(layer.hook_counts(), (1, 1));
    drop(layer);
    post.remove();
}

#[test]
fn parameters_types_and_files_are_the_layers() {
    let plain = Sequential::new().with(linear(4, 3)).with(BatchNormConfig::new(3).init(&device()));
    let hooked = Sequential::new()
        .with(Hooked::new(plain[0].get::<Linear>().unwrap().clone()))
        .with(Hooked::new(plain[1].get::<BatchNorm>().unwrap().clone()));
    assert_eq!(hooked.named_parameters(), plain.named_parameters());
    assert_eq!(hooked.named_buffers(), plain.named_buffers());
    assert_eq!(hooked.to_string(), plain.to_string());
    assert_eq!(StateDict::of(&hooked), StateDict::of(&plain));
    let other = Sequential::new()
        .with(Hooked::new(linear(4, 3)))
        .with(Hooked::new(BatchNormConfig::new(3).init(&device())));
    let loaded = StateDict::of(&plain).load_into(other, Strict::Yes).unwrap();
    assert_eq!(StateDict::of(&loaded), StateDict::of(&plain));
    assert_eq!(hooked[0].type_name(), "Linear");
    assert!(hooked[0].get::<Hooked<Linear>>().is_some());
    assert_eq!(Selector::layer("Linear").select(&hooked).unwrap().len(), 2);
    assert_eq!(hooked.check(&[5, 4]).unwrap(), [5, 3]);
    assert_eq!(hooked.devices(), plain.devices());
}

fn net() -> (Sequential, Hooked<Linear>) {
    let hooked = Hooked::new(linear(4, 4));
    let net = Sequential::new()
        .with(hooked.clone())
        .with(BatchNormConfig::new(4).init(&device()))
        .with(Tanh::new())
        .with(linear(4, 2));
    (net, hooked)
}

#[test]
fn one_handle_works_for_the_whole_training() {
    let (module, hooked) = net();
    let calls = Arc::new(Mutex::new(Vec::<(bool, Vec<f32>)>::new()));
    let log = Arc::clone(&calls);
    let handle = hooked.register_forward_hook(move |layer, _, y| {
        log.lock()
            .unwrap()
            .push((y.clone().into_rank::<2>().unwrap().is_autodiff(), data(layer.weight.val())));
    });
    let mut net = Parametrized::new(module);
    net.register("0.weight", Symmetric::new()).unwrap();
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..12 {
        let y: Tensor<2> = net.effective().forward(input(2)).unwrap();
        let loss = (y - 0.5).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward()).unwrap();
        assert_eq!(grads.len(), 6);
        net = optim.step(0.05, net, grads);
    }
    assert!(losses[11] < 0.7 * losses[0], "{losses:?}");
    let run = |net: &Parametrized<Sequential>| {
        let _: Tensor<2> = net.effective().forward(input(2).inner()).unwrap();
    };
    let valid = net.valid();
    run(&valid);
    {
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), 13);
        assert!(calls[..12].iter().all(|call| call.0) && !calls[12].0, "in the graph, then not");
        assert_ne!(calls[0].1, calls[11].1, "each step has its own weight");
    }
    handle.remove();
    run(&valid);
    assert_eq!(calls.lock().unwrap().len(), 13);
    let copy = net.deep_copy();
    let copy = copy.template()[0].get::<Hooked<Linear>>().unwrap();
    assert_eq!((copy.hook_counts(), hooked.hook_counts()), ((0, 0), (0, 0)));
}

#[test]
fn a_hook_sees_the_computed_weight_and_its_gradient_flows() {
    let (module, hooked) = net();
    let symmetric: Arc<Mutex<Vec<bool>>> = Arc::default();
    let log = Arc::clone(&symmetric);
    hooked.register_forward_pre_hook(move |layer, _| {
        let w = layer.weight.val();
        log.lock().unwrap().push(data(w.clone()) == data(w.transpose()));
    });
    // Ten times the output: ten times the gradient.
    let handle =
        hooked.register_forward_hook(|_, _, y| y.clone().into_rank::<2>().map(|y| y * 10.0));
    let mut net = Parametrized::new(
        Sequential::new().with(module[0].get::<Hooked<Linear>>().unwrap().clone()),
    );
    net.register("0.weight", Symmetric::new()).unwrap();
    let gradient = |net: &Parametrized<Sequential>| {
        let y: Tensor<2> = net.effective().forward(input(3)).unwrap();
        let id = net.entries()[0].id;
        net.grads(y.sum().backward()).unwrap().get::<2>(id).unwrap()
    };
    let ten = gradient(&net);
    handle.remove();
    let one = gradient(&net) * 10.0;
    ten.into_data()
        .assert_approx_eq::<f32>(&one.into_data(), burn::tensor::Tolerance::relative(1e-6));
    assert_eq!(*symmetric.lock().unwrap(), [true, true]);
}

#[test]
fn a_weight_assigned_by_a_hook_belongs_to_the_next_pass() {
    let hooked = Hooked::new(linear(4, 4));
    let shared = Arc::new(Mutex::new(Parametrized::new(Sequential::new().with(hooked.clone()))));
    let before = data(hooked.layer().forward(input(4)));
    let assign = |kind: &str, value: f32| {
        let shared = Arc::clone(&shared);
        let _ = kind;
        move || {
            let ones = Tensor::<2>::full([4, 4], value, &device());
            shared.lock().unwrap().set("0.weight", ones).unwrap();
        }
    };
    let (early, late) = (assign("pre", 1.0), assign("post", 2.0));
    let pre = hooked.register_forward_pre_hook(move |_, _| early());
    let run = |step: Sequential| data(step.forward::<2, 2>(input(4)).unwrap());
    let step = shared.lock().unwrap().effective();
    assert_eq!(run(step), before, "a pre-hook changes no pass that has begun");
    pre.remove();
    let post = hooked.register_forward_hook(move |_, _, _| late());
    let step = shared.lock().unwrap().effective();
    let ones = run(step);
    let step = shared.lock().unwrap().effective();
    let twos = run(step);
    let bias = hooked.layer().bias.as_ref().unwrap().val().unsqueeze::<2>();
    let expected =
        |value: f32| data(input(4).matmul(Tensor::full([4, 4], value, &device())) + bias.clone());
    assert_ne!(ones, before);
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close(&ones, &expected(1.0)), "{ones:?}");
    assert!(close(&twos, &expected(2.0)), "{twos:?}");
    post.remove();
}

#[test]
fn a_hook_may_register_and_remove_hooks() {
    let layer = Hooked::new(linear(4, 2));
    let log = Log::default();
    let own: Arc<OnceLock<HookHandle>> = Arc::default();
    // A hook that adds another one and removes itself.
    let (target, text, me) = (layer.clone(), Arc::clone(&log), Arc::clone(&own));
    let handle = layer.register_forward_pre_hook(move |_, _| {
        text.lock().unwrap().push("once".to_owned());
        let text = Arc::clone(&text);
        target.register_forward_pre_hook(move |_, _| text.lock().unwrap().push("added".to_owned()));
        if let Some(handle) = me.get() {
            handle.remove();
        }
    });
    own.set(handle).unwrap();
    // One that runs the layer again, which calls no hooks of its own.
    layer.register_forward_hook(|layer, x, y| {
        let again = layer.forward(x.clone().into_rank::<2>()?);
        assert_eq!(data(again), data(y.clone().into_rank::<2>()?));
        Ok::<_, Error>(())
    });
    let run = || layer.forward::<2, 2>(input(0)).unwrap();
    run();
    assert_eq!(*log.lock().unwrap(), ["once"], "the new hook waits for the next pass");
    run();
    run();
    assert_eq!(*log.lock().unwrap(), ["once", "added", "added"]);
    // A hook removed while a pass calls its kind is still called by it.
    let victim = Arc::new(OnceLock::<HookHandle>::new());
    let handle = Arc::clone(&victim);
    layer.prepend_forward_pre_hook(move |_, _| handle.get().unwrap().remove());
    let text = Arc::clone(&log);
    victim
        .set(
            layer.register_forward_pre_hook(move |_, _| {
                text.lock().unwrap().push("last".to_owned())
            }),
        )
        .unwrap();
    run();
    run();
    assert_eq!(log.lock().unwrap()[3..], ["added", "last", "added"]);
}

#[derive(Debug, thiserror::Error)]
#[error("a value above {0}")]
struct TooLarge(f32);

#[test]
fn a_hook_that_fails_ends_the_pass_and_names_the_layer() {
    let hooked = Hooked::new(linear(4, 4));
    let limit = |limit: f32| {
        move |tensor: &AnyTensor| {
            let largest = data(tensor.clone().into_rank::<2>()?.abs().max());
            if largest[0] > limit {
                return Err(Box::<dyn std::error::Error + Send + Sync>::from(TooLarge(limit)));
            }
            Ok(())
        }
    };
    let check = limit(0.0);
    let pre = hooked.register_forward_pre_hook(move |_, x| check(x));
    let error = hooked.forward::<2, 2>(input(0)).unwrap_err();
    assert_eq!(error.to_string(), "forward pre-hook of Linear: a value above 0");
    let Error::Hook { source, layer: "Linear", hook: "forward pre-hook", .. } = error else {
        panic!("{error:?}");
    };
    assert!(source.is::<TooLarge>());
    pre.remove();
    let check = limit(-1.0);
    hooked.register_forward_hook(move |_, _, y| check(y));
    let called = Arc::new(Mutex::new(0));
    let count = Arc::clone(&called);
    hooked.register_forward_hook(move |_, _, _| *count.lock().unwrap() += 1);
    let error = hooked.forward::<2, 2>(input(0)).unwrap_err();
    assert_eq!(error.to_string(), "forward hook of Linear: a value above -1");
    assert_eq!(*called.lock().unwrap(), 0);
    let nested =
        Sequential::new().with(Relu::new()).with(Sequential::new().with(Tanh::new()).with(hooked));
    let error = nested.forward::<2, 2>(input(0)).unwrap_err();
    assert_eq!(error.to_string(), "forward hook of layer `1.1` (Linear): a value above -1");
    let error = nested.forward::<2, 2>(Tensor::ones([1, 3], &device())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `1.1` (Linear): expected 4 input features, found 3 (input [1, 3])"
    );
}

#[test]
fn hooks_may_change_shapes() {
    let hooked = Hooked::new(linear(6, 6));
    // Two zero columns before, the first two columns after.
    hooked.register_forward_pre_hook(|_, x| {
        let x: Tensor<2> = x.clone().into_rank()?;
        let [rows, _] = x.dims();
        let zeros = Tensor::zeros([rows, 2], &x.device());
        Ok::<_, Error>(Tensor::cat(vec![x, zeros], 1))
    });
    hooked.register_forward_hook(|_, _, y| {
        Ok::<_, Error>(y.clone().into_rank::<2>()?.narrow(1, 0, 2))
    });
    let y: Tensor<2> = hooked.forward(input(0)).unwrap();
    assert_eq!(y.dims(), [3, 2]);
    let net = Sequential::new().with(Sequential::new().with(hooked.clone())).with(linear(2, 1));
    let y: Tensor<2> = net.forward(input(0)).unwrap();
    assert_eq!(y.dims(), [3, 1]);
    let error = net.forward::<2, 2>(Tensor::ones([3, 5], &device())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `0.0` (Linear): expected 6 input features, found 7 (input [3, 7])"
    );
    let wide = Sequential::new().with(hooked).with(linear(6, 1));
    let error = wide.forward::<2, 2>(input(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer `1` (Linear): expected 6 input features, found 2 (input [3, 2])"
    );
    let error = Hooked::new(linear(4, 2)).forward::<2, 3>(input(0)).unwrap_err();
    assert_eq!(error.to_string(), "expected a tensor of rank 3, found rank 2 [3, 2]");
}

#[test]
fn around_a_whole_network_and_a_lazy_layer() {
    let inner = Sequential::new()
        .with(Flatten::new())
        .with(Hooked::new(LazyLinearConfig::new(3).init(&device())));
    let whole = Hooked::new(inner);
    let shapes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&shapes);
    whole.register_forward_hook(move |net: &Sequential, x, y| {
        assert_eq!(net.len(), 2);
        log.lock().unwrap().push((x.dims(), y.dims()));
    });
    let lazy = whole.layer()[1].get::<Hooked<LazyLinear>>().unwrap();
    assert_eq!(lazy.kind(), "LazyLinear");
    let ready: Arc<Mutex<Vec<bool>>> = Arc::default();
    let (before, after) = (Arc::clone(&ready), Arc::clone(&ready));
    lazy.register_forward_pre_hook(move |l, _| before.lock().unwrap().push(l.is_initialized()));
    lazy.register_forward_hook(move |l, _, _| after.lock().unwrap().push(l.is_initialized()));
    let net = Parametrized::new(whole);
    let y: Tensor<2> = net.effective().forward(Tensor::<3>::ones([2, 2, 4], &device())).unwrap();
    assert_eq!(*shapes.lock().unwrap(), [(vec![2, 2, 4], vec![2, 3])]);
    assert_eq!(*ready.lock().unwrap(), [false, true]);
    assert_eq!(net.grads(y.sum().backward()).unwrap().len(), 2);
    let paths: Vec<_> = net.named_parameters().into_iter().map(|p| (p.path, p.layer)).collect();
    assert_eq!(paths[0], ("1.weight".to_owned(), "Linear".to_owned()));
}

#[test]
fn a_layer_of_a_network_is_hooked_in_its_place() {
    let (mut net, _) = net();
    let before = StateDict::of(&net);
    let hooked = Hooked::new(net[3].clone());
    net[3] = AnyLayer::new(hooked.clone());
    let handle = hooked.register_forward_hook(|layer, _, y| {
        assert_eq!(layer.type_name(), "Linear");
        assert!(layer.get::<Linear>().is_some());
        double(y)
    });
    assert_eq!(StateDict::of(&net), before);
    assert_eq!(net[3].type_name(), "Linear");
    let valid = net.valid();
    let twice: Tensor<2> = valid.forward(input(0).inner()).unwrap();
    handle.remove();
    let once: Tensor<2> = valid.forward(input(0).inner()).unwrap();
    assert_eq!(data(twice), data(once * 2.0));
    let any = AnyLayer::new(AnyLayer::new(linear(4, 2)));
    assert!(any.get::<Linear>().is_some(), "not wrapped twice");
}

#[derive(Module, Debug)]
struct Own {
    first: Hooked<Linear>,
    norm: BatchNorm,
}

#[test]
fn in_a_derived_module() {
    let own =
        Own { first: Hooked::new(linear(4, 4)), norm: BatchNormConfig::new(4).init(&device()) };
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    own.first.register_forward_hook(move |_, _, _| *counter.lock().unwrap() += 1);
    let mut net = Parametrized::new(own);
    let mut optim = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..10 {
        let step = net.effective();
        let x: Tensor<2> = step.first.forward(input(0)).unwrap();
        let loss = (step.norm.forward(x) - 0.5).square().mean();
        drop(step);
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward()).unwrap();
        net = optim.step(0.05, net, grads);
    }
    assert!(losses[9] < losses[0], "{losses:?}");
    assert_eq!(*count.lock().unwrap(), 10);
    let names: Vec<_> = net.named_parameters().into_iter().map(|p| p.path).collect();
    assert_eq!(names, ["first.weight", "first.bias", "norm.gamma", "norm.beta"]);
}

#[test]
fn passes_on_several_threads_share_the_hooks() {
    let layer = Hooked::new(linear(4, 2));
    let count = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&count);
    layer.register_forward_hook(move |_, _, _| *counter.lock().unwrap() += 1);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let layer = &layer;
            scope.spawn(move || {
                for _ in 0..5 {
                    layer.forward::<2, 2>(input(seed)).unwrap();
                    layer.register_forward_pre_hook(|_, _| ()).remove();
                }
            });
        }
    });
    assert_eq!((*count.lock().unwrap(), layer.hook_counts()), (20, (0, 1)));
}

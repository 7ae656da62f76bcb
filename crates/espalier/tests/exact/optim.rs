//! SGD, Adam and AdamW against `torch.optim`, against Burn's, and one path against the other.

use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer};
use burn::tensor::{DType, Device, Tensor};
use espalier::init::Rng;
use espalier::optim::{Adam, AdamW, Defaults, Sgd};
use serde_json::Value;

use crate::common::{Case, Golden, Tolerance, assert_close, tensor, values};

const CASES: [&str; 14] = [
    "sgd",
    "sgd_decay",
    "sgd_momentum",
    "sgd_dampening",
    "sgd_nesterov",
    "sgd_maximize",
    "adam",
    "adam_options",
    "adam_amsgrad",
    "adam_maximize",
    "adamw",
    "adamw_options",
    "adamw_amsgrad",
    "adamw_maximize",
];

#[derive(Module, Debug)]
struct Three {
    a: Param<Tensor<2>>,
    b: Param<Tensor<1>>,
    c: Param<Tensor<3>>,
}

fn number(options: &Value, name: &str, default: f64) -> f64 {
    options[name].as_f64().unwrap_or(default)
}

macro_rules! adam_like {
    ($type:ident, $options:expr) => {{
        let options = $options;
        let (mut optimizer, flag) =
            ($type::new(), |name: &str| options[name].as_bool().unwrap_or(false));
        if let Some(betas) = options["betas"].as_array() {
            let betas: Vec<f64> = betas.iter().map(|beta| beta.as_f64().unwrap()).collect();
            optimizer = optimizer.with_betas([betas[0], betas[1]]);
        }
        if let Some(eps) = options["eps"].as_f64() {
            optimizer = optimizer.with_epsilon(eps);
        }
        if let Some(decay) = options["weight_decay"].as_f64() {
            optimizer = optimizer.with_decay(decay);
        }
        optimizer.with_amsgrad(flag("amsgrad")).with_maximize(flag("maximize"))
    }};
}

/// The optimizer of a case, the defaults being PyTorch's.
fn optimizer(note: &Value) -> ModuleOptimizer {
    let options = &note["options"];
    match note["kind"].as_str().unwrap() {
        "adam" => adam_like!(Adam, options).into(),
        "adamw" => adam_like!(AdamW, options).into(),
        _ => Sgd::new()
            .with_momentum(number(options, "momentum", 0.0))
            .with_dampening(number(options, "dampening", 0.0))
            .with_nesterov(options["nesterov"].as_bool().unwrap_or(false))
            .with_decay(number(options, "weight_decay", 0.0))
            .with_maximize(options["maximize"].as_bool().unwrap_or(false))
            .into(),
    }
}

fn agrees(net: &Three, case: &Case<'_>, when: &str) {
    let tolerance = Tolerance::new(1.3e-6, 1e-6).or(case.dtype, Tolerance::new(1e-12, 1e-13));
    let found = [values(net.a.val()), values(net.b.val()), values(net.c.val())];
    for (index, found) in found.iter().enumerate() {
        let what = format!("{when}{index}");
        assert_close(&case.label(&what), found, &case.values(&what), tolerance);
    }
}

#[test]
fn six_steps_of_every_optimizer_agree() {
    let golden = Golden::open("optim");
    golden.assert_all_tested(CASES);
    for name in CASES {
        for case in golden.case(name) {
            let param = |what| Param::from_tensor(case.tensor::<2>(what).detach());
            let mut net = Three {
                a: param("before0"),
                b: Param::from_tensor(case.tensor::<1>("before1").detach()),
                c: Param::from_tensor(case.tensor::<3>("before2").detach()),
            };
            let mut optim = optimizer(case.note);
            let rate = case.note["options"]["lr"].as_f64().unwrap();
            for step in 0..case.note["steps"].as_u64().unwrap() as usize {
                let mut grads = GradientsParams::new();
                let all = [case.values("grads0"), case.values("grads1"), case.values("grads2")];
                let at = |i: usize, size: usize| all[i][step * size..(step + 1) * size].to_vec();
                grads.register(net.a.id, tensor::<2>(&at(0, 12), &[3, 4], case.dtype).inner());
                if step != 4 {
                    grads.register(net.b.id, tensor::<1>(&at(1, 4), &[4], case.dtype).inner());
                }
                grads.register(net.c.id, tensor::<3>(&at(2, 4), &[2, 1, 2], case.dtype).inner());
                net = optim.step(rate, net, grads);
                if step == 0 {
                    agrees(&net, &case, "first");
                }
            }
            agrees(&net, &case, "after");
        }
    }
}

fn random(n: usize, seed: u64, dtype: DType) -> Tensor<1> {
    let mut rng = Rng::seeded(seed);
    let numbers: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
    let data = burn::tensor::TensorData::new(numbers, [n]).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

/// Some steps of an optimizer, as values and, at the end, the state's record size.
fn run<O: Optimizer>(optimizer: &O, n: usize, dtype: DType, shared: bool) -> Vec<f64> {
    let (mut weight, mut state) = (random(n, 1, dtype), None);
    for step in 0..4 {
        let grad = random(n, 10 + step, dtype);
        // What is held elsewhere must not be written to.
        let kept = shared.then(|| (weight.clone(), grad.clone(), state.clone()));
        let before = kept.as_ref().map(|(w, g, _)| (values(w.clone()), values(g.clone())));
        (weight, state) = optimizer.step(0.01, weight, grad, state);
        if let (Some((w, g, _)), Some(before)) = (kept, before) {
            assert_eq!((values(w), values(g)), before);
        }
    }
    values(weight)
}

/// Sizes below and above the one from which threads are used.
const SIZES: [usize; 3] = [5, 1000, 200_000];

#[test]
fn shared_tensors_are_copied_and_give_the_same() {
    for n in SIZES {
        let adamw = AdamW::new().with_amsgrad(true);
        assert_eq!(run(&adamw, n, DType::F32, false), run(&adamw, n, DType::F32, true));
        let sgd = Sgd::new().with_momentum(0.9).with_nesterov(true);
        assert_eq!(run(&sgd, n, DType::F64, false), run(&sgd, n, DType::F64, true));
    }
}

#[test]
fn burns_own_optimizers_agree() {
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{AdamConfig, AdamWConfig, SgdConfig};
    // Burn computes powers of betas in single precision.
    let tolerance = Tolerance::new(1e-4, 1e-6);
    for n in SIZES {
        let close = |what: &str, ours: Vec<f64>, burns: Vec<f64>| {
            assert_close(&format!("{what} {n}"), &ours, &burns, tolerance);
        };
        let ours = run(&Defaults::burn().adamw(), n, DType::F32, false);
        close("adamw", ours, run(&AdamWConfig::new().build(), n, DType::F32, false));
        let ours = run(&Defaults::burn().adam().with_amsgrad(true), n, DType::F32, false);
        let burns = AdamConfig::new().with_amsgrad(true).build();
        close("adam", ours, run(&burns, n, DType::F32, false));
        let ours = Defaults::burn().sgd().with_momentum(0.9).with_decay(0.5).with_nesterov(true);
        let momentum = MomentumConfig::new().with_nesterov(true);
        let burns = SgdConfig::new()
            .with_momentum(Some(momentum))
            .with_weight_decay(Some(WeightDecayConfig::new(0.5)))
            .build();
        close("sgd", run(&ours, n, DType::F32, false), run(&burns, n, DType::F32, false));
    }
}

#[test]
fn records_go_to_burns_optimizers_and_back() {
    let device = Device::flex().autodiff();
    let weight = || Param::from_tensor(Tensor::<1>::from_data([1.0, -2.0], &device));
    let step = |optim: &mut ModuleOptimizer, weight: Param<Tensor<1>>| {
        let grads = GradientsParams::from_grads((weight.val() * 3.0).sum().backward(), &weight);
        optim.step(0.1, weight, grads)
    };
    let ours: [fn() -> ModuleOptimizer; 3] = [
        || Defaults::burn().adamw().into(),
        || Defaults::burn().adam().into(),
        || Defaults::burn().sgd().with_momentum(0.9).into(),
    ];
    let burns: [fn() -> ModuleOptimizer; 3] = [
        || burn::optim::AdamWConfig::new().init(),
        || burn::optim::AdamConfig::new().init(),
        || {
            let momentum = burn::optim::momentum::MomentumConfig::new();
            burn::optim::SgdConfig::new().with_momentum(Some(momentum)).init()
        },
    ];
    for (ours, burns) in ours.into_iter().zip(burns) {
        let (mut one, mut other) = (ours(), burns());
        let mut w = weight();
        let mut v = w.clone();
        for _ in 0..3 {
            (w, v) = (step(&mut one, w), step(&mut other, v));
        }
        // Each goes on from the other's state.
        let mut crossed = burns().load_record(one.to_record());
        let mut back = ours().load_record(other.to_record());
        let found = [values(step(&mut crossed, w).val()), values(step(&mut back, v).val())];
        assert_close("crossed", &found[0], &found[1], Tolerance::new(1e-5, 1e-6));
    }
}

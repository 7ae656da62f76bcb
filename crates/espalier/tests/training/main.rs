//! A run that stops and goes on is the run that never stopped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use burn::module::Module;
use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::{Device, Tensor, TensorData};
use espalier::average::{Average, AveragedModel};
use espalier::clip::{NonFinite, NormKind, clip_grad_norm};
use espalier::init::Rng;
use espalier::nn::Sequential;
use espalier::optim::{AdamW, GroupedOptimizer, Groups, Options};
use espalier::parametrize::{Orthogonal, Rules, SpectralNorm, WeightNorm};
use espalier::prune::{L1Unstructured, MaskMode};
use espalier::schedule::{OneCycle, Schedule};
use espalier::state::{Progress, StateDict, TrainingFault, TrainingState};
use espalier::{Error, Parametrized};

type Net = Parametrized<Sequential>;

const STEPS: u64 = 100;

/// What only the module's own code knows.
fn fresh(seed: u64) -> Net {
    let device = Device::default().autodiff();
    let mut rng = Rng::seeded(seed);
    let net = Sequential::new()
        .with(LinearConfig::new(6, 8).init(&device))
        .with(BatchNormConfig::new(8).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(8, 8).init(&device))
        .with(LinearConfig::new(8, 6).init(&device));
    let mut net = Parametrized::new(net);
    for (path, dims) in [("0.weight", [6, 8]), ("3.weight", [8, 8]), ("4.weight", [8, 6])] {
        net.set(path, numbers(&mut rng, dims)).unwrap();
    }
    for (path, size) in [("0.bias", 8), ("3.bias", 8), ("4.bias", 6)] {
        net.set(path, Tensor::<1>::zeros([size], &device)).unwrap();
    }
    net
}

fn numbers(rng: &mut Rng, dims: [usize; 2]) -> Tensor<2> {
    let values: Vec<f32> = (0..dims[0] * dims[1]).map(|_| rng.normal() as f32 * 0.4).collect();
    Tensor::from_data(TensorData::new(values, dims), &Device::default().autodiff())
}

fn groups(net: &Net) -> GroupedOptimizer {
    Groups::new(AdamW::new().with_decay(0.01))
        .group("head", "4.*", Options::new().rate(0.02))
        .unwrap()
        .no_decay_on_bias_and_norm()
        .schedule(Schedule::one_cycle(OneCycle::new(0.02, STEPS as usize)).unwrap())
        .build(net)
        .unwrap()
}

struct Run {
    net: Net,
    optim: GroupedOptimizer,
    average: AveragedModel<Sequential>,
    progress: Progress,
}

impl Run {
    fn start() -> Self {
        let mut net = fresh(1);
        net.register("0.weight", SpectralNorm::new()).unwrap();
        net.register("3.weight", Orthogonal::cayley()).unwrap();
        let optim = groups(&net);
        let average = AveragedModel::new(&net, Average::ema(0.9).unwrap());
        Self { net, optim, average, progress: Progress { epoch: 0, step: 0, seed: 11 } }
    }

    fn steps(mut self, until: u64) -> Self {
        while self.progress.step < until {
            self = self.step();
        }
        self
    }

    /// One step, whose data come from the seed and its number.
    fn step(mut self) -> Self {
        let Progress { step, seed, .. } = self.progress;
        // Pruning rounds and a registration in between, before and after the middle.
        match step {
            20 | 70 => {
                self.net.prune("4.weight", L1Unstructured::new(0.3)).unwrap();
                self.net.set_mask_mode("4.weight", MaskMode::Stored).unwrap();
                self.average = AveragedModel::new(&self.net, Average::ema(0.9).unwrap());
            }
            30 => {
                self.net.prune("0.weight", L1Unstructured::new(0.3)).unwrap();
                self.average = AveragedModel::new(&self.net, Average::ema(0.9).unwrap());
            }
            60 => {
                self.net.register("4.weight", WeightNorm::dim(0)).unwrap();
                self.average = AveragedModel::new(&self.net, Average::ema(0.9).unwrap());
            }
            _ => {}
        }
        let x = numbers(&mut Rng::seeded(seed * 1000 + step), [16, 6]);
        let y: Tensor<2> = self.net.effective().forward(x.clone()).unwrap();
        let mut grads = self.net.grads((y - x).square().mean().backward()).unwrap();
        clip_grad_norm(&self.net, &mut grads, 0.5, NormKind::L2, NonFinite::Error).unwrap();
        self.net = self.optim.step(self.net, grads);
        self.optim.end_step().unwrap();
        self.average.update(&self.net).unwrap();
        self.progress.step += 1;
        self
    }

    fn state(&self) -> TrainingState {
        TrainingState::of(&self.net, self.progress)
            .with_optimizer(&self.optim, &self.net)
            .unwrap()
            .with_average(&self.average)
            .with_recipe("[network]")
            .with_note("best", "0.5")
    }

    /// In a process that knows the module's code only: other weights, other identities.
    fn resume(path: &Path) -> Self {
        let state = TrainingState::open(path).unwrap();
        assert_eq!((state.recipe(), state.note("best")), (Some("[network]"), Some("0.5")));
        let rules = Rules::builtin();
        let net = state.restore(fresh(2), &rules).unwrap();
        let mut optim = groups(&net);
        state.restore_optimizer(&net, &mut optim).unwrap();
        let average = Average::ema(0.9).unwrap();
        let average = state.restore_average(fresh(3), average, &rules).unwrap();
        Self { net, optim, average, progress: state.progress() }
    }
}

/// Runs `process` below in a process of its own.
fn elsewhere(from: &Path, to: &Path, until: u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["process", "--exact", "--ignored", "--nocapture"])
        .env("ESPALIER_FROM", from)
        .env("ESPALIER_TO", to)
        .env("ESPALIER_UNTIL", until.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "the process that the tests start"]
fn process() {
    let path = |name| std::path::PathBuf::from(std::env::var_os(name).unwrap());
    let until = std::env::var("ESPALIER_UNTIL").unwrap().parse().unwrap();
    Run::resume(&path("ESPALIER_FROM")).steps(until).state().save(path("ESPALIER_TO")).unwrap();
}

#[test]
fn a_hundred_steps_are_fifty_and_fifty_in_another_process_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let whole = Run::start().steps(STEPS).state();
    // At 20, 30, 60 and 70 something changes: right before, in between, right after.
    for stop in [1, 20, 21, 50, 65, 71, 99] {
        let (half, end) = (dir.path().join("half"), dir.path().join("end"));
        Run::start().steps(stop).state().save(&half).unwrap();
        elsewhere(&half, &end, STEPS);
        let resumed = TrainingState::open(&end).unwrap();
        assert_eq!(resumed.progress(), whole.progress());
        for (a, b) in resumed.model().checkpoint().iter().zip(whole.model().checkpoint()) {
            assert_eq!(a.name(), b.name());
            assert_eq!(a.bytes().unwrap(), b.bytes().unwrap(), "{}, stopped at {stop}", a.name());
        }
        // Moments, schedules, average, rules.
        assert_eq!(resumed, whole, "stopped at {stop}");
    }
}

#[test]
fn equal_states_are_equal_files_and_a_stranger_is_told_from_one() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let run = Run::start().steps(3);
    run.state().save(&a).unwrap();
    TrainingState::open(&a).unwrap().save(&b).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());

    StateDict::of(&run.net).save(&b).unwrap();
    let error = TrainingState::open(&b).unwrap_err();
    assert!(matches!(error, Error::Training(TrainingFault::Foreign { .. })), "{error}");

    let bare = TrainingState::of(&run.net, run.progress);
    let mut optim = groups(&run.net);
    let error = bare.restore_optimizer(&run.net, &mut optim).unwrap_err();
    assert_eq!(error.to_string(), "the training state has no optimizer: it was saved without");
    let average = Average::swa();
    let error = bare.restore_average(fresh(1), average, &Rules::builtin()).unwrap_err();
    assert!(matches!(error, Error::Training(TrainingFault::Missing { part: "average" })));
}

#[test]
fn a_state_of_another_module_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    Run::start().steps(2).state().save(&path).unwrap();
    let state = TrainingState::open(&path).unwrap();
    let other =
        Parametrized::new(Sequential::new().with(LinearConfig::new(6, 8).init(&Device::default())));
    let error = state.restore(other, &Rules::builtin()).unwrap_err();
    assert!(error.to_string().contains("3.weight"), "{error}");
}

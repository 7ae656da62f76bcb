//! Burn's own training loop, `burn_train::Learner`, on a network with a constraint and a mask.
//!
//! What a PyTorch user would hand to Lightning: metrics, checkpoints, resuming. The wrapper needs a
//! type of its own, since both `TrainStep` and `Parametrized` come from other crates.
//!
//! Run it: `cargo run --release --example learner`

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, ParamGroup};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::tensor::{Device, Int, Tensor};
use burn_train::checkpoint::KeepLastNCheckpoints;
use burn_train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn_train::metric::{AccuracyMetric, LossMetric, MetricDefinition};
use burn_train::renderer::{EvaluationName, MetricState, MetricsRenderer};
use burn_train::renderer::{MetricsRendererEvaluation, MetricsRendererTraining};
use burn_train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining};
use burn_train::{TrainOutput, TrainStep};
use espalier::init::{Fan, Init, Nonlinearity, Rng};
use espalier::optim::AdamW;
use espalier::parametrize::Orthogonal;
use espalier::prune::L1Unstructured;
use espalier::state::StateDict;
use espalier::{Parametrized, Selector};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// An ordinary Burn module.
#[derive(Module, Debug)]
pub struct Mlp {
    input: Linear,
    hidden: Linear,
    head: Linear,
    relu: Relu,
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.relu.forward(self.input.forward(x));
        self.head.forward(self.relu.forward(self.hidden.forward(x)))
    }
}

/// The type of our own around the frame.
#[derive(Module, Debug)]
pub struct Net {
    /// The network.
    pub frame: Parametrized<Mlp>,
}

impl Net {
    /// An orthogonal hidden layer, and an input layer with a quarter of its weights pruned.
    pub fn new(device: &Device) -> Outcome<Self> {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let (input, hidden, head) = (linear(2, 16), linear(16, 16), linear(16, 2));
        let mlp = Parametrized::new(Mlp { input, hidden, head, relu: Relu::new() });
        let kaiming = Init::KaimingNormal(Nonlinearity::Relu, Fan::In);
        let mlp = kaiming.apply(mlp, &Selector::glob("**.weight")?, 7)?;
        let mut frame = Init::Constant(0.0).apply(mlp, &Selector::glob("**.bias")?, 7)?;
        frame.register("hidden.weight", Orthogonal::cayley())?;
        frame.prune("input.weight", L1Unstructured::new(0.25))?;
        Ok(Self { frame })
    }
}

/// `[n, 2]` points and their classes.
#[derive(Clone, Debug)]
pub struct Batch {
    points: Tensor<2>,
    classes: Tensor<1, Int>,
}

impl TrainStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, Batch { points, classes }: Batch) -> TrainOutput<ClassificationOutput> {
        let net = self.frame.effective(); // each effective weight computed once a step
        let output = net.forward(points);
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), classes.clone());
        // `TrainOutput::new` would look for gradients of what is computed; ours are of originals.
        let grads = self.frame.grads(loss.backward());
        let grads = grads.unwrap_or_else(|error| panic!("the loss is of this network: {error}"));
        TrainOutput { grads, item: ClassificationOutput::new(loss, output, classes) }
    }
}

impl InferenceStep for Net {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, Batch { points, classes }: Batch) -> ClassificationOutput {
        // The learner calls `valid` first: nothing is computed again here.
        let output = self.frame.effective().forward(points);
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), classes.clone());
        ClassificationOutput::new(loss, output, classes)
    }
}

/// A disc (class 0) in a ring (class 1).
pub fn points(seed: u64, count: usize) -> Vec<([f32; 2], i64)> {
    let mut rng = Rng::seeded(seed);
    let point = |index: usize| {
        let class = index % 2;
        let radius = rng.uniform() + 1.5 * class as f64;
        let (sin, cos) = (rng.uniform() * std::f64::consts::TAU).sin_cos();
        ([(radius * cos) as f32, (radius * sin) as f32], class as i64)
    };
    (0..count).map(point).collect()
}

struct ToTensors;

impl Batcher<([f32; 2], i64), Batch> for ToTensors {
    fn batch(&self, items: Vec<([f32; 2], i64)>, device: &Device) -> Batch {
        let values: Vec<f32> = items.iter().flat_map(|(point, _)| *point).collect();
        let classes: Vec<i64> = items.iter().map(|(_, class)| *class).collect();
        let points = Tensor::<1>::from_floats(&values[..], device).reshape([items.len(), 2]);
        Batch { points, classes: Tensor::from_ints(&classes[..], device) }
    }
}

fn loader(seed: u64, count: usize) -> Arc<dyn DataLoader<Batch>> {
    let dataset = InMemDataset::new(points(seed, count));
    DataLoaderBuilder::new(ToTensors).batch_size(32).build(dataset)
}

/// Trains a fresh network to the end of `epochs`, from the checkpoint of epoch `from` if given.
pub fn train(dir: &Path, epochs: usize, from: Option<usize>, device: &Device) -> Outcome<Net> {
    let net = Net::new(device)?;
    // No decay on biases. The group goes by names: a loaded network has the ids of its file.
    let biases = ParamGroup::from_predicate(".bias");
    let optim = ModuleOptimizer::from(AdamW::new());
    let optim = optim.with_group(biases, AdamW::new().with_decay(0.0), None);
    let mut training = SupervisedTraining::new(dir, loader(1, 512), loader(2, 256))
        .num_epochs(epochs)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_default_checkpointers()
        .renderer(Box::new(Lines::default()))
        .with_application_logger(None);
    if let Some(epoch) = from {
        training = training.checkpoint(epoch);
    }
    let result = training.launch(Learner::new(net, optim, ConstantLr::new(0.01)));
    match result.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(result.model),
    }
}

/// The fraction of new points that are classified right.
pub fn accuracy(net: &Net, device: &Device) -> Outcome<f64> {
    let new = points(3, 1000);
    let Batch { points, classes } = ToTensors.batch(new, &device.clone().inner());
    let found = net.valid().frame.effective().forward(points).argmax(1).squeeze_dim::<1>(1);
    Ok(found.equal(classes).int().sum().into_scalar::<i64>() as f64 / 1000.0)
}

/// The checkpoint of `epoch` in a fresh network.
pub fn load(dir: &Path, epoch: usize, device: &Device) -> Outcome<Net> {
    let file = dir.join(format!("checkpoint/model-{epoch}.bpk"));
    Ok(Net::new(device)?.try_load_file(file)?)
}

/// How far the hidden weight is from orthogonal, and how many input weights are zero.
pub fn constraints(net: &Net, device: &Device) -> Outcome<(f32, usize)> {
    let q: Tensor<2> = net.valid().frame.get("hidden.weight")?;
    let unit = Tensor::eye(16, &device.clone().inner());
    let off = (q.clone().transpose().matmul(q) - unit).abs().max().into_scalar::<f32>();
    Ok((off, net.frame.zeros("input.weight")?))
}

/// A line for each epoch, in place of the learner's line for each batch.
#[derive(Default)]
struct Lines {
    epoch: usize,
    valid: bool,
    names: Vec<MetricDefinition>,
    last: BTreeMap<String, String>,
}

impl MetricsRendererTraining for Lines {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, state: MetricState) {
        let (MetricState::Generic(entry) | MetricState::Numeric(entry, _)) = state;
        if let Some(metric) = self.names.iter().find(|name| name.metric_id == entry.metric_id) {
            self.last.insert(metric.name.to_string(), entry.serialized_entry.formatted);
        }
    }
}

impl TrainingProgressLogger for Lines {
    fn start(&mut self, _: usize, epoch: usize, _: Option<usize>, _: Option<&str>) {
        self.epoch = epoch;
    }
    fn start_split(&mut self, split: &str, _: usize) {
        self.valid = split == "valid";
    }
    fn end_split(&mut self) {
        if self.valid {
            let last: Vec<_> = self.last.iter().map(|(name, at)| format!("{name}: {at}")).collect();
            println!("epoch {:2} | {}", self.epoch, last.join(" | "));
            self.epoch += 1;
        }
    }
    fn update_epoch(&mut self, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRenderer for Lines {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.push(definition);
    }
}

// A renderer is also asked to show evaluations, of which there are none here.
impl MetricsRendererEvaluation for Lines {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}
impl EvaluationProgressLogger for Lines {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

#[allow(dead_code, reason = "the test of this example runs its parts")]
fn main() -> Outcome<()> {
    let device = Device::default().autodiff();
    let dir = std::env::temp_dir().join(format!("espalier-learner-{}", std::process::id()));

    train(&dir, 4, None, &device)?;
    println!("\nAnother process would go on like this:");
    let net = train(&dir, 10, Some(4), &device)?;

    let accuracy = accuracy(&net, &device)?;
    println!("\naccuracy on new points {accuracy:.3}");
    assert!(accuracy > 0.97);

    let (off, zeros) = constraints(&net, &device)?;
    println!("|Q'Q - I| {off:.1e}, zeros in the input layer {zeros} of 32");
    assert!(off < 1e-5, "the constraint holds after training");
    assert_eq!(zeros, 8, "the mask holds after training");

    let loaded = load(&dir, 10, &device)?;
    assert_eq!(StateDict::of(&loaded), StateDict::of(&net), "the checkpoint is the network");
    println!("the checkpoint of epoch 10 is the network, bit for bit");
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

//! A walk through the life of parameters, each step beside what PyTorch would print.
//!
//! Run it: `cargo run --release --example tour`

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use espalier::init::{Fan, Init, Nonlinearity, Rng};
use espalier::nn::Sequential;
use espalier::optim::{AdamW, Groups, Options};
use espalier::parametrize::{Orthogonal, Rules, Symmetric};
use espalier::prune::L1Unstructured;
use espalier::schedule::Schedule;
use espalier::state::{StateDict, Strict};
use espalier::{ParameterTree, Parametrized, Selector};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let device = Device::default().autodiff();
    let net = access(&device)?;
    let net = share(net, &device)?;
    let net = initialize(net)?;
    let net = parametrize(net, &device)?;
    let net = train(net, &device)?;
    let net = prune(net)?;
    save_and_load(net, &device)?;
    println!("\nThat was the tour.");
    Ok(())
}

/// Three layers of six, ReLU between, and one of two.
fn mlp(device: &Device) -> Sequential {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
    let net = Sequential::new().with(linear(4, 6)).with(Relu::new());
    let net = net.with(linear(6, 6)).with(Relu::new());
    net.with(linear(6, 6)).with(Relu::new()).with(linear(6, 2))
}

fn inputs(device: &Device) -> Tensor<2> {
    let mut rng = Rng::seeded(1);
    let values: Vec<f32> = (0..32).map(|_| rng.normal() as f32).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([8, 4])
}

fn loss(net: &Parametrized<Sequential>, device: &Device) -> Outcome<Tensor<1>> {
    let output: Tensor<2> = net.effective().forward(inputs(device))?;
    Ok((output - 1.0).square().mean())
}

fn python(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}

fn access(device: &Device) -> Outcome<Parametrized<Sequential>> {
    println!("== access");
    let net = mlp(device);
    println!(">>> {{name: t.shape for name, t in net[2].state_dict().items()}}");
    for (name, shape) in StateDict::of(&net[2]).shapes() {
        println!("'{name}': torch.Size({shape:?})");
    }
    let linear = net[2].get::<Linear>().ok_or("the third layer is a Linear")?;
    assert_eq!(linear.weight.dims(), [6, 6]);

    println!(">>> [(name, p.shape) for name, p in net.named_parameters()]");
    let parameters = net.named_parameters();
    for p in &parameters {
        println!("('{}', torch.Size({:?}))", p.path, p.layout().torch_shape(&p.shape));
    }
    assert_eq!(parameters.len(), 8);
    assert_eq!(parameters[0].path, "0.weight");

    let (id, net) = (parameters[2].id, Parametrized::new(net));
    let mut grads = GradientsParams::new();
    println!(">>> net[2].weight.grad is None\n{}", python(grads.get::<2>(id).is_none()));
    assert!(grads.get::<2>(id).is_none());
    grads = net.grads(loss(&net, device)?.backward())?;
    let grad = grads.get::<2>(id).ok_or("a gradient after backward")?;
    println!(">>> loss.backward(); net[2].weight.grad.shape\ntorch.Size({:?})", grad.dims());
    assert_eq!(grad.dims(), [6, 6]);
    Ok(net)
}

fn share(mut net: Parametrized<Sequential>, device: &Device) -> Outcome<Parametrized<Sequential>> {
    println!("\n== share");
    net.tie("4.weight", "2.weight")?;
    println!(">>> net[2].weight.data[0, 0] = 100; net[4].weight[0, 0]");
    let weight: Tensor<2> = net.get("2.weight")?;
    let hundred = Tensor::full([1, 1], 100.0, device);
    net.set("2.weight", weight.detach().slice_assign([0..1, 0..1], hundred))?;
    let seen: Tensor<2> = net.get("4.weight")?;
    let seen = seen.slice([0..1, 0..1]).into_scalar::<f32>();
    println!("{seen:.1}");
    assert_eq!(seen, 100.0);
    assert_eq!(net.named_parameters().len(), 7, "the shared weight is listed once");
    net.untie("4.weight")?;
    Ok(net)
}

fn initialize(net: Parametrized<Sequential>) -> Outcome<Parametrized<Sequential>> {
    println!("\n== initialize");
    let kaiming = Init::KaimingNormal(Nonlinearity::Relu, Fan::In);
    let net = kaiming.apply(net, &Selector::layer_parameter("Linear", "weight"), 42)?;
    let net = Init::Constant(0.0).apply(net, &Selector::glob("*.bias")?, 42)?;
    println!(">>> net.apply(init_kaiming_normal); net[0].bias");
    let bias: Tensor<1> = net.get("0.bias")?;
    println!("{:?}", bias.to_data().try_to_vec::<f32>()?);
    assert_eq!(bias.abs().sum().into_scalar::<f32>(), 0.0);
    Ok(net)
}

fn parametrize(
    mut net: Parametrized<Sequential>,
    device: &Device,
) -> Outcome<Parametrized<Sequential>> {
    println!("\n== parametrize");
    net.register("2.weight", Symmetric::new())?;
    net.register("4.weight", Orthogonal::cayley())?;
    println!(">>> is_parametrized(net[2], 'weight')");
    println!("{}", python(net.is_parametrized("2.weight")));
    assert!(net.is_parametrized("2.weight") && !net.is_parametrized("0.weight"));

    println!(">>> net[2].weight = torch.rand(6, 6); torch.equal(net[2].weight, net[2].weight.T)");
    let mut rng = Rng::seeded(2);
    let values: Vec<f32> = (0..36).map(|_| rng.uniform() as f32).collect();
    net.set("2.weight", Tensor::<1>::from_floats(values.as_slice(), device).reshape([6, 6]))?;
    let symmetric: Tensor<2> = net.get("2.weight")?;
    let equal = symmetric.to_data() == symmetric.clone().transpose().to_data();
    println!("{}", python(equal));
    assert!(equal);
    Ok(net)
}

fn train(mut net: Parametrized<Sequential>, device: &Device) -> Outcome<Parametrized<Sequential>> {
    println!("\n== groups and a schedule");
    let mut optim = Groups::new(AdamW::new().with_rate(0.01))
        .group("biases", "*.bias", Options::new().rate(0.02).decay(0.0))?
        .schedule(Schedule::multi_step(&[60, 90], 0.1)?.per_step())
        .build(&net)?;
    print!("{optim}");
    let mut losses = Vec::new();
    for _ in 0..100 {
        let loss = loss(&net, device)?;
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = net.grads(loss.backward())?;
        net = optim.step(net, grads);
        optim.end_step()?;
    }
    println!("loss {:.4} -> {:.4}, rates {:?}", losses[0], losses[99], optim.rates());
    assert!(losses[99] < 0.5 * losses[0]);
    assert!((optim.rates()[1].1 - 0.0002).abs() < 1e-12, "two milestones have passed");

    println!(">>> (net[4].weight.T @ net[4].weight - torch.eye(6)).abs().max()");
    let q: Tensor<2> = net.get("4.weight")?;
    let off = (q.clone().transpose().matmul(q) - Tensor::eye(6, device)).abs().max();
    println!("{:e}", off.clone().into_scalar::<f32>());
    assert!(off.into_scalar::<f32>() < 1e-5, "orthogonal after a hundred steps");
    Ok(net)
}

fn prune(mut net: Parametrized<Sequential>) -> Outcome<Parametrized<Sequential>> {
    println!("\n== prune");
    net.prune("0.weight", L1Unstructured::new(0.5))?;
    println!(">>> prune.l1_unstructured(net[0], 'weight', 0.5); (net[0].weight == 0).sum()");
    println!("{}", net.zeros("0.weight")?);
    assert_eq!(net.zeros("0.weight")?, 12, "half of 24, exactly");
    Ok(net)
}

fn save_and_load(net: Parametrized<Sequential>, device: &Device) -> Outcome<()> {
    println!("\n== save and load");
    let file =
        std::env::temp_dir().join(format!("espalier-tour-{}.safetensors", std::process::id()));
    StateDict::of(&net).save(&file)?;
    let state = StateDict::open(&file)?;
    std::fs::remove_file(&file)?;

    println!(">>> wrong.load_state_dict(state)");
    let wrong = Sequential::new().with(LinearConfig::new(4, 5).init(device));
    let error = state.load_into(wrong, Strict::Yes).err().ok_or("another architecture")?;
    println!("{error}");
    assert!(error.to_string().contains("`0.bias`: the module has [5], the state dict [6]"));

    println!(">>> right.load_state_dict(state)");
    let mut right = Parametrized::new(mlp(device));
    right.apply_description(state.description().ok_or("saved with slots")?, &Rules::builtin())?;
    let right = state.load_into(right, Strict::Yes)?;
    println!("<All keys matched successfully>");
    let (a, b): (Tensor<2>, Tensor<2>) = (
        net.valid().effective().forward(inputs(device).inner())?,
        right.valid().effective().forward(inputs(device).inner())?,
    );
    assert_eq!(a.to_data(), b.to_data(), "the same outputs, bit for bit");
    Ok(())
}

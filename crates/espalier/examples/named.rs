//! `named_parameters` and what is trained, before and after freezing a part.
//!
//! Run it: `cargo run --release --example named`

use burn::module::{Module, ParamGroup};
use burn::nn::{BatchNormConfig, LinearConfig, Relu};
use burn::tensor::Device;
use espalier::nn::Sequential;
use espalier::{Error, ParameterTree, Selector};

fn list(net: &Sequential) {
    for p in net.named_parameters() {
        println!(
            "  {:<9} {:<7} {:<7} trained: {}",
            p.path,
            format!("{:?}", p.shape),
            p.dtype.name(),
            p.trainable
        );
    }
}

fn main() -> Result<(), Error> {
    let device = Device::default().autodiff();
    let net = Sequential::new()
        .with(LinearConfig::new(4, 8).init(&device))
        .with(BatchNormConfig::new(8).init(&device))
        .with(Relu::new())
        .with(LinearConfig::new(8, 2).init(&device));

    println!("parameters (shapes are Burn's: a Linear weight is [in, out])");
    list(&net);
    println!("buffers");
    for buffer in net.named_buffers() {
        println!("  {} {:?}", buffer.path, buffer.shape);
    }
    println!("modules");
    for module in net.named_modules() {
        println!("  {module}");
    }
    assert_eq!(net.named_parameters().len(), 6);
    assert_eq!(net.named_buffers().len(), 2);
    assert_eq!(net.named_modules().len(), 5, "itself and four layers");

    // for p in net[0].parameters(): p.requires_grad = False
    let body = net.collect_params("0.*")?;
    let net = net.freeze_group(ParamGroup::from_ids(body.iter().map(|info| info.id).collect()));
    println!("after freezing 0.*");
    list(&net);
    let frozen = net.collect_params(Selector::trainable(false))?;
    assert_eq!(frozen.paths(), ["0.weight", "0.bias"]);
    let totals = net.summary().totals();
    println!("{} trained, {} frozen", totals.trained, totals.frozen);
    assert_eq!((totals.trained, totals.frozen), (34, 40));
    Ok(())
}

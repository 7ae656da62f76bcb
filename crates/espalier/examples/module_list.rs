//! Which modules are registered: `torch.nn.ModuleList` against a plain list.
//!
//! Run it: `cargo run --release --example module_list`

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Tensor};
use espalier::nn::ModuleList;
use espalier::{Error, ParameterTree};

/// Registered: the list is a field of a module.
#[derive(Module, Debug)]
struct Net {
    layers: ModuleList,
}

/// Not registered: `#[module(skip)]` hides the field, as a plain Python list hides its modules.
#[derive(Module, Debug)]
struct Hidden {
    head: Linear,
    #[module(skip)]
    layers: Vec<Linear>,
}

impl Net {
    /// A module list has no forward pass: its owner decides how the items are used.
    fn forward(&self, mut x: Tensor<2>) -> Result<Tensor<2>, Error> {
        for index in [0, 2] {
            let layer: &Linear = self.layers.get(index)?;
            x = layer.forward(x);
        }
        Ok(x)
    }
}

fn main() -> Result<(), Error> {
    let device = Device::default();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);

    let mut layers = ModuleList::new();
    layers.push(linear(4, 8));
    layers.push(Relu::new());
    layers.push(linear(8, 2));
    let net = Net { layers };
    print!("{}", net.summary().tree());
    let names: Vec<String> = net.named_parameters().into_iter().map(|info| info.path).collect();
    assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]);
    assert_eq!(net.summary().totals().parameters, 4 * 8 + 8 + 8 * 2 + 2);
    assert_eq!(net.forward(Tensor::ones([3, 4], &device))?.dims(), [3, 2]);

    let hidden = Hidden { head: linear(4, 2), layers: vec![linear(4, 8), linear(8, 2)] };
    println!("\nwith a skipped list:");
    print!("{}", hidden.summary().tree());
    assert_eq!(hidden.layers.len(), 2, "they are there,");
    assert_eq!(hidden.named_parameters().len(), 2, "but no optimizer or file would see them");
    assert_eq!(hidden.summary().totals().parameters, 10);
    Ok(())
}

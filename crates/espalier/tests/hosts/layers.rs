//! Layers with a weight to parametrize, each with a loss.

use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use espalier::AnyModule;
use espalier::init::{Init, Rng};

/// A kind of layer, with the weight that is parametrized.
pub struct Layer {
    pub name: &'static str,
    pub path: &'static str,
    make: fn(&Device) -> AnyModule,
    loss: fn(&AnyModule, &Device) -> Tensor<1>,
}

impl Layer {
    /// One with the same values for a seed.
    pub fn make(&self, seed: u64, device: &Device) -> AnyModule {
        let every = espalier::Selector::glob("**").unwrap();
        Init::Uniform(-0.5, 0.5).apply((self.make)(device), &every, seed).unwrap()
    }

    pub fn loss(&self, layer: &AnyModule) -> Tensor<1> {
        (self.loss)(layer, &layer.devices()[0])
    }
}

fn numbers<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut rng = Rng::seeded(5);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_data(TensorData::new(values, shape).convert::<f32>(), device)
}

fn square<const D: usize>(output: Tensor<D>) -> Tensor<1> {
    (output - 0.5).square().mean()
}

/// The layer whose type was forgotten.
fn of<L: 'static>(layer: &AnyModule) -> &L {
    layer.get().unwrap()
}

pub const LAYERS: [Layer; 7] = [
    Layer {
        name: "Linear",
        path: "weight",
        make: |device| AnyModule::new(LinearConfig::new(4, 4).init(device)),
        loss: |layer, device| square(of::<Linear>(layer).forward(numbers([3, 4], device))),
    },
    Layer {
        name: "Conv1d",
        path: "weight",
        make: |device| AnyModule::new(Conv1dConfig::new(3, 2, 3).init(device)),
        loss: |layer, device| square(of::<Conv1d>(layer).forward(numbers([2, 3, 6], device))),
    },
    Layer {
        name: "Conv2d",
        path: "weight",
        make: |device| AnyModule::new(Conv2dConfig::new([2, 4], [3, 3]).init(device)),
        loss: |layer, device| square(of::<Conv2d>(layer).forward(numbers([2, 2, 5, 5], device))),
    },
    Layer {
        name: "ConvTranspose2d",
        path: "weight",
        make: |device| AnyModule::new(ConvTranspose2dConfig::new([2, 3], [3, 3]).init(device)),
        loss: |layer, device| {
            square(of::<ConvTranspose2d>(layer).forward(numbers([2, 2, 4, 4], device)))
        },
    },
    Layer {
        name: "Embedding",
        path: "weight",
        make: |device| AnyModule::new(EmbeddingConfig::new(4, 4).init(device)),
        loss: |layer, device| {
            let words = Tensor::<2, Int>::from_ints([[0, 1, 2], [3, 1, 0]], device);
            square(of::<Embedding>(layer).forward(words))
        },
    },
    Layer {
        name: "a gate of an Lstm",
        path: "input_gate.hidden_transform.weight",
        make: |device| AnyModule::new(LstmConfig::new(3, 4, true).init(device)),
        loss: |layer, device| square(of::<Lstm>(layer).forward(numbers([2, 5, 3], device), None).0),
    },
    Layer {
        name: "a projection of attention",
        path: "query.weight",
        make: |device| {
            AnyModule::new(MultiHeadAttentionConfig::new(4, 2).with_dropout(0.0).init(device))
        },
        loss: |layer, device| {
            let x = numbers([2, 3, 4], device);
            square(of::<MultiHeadAttention>(layer).forward(MhaInput::self_attn(x)).context)
        },
    },
];

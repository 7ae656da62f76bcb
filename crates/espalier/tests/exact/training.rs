//! Orthogonal matrices stay orthogonal while they are trained.

use burn::tensor::{DType, Tensor};
use espalier::Parametrized;
use espalier::init::Rng;
use espalier::optim::{Adam, GroupOptimizer, Groups, Sgd};
use espalier::parametrize::Orthogonal;

use crate::common::{Holder, Host, tensor, values};

const STEPS: usize = 1000;

fn normal(rng: &mut Rng, shape: [usize; 2]) -> Tensor<2> {
    let numbers: Vec<f64> = (0..shape[0] * shape[1]).map(|_| rng.normal()).collect();
    tensor(&numbers, &shape, DType::F32)
}

/// The Frobenius norm of `Q^T Q - I` for the smaller side, summed in double precision.
fn deviation(weight: Tensor<2>) -> f64 {
    let [rows, columns] = weight.dims();
    let weight = weight.cast(DType::F64);
    let turned = weight.clone().transpose();
    let gram = if rows >= columns { turned.matmul(weight) } else { weight.matmul(turned) };
    let side = rows.min(columns);
    let off = values(gram).into_iter().enumerate().map(|(i, g)| {
        let off = g - f64::from(i % (side + 1) == 0);
        off * off
    });
    off.sum::<f64>().sqrt()
}

/// Trains towards a random matrix, with as much noise as there is signal, so that the weight never
/// comes to rest.
fn trains<O: GroupOptimizer>(rule: Orthogonal, shape: [usize; 2], optimizer: O) {
    let mut rng = Rng::seeded(7);
    let mut net = Parametrized::new(Holder::<2>::holding(normal(&mut rng, shape)));
    net.register("weight", rule).unwrap();
    let target = normal(&mut rng, shape);
    let mut optim = Groups::new(optimizer).build(&net).unwrap();
    let similarity = |net: &Parametrized<Holder<2>>| {
        let weight = net.get::<2>("weight").unwrap();
        (weight * target.clone()).sum().into_scalar::<f64>()
    };
    let before = similarity(&net);
    let most = 1e-5 * (shape[0].max(shape[1]) as f64).sqrt();
    for step in 1..=STEPS {
        let towards = target.clone() + normal(&mut rng, shape);
        let grads = {
            let weight = net.effective().weight();
            net.grads((weight * towards).sum().neg().backward()).unwrap()
        };
        net = optim.step(net, grads);
        optim.end_step().unwrap();
        if step % 100 == 0 {
            let off = deviation(net.get("weight").unwrap());
            assert!(off <= most, "step {step}: off by {off:e}, allowed {most:e}");
        }
    }
    // It has learned, so what was measured is a weight that went a long way.
    let after = similarity(&net);
    let [rows, columns] = shape;
    let gained = (after - before) / ((rows * columns) as f64).sqrt();
    assert!(gained > 1.0, "{before} {after}");
}

macro_rules! stays_orthogonal {
    ($($name:ident: $rule:expr, $shape:expr;)*) => {
        mod sgd {
            use super::*;
            $(#[test]
            fn $name() {
                trains($rule, $shape, Sgd::new().with_rate(1e-3).with_momentum(0.9));
            })*
        }
        mod adam {
            use super::*;
            $(#[test]
            fn $name() {
                trains($rule, $shape, Adam::new().with_rate(1e-2));
            })*
        }
    };
}

stays_orthogonal! {
    cayley_square: Orthogonal::cayley(), [32, 32];
    cayley_tall: Orthogonal::cayley(), [48, 16];
    cayley_wide: Orthogonal::cayley(), [16, 48];
    exp_square: Orthogonal::exp(), [32, 32];
    exp_tall: Orthogonal::exp(), [48, 16];
    exp_wide: Orthogonal::exp(), [16, 48];
    householder_square: Orthogonal::householder(), [32, 32];
    householder_tall: Orthogonal::householder(), [48, 16];
    householder_wide: Orthogonal::householder(), [16, 48];
}

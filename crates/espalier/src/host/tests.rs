use burn::tensor::{DType, Device, Tensor};
use espalier_kernels::Real;

use super::*;

/// `x^2 y`, which keeps the square.
#[derive(Debug)]
struct SquareTimes;

impl Operation<2> for SquareTimes {
    type Saved<T: Real> = Vec<T>;

    fn forward<T: Real>(&self, [x, y]: [Slice<'_, T>; 2], keep: bool) -> Computed<T, Vec<T>> {
        let square: Vec<T> = x.values.iter().map(|x| *x * *x).collect();
        let values = square.iter().zip(y.values).map(|(square, y)| *square * *y).collect();
        Computed { values, shape: x.shape.to_vec(), saved: keep.then_some(square) }
    }

    fn backward<T: Real>(
        &self,
        [x, y]: [Slice<'_, T>; 2],
        square: &Vec<T>,
        gradient: &mut [T],
    ) -> [Gradient<T>; 2] {
        let two = T::of(2.0);
        let by_x = (0..gradient.len()).map(|i| gradient[i] * two * x.values[i] * y.values[i]);
        let by_x = by_x.collect();
        gradient.iter_mut().zip(square).for_each(|(gradient, square)| *gradient *= *square);
        [Gradient::New(by_x), Gradient::InPlace]
    }
}

/// Two columns swapped; gives another shape too.
#[derive(Debug)]
struct FirstColumn;

impl Operation<1> for FirstColumn {
    type Saved<T: Real> = ();

    fn forward<T: Real>(&self, [x]: [Slice<'_, T>; 1], keep: bool) -> Computed<T, ()> {
        let columns = x.shape[1];
        let values = x.values.iter().copied().step_by(columns).collect();
        Computed { values, shape: vec![x.shape[0]], saved: keep.then_some(()) }
    }

    fn backward<T: Real>(
        &self,
        [x]: [Slice<'_, T>; 1],
        (): &(),
        gradient: &mut [T],
    ) -> [Gradient<T>; 1] {
        let mut out = vec![T::ZERO; x.values.len()];
        out.iter_mut().step_by(x.shape[1]).zip(&*gradient).for_each(|(out, g)| *out = *g);
        [Gradient::New(out)]
    }
}

fn numbers(dtype: DType) -> [Tensor<2>; 2] {
    let device = Device::flex().autodiff();
    let make = |values: [[f64; 3]; 2]| {
        Tensor::<2>::from_data(
            burn::tensor::TensorData::from(values).convert_dtype(dtype),
            (&device, dtype),
        )
        .require_grad()
    };
    [make([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), make([[0.5, 1.5, -1.0], [2.0, 0.0, 1.0]])]
}

#[test]
fn values_and_gradients_are_those_of_tensor_operations() {
    for dtype in [DType::F32, DType::F64] {
        let [x, y] = numbers(dtype);
        let host: Tensor<2> = binary(&x, &y, SquareTimes).unwrap();
        let twin = x.clone().square() * y.clone();
        assert_eq!(host.dtype(), dtype);
        host.clone().into_data().assert_eq(&twin.clone().into_data(), true);
        // A consumer before and after, so that gradients flow through.
        let mut ours = (host * 3.0).sum().backward();
        let mut theirs = (twin * 3.0).sum().backward();
        for tensor in [&x, &y] {
            let (a, b) = (tensor.grad_remove(&mut ours), tensor.grad_remove(&mut theirs));
            a.unwrap().into_data().assert_eq(&b.unwrap().into_data(), true);
        }
    }
}

#[test]
fn transposed_inputs_and_gradients_are_read_in_order() {
    let results = [true, false].map(|by_host| {
        let [x, y] = numbers(DType::F32);
        let (xt, yt) = (x.clone().transpose(), y.transpose());
        let value = if by_host { binary(&xt, &yt, SquareTimes).unwrap() } else { xt.square() * yt };
        let data = value.clone().into_data();
        let weights = numbers(DType::F32)[1].clone().detach();
        let mut grads = (value.transpose() * weights).sum().backward();
        (data, x.grad_remove(&mut grads).unwrap().into_data())
    });
    results[0].0.assert_eq(&results[1].0, true);
    results[0].1.assert_eq(&results[1].1, true);
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let [x, y] = numbers(DType::F64);
    let fixed = y.detach().set_require_grad(false);
    let host: Tensor<2> = binary(&x, &fixed, SquareTimes).unwrap();
    let mut grads = host.sum().backward();
    assert!(x.grad_remove(&mut grads).is_some());
    assert!(fixed.grad_remove(&mut grads).is_none());
    let host: Tensor<2> =
        binary(&x.clone().detach().set_require_grad(false), &fixed, SquareTimes).unwrap();
    assert!(!host.is_require_grad());
    // Without autodiff at all.
    let plain: Tensor<2> = binary(&x.inner(), &fixed.inner(), SquareTimes).unwrap();
    plain.into_data().assert_eq(&host.inner().into_data(), true);
}

#[test]
fn another_rank_may_come_out() {
    let [x, _] = numbers(DType::F32);
    let column: Tensor<1> = unary(&x, FirstColumn).unwrap();
    assert_eq!(column.clone().into_data().iter::<f32>().collect::<Vec<_>>(), [1.0, 4.0]);
    let mut grads = (column * 2.0).sum().backward();
    let grad = x.grad_remove(&mut grads).unwrap();
    assert_eq!(grad.into_data().iter::<f32>().collect::<Vec<_>>(), [2.0, 0., 0., 2.0, 0., 0.]);
}

#[test]
fn half_floats_are_left_to_tensor_operations() {
    let [x, _] = numbers(DType::F32);
    assert!(unary::<2, 1>(&x.cast(DType::F16), FirstColumn).is_none());
}

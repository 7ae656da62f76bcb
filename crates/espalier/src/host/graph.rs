//! Host operations as operations of Burn's CPU backend, and of autodiff around it.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::{Arc, OnceLock};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary as unary_step};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use espalier_kernels::Real;

use super::{Computed, Gradient, Operation, Slice};

pub(super) fn unary<const D: usize, const E: usize>(
    input: Tensor<D>,
    operation: impl Operation<1>,
) -> Tensor<E> {
    let call = Call::new(operation);
    Tensor::from_dispatch(Dispatch::host_unary(input.into_dispatch(), call))
}

pub(super) fn binary<const D: usize, const E: usize>(
    left: Tensor<D>,
    right: Tensor<D>,
    operation: impl Operation<2>,
) -> Tensor<E> {
    let call = Call::new(operation);
    let (left, right) = (left.into_dispatch(), right.into_dispatch());
    Tensor::from_dispatch(Dispatch::host_binary(left, right, call))
}

/// An [`Operation`] whose type is forgotten, on tensors of the CPU backend.
trait Erased<const N: usize>: Debug + Send + Sync {
    fn forward(&self, inputs: [FlexTensor; N], saved: Option<&Saved>) -> FlexTensor;
    fn backward(
        &self,
        inputs: [FlexTensor; N],
        saved: &Saved,
        gradient: FlexTensor,
    ) -> [FlexTensor; N];
}

/// What one forward pass keeps for its backward pass.
type Saved = OnceLock<Box<dyn Any + Send + Sync>>;

impl<const N: usize, O: Operation<N>> Erased<N> for O {
    fn forward(&self, inputs: [FlexTensor; N], saved: Option<&Saved>) -> FlexTensor {
        fn run<const N: usize, O: Operation<N>, T: Real + burn::tensor::Element>(
            operation: &O,
            slices: [Slice<'_, T>; N],
            saved: Option<&Saved>,
        ) -> FlexTensor {
            let Computed { values, shape, saved: kept } =
                operation.forward(slices, saved.is_some());
            if let (Some(saved), Some(kept)) = (saved, kept) {
                // A node is computed once; a second forward pass would keep the same.
                let _ = saved.set(Box::new(kept));
            }
            FlexTensor::from_data(TensorData::new(values, shape))
        }
        fn pass<const N: usize, O: Operation<N>, T: Real>(
            operation: &O,
            saved: Option<&Saved>,
        ) -> bool {
            let kept = operation.unchanged::<T>();
            let passed = kept.is_some();
            if let (Some(saved), Some(kept)) = (saved, kept) {
                let _ = saved.set(Box::new(kept));
            }
            passed
        }
        let inputs = inputs.map(|tensor| tensor.to_contiguous());
        let passed = match inputs[0].dtype() {
            DType::F64 => pass::<N, O, f64>(self, saved),
            _ => pass::<N, O, f32>(self, saved),
        };
        if passed {
            return inputs[0].clone();
        }
        let shapes = inputs.each_ref().map(|tensor| tensor.layout().shape().to_vec());
        match inputs[0].dtype() {
            DType::F64 => run(self, slices(&inputs, &shapes, FlexTensor::as_slice::<f64>), saved),
            _ => run(self, slices(&inputs, &shapes, FlexTensor::as_slice::<f32>), saved),
        }
    }

    fn backward(
        &self,
        inputs: [FlexTensor; N],
        saved: &Saved,
        gradient: FlexTensor,
    ) -> [FlexTensor; N] {
        fn run<const N: usize, O: Operation<N>, T: Real + burn::tensor::Element>(
            operation: &O,
            slices: [Slice<'_, T>; N],
            saved: &Saved,
            gradient: FlexTensor,
        ) -> [FlexTensor; N] {
            let kept = saved.get().and_then(|kept| kept.downcast_ref::<O::Saved<T>>());
            // Not a copy where nothing else holds the gradient.
            let mut data = gradient.into_data();
            let (Some(kept), Ok(gradient)) = (kept, data.as_mut_slice::<T>()) else {
                unreachable!("a tracked forward pass keeps what its backward pass needs")
            };
            let shapes = slices.map(|slice| slice.shape);
            let mut gradients = operation.backward(slices, kept, gradient).into_iter();
            let mut data = Some(data);
            shapes.map(|shape| match gradients.next() {
                Some(Gradient::New(values)) => {
                    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
                }
                Some(Gradient::InPlace) => match data.take() {
                    Some(data) => FlexTensor::from_data(data),
                    None => unreachable!("in place of one input"),
                },
                None => unreachable!("as many gradients as inputs"),
            })
        }
        let inputs = inputs.map(|tensor| tensor.to_contiguous());
        let shapes = inputs.each_ref().map(|tensor| tensor.layout().shape().to_vec());
        match inputs[0].dtype() {
            DType::F64 => {
                let slices = slices(&inputs, &shapes, FlexTensor::as_slice::<f64>);
                run(self, slices, saved, gradient)
            }
            _ => {
                let slices = slices(&inputs, &shapes, FlexTensor::as_slice::<f32>);
                run(self, slices, saved, gradient)
            }
        }
    }
}

fn slices<'a, const N: usize, T>(
    tensors: &'a [FlexTensor; N],
    shapes: &'a [Vec<usize>; N],
    slice: fn(&'a FlexTensor) -> Option<&'a [T]>,
) -> [Slice<'a, T>; N] {
    let mut shapes = shapes.iter();
    tensors.each_ref().map(|tensor| match (slice(tensor), shapes.next()) {
        (Some(values), Some(shape)) => Slice { values, shape },
        _ => unreachable!("contiguous tensors of one of the two float types"),
    })
}

/// One application of an operation.
pub(super) struct Call<const N: usize> {
    operation: Arc<dyn Erased<N>>,
    /// None if no backward pass will follow.
    saved: Option<Arc<Saved>>,
}

impl<const N: usize> Call<N> {
    fn new(operation: impl Operation<N>) -> Self {
        Self { operation: Arc::new(operation), saved: None }
    }

    fn keeping(self) -> Self {
        Self { saved: Some(Arc::default()), ..self }
    }

    fn forward(&self, inputs: [FlexTensor; N]) -> FlexTensor {
        self.operation.forward(inputs, self.saved.as_deref())
    }

    fn backward(&self, inputs: [FlexTensor; N], gradient: FlexTensor) -> [FlexTensor; N] {
        match &self.saved {
            Some(saved) => self.operation.backward(inputs, saved, gradient),
            None => unreachable!("only a tracked operation has a backward pass"),
        }
    }
}

impl<const N: usize> Clone for Call<N> {
    fn clone(&self) -> Self {
        Self { operation: Arc::clone(&self.operation), saved: self.saved.clone() }
    }
}

impl<const N: usize> Debug for Call<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operation.fmt(f)
    }
}

/// The operations that Burn's dispatch is taught.
#[backend_extension(Flex, Autodiff)]
trait HostOps: Backend {
    fn host_unary(input: FloatTensor<Self>, call: Call<1>) -> FloatTensor<Self>;
    fn host_unary_backward(
        input: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        call: Call<1>,
    ) -> FloatTensor<Self>;
    fn host_binary(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        call: Call<2>,
    ) -> FloatTensor<Self>;
    fn host_binary_backward(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        call: Call<2>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl HostOps for Flex {
    fn host_unary(input: FlexTensor, call: Call<1>) -> FlexTensor {
        call.forward([input])
    }
    fn host_unary_backward(input: FlexTensor, gradient: FlexTensor, call: Call<1>) -> FlexTensor {
        let [gradient] = call.backward([input], gradient);
        gradient
    }
    fn host_binary(left: FlexTensor, right: FlexTensor, call: Call<2>) -> FlexTensor {
        call.forward([left, right])
    }
    fn host_binary_backward(
        left: FlexTensor,
        right: FlexTensor,
        gradient: FlexTensor,
        call: Call<2>,
    ) -> (FlexTensor, FlexTensor) {
        let [left, right] = call.backward([left, right], gradient);
        (left, right)
    }
}

const FIRST_ORDER: &str = "gradients of gradients are not computed";

impl<B: HostOps, C: CheckpointStrategy> HostOps for Autodiff<B, C> {
    fn host_unary(input: FloatTensor<Self>, call: Call<1>) -> FloatTensor<Self> {
        let node = input.node();
        let input = input.into_primitive();
        match UnaryStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let call = call.keeping();
                let output = B::host_unary(input.clone(), call.clone());
                prep.finish((input, call), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::host_unary(input, call)),
        }
    }
    fn host_unary_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Call<1>,
    ) -> FloatTensor<Self> {
        unreachable!("{FIRST_ORDER}")
    }
    fn host_binary(
        left: FloatTensor<Self>,
        right: FloatTensor<Self>,
        call: Call<2>,
    ) -> FloatTensor<Self> {
        let nodes = [left.node(), right.node()];
        let (left, right) = (left.into_primitive(), right.into_primitive());
        match BinaryStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let call = call.keeping();
                let output = B::host_binary(left.clone(), right.clone(), call.clone());
                prep.finish((left, right, call), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::host_binary(left, right, call)),
        }
    }
    fn host_binary_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Call<2>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("{FIRST_ORDER}")
    }
}

#[derive(Debug)]
struct UnaryStep;

impl<B: HostOps> Backward<B, 1> for UnaryStep {
    type State = (FloatTensor<B>, Call<1>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (input, call) = ops.state;
        unary_step::<B, _>(ops.parents, ops.node, gradients, |gradient| {
            B::host_unary_backward(input, gradient, call)
        });
    }
}

#[derive(Debug)]
struct BinaryStep;

impl<B: HostOps> Backward<B, 2> for BinaryStep {
    type State = (FloatTensor<B>, FloatTensor<B>, Call<2>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (left, right, call) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let (to_left, to_right) = B::host_binary_backward(left, right, gradient, call);
        for (parent, gradient) in ops.parents.into_iter().zip([to_left, to_right]) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

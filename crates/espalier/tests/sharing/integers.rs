//! Integers in state dicts: exact, or refused.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use espalier::state::{StateDict, Strict, ValueFault};
use espalier_checkpoint::{Dtype, NamedTensor};

use crate::common::state_of;

#[derive(Module, Debug)]
struct Counter {
    steps: Param<Tensor<1, Int>>,
}

fn counter(values: &[i64], dtype: DType) -> Counter {
    let data = TensorData::new(values.to_vec(), [values.len()]).convert_dtype(dtype);
    let tensor = Tensor::from_data(data, (&Device::default(), dtype));
    Counter { steps: Param::initialized(ParamId::new(), tensor) }
}

fn steps(counter: &Counter) -> Vec<i64> {
    counter.steps.val().into_data().iter::<i64>().collect()
}

fn file(dtype: Dtype, bytes: Vec<u8>, count: usize) -> StateDict {
    state_of([NamedTensor::new("steps", dtype, vec![count], bytes).unwrap()])
}

#[test]
fn the_largest_integers_are_kept_to_the_last_digit() {
    // 2^53 + 1 is the first that a double cannot tell from its neighbour.
    let values = [i64::MIN, i64::MAX, (1 << 53) + 1, -(1 << 53) - 1, 0];
    let state = StateDict::of(&counter(&values, DType::I64));
    let dir = tempfile::tempdir().unwrap();
    state.save(dir.path().join("s.safetensors")).unwrap();
    let state = StateDict::open(dir.path().join("s.safetensors")).unwrap();
    let loaded = state.load_into(counter(&[0; 5], DType::I64), Strict::Yes).unwrap();
    assert_eq!(steps(&loaded), values);
}

#[test]
fn other_types_are_converted_where_they_fit() {
    let bytes = |values: &[i16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let state = file(Dtype::I16, bytes(&[-5, 300]), 2);
    for dtype in [DType::I64, DType::I32] {
        assert_eq!(
            steps(&state.load_into(counter(&[0; 2], dtype), Strict::Yes).unwrap()),
            [-5, 300]
        );
    }
    let floats: Vec<u8> = [2.75f32, -2.75].iter().flat_map(|v| v.to_le_bytes()).collect();
    let state = file(Dtype::F32, floats, 2);
    let loaded = state.load_into(counter(&[0; 2], DType::I32), Strict::Yes).unwrap();
    assert_eq!(steps(&loaded), [2, -2]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let bytes = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let large = i64::from(i32::MAX) + 1;
    let state = file(Dtype::I64, bytes(&[7, large]), 2);
    let report = state.fits(&counter(&[0; 2], DType::I32), Strict::No).unwrap_err();
    let entry = ValueFault::OutOfRange {
        name: "steps".into(),
        dtype: "I32".into(),
        value: large.to_string(),
    };
    assert_eq!(report.values, [entry]);
    assert!(report.to_string().contains("values of `steps`: 2147483648 does not fit"));

    let state = file(Dtype::U64, u64::MAX.to_le_bytes().to_vec(), 1);
    let report = state.fits(&counter(&[0], DType::I64), Strict::Yes).unwrap_err();
    assert!(report.to_string().contains("18446744073709551615 does not fit the module's I64"));

    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let state = file(Dtype::F32, value.to_le_bytes().to_vec(), 1);
        assert!(state.load_into(counter(&[0], DType::I64), Strict::Yes).is_err(), "{value}");
    }
}

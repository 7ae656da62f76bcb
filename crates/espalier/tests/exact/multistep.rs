//! The multi-step schedule against `torch.optim.lr_scheduler.MultiStepLR`.

use burn::tensor::DType;
use espalier::schedule::Schedule;

use crate::common::{Golden, assert_same};

#[test]
fn every_rate_agrees_to_the_bit() {
    let golden = Golden::open("multistep");
    golden.assert_all_tested(["curve"]);
    for case in golden.case("curve") {
        let milestones = case.note["milestones"].as_array().unwrap();
        let milestones: Vec<usize> =
            milestones.iter().map(|milestone| milestone.as_u64().unwrap() as usize).collect();
        let schedule = Schedule::multi_step(&milestones, case.note["gamma"].as_f64().unwrap());
        let schedule = schedule.unwrap();
        let base = case.note["base_lr"].as_f64().unwrap();
        let steps = case.note["steps"].as_u64().unwrap() as usize;
        let curve = schedule.curve(base, steps).unwrap();
        let rates: Vec<f64> = curve
            .into_iter()
            .map(|rate| match case.dtype {
                DType::F64 => rate,
                _ => f64::from(rate as f32),
            })
            .collect();
        assert_same(&case.name, &rates, &case.values("lr"));
    }
}

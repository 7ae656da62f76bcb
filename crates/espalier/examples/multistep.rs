//! The rate falls at epochs 10 and 20, whatever the number of batches: `MultiStepLR` and its kin.
//!
//! `cargo run --example multistep`

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::Parametrized;
use espalier::optim::{Groups, Options, Sgd};
use espalier::schedule::{OneCycle, Schedule, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schedule = Schedule::multi_step(&[10, 20], 0.1)?;
    println!("{}", schedule.plot(0.1, 30)?);
    let curve = schedule.curve(0.1, 30)?;
    assert_eq!([curve[9], curve[10], curve[20]], [0.1, 0.1 * 0.1, 0.1 * 0.1 * 0.1]);

    let device = Device::default().autodiff();
    device.seed(0);
    let x = Tensor::<2>::from_data([[1., 0.], [0., 1.], [1., 1.], [2., -1.]], &device);
    let y = Tensor::<2>::from_data([[2.], [-1.], [1.], [5.]], &device);
    for batches in [1, 4] {
        let mut net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
        let mut optim = Groups::new(Sgd::new().with_rate(0.1))
            .group("bias", "bias", Options::new().rate(0.2))?
            .schedule(schedule.clone())
            .build(&net)?;
        let mut rates = Vec::new();
        for _epoch in 0..30 {
            rates.push(optim.rates()[0].1);
            for _batch in 0..batches {
                let grads = {
                    let step = net.effective();
                    let loss = (step.forward(x.clone()) - y.clone()).square().mean();
                    net.grads(loss.backward())?
                };
                net = optim.step(net, grads); // first the step,
            }
            optim.end_epoch()?; // then the schedule
        }
        println!("{batches} batches an epoch: rates {} {} {}", rates[9], rates[10], rates[20]);
        assert_eq!(rates, curve, "epochs are counted, not batches");
        assert!((optim.rates()[1].1 - 2.0 * optim.rates()[0].1).abs() < 1e-15);
    }

    println!("\nwarm-up, then a cosine; the decay falls along; a cycle that counts steps");
    let warm = Schedule::sequential(
        vec![Schedule::linear(0.1, 1.0, 5)?, Schedule::cosine_annealing(25, 0.0)?],
        &[5],
    )?;
    println!("{}", warm.plot(0.1, 30)?);
    let decay = Schedule::exponential(0.9)?.on(Target::Decay);
    let cycle = Schedule::one_cycle(OneCycle::new(0.5, 8))?;
    let net = Parametrized::new(LinearConfig::new(2, 1).init(&device));
    let base = Sgd::new().with_rate(0.1).with_momentum(0.9).with_decay(0.01);
    let mut optim = Groups::new(base.clone()).schedule(warm).schedule(decay).build(&net)?;
    print!("{optim}");
    optim.end_epoch()?;
    assert!((optim.values()[0].1.decay - 0.009).abs() < 1e-15);

    let mut optim = Groups::new(base).schedule(cycle.clone()).build(&net)?;
    for step in 0..8 {
        let (_, values) = optim.values()[0];
        println!("step {step}: rate {:.4}, momentum {:.4}", values.rate, values.momentum);
        optim.end_step()?;
    }
    let past = optim.end_step().err().ok_or("a cycle has an end")?;
    println!("{past}");
    assert!(cycle.curve(0.1, 10).is_err(), "a cycle has an end");
    Ok(())
}

//! The files against committed ones, which TensorBoard has read (`tools/tensorboard/check.py`).

use std::path::{Path, PathBuf};

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use espalier::nn::Sequential;
use espalier::observe::{Jsonl, ObserveError, TensorBoard, Watch};
use espalier::optim::{Groups, Sgd};
use espalier::prune::L1Unstructured;
use espalier::{Error, Parametrized};

use crate::events;

const EVENTS: &[u8] = include_bytes!("golden/watch.tfevents");
const LINES: &str = include_str!("golden/watch.jsonl");

/// Four steps of a pruned layer whose numbers are all exact, so that no order of additions and no
/// instruction set makes a difference; the bias has a NaN.
fn run(dir: &Path) -> (PathBuf, PathBuf) {
    let device = Device::flex().autodiff();
    let net = Sequential::new().with(LinearConfig::new(3, 2).init(&device));
    let mut net = Parametrized::new(net);
    let weight = Tensor::<2>::from_data([[-1.0, 0.5], [0.25, 2.0], [0.125, -0.75]], &device);
    net.set("0.weight", weight).unwrap();
    net.set("0.bias", Tensor::<1>::from_data([f32::NAN, 0.5], &device)).unwrap();
    net.prune("0.weight", L1Unstructured::new(2)).unwrap();
    let mut optim = Groups::new(Sgd::new().with_rate(0.5)).build(&net).unwrap();
    let board = TensorBoard::create_at(dir, 1.5e9).unwrap();
    let (events, lines) = (board.path().to_owned(), dir.join("watch.jsonl"));
    let jsonl = Jsonl::create(&lines).unwrap();
    let mut watch = Watch::new().every(2).bins(4).to(board).to(jsonl);
    for step in 0..4 {
        watch.scalar("loss", step, 1.0 / (step + 1) as f64).unwrap();
        let inputs = Tensor::<2>::from_data([[1.0, 2.0, 4.0]], &device);
        let y: Tensor<2> = net.effective().forward(inputs).unwrap();
        let grads = net.grads(y.sum().backward()).unwrap();
        watch.before(step, &net, &grads).unwrap();
        net = optim.step(net, grads);
        watch.after(step, &net).unwrap();
    }
    (events, lines)
}

#[test]
fn the_bytes_are_the_golden_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (events, lines) = run(dir.path());
    let (events, lines) = (std::fs::read(events).unwrap(), std::fs::read_to_string(lines).unwrap());
    if let Some(golden) = std::env::var_os("ESPALIER_GOLDEN") {
        let golden = PathBuf::from(golden);
        std::fs::write(golden.join("watch.tfevents"), &events).unwrap();
        std::fs::write(golden.join("watch.jsonl"), &lines).unwrap();
    }
    assert_eq!(lines, LINES);
    assert_eq!(events, EVENTS);
}

#[test]
fn both_files_say_the_same() {
    let (events, left) = events::read(EVENTS);
    assert_eq!((left, events[0].version.as_deref()), (0, Some("brain.Event:2")));
    let lines: Vec<serde_json::Value> =
        LINES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len() - 1, lines.len());
    let mut compared = 0;
    for (event, line) in events[1..].iter().zip(&lines) {
        assert_eq!((event.wall_time, line["step"].as_u64()), (1.5e9, Some(event.step)));
        if let Some(name) = line["scalar"].as_str() {
            assert_eq!(
                f64::from(event.scalars[name]) as f32,
                line["value"].as_f64().unwrap() as f32
            );
            continue;
        }
        let path = line["path"].as_str().unwrap();
        for kind in ["weight", "gradient"] {
            let seen = &line[kind];
            for name in ["norm", "mean", "std", "min", "max"] {
                let scalar = event.scalars[&format!("{kind} {name}/{path}")];
                match seen[name].as_f64() {
                    Some(number) => assert_eq!(scalar, number as f32, "{kind} {name}"),
                    None => assert!(scalar.is_nan(), "{kind} {name}"),
                }
                compared += 1;
            }
            let counts: Vec<f64> =
                seen["bins"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
            let histogram = event.histograms.get(&format!("{kind}/{path}"));
            assert_eq!(histogram.is_none(), counts.is_empty());
            if let Some(histogram) = histogram {
                assert_eq!(histogram.counts, counts);
                assert_eq!(histogram.limits.last(), Some(&histogram.max));
                assert_eq!(Some(histogram.min), seen["min"].as_f64());
                assert_eq!(histogram.num, counts.iter().sum::<f64>());
                let squares = histogram.sum_squares.sqrt();
                assert!((squares - seen["norm"].as_f64().unwrap()).abs() < 1e-12);
            }
        }
        assert_eq!(event.scalars.contains_key(&format!("weight nan/{path}")), path == "0.bias");
    }
    assert_eq!(compared, 2 * 2 * 2 * 5, "steps, parameters, weight and gradient, numbers");
}

#[test]
fn a_cut_event_leaves_those_before_it() {
    let whole = events::read(EVENTS).0.len();
    let (events, left) = events::read(&EVENTS[..EVENTS.len() - 3]);
    assert!(left > 0);
    assert_eq!(events.len(), whole - 1);
}

#[test]
fn an_appended_file_keeps_its_lines() {
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("run.jsonl");
    Watch::new().to(Jsonl::create(&file).unwrap()).scalar("loss", 0, f64::INFINITY).unwrap();
    Watch::new().to(Jsonl::append(&file).unwrap()).scalar("a \"name\"", 1, -0.5).unwrap();
    let lines = std::fs::read_to_string(&file).unwrap();
    let expected = "{\"step\":0,\"scalar\":\"loss\",\"value\":null}\n\
                    {\"step\":1,\"scalar\":\"a \\\"name\\\"\",\"value\":-0.5}\n";
    assert_eq!(lines, expected);
}

#[test]
fn a_directory_takes_several_event_files() {
    let dir = tempfile::tempdir().unwrap();
    let boards: Vec<_> = (0..3).map(|_| TensorBoard::create_at(dir.path(), 7.0).unwrap()).collect();
    assert!(boards[0].path() < boards[1].path() && boards[1].path() < boards[2].path());
}

#[test]
fn files_that_cannot_be_made_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("none/run.jsonl");
    let error = Jsonl::create(&file).unwrap_err();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
    let taken = dir.path().join("taken");
    std::fs::write(&taken, "").unwrap();
    let error = TensorBoard::create(&taken).unwrap_err();
    assert!(matches!(error, Error::Observe(ObserveError::File { path, .. }) if path == taken));
}

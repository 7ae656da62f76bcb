//! Old checkpoints are removed, and nothing else.

use std::fs::{self, File};
use std::path::Path;

use espalier_checkpoint::{
    Better, Checkpoint, Error, Keep, NamedTensor, Rotation, Saved, write_safetensors,
    write_safetensors_sharded,
};
use proptest::prelude::*;

use crate::names;

fn saved(scores: &[Option<f64>]) -> Vec<Saved> {
    let one = |(step, score): (usize, &Option<f64>)| Saved {
        step: step as u64,
        file: format!("step-{step:06}.safetensors"),
        score: *score,
    };
    scores.iter().enumerate().map(one).collect()
}

fn retired(keep: Keep, scores: &[Option<f64>]) -> Vec<u64> {
    keep.retired(&saved(scores)).iter().map(|saved| saved.step).collect()
}

#[test]
fn the_last_and_the_best() {
    let scores = [0.5, 0.9, 0.1, 0.9, 0.3].map(Some);
    let keep = |last, best, better| Keep { last, best, better };
    assert_eq!(retired(keep(1, 0, Better::Higher), &scores), [0, 1, 2, 3]);
    assert_eq!(retired(keep(2, 0, Better::Higher), &scores), [0, 1, 2]);
    // The later of equally good ones.
    assert_eq!(retired(keep(1, 1, Better::Higher), &scores), [0, 1, 2]);
    assert_eq!(retired(keep(1, 2, Better::Higher), &scores), [0, 2]);
    assert_eq!(retired(keep(1, 1, Better::Lower), &scores), [0, 1, 3]);
    assert!(retired(keep(9, 0, Better::Lower), &scores).is_empty());
    assert!(retired(keep(0, 9, Better::Lower), &scores).is_empty());
}

#[test]
fn the_newest_is_never_removed() {
    let keep = Keep { last: 0, best: 0, better: Better::Higher };
    assert!(retired(keep, &[]).is_empty());
    assert!(retired(keep, &[None]).is_empty());
    assert_eq!(retired(keep, &[Some(1.0), None, Some(0.0)]), [0, 1]);
}

#[test]
fn scores_that_say_nothing() {
    let scores = [Some(f64::NAN), Some(1.0), None, Some(f64::INFINITY), Some(-0.0), None];
    for better in [Better::Higher, Better::Lower] {
        let keep = Keep { last: 1, best: 3, better };
        assert_eq!(retired(keep, &scores), [0, 2, 3]);
    }
}

proptest! {
    #[test]
    fn as_many_as_were_asked_for(
        scores in prop::collection::vec(prop::option::of(-3i8..3), 0..12),
        last in 0usize..5, best in 0usize..5, higher in any::<bool>()
    ) {
        let scores: Vec<_> = scores.into_iter().map(|s| s.map(f64::from)).collect();
        let keep = Keep { last, best, better: if higher { Better::Higher } else { Better::Lower } };
        let gone = retired(keep, &scores);
        let kept: Vec<usize> =
            (0..scores.len()).filter(|at| !gone.contains(&(*at as u64))).collect();
        prop_assert!(kept.len() <= last.max(1) + best);
        prop_assert!(kept.len() >= last.max(1).min(scores.len()));
        // None that is gone is better than one that is kept for its score alone.
        let old = scores.len().saturating_sub(last.max(1));
        for kept in kept.iter().filter(|at| **at < old) {
            for gone in gone.iter().filter_map(|at| scores[*at as usize]) {
                let kept = scores[*kept].unwrap();
                let good = if higher { kept >= gone } else { kept <= gone };
                prop_assert!(good, "{} {}", kept, gone);
            }
        }
    }
}

fn checkpoint() -> Checkpoint {
    let mut checkpoint = Checkpoint::new();
    checkpoint.push(NamedTensor::f32("a", vec![1], &[1.0]).unwrap()).unwrap();
    checkpoint.push(NamedTensor::f32("b", vec![1], &[1.0]).unwrap()).unwrap();
    checkpoint
}

const KEEP: Keep = Keep { last: 2, best: 1, better: Better::Lower };

#[test]
fn only_what_was_written_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    // As if from the same run, but not saved by it.
    fs::write(dir.path().join("step-000005.safetensors"), "mine").unwrap();
    let mut rotation = Rotation::open(dir.path(), ".safetensors", KEEP).unwrap();
    for (step, loss) in [(10, 0.1), (20, 0.3), (30, 0.2)] {
        write_safetensors(rotation.path(step), &checkpoint()).unwrap();
        assert!(rotation.saved(step, Some(loss)).unwrap().is_empty());
    }
    write_safetensors(rotation.path(40), &checkpoint()).unwrap();
    let removed = rotation.saved(40, None).unwrap();
    assert_eq!(removed.iter().map(|saved| saved.step).collect::<Vec<_>>(), [20]);
    let there = [
        "checkpoints.json",
        "step-000005.safetensors",
        "step-000010.safetensors",
        "step-000030.safetensors",
        "step-000040.safetensors",
    ];
    assert_eq!(names(dir.path()), there);

    // Another process goes on, from an earlier step: the newest is what was saved last.
    let mut rotation = Rotation::open(dir.path(), ".safetensors", KEEP).unwrap();
    assert_eq!(rotation.kept().len(), 3);
    write_safetensors(rotation.path(30), &checkpoint()).unwrap();
    assert!(rotation.saved(30, Some(0.05)).unwrap().iter().map(|s| s.step).eq([10]));
    assert_eq!(rotation.kept().iter().map(|s| s.step).collect::<Vec<_>>(), [40, 30]);

    // What someone else removed, and put something there instead of, is not ours any more.
    fs::remove_file(rotation.path(40)).unwrap();
    write_safetensors(rotation.path(50), &checkpoint()).unwrap();
    assert!(rotation.saved(50, None).unwrap().is_empty());
    fs::write(rotation.path(40), "mine").unwrap();
    for step in [60, 70, 80] {
        write_safetensors(rotation.path(step), &checkpoint()).unwrap();
        rotation.saved(step, None).unwrap();
    }
    assert_eq!(fs::read(rotation.path(40)).unwrap(), b"mine");
    assert_eq!(rotation.kept().iter().map(|s| s.step).collect::<Vec<_>>(), [30, 70, 80]);
}

#[test]
fn shards_go_with_their_index() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Keep { last: 1, ..KEEP };
    let mut rotation = Rotation::open(dir.path(), ".safetensors.index.json", keep).unwrap();
    for step in 1..=4 {
        write_safetensors_sharded(rotation.path(step), &checkpoint(), 4).unwrap();
        rotation.saved(step, None).unwrap();
        assert_eq!(Checkpoint::open(rotation.path(step)).unwrap(), checkpoint());
    }
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_step_that_was_not_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut rotation = Rotation::open(dir.path(), ".safetensors", KEEP).unwrap();
    assert!(matches!(rotation.saved(1, None), Err(Error::Io { .. })));
    assert!(rotation.kept().is_empty() && names(dir.path()).is_empty());
}

#[test]
fn endings_that_lead_elsewhere() {
    for ending in ["", "safetensors", "/../x", ".a/b", "..\\x"] {
        let opened = Rotation::open("runs", ending, KEEP);
        assert!(matches!(opened, Err(Error::NoFileName { .. })), "{ending}");
    }
}

#[test]
fn a_record_of_another_kind_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let record = |text: &str| {
        fs::write(dir.path().join("checkpoints.json"), text).unwrap();
        Rotation::open(dir.path(), ".safetensors", KEEP).map(|rotation| rotation.kept().len())
    };
    let of = |step: u64, file: &str| {
        format!(r#"{{"checkpoints":[{{"step":{step},"file":"{file}","score":null}}]}}"#)
    };
    assert_eq!(record(&of(7, "step-000007.safetensors")).unwrap(), 1);
    assert_eq!(record(&of(1_234_567, "step-1234567.x.y")).unwrap(), 1);
    for (step, file) in [
        (7, "step-000008.safetensors"),
        (7, "step-000007./../../x"),
        (7, "step-0000071.safetensors"),
        (7, "../x"),
        (7, "notes.txt"),
        (7, ""),
    ] {
        assert!(matches!(record(&of(step, file)), Err(Error::Record { .. })), "{file}");
    }
    let whole = of(7, "step-000007.safetensors");
    for end in 0..whole.len() {
        assert!(matches!(record(&whole[..end]), Err(Error::Record { .. })), "cut at {end}");
    }
    let large = File::options().write(true).open(dir.path().join("checkpoints.json")).unwrap();
    large.set_len(1 << 30).unwrap();
    let opened = Rotation::open(dir.path(), ".safetensors", KEEP);
    assert!(matches!(opened, Err(Error::Record { .. })));
}

#[test]
fn the_record_is_plain_json() {
    let dir = tempfile::tempdir().unwrap();
    let mut rotation = Rotation::open(dir.path(), ".safetensors", KEEP).unwrap();
    write_safetensors(rotation.path(3), &checkpoint()).unwrap();
    rotation.saved(3, Some(0.25)).unwrap();
    let text = fs::read_to_string(Path::new(dir.path()).join("checkpoints.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({"checkpoints": [
        {"step": 3, "file": "step-000003.safetensors", "score": 0.25}
    ]});
    assert_eq!(value, expected);
}

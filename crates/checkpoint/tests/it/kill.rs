//! Processes that are killed while they save, over and over.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use espalier_checkpoint::{Checkpoint, write_safetensors, write_safetensors_sharded};

use crate::names;
use crate::saving::{uniform, value_of};

const PLACE: &str = "ESPALIER_TEST_SAVE_INTO";

/// How often a process is killed.
const KILLS: u64 = 40;

fn save(dir: &Path, value: u8) {
    write_safetensors_sharded(dir.join("m"), &uniform(value), 10_000).unwrap();
    write_safetensors(dir.join("m.safetensors"), &uniform(value)).unwrap();
}

/// What a reader finds in the shards and in the single file.
fn values(dir: &Path) -> [u8; 2] {
    ["m.safetensors.index.json", "m.safetensors"]
        .map(|name| value_of(&Checkpoint::open(dir.join(name)).unwrap()))
}

/// A process that saves, and what it prints from its first save on.
fn start(dir: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::saves_until_it_is_killed", "--ignored", "--nocapture"])
        .env(PLACE, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().ends_with("saving")));
    (child, lines)
}

/// Afterwards the checkpoint is the last one whose save was over, or the one that was being saved.
#[test]
fn killed_at_many_points() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), 0);
    let mut leftovers = 0;
    for number in 0..KILLS {
        let mut over = values(dir.path());
        let (mut child, lines) = start(dir.path());
        // Spread over the time that some saves take, in steps that have no measure in common with them.
        std::thread::sleep(Duration::from_micros(number * 7_919 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // The last saves that were over.
        for line in lines.map_while(Result::ok) {
            if let Some((kind, value)) = line.split_once(" saved ") {
                over[usize::from(kind == "file")] = value.parse().unwrap();
            }
        }
        let found = values(dir.path());
        for (found, over) in found.into_iter().zip(over) {
            assert!(found == over || found == over.wrapping_add(1), "{found} after {over}");
        }
        leftovers += usize::from(names(dir.path()).len() > 7);
    }
    assert!(leftovers > 0, "no process was killed within a save");
    save(dir.path(), 200);
    assert_eq!(values(dir.path()), [200; 2]);
    assert_eq!(names(dir.path()).len(), 7);
}

/// A process is killed while another saves to the same place: that one goes on, and neither takes what the
/// other is writing for left over.
#[test]
fn killed_beside_another() {
    let dir = tempfile::tempdir().unwrap();
    save(dir.path(), 0);
    let (mut living, mut lines) = start(dir.path());
    for number in 0..KILLS / 4 {
        let (mut child, _open) = start(dir.path());
        for _ in 0..10 {
            std::thread::sleep(Duration::from_micros(number * 977 % 3_000));
            values(dir.path());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        values(dir.path());
        // It ends if a save of its own fails.
        assert!(lines.next().is_some_and(|line| line.is_ok()), "the other process has ended");
    }
    assert!(living.try_wait().unwrap().is_none(), "the other process has ended");
    living.kill().unwrap();
    living.wait().unwrap();
    save(dir.path(), 200);
    assert_eq!((values(dir.path()), names(dir.path()).len()), ([200; 2], 7));
}

#[test]
#[ignore = "the process that the tests above start and kill"]
fn saves_until_it_is_killed() {
    let dir = std::env::var(PLACE).expect("a directory");
    let dir = Path::new(&dir);
    let [mut shards, mut file] = values(dir);
    println!("saving");
    loop {
        shards = shards.wrapping_add(1);
        write_safetensors_sharded(dir.join("m"), &uniform(shards), 10_000).unwrap();
        println!("shards saved {shards}");
        file = file.wrapping_add(1);
        write_safetensors(dir.join("m.safetensors"), &uniform(file)).unwrap();
        println!("file saved {file}");
    }
}

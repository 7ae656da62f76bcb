//! The program on whole files against a copy of the file, against reading it once, and against PyTorch: a file of a
//! gibibyte of single-precision numbers in 32 tensors, and files of half as much of `bf16` and `f16`.
//!
//! `ESPALIER_PROGRAM` names the program, or it is the one in `target/release`: build it first. With
//! `ESPALIER_LARGE=1` the memory for a file of 8 GiB is shown too; it is left out otherwise, and that is said.
#![allow(missing_docs)]

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use espalier_bench::{Contest, Row, Table, Times, rounds, timed, wanted};
use espalier_checkpoint::{Checkpoint, Dtype, NamedTensor, write_safetensors};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error>;

const TENSORS: usize = 32;

/// Turns of what takes a second, and of what takes ten.
const ROUNDS: usize = 9;
const SLOW_ROUNDS: usize = 3;

/// The most memory that pruning may take, in KiB.
const MEMORY: u64 = 256 << 10;

/// The longest that `inspect --headers` may take, in seconds.
const HEADERS: f64 = 0.05;

/// Sums of four uniform numbers: no file system finds a shorter form for them.
fn write(path: &Path, dtype: Dtype, mebibytes: usize) -> Result<(), Failure> {
    let width = dtype.size_bits() / 8;
    let numel = (mebibytes << 20) / TENSORS / width;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let sum: u64 = (0..4).map(|i| state >> (16 * i) & 0xffff).sum();
        (sum as f32 / 65536.0 - 2.0) / 16.0
    };
    let mut checkpoint = Checkpoint::new();
    for index in 0..TENSORS {
        let mut bytes = Vec::with_capacity(numel * width);
        for _ in 0..numel {
            let x = next();
            match dtype {
                Dtype::F16 => bytes.extend(half::f16::from_f32(x).to_le_bytes()),
                Dtype::BF16 => bytes.extend(half::bf16::from_f32(x).to_le_bytes()),
                _ => bytes.extend(x.to_le_bytes()),
            }
        }
        let shape = vec![numel / 1024, 1024];
        checkpoint.push(NamedTensor::new(format!("layer.{index}.weight"), dtype, shape, bytes)?)?;
    }
    write_safetensors(path, &checkpoint)?;
    Ok(())
}

fn program() -> Result<PathBuf, Failure> {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/espalier");
    let path = std::env::var_os("ESPALIER_PROGRAM").map_or_else(built, PathBuf::from);
    if path.is_file() {
        Ok(path)
    } else {
        let path = path.display();
        Err(format!(
            "{path} is not there: cargo build --release -p espalier-cli, or ESPALIER_PROGRAM"
        )
        .into())
    }
}

/// Runs a command to its end; it has to succeed.
fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let done = status.is_ok_and(|status| status.success());
    assert!(done, "{command:?} failed");
}

fn read_once(path: &Path) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; 1 << 20]);
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The most memory that a command holds, in KiB.
fn peak(command: &mut Command) -> io::Result<u64> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait()?.is_none() {
        // It never falls; the last look is a few milliseconds before the end.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = found.unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(most)
}

struct Files {
    program: PathBuf,
    folder: PathBuf,
    mebibytes: usize,
    table: Table,
}

impl Files {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn row(
        &mut self,
        case: &str,
        peer: &str,
        (ours, theirs): (&Times, &Times),
        target: Option<f64>,
    ) {
        self.table.0.push(Row {
            case: case.to_owned(),
            peer: peer.to_owned(),
            ours: ours.clone(),
            theirs: theirs.clone(),
            target,
        });
    }

    /// `prune --amount 0.5` of a file into another.
    fn prune(&self, input: &Path, output: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("prune")
            .arg(input)
            .args(["--amount", "0.5", "--force", "-q", "-o"])
            .arg(output);
        command
    }

    fn inspect(&self, name: &str, options: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("inspect").arg(self.at(name)).args(options).arg("-q");
        command
    }

    fn pruning(&mut self, contest: &Contest) {
        let (input, out, copy) =
            (self.at("f32.safetensors"), self.at("out.safetensors"), self.at("copy"));
        let once = |mut work: Box<dyn FnMut()>| move |n| timed(n, &mut *work);
        let mut prune = self.prune(&input, &out);
        let mut dry = Command::new(&self.program);
        dry.arg("prune").arg(&input).args(["--amount", "0.5", "--dry-run", "-q"]);
        let cp = |from: &Path, to: &Path| {
            let mut cp = Command::new("cp");
            cp.arg(from).arg(to);
            cp
        };
        let (mut copied, mut synced) = (cp(&input, &copy), cp(&input, &copy));
        let file = input.clone();
        let times = rounds(
            ROUNDS,
            &mut [
                &mut once(Box::new(move || run(&mut prune))),
                &mut once(Box::new(move || run(&mut copied))),
                &mut once(Box::new(move || {
                    run(&mut synced);
                    let done = File::open(&copy).and_then(|file| file.sync_all());
                    assert!(done.is_ok(), "{done:?}");
                })),
                &mut once(Box::new(move || run(&mut dry))),
                &mut once(Box::new(move || assert!(read_once(&file).is_ok()))),
            ],
        );
        self.row("prune", "cp", (&times[0], &times[1]), Some(2.5));
        self.row("prune", "cp, fsync", (&times[0], &times[2]), None);
        self.row("prune --dry-run", "reading once", (&times[3], &times[4]), None);
        if contest.has("PyTorch") {
            let case = format!("file/prune/{}", self.mebibytes);
            let mut prune = self.prune(&input, &out);
            let mut ours = once(Box::new(move || run(&mut prune)));
            let times = rounds(SLOW_ROUNDS, &mut [&mut ours, &mut |n| contest.run(&case, n)]);
            self.row("prune", "PyTorch: load, prune, save", (&times[0], &times[1]), Some(0.125));
        }
    }

    fn inspecting(&mut self) {
        let [mut single, mut half, mut brain] =
            ["f32", "f16", "bf16"].map(|name| self.inspect(&format!("{name}.safetensors"), &[]));
        let mut headers = self.inspect("f32.safetensors", &["--headers"]);
        let file = self.at("f32.safetensors");
        let times = rounds(
            ROUNDS,
            &mut [
                &mut |n| timed(n, || run(&mut single)),
                &mut |n| timed(n, || run(&mut half)),
                &mut |n| timed(n, || run(&mut brain)),
                &mut |n| timed(n, || run(&mut headers)),
                &mut |n| timed(n, || assert!(read_once(&file).is_ok())),
            ],
        );
        self.row("inspect", "reading once", (&times[0], &times[4]), Some(1.5));
        let half = times[0].scaled(0.5);
        self.row("inspect of f16", "half of that of f32", (&times[1], &half), Some(1.0));
        self.row("inspect of bf16", "half of that of f32", (&times[2], &half), Some(1.0));
        let (took, verdict) = (times[3].median(), |met| if met { "met" } else { "missed" });
        println!(
            "inspect --headers: {:.1} ms, target 50 ms: {}",
            took * 1e3,
            verdict(took <= HEADERS)
        );
    }

    fn memory(&self, name: &str) -> io::Result<()> {
        let most = peak(&mut self.prune(&self.at(name), &self.at("out.safetensors")))?;
        let verdict = if most <= MEMORY { "met" } else { "missed" };
        println!(
            "prune of {name}: {} MiB of memory at most, target {} MiB: {verdict}",
            most >> 10,
            MEMORY >> 10
        );
        Ok(())
    }
}

fn all(folder: &Path, mebibytes: usize) -> Result<(), Failure> {
    let start = Instant::now();
    let program = program()?;
    for (name, dtype, size) in [
        ("f32", Dtype::F32, mebibytes),
        ("f16", Dtype::F16, mebibytes / 2),
        ("bf16", Dtype::BF16, mebibytes / 2),
    ] {
        write(&folder.join(format!("{name}.safetensors")), dtype, size)?;
    }
    println!(
        "{mebibytes} MiB, made in {:.0} s; {}",
        start.elapsed().as_secs_f64(),
        program.display()
    );
    let contest = Contest::start();
    let folder = folder.to_owned();
    let mut files = Files { program, folder, mebibytes, table: Table::default() };
    if wanted("inspect") {
        files.inspecting();
    }
    if wanted("prune") {
        files.pruning(&contest);
    }
    if wanted("memory") {
        files.memory("f32.safetensors")?;
        if std::env::var_os("ESPALIER_LARGE").is_some() {
            write(&files.at("large.safetensors"), Dtype::F32, 8 << 10)?;
            files.memory("large.safetensors")?;
        } else {
            println!("the file of 8 GiB is left out; ESPALIER_LARGE=1 brings it in");
        }
    }
    println!("\n{}", files.table);
    Ok(())
}

fn main() {
    // The size in MiB, for machines with little memory; the folder is on the disk that is measured.
    let size = std::env::var("ESPALIER_MEBIBYTES").ok().and_then(|size| size.parse().ok());
    let folder = std::env::temp_dir().join(format!("espalier-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let result = all(&folder, size.unwrap_or(1024));
    // What was written is of no use to anyone.
    let removed = fs::remove_dir_all(&folder);
    result.unwrap_or_else(|error| panic!("{error}"));
    removed.unwrap_or_else(|error| panic!("{error}"));
}

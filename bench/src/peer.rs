//! A peer in a process of its own, which waits while it is not its turn.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running peer program.
///
/// It is told `CASE ITERATIONS` on a line and answers with the seconds of one iteration. Its first
/// line names it and its version.
pub struct Peer {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts the peer with this Python.
    ///
    /// # Errors
    ///
    /// If the interpreter does not start or lacks what the script imports.
    pub fn start(python: &Path) -> io::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the peer has no pipe");
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?);
        let mut peer = Self { name: String::new(), child, input, output };
        peer.name = peer.line()?;
        Ok(peer)
    }

    /// The peer's name and version: `PyTorch 2.15.0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has ended"));
        }
        Ok(line.trim().to_owned())
    }

    /// Seconds of one iteration of `case`, NaN if the peer fails.
    pub fn run(&mut self, case: &str, iterations: usize) -> f64 {
        let asked = writeln!(self.input, "{case} {iterations}").and_then(|()| self.input.flush());
        let answer = asked.and_then(|()| self.line());
        answer.ok().and_then(|line| line.parse().ok()).unwrap_or(f64::NAN)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

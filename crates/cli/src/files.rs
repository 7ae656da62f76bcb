//! What is shown of an operation on files while it goes on, and how it is stopped.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use espalier_files::Observer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::{CliError, FAILURE};
use crate::terminal::{Console, to_stderr};

/// Shows a bar of bytes with rate and time left, and cancels on Ctrl-C.
pub(crate) struct Watch {
    bar: Mutex<ProgressBar>,
    live: bool,
    unicode: bool,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// With a bar where standard error can show one and `quiet` does not forbid it.
    pub(crate) fn new(quiet: bool, console: &Console) -> Result<Arc<Self>, CliError> {
        let bar = Mutex::new(ProgressBar::hidden());
        let stop = stop_on_ctrl_c()?;
        Ok(Arc::new(Self { bar, live: console.live && !quiet, unicode: console.unicode, stop }))
    }

    /// Takes the bar away.
    pub(crate) fn close(&self) {
        self.bar().finish_and_clear();
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, ProgressBar> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Watch {
    fn begin(&self, part: &'static str, bytes: u64) {
        let mut bar = self.bar();
        bar.finish_and_clear();
        if self.live {
            *bar = drawn(part, bytes, self.unicode);
        }
    }

    fn advance(&self, bytes: u64) {
        self.bar().inc(bytes);
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn drawn(part: &'static str, bytes: u64, unicode: bool) -> ProgressBar {
    let template = "{msg}  {wide_bar:.green} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars(if unicode { "━╸ " } else { "=> " });
    ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr())
        .with_style(style)
        .with_message(part)
}

/// A flag that is set by the first Ctrl-C. The second one ends the program there and then, whatever
/// it waits for.
pub(crate) fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(FAILURE));
        }
    })?;
    Ok(stop)
}

/// A message on standard error, unless `quiet`.
pub(crate) fn message(quiet: bool, text: &str) {
    if !quiet {
        to_stderr(&format!("{}\n", crate::terminal::harmless(text)));
    }
}

/// The first names, and how many more there are.
pub(crate) fn listed(names: &[impl AsRef<str>], most: usize) -> String {
    let first: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(most) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// So many tensors, in words.
pub(crate) fn tensors(count: usize) -> String {
    if count == 1 { "1 tensor".to_owned() } else { format!("{count} tensors") }
}

//! Chromium without a window, led through a pipe.
//!
//! With `--remote-debugging-pipe` it reads commands of the DevTools protocol from descriptor 3 and writes answers and events
//! to descriptor 4, each a JSON object that ends with a zero byte
//! (<https://chromedevtools.github.io/devtools-protocol/>). A shell puts its standard streams there.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long an answer may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page, which ends with the test, however that ends.
pub(crate) struct Chromium {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What the page complained of: errors in its console, exceptions, what its policy forbade.
    pub(crate) complaints: Vec<String>,
    loads: usize,
    _profile: TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Both fail if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where it is: what `ESPALIER_CHROMIUM` says, or in the path.
fn program() -> Option<String> {
    let said = env::var("ESPALIER_CHROMIUM").ok();
    let names = said.as_deref().map_or(vec!["chromium", "chromium-browser"], |said| vec![said]);
    let runs = |name: &&str| {
        let version = Command::new(name).arg("--version").stderr(Stdio::null()).output();
        version.is_ok_and(|found| found.status.success())
    };
    let found = names.into_iter().find(runs).map(str::to_owned);
    assert!(said.is_none() || found.is_some(), "ESPALIER_CHROMIUM is no program that runs");
    found
}

impl Chromium {
    /// Nothing, and a word about it, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!(
                "skipped: there is no chromium to open the page in; install it or set ESPALIER_CHROMIUM"
            );
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", &program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let (send, messages) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let sent = serde_json::from_slice(&message).map(|message| send.send(message));
                if !matches!(sent, Ok(Ok(()))) {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            session: None,
            last: 0,
            complaints: Vec::new(),
            loads: 0,
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// A command and its answer.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&command).unwrap();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let message = self.next();
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
        }
    }

    /// The next message, noted if it is an event.
    fn next(&mut self) -> Value {
        let message = self.messages.recv_timeout(PATIENCE).unwrap();
        let said = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loads += 1,
            Some("Runtime.exceptionThrown") => self.complaints.push(said.to_string()),
            Some("Runtime.consoleAPICalled") if said["type"] == "error" => {
                self.complaints.push(said.to_string());
            }
            Some("Log.entryAdded") if said["entry"]["level"] == "error" => {
                self.complaints.push(said.to_string());
            }
            _ => {}
        }
        message
    }

    /// Opens a file and waits until it is drawn.
    pub(crate) fn open(&mut self, path: &Path) {
        let before = self.loads;
        let url = format!("file://{}", path.display());
        let answer = self.call("Page.navigate", json!({ "url": url }));
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        while self.loads == before {
            self.next();
        }
        assert_eq!(self.of("document.documentElement.dataset.ready"), "", "{:?}", self.complaints);
    }

    /// The value of an expression in the page, awaited if it is a promise.
    pub(crate) fn of(&mut self, expression: &str) -> Value {
        let wanted =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", wanted);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].clone()
    }

    /// Waits until two frames are drawn.
    pub(crate) fn settle(&mut self) {
        self.of("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))");
    }

    /// Presses a key that has a name, such as `Enter`.
    pub(crate) fn press(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        let down = json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", down);
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", up);
        self.settle();
    }

    /// Types a text where the focus is.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
        self.settle();
    }

    /// Sets the width of the page, as of a phone if it is narrow.
    pub(crate) fn width(&mut self, width: u32) {
        let wanted = json!({
            "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", wanted);
        self.settle();
    }

    /// Says which colours the system prefers: `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
        self.settle();
    }
}

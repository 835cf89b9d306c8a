//! Runs the binary in its own directory and environment, and sends it HTTP requests.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{self as blocking, Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

pub(crate) use super::http::{BOUND, client, fetch as get};
use super::process::resident;

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

/// The binary with an empty environment.
pub(crate) fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wx-jssdk"));
    command
        .args(arguments)
        .current_dir(home)
        .env_clear()
        .kill_on_drop(true);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `serve --sandbox` with all three listeners on free ports.
pub(crate) fn serve_sandbox_command(home: &Path) -> Command {
    const FREE: &str = "127.0.0.1:0";
    let listeners = [
        "--listen",
        FREE,
        "--admin-listen",
        FREE,
        "--sandbox-listen",
        FREE,
    ];
    command(home, &[&["serve", "--sandbox"], &listeners[..]].concat())
}

/// Starts `serve` with the `wx-jssdk.toml` of this directory, for tests that also end it outside of a runtime. Its log
/// goes to `stderr`. Returns the process, and a reader of the text after a name at the start of a printed line.
pub(crate) fn serve(
    home: &Path,
    stderr: Stdio,
) -> (blocking::Child, impl FnMut(&str) -> String + use<>) {
    let program = std::env::var_os("JSSDK_TEST_BIN");
    let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_wx-jssdk").into());
    let mut child = blocking::Command::new(program)
        .args(["serve", "--config", "wx-jssdk.toml"])
        .current_dir(home)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let (printed, lines) = mpsc::channel();
    let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = printed.send(line);
        }
    });
    let line = move |name: &str| {
        let mut found = lines.iter().filter_map(|line| {
            let rest = line.strip_prefix(name)?.trim();
            Some(rest.to_owned())
        });
        found.next().unwrap_or_else(|| panic!("no line {name}"))
    };
    (child, line)
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let ended = Self {
            code: output.status.code().expect("an exit code and no signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

/// Makes a FIFO, which blocks its reader until there is a writer.
pub(crate) fn make_fifo(path: &Path) {
    let mut mkfifo = blocking::Command::new("mkfifo");
    let made = mkfifo.args(["-m", "600"]).arg(path).status();
    assert!(made.unwrap().success());
}

pub(crate) async fn run_command(mut command: Command) -> Ended {
    timeout(BOUND, command.output())
        .await
        .expect("it ends")
        .unwrap()
        .into()
}

pub(crate) async fn run_in(home: &Path, arguments: &[&str]) -> Ended {
    run_command(command(home, arguments)).await
}

/// In an empty directory.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    run_in(tempfile::tempdir().unwrap().path(), arguments).await
}

pub(crate) async fn run_with_stdin(arguments: &[&str], input: &str) -> Ended {
    let home = tempfile::tempdir().unwrap();
    run_with_input(command(home.path(), arguments), input).await
}

pub(crate) async fn run_with_input(mut command: Command, input: &str) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that needs no input may have ended before it was written.
    if let Err(error) = child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .await
    {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "{error}");
    }
    timeout(BOUND, child.wait_with_output())
        .await
        .expect("it ends")
        .unwrap()
        .into()
}

/// The lines that a process writes. They are read as they come, so that it never finds its pipe full.
fn lines_of(pipe: impl AsyncRead + Send + Unpin + 'static) -> UnboundedReceiver<String> {
    let (heard, lines) = unbounded_channel();
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = pipe.next_line().await {
            let _ = heard.send(line);
        }
    });
    lines
}

/// All lines to the end.
async fn rest_of(lines: &mut UnboundedReceiver<String>) -> String {
    let mut text = String::new();
    while let Some(line) = lines.recv().await {
        text += &format!("{line}\n");
    }
    text
}

/// A command that runs until it is told to stop.
pub(crate) struct Running {
    child: Child,
    stdout: UnboundedReceiver<String>,
    stderr: UnboundedReceiver<String>,
    printed: String,
    logged: String,
}

impl Running {
    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.pid())
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self {
            child,
            stdout: lines_of(stdout),
            stderr: lines_of(stderr),
            printed: String::new(),
            logged: String::new(),
        }
    }

    /// Returns the next line that begins with `name`, without the name.
    pub(crate) async fn line(&mut self, name: &str) -> String {
        loop {
            let line = timeout(BOUND, self.stdout.recv())
                .await
                .expect("a line in time");
            let Some(line) = line else {
                let stderr = rest_of(&mut self.stderr).await;
                panic!("it ended without a line {name}: {stderr}");
            };
            self.printed += &format!("{line}\n");
            if let Some(rest) = line.strip_prefix(name) {
                return rest.trim().to_owned();
            }
        }
    }

    /// Returns the text after `name` in a line that was read before.
    pub(crate) fn printed(&self, name: &str) -> String {
        let line = self
            .printed
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.printed))
            .trim()
            .to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until a signal has ended it.
    pub(crate) async fn gone(mut self) {
        assert_eq!(
            timeout(BOUND, self.child.wait())
                .await
                .expect("it ends")
                .unwrap()
                .code(),
            None,
            "a signal ends it"
        );
    }

    /// Sends SIGTERM.
    pub(crate) async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    /// The next line on stderr that holds `words`.
    pub(crate) async fn log_line(&mut self, words: &str) -> String {
        loop {
            let line = timeout(BOUND, self.stderr.recv())
                .await
                .expect("a line in time");
            let line =
                line.unwrap_or_else(|| panic!("it ended without a line {words}: {}", self.logged));
            self.logged += &format!("{line}\n");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits for its end and returns its whole output.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = timeout(BOUND, async {
            self.printed += &rest_of(&mut self.stdout).await;
            self.logged += &rest_of(&mut self.stderr).await;
            self.child.wait().await.unwrap()
        });
        let code = status
            .await
            .expect("it ends")
            .code()
            .expect("an exit code and no signal");
        assert!(!self.logged.contains("panicked"), "{}", self.logged);
        Ended {
            code,
            stdout: self.printed,
            stderr: self.logged,
        }
    }

    pub(crate) async fn stop(self) -> Ended {
        self.terminate().await;
        self.ended().await
    }
}

pub(crate) async fn get_json(url: &str) -> Value {
    let (status, body) = get(url).await;
    assert_eq!(status, 200, "{url}: {body}");
    serde_json::from_str(&body).unwrap()
}

pub(crate) async fn post(url: &str, body: &str) {
    let answer = client()
        .post(url)
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{url}");
}

pub(crate) fn is_bilingual(text: &str) -> bool {
    let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    chinese
        && text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| word.len() > 2)
            .count()
            >= 2
}

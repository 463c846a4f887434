//! The product's binaries as child processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that takes a moment.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// The folder of the binaries, built from the present sources once for each run of the tests.
fn binaries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let exe = std::env::current_exe().expect("the test knows its own path");
        let folder = exe.parent().and_then(Path::parent).expect("target/PROFILE/deps/product").to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "roamline", "--package", "roamctl"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let target = folder.parent().expect("target/PROFILE");
        let status = build.env("CARGO_TARGET_DIR", target).status().expect("cargo runs");
        assert!(status.success(), "the binaries do not build");
        folder
    })
}

fn command(name: &str, home: &Path) -> Command {
    program(&binaries().join(name), home)
}

/// A program of the product, of whichever release, in an environment without settings of whoever runs the tests.
pub(crate) fn program(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("ROAMLINE_") {
            command.env_remove(key);
        }
    }
    for key in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
        command.env_remove(key);
    }
    command.env("HOME", home).env("NO_COLOR", "1").current_dir(home);
    command
}

/// The server's binary.
pub(crate) fn server_binary() -> PathBuf {
    binaries().join("roamline")
}

/// `roamline` with these arguments; it has not been started.
pub(crate) fn roamline(home: &Path) -> Command {
    command("roamline", home)
}

/// A home directory: the data directory of the server in it, and what `roamctl` keeps.
pub(crate) struct Site {
    home: TempDir,
    options: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A running server. It is killed when the value is dropped.
pub(crate) struct Server {
    child: Child,
    /// Address of the API: `http://127.0.0.1:PORT`.
    pub(crate) api: String,
    /// Address of the admin port.
    pub(crate) admin: String,
    /// Everything it said before it was ready.
    pub(crate) report: String,
    /// From its start to the end of the report.
    pub(crate) ready_after: Duration,
}

impl Site {
    /// An empty home.
    pub(crate) fn new() -> Self {
        let home = TempDir::new().expect("a directory for the test");
        Self { home, options: Vec::new(), environment: Vec::new() }
    }

    /// An empty home whose server keeps everything in that PostgreSQL database, which it brings up to date itself.
    pub(crate) fn on_postgres(url: &str) -> Self {
        Self::new().set("STORE__URL", url).set("STORE__MIGRATE", "auto")
    }

    /// As [`Site::on_postgres`], with live sessions in that Redis.
    pub(crate) fn on_redis(postgres: &str, redis: &str) -> Self {
        Self::on_postgres(postgres).set("REDIS__URL", redis)
    }

    /// One setting of the server more: `SECTION__KEY`.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.environment.push((format!("ROAMLINE_{key}"), value.into()));
        self
    }

    /// More arguments for `roamline up`.
    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Where everything is.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// `roamline up` on free ports, not yet started.
    pub(crate) fn up(&self) -> Command {
        self.up_on("127.0.0.1:0")
    }

    /// `roamline up` with its API on that address, not yet started.
    pub(crate) fn up_on(&self, listen: &str) -> Command {
        let mut command = roamline(self.home());
        command.args(["up", "--listen", listen, "--admin-listen", "127.0.0.1:0", "--data"]);
        command.arg(self.data()).args(&self.options).envs(self.environment.iter().cloned());
        command
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|output| panic!("the server did not start: {output}"))
    }

    /// Starts the server; what it said when it ended instead of becoming ready.
    pub(crate) fn try_start(&self) -> Result<Server, String> {
        start(self.up())
    }

    /// Runs `roamctl` to its end.
    pub(crate) fn roamctl(&self, arguments: &[&str]) -> Output {
        self.roamctl_with_input(arguments, "")
    }

    /// Runs `roamctl` to its end with a text on standard input.
    pub(crate) fn roamctl_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .roamctl_command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("roamctl starts");
        // That roamctl does not read its input is not this test's affair.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("roamctl ends")
    }

    /// `roamctl` for this site's server, not yet started.
    pub(crate) fn roamctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = command("roamctl", self.home());
        command.arg("--data").arg(self.data()).args(arguments);
        command
    }

    /// The JSON that a successful `roamctl` wrote.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.json_with_input(arguments, "")
    }

    /// The JSON that a successful `roamctl` wrote, given a text on standard input.
    pub(crate) fn json_with_input(&self, arguments: &[&str], input: &str) -> Value {
        let mut all = vec!["-o", "json"];
        all.extend(arguments);
        let output = self.roamctl_with_input(&all, input);
        assert!(output.status.success(), "roamctl {arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("roamctl {arguments:?} wrote no JSON ({error}): {}", text(&output))
        })
    }
}

/// Starts a server command and waits until it is ready.
pub(crate) fn start(mut command: Command) -> Result<Server, String> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("roamline starts");
    let errors = lines(child.stderr.take().expect("piped"));
    let out = lines(child.stdout.take().expect("piped"));
    let mut report = String::new();
    loop {
        match out.recv_timeout(WITHIN) {
            Ok(line) => {
                report.push_str(&line);
                report.push('\n');
                // The report ends with what to try next.
                if line.starts_with("  cargo run") {
                    break;
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("it ended");
                let said: Vec<_> = errors.iter().collect();
                return Err(format!("{status}: {}", said.join("\n")));
            }
            Err(RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                return Err(format!("not ready within {WITHIN:?}; so far: {report}"));
            }
        }
    }
    let ready_after = started.elapsed();
    let address = |word: &str| {
        let line = report.lines().find(|line| line.trim_start().starts_with(word)).expect("its addresses");
        line.split_whitespace().nth(1).expect("an address").to_owned()
    };
    Ok(Server { api: address("API"), admin: address("admin"), child, report: report.clone(), ready_after })
}

/// Starts a server command and kills it after that time, ready or not.
pub(crate) fn kill_after(mut command: Command, time: Duration) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("roamline starts");
    let out = lines(child.stdout.take().expect("piped"));
    let until = Instant::now() + time;
    while out.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
    let _ = child.kill();
    child.wait().expect("it ends");
}

impl Server {
    /// The most memory that it has had at once, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("in KiB") << 10
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(status.success());
        self.child.wait().expect("it ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything a process said.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a process said on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of a stream as they come; it is read to its end.
pub(crate) fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                // Nobody listens any more, but the pipe must not fill up.
                continue;
            }
        }
    });
    receiver
}

/// A phone in a terminal that nobody looks at: `roamctl phone run --plain`. It is ended when the value is dropped.
pub(crate) struct Phone {
    child: Child,
    keys: ChildStdin,
    events: Receiver<String>,
    seen: Vec<Value>,
}

impl Phone {
    /// Takes a phone into operation.
    pub(crate) fn run(site: &Site, name: &str) -> Self {
        let mut child = site
            .roamctl_command(&["phone", "run", "--plain", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("roamctl starts");
        let out: ChildStdout = child.stdout.take().expect("piped");
        Self { keys: child.stdin.take().expect("piped"), events: lines(out), child, seen: Vec::new() }
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: impl AsRef<OsStr>) {
        let key = key.as_ref().to_string_lossy().into_owned();
        writeln!(self.keys, "{key}").expect("the phone reads its keys");
    }

    /// Waits for an event that fits, in time; what came before it is passed over.
    pub(crate) fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + WITHIN;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self
                .events
                .recv_timeout(left)
                .unwrap_or_else(|error| panic!("no {what} ({error}); the phone said {:#?}", self.seen));
            let event: Value = serde_json::from_str(&line).expect("the phone speaks JSON");
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    /// Waits until the phone has acknowledged what it wears with that user signed in, or with nobody.
    pub(crate) fn wait_until_worn(&mut self, user: Option<&str>) -> Value {
        let user = user.unwrap_or_default().to_owned();
        self.wait_for(&format!("acknowledgement with user {user:?}"), |event| {
            event["event"] == "acknowledged" && event["user"].as_str().unwrap_or_default() == user
        })
    }

    /// Everything it said so far that nobody waited for.
    pub(crate) fn said(&mut self) -> Vec<Value> {
        while let Ok(line) = self.events.try_recv() {
            self.seen.push(serde_json::from_str(&line).expect("the phone speaks JSON"));
        }
        self.seen.clone()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

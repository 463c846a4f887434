//! The image, running: with its own user, on a root that cannot be written, with a folder for its data, and with nothing of
//! this machine but the network.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Config, names};
use crate::step::{answer, run};

/// How long the server may take to be ready.
const WITHIN: Duration = Duration::from_secs(60);

/// An agent of the demo site, his password, and a phone.
const AGENT: (&str, &str, &str) = ("1001", "41001", "SEP02005E005302");

/// What it is told of its certificate.
const TLS: [(&str, &str); 2] = [
    ("ROAMLINE_SERVER__TLS__CERTIFICATE_FILE", "/var/lib/roamline/server.crt"),
    ("ROAMLINE_SERVER__TLS__KEY_FILE", "/var/lib/roamline/server.key"),
];

/// Starts a program in a root that cannot be written: the arguments are the root, what is laid over it, the user, and the
/// program with its own arguments.
const INSIDE: &str = r#"
root=$1 over=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$over/data" "$root/var/lib/roamline"
for file in etc/hosts etc/resolv.conf etc/ssl/certs/ca-certificates.crt; do
    mount --bind "$over/${file##*/}" "$root/$file"
done
for device in null random urandom; do
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" "$root" "$@"
"#;

/// A root to start programs in.
pub(super) struct Root {
    root: PathBuf,
    over: PathBuf,
    config: Config,
}

impl Root {
    /// Puts into the root what whoever runs images puts there, and beside it what is laid over it: hosts, servers of names,
    /// authorities, data. Of devices there are those that all of them give; a static program has its randomness there.
    pub(super) fn prepare(root: PathBuf, over: &Path, config: Config) -> Result<Self> {
        if over.exists() {
            std::fs::remove_dir_all(over).context("cannot remove what was tried before")?;
        }
        std::fs::create_dir_all(over.join("data"))?;
        std::fs::create_dir_all(root.join("dev"))?;
        for file in ["etc/hosts", "etc/resolv.conf", "dev/null", "dev/random", "dev/urandom"] {
            std::fs::write(root.join(file), "")?;
        }
        std::fs::write(over.join("hosts"), "127.0.0.1 localhost\n")?;
        std::fs::write(over.join("resolv.conf"), format!("nameserver {}\n", names::SERVER))?;
        let prepared = Self { root, over: over.to_owned(), config };
        prepared.certify()?;
        run(Command::new("chown").args(["-R", &prepared.config.user]).arg(over.join("data")))?;
        Ok(prepared)
    }

    /// A certificate for the one name, by an authority that is one of the system's, in the root.
    fn certify(&self) -> Result<()> {
        let openssl = |words: &str| {
            let mut openssl = Command::new("openssl");
            answer(openssl.current_dir(self.over.join("data")).args(words.split_whitespace()))
        };
        let made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
        openssl(&format!("{made} -subj /CN=Tried -keyout ca.key -out ca.crt"))?;
        openssl(&format!(
            "{made} -CA ca.crt -CAkey ca.key -subj /CN=server -keyout server.key -out server.crt \
             -addext subjectAltName=DNS:{} -addext basicConstraints=critical,CA:FALSE",
            names::NAME
        ))?;
        let bundle = "ca-certificates.crt";
        let mut authorities = std::fs::read(self.root.join("etc/ssl/certs").join(bundle))?;
        authorities.extend(std::fs::read(self.over.join("data/ca.crt"))?);
        std::fs::write(self.over.join(bundle), authorities).context("cannot write the authorities")
    }

    /// A program in the root, with the user and the variables of the image.
    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-euc", INSIDE, "sh"]).arg(&self.root).arg(&self.over);
        command.arg(&self.config.user).args(words).env_clear();
        command.envs(self.config.env.iter().filter_map(|variable| variable.split_once('=')));
        command
    }

    /// Starts the server, and signs an agent in from inside the image: by a name that is asked for, over TLS, in SQLite, with
    /// a time zone that is in no file.
    pub(super) fn try_it(&self) -> Result<()> {
        names::serve()?;
        let [entrypoint] = self.config.entrypoint.as_slice() else {
            bail!("the image starts more than one word")
        };
        let up =
            [entrypoint.as_str(), "up", "--demo", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let server = Server::start(self.inside(&up).envs(TLS))?;
        server.see_who_it_is(&self.config.user)?;
        let roamctl = |words: &str, input: &str| {
            let words: Vec<_> = words.split(' ').collect();
            let address = server.api.replace("127.0.0.1", names::NAME);
            let whole =
                [&["/usr/local/bin/roamctl", "--output", "json", "--server", &address], &words[..]].concat();
            let mut roamctl = self.inside(&whole);
            if words.starts_with(&["parameters"]) {
                roamctl.env("ROAMLINE_CREDENTIALS", "/var/lib/roamline/admin.toml");
            }
            answer_to(&mut roamctl, input)
                .with_context(|| format!("roamctl {} in the image", words.join(" ")))
        };
        roamctl("parameters set time_zone=America/Sao_Paulo", "")?;
        let (agent, password, phone) = AGENT;
        roamctl(&format!("sign-in {agent} --secret-file -"), password)?;
        let session = roamctl(&format!("login {agent} --phone {phone} --with-token"), "")?;
        ensure!(session.contains(phone), "the login has been answered with {session}");
        roamctl(&format!("logout --phone {phone}"), "")?;
        server.stop()?;
        println!(
            "    as user {} on a root that cannot be written: signed in, logged in and out at {phone}",
            self.config.user
        );
        Ok(())
    }
}

/// The server in it. It is killed when the value is dropped.
struct Server {
    child: Child,
    api: String,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run unshare")?;
        let out = child.stdout.take().context("its output is not read")?;
        let mut server = Self { child, api: String::new() };
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // It is read to its end, whether or not anybody wants it.
                let _ = sender.send(line);
            }
        });
        let until = Instant::now() + WITHIN;
        while !server.api.starts_with("https://127.0.0.1:") {
            let left = until.saturating_duration_since(Instant::now());
            let line =
                said.recv_timeout(left).context("the server in the image does not say where it listens")?;
            let mut words = line.split_whitespace();
            if words.next() == Some("API") {
                server.api = words.next().unwrap_or_default().to_owned();
            }
        }
        Ok(server)
    }

    /// That it is that user, may never be more, and cannot write its root: as the kernel has it.
    fn see_who_it_is(&self, user: &str) -> Result<()> {
        let about = |file: &str| {
            let path = format!("/proc/{}/{file}", self.child.id());
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (status, mounts) = (about("status")?, about("mountinfo")?);
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|line| line.split_whitespace().collect::<Vec<_>>()).unwrap_or_default()
        };
        let (uid, gid) = user.split_once(':').context("the user of the image has no group")?;
        ensure!(field("Uid") == [uid; 4] && field("Gid") == [gid; 4], "it runs as {:?}", field("Uid"));
        ensure!(field("CapEff") == ["0000000000000000"], "it may do more than a user: {:?}", field("CapEff"));
        ensure!(field("NoNewPrivs") == ["1"], "it could become somebody else");
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|mount| mount.get(4) == Some(&"/"));
        let options = root.as_ref().and_then(|mount| mount.get(5)).context("it has no root")?;
        ensure!(options.split(',').any(|option| option == "ro"), "it could write its root: {options}");
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        run(Command::new("kill").arg(self.child.id().to_string()))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it has ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program says that succeeds, given something on standard input.
fn answer_to(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It may not want to read it.
    let _ = child.stdin.take().context("no input")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

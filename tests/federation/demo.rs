//! Two clusters in one process, as the tour of the README begins them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::process::{Site, server_binary};
use crate::world::until;

/// `roamctl` for the server of that data directory, run to its end with a text on standard input.
fn roamctl(site: &Site, data: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut command = Command::new(server_binary().with_file_name("roamctl"));
    command.env("HOME", site.home()).env("NO_COLOR", "1").arg("--data").arg(data).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // That it does not read its input is not this test's affair.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_3_an_agent_of_one_demo_cluster_sits_down_at_a_phone_of_the_other() {
    let site = Site::new().with(&["--demo", "--clusters", "2"]);
    let _server = site.start();
    let (first, second) = (site.data(), site.data().join("local-2"));
    let login = ["login", "1001", "--phone", "SEP02005E005402", "--secret-file", "-"];
    until("the clusters know each other's users", async || {
        roamctl(&site, &second, &login, "41001\n").status.success()
    })
    .await;
    let halves = |data: &Path| {
        let output = roamctl(&site, data, &["peer", "sessions"], "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for (data, other) in [(&first, "local-2"), (&second, "local")] {
        let halves = halves(data);
        assert!(["1001", "SEP02005E005402", other].iter().all(|word| halves.contains(word)), "{halves}");
    }
    assert!(halves(&first).contains("EMCC"), "the home half has a base device: {}", halves(&first));
    let logout = roamctl(&site, &second, &["logout", "--phone", "SEP02005E005402"], "");
    assert!(logout.status.success(), "{logout:?}");
    until("both halves have ended", async || {
        [&first, &second].iter().all(|data| !halves(data).contains("1001"))
    })
    .await;
}

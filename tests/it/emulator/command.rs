//! `retaind emulate` as a program: what its arguments do, over sockets, and what it says of those that are wrong.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::stage::Folder;

/// The program, ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn emulate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retaind"));
    command.args(["emulate", "--listen", "127.0.0.1:0"]);
    command
}

#[tokio::test]
async fn registry_replica_and_admin_endpoint_are_served_side_by_side() {
    let folder = Folder::new("emulate");
    let seed = folder.write("registry.txt", "repository app\n  image a tags v1, v2\n");
    let faults = folder.write("faults.txt", "GET /_catalog always status 503\n");
    let mut command = emulate();
    command.args(["--admin-listen", "127.0.0.1:0", "--replica-listen", "127.0.0.1:0", "--replica-lag", "1h", "--open", "--sku", "basic"]);
    command.args(["--retry-after", "7s", "--clock-skew", "-10m", "--assume", "no-tags=absent", "--latency", "1ms", "--soft-delete", "7d"]);
    command.arg("--seed").arg(&seed).arg("--faults").arg(&faults);
    let mut program = Program(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let [admin, replica, registry] = ["admin endpoint on ", "replica on ", "emulating Azure Container Registry on "].map(|prefix| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(prefix).unwrap_or_else(|| panic!("{line}")).to_owned()
    });
    // Another test of this binary may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |address: String| {
        let got = client.get(address).send().await.unwrap();
        (got.status().as_u16(), got.text().await.unwrap())
    };
    assert_eq!(get(format!("{registry}/acr/v1/_catalog")).await.0, 503);
    for tag in ["v1", "v2"] {
        assert_eq!(client.delete(format!("{registry}/acr/v1/app/_tags/{tag}")).send().await.unwrap().status(), 202);
    }
    let (_, tags) = get(format!("{registry}/acr/v1/app/_tags")).await;
    assert!(tags.ends_with("\"imageName\":\"app\"}\n"), "{tags}");
    assert!(get(format!("{replica}/acr/v1/app/_tags")).await.1.contains("\"v1\""), "an hour later it will know");
    assert!(get(format!("{registry}/acr/v1/_deleted/app/_tags")).await.1.contains("\"v1\""));
    assert!(get(format!("{admin}/counts")).await.1.contains("\"count\":2"));
    assert_eq!(client.post(format!("{admin}/reset")).send().await.unwrap().status(), 204);
    assert_eq!(get(format!("{admin}/drawing")).await.1, "repository app\n  a tags v1, v2\n");
    assert_eq!(get(format!("{registry}/acr/v1/_catalog")).await.0, 503, "faults of the start strike again");
}

#[test]
fn wrong_arguments_are_told_with_what_to_write() {
    let folder = Folder::new("emulate-wrong");
    let wrong = folder.write("wrong.txt", "GET * explode\n");
    let wrong = wrong.to_str().unwrap();
    for (arguments, expected) in [
        (vec!["--assume", "no-tags=perhaps"], "--assume no-tags=perhaps: \"perhaps\" is no answer for no-tags: null, empty, absent"),
        (vec!["--faults", wrong], "line 1: \"explode\" is unknown"),
        (vec!["--roles", wrong], "line 1: \"*\" is no role and no right"),
        (vec!["--admin-listen", "0.0.0.0:0"], "0.0.0.0:0 is not a loopback address"),
        (vec!["--sku", "gold"], "\"gold\" is no service tier: write basic, standard or premium"),
        (vec!["--latency", "30"], "\"30\" is not a length of time: write 30ms"),
    ] {
        let output = emulate().args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

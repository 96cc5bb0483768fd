//! Scripts: how they end, what they see, and that nothing of them stays.

use std::{collections::BTreeMap, path::Path, time::Duration};

use secrecy::SecretString;
use url::Url;
use verdigris::{
    clock::SystemClock,
    gates::command::{self, Script, environment},
    name::{CloudName, ReleaseDigest},
    rollout::evidence::{CommandEvidence, Evidence},
};

use super::read;

async fn run_with(
    run: &str,
    folder: &Path,
    env: &BTreeMap<String, String>,
) -> (String, CommandEvidence) {
    let secrets = [SecretString::from("swordfish")];
    let script = Script {
        run,
        folder,
        env,
        timeout: Duration::from_secs(3),
        secrets: &secrets,
    };
    let ran = command::measure(&script, &SystemClock);
    let measurement = tokio::time::timeout(Duration::from_secs(60), ran)
        .await
        .unwrap();
    match measurement.evidence {
        Evidence::Command(evidence) => (read(&measurement.outcome), evidence),
        Evidence::Http(_)
        | Evidence::Load(_)
        | Evidence::Parity(_)
        | Evidence::Metric(_)
        | Evidence::None => panic!("{:?}", measurement.evidence),
    }
}

async fn run(run: &str) -> (String, CommandEvidence) {
    let folder = tempfile::tempdir().unwrap();
    run_with(run, folder.path(), &BTreeMap::new()).await
}

#[tokio::test]
async fn a_script_passes_by_its_exit_code_and_what_it_wrote_is_kept_in_order() {
    let table = [
        (
            "echo one; echo two >&2; echo three",
            "successful",
            Some(0),
            "one\ntwo\nthree\n",
        ),
        (
            "echo no stock; exit 3",
            "failed: exit code 3",
            Some(3),
            "no stock\n",
        ),
        ("kill -9 $$", "error: killed by signal 9", None, ""),
        (
            "no-such-program-here 2>/dev/null",
            "failed: exit code 127",
            Some(127),
            "",
        ),
        ("cat; echo swordfish", "successful", Some(0), "(hidden)\n"),
        ("printf '\\377\\000x'", "successful", Some(0), "\u{fffd}x"),
    ];
    for (text, outcome, exit, output) in table {
        let (told, evidence) = run(text).await;
        assert_eq!((told.as_str(), evidence.exit), (outcome, exit), "{text}");
        assert_eq!(evidence.output, output, "{text}");
        assert!(!evidence.timed_out && !evidence.is_cut);
    }
    let nowhere = Path::new("/no/such/folder");
    let (told, _) = run_with("true", nowhere, &BTreeMap::new()).await;
    assert!(told.starts_with("error: cannot start: "), "{told}");
}

#[tokio::test]
async fn a_script_sees_greens_addresses_and_nothing_of_the_daemon() {
    let url = |text: &str| text.parse::<Url>().unwrap();
    let aws = [
        ("stock", "http://127.0.0.1:1/"),
        ("re-order", "http://127.0.0.1:2/"),
    ];
    let aws = aws.map(|(name, address)| (name.parse().unwrap(), url(address)));
    let azure = [("stock".parse().unwrap(), url("http://127.0.0.1:3/"))];
    let green = BTreeMap::from([
        (CloudName::Aws, BTreeMap::from(aws)),
        (CloudName::Azure, BTreeMap::from(azure)),
    ]);
    let release = ReleaseDigest::of(b"x");
    let revision = "main@sha1:0123456789012345678901234567890123456789"
        .parse()
        .unwrap();
    let env = environment(
        &"prod/inventory".parse().unwrap(),
        release,
        &revision,
        &green,
    );
    let folder = tempfile::tempdir().unwrap();
    let (told, evidence) = run_with("env | sort", folder.path(), &env).await;
    assert_eq!(told, "successful");
    let is_own = |line: &&str| !line.starts_with("HOME=") && !line.starts_with("TMPDIR=");
    let lines: Vec<&str> = evidence.output.lines().filter(is_own).collect();
    let release = format!("VERDIGRIS_RELEASE={release}");
    let wanted = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        &format!("PWD={}", folder.path().display()),
        "VERDIGRIS_ENVIRONMENT=prod",
        "VERDIGRIS_GREEN_AWS=http://127.0.0.1:2",
        "VERDIGRIS_GREEN_AWS_RE_ORDER=http://127.0.0.1:2",
        "VERDIGRIS_GREEN_AWS_STOCK=http://127.0.0.1:1",
        "VERDIGRIS_GREEN_AZURE=http://127.0.0.1:3",
        "VERDIGRIS_GREEN_AZURE_STOCK=http://127.0.0.1:3",
        &release,
        "VERDIGRIS_REVISION=main@sha1:0123456789012345678901234567890123456789",
        "VERDIGRIS_SERVICE=inventory",
    ];
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| {
            !line.starts_with("_=") && !line.starts_with("OLDPWD=") && !line.starts_with("SHLVL=")
        })
        .collect();
    assert_eq!(lines, wanted);
    let (_, evidence) = run("echo x > \"$HOME/file\"; echo $HOME").await;
    assert!(
        !Path::new(evidence.output.trim()).exists(),
        "home is thrown away"
    );
}

/// Enough beats of [`HEART`] to be missed.
const SILENCE: Duration = Duration::from_millis(600);

/// A child in the background that shows that it lives, while it does.
const HEART: &str = "( while :; do date +%s%N > beat; sleep 0.05; done ) & sleep 0.3;";

/// A busy machine may leave out many beats of one that lives.
async fn is_beating(folder: &Path, patience: Duration) -> bool {
    let beat = || std::fs::read(folder.join("beat")).unwrap_or_default();
    let before = beat();
    let deadline = tokio::time::Instant::now() + patience;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if beat() != before {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn nothing_that_a_script_started_outlives_it() {
    let ends = [
        ("exit 0", "successful", Some(0)),
        ("sleep 30", "error: did not end within 3s", None),
        (
            "yes | head -c 3000000; exit 1",
            "failed: exit code 1",
            Some(1),
        ),
    ];
    for (end, outcome, exit) in ends {
        let folder = tempfile::tempdir().unwrap();
        let (told, evidence) =
            run_with(&format!("{HEART} {end}"), folder.path(), &BTreeMap::new()).await;
        assert_eq!((told.as_str(), evidence.exit), (outcome, exit));
        assert!(evidence.output.len() <= 64 * 1024);
        assert_eq!(evidence.timed_out, exit.is_none());
        assert!(!is_beating(folder.path(), SILENCE).await, "{end}");
    }
}

#[tokio::test]
async fn a_measurement_that_is_dropped_takes_its_script_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let task = tokio::spawn(async move {
        run_with(&format!("{HEART} sleep 30"), &path, &BTreeMap::new()).await
    });
    assert!(is_beating(folder.path(), Duration::from_secs(60)).await);
    task.abort();
    assert!(task.await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!is_beating(folder.path(), SILENCE).await);
}

//! Scenes on a network: a web server and an S3 store on this machine, well and ill.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::fixture::{Fixture, field};
use crate::harness::{Outcome, Workspace};
use crate::server::{Fault, Server};

/// A workspace whose folder `web` holds a scene `a.tif`, also at `a.tif` here.
fn with_web() -> (Workspace, Server, Fixture) {
    let space = Workspace::new();
    std::fs::create_dir(space.path("web")).unwrap();
    let fixture = Fixture::new((200, 160), field((200, 160), 50.0, 60));
    fixture.write(&space, "a.tif");
    fixture.write(&space, "web/a.tif");
    let server = Server::web(&space.path("web"));
    (space, server, fixture)
}

/// Runs a scan that gives up on a server soon.
fn scan(space: &Workspace, rest: &str, settings: &[(&str, &str)]) -> Outcome {
    let mut command = space.command(&format!("scan --model blob --workers 1 {rest}"));
    command
        .env("no_proxy", "127.0.0.1")
        .env("GDAL_HTTP_RETRY_DELAY", "0.05")
        .envs(settings.iter().copied());
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The layers of two runs are the same.
fn assert_same_layers(space: &Workspace, one: &str, other: &str) {
    for layer in crate::harness::LAYERS {
        let file = format!("{layer}.geojson");
        assert_eq!(
            space.read_run(one).bytes(&file),
            space.read_run(other).bytes(&file),
            "{layer}"
        );
    }
}

#[test]
fn a_scene_on_a_web_server_gives_the_bytes_of_the_local_one_from_few_requests() {
    let (space, server, _) = with_web();
    space.scan_into("local", "a.tif");
    let outcome = scan(&space, &format!("{} --out run", server.url("a.tif")), &[]);
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
    assert_same_layers(&space, "local", "run");
    let log = server.log();
    assert!(
        log.iter().all(|line| line.contains(" /a.tif")),
        "no search for other files: {log:?}"
    );
    assert!(log.len() <= 12, "{log:?}");
    let record = space.read_run("run").record();
    let scene = &record["scenes"][0];
    assert_eq!(scene["path"], server.url("a.tif"));
    assert!(
        scene["content"].as_str().unwrap().starts_with("etag "),
        "{scene}"
    );
}

#[test]
fn a_signature_is_written_nowhere_and_a_new_one_is_the_same_scene() {
    let (space, server, _) = with_web();
    let secret = "s3cr3tsignature";
    let url = |signature: &str| server.url(&format!("a.tif?sig={signature}&se=2024"));
    let signed = |signature: &str, rest: &str| {
        let command = format!("{} --out run {rest}", url(signature));
        scan(&space, &command, &[])
    };
    let outcome = signed(secret, "-vv");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let mut texts = vec![outcome.stdout, outcome.stderr];
    server.fault("a.tif", Fault::Status(404, 99));
    let outcome = scan(&space, &format!("{} --out other -vv", url(secret)), &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains(&format!(
            "`{}` is not there (the server has no such file)",
            server.url("a.tif")
        )),
        "{outcome:?}"
    );
    texts.extend([outcome.stdout, outcome.stderr]);
    for entry in std::fs::read_dir(space.path("run")).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap();
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for text in texts {
        assert!(!text.contains(secret), "{text}");
    }

    server.mend();
    let before = space.read_run("run").results();
    let outcome = signed("another", "");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(before, space.read_run("run").results());
    // The same address in other words, too.
    let plain = format!("/vsicurl/{} --out run", server.url("a.tif"));
    assert_eq!(scan(&space, &plain, &[]).code, Some(0));
}

#[test]
fn a_remote_scene_that_has_changed_is_another_scan() {
    let (space, server, mut fixture) = with_web();
    let command = format!("{} --out run", server.url("a.tif"));
    assert_eq!(scan(&space, &command, &[]).code, Some(0));
    fixture.blobs.pop();
    fixture.write(&space, "web/a.tif");
    let outcome = scan(&space, &command, &[]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("scene `a` was etag"), "{outcome:?}");
}

#[test]
fn a_server_that_fails_for_a_moment_is_asked_again() {
    let (space, server, _) = with_web();
    server.fault("a.tif", Fault::Status(503, 2));
    let outcome = scan(&space, &format!("{} --out run", server.url("a.tif")), &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(server.log().len() > 3);
}

#[test]
fn a_server_that_is_away_means_try_again_later() {
    let (space, server, _) = with_web();
    let few = [("GDAL_HTTP_MAX_RETRY", "1")];
    let command = format!("{} --out run", server.url("a.tif"));
    server.fault("a.tif", Fault::Status(503, usize::MAX));
    let outcome = scan(&space, &command, &few);
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        format!(
            "error: no scene can be scanned: `{}` cannot be reached for now (HTTP response code: 503): try again later\n",
            server.url("a.tif")
        )
    );
    assert!(!space.path("run").exists());

    // Beside a scene that can be scanned, it is one failure; and it joins in when the server is back.
    let both = format!("a.tif {} --out run", server.url("a.tif"));
    let outcome = scan(&space, &both, &few);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let record = space.read_run("run").record();
    assert_eq!(record["failures"][0]["away"], true, "{record}");
    server.mend();
    let outcome = scan(&space, &both, &few);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let again = space.read_run("run").results();
    let outcome = scan(&space, &both.replace("--out run", "--out fine"), &few);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(again, space.read_run("fine").results());

    // And what is in the ledger stands when it is away once more.
    server.fault("a.tif", Fault::Status(503, usize::MAX));
    let outcome = scan(&space, &both, &few);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(again, space.read_run("run").results());
}

#[test]
fn a_server_that_goes_away_while_chips_are_read_costs_what_is_left() {
    let space = Workspace::new();
    std::fs::create_dir(space.path("web")).unwrap();
    let size = (640, 640);
    Fixture::new(size, field(size, 50.0, 62)).write(&space, "web/a.tif");
    let server = Server::web(&space.path("web"));
    let few = [
        ("GDAL_HTTP_MAX_RETRY", "1"),
        ("CPL_VSIL_CURL_CHUNK_SIZE", "16384"),
    ];
    let url = server.url("a.tif");
    assert_eq!(
        scan(&space, &format!("{url} --out fine"), &few).code,
        Some(0)
    );
    let log = server.log();
    let reads: Vec<usize> = (0..log.len())
        .filter(|&i| bytes_from(&log[i]).is_some_and(|from| from > 100_000))
        .collect();
    let (&[first, ..], &[.., last]) = (reads.as_slice(), reads.as_slice()) else {
        panic!("{log:?}");
    };
    assert!(first < last, "{log:?}");

    // When nothing was read yet: later.
    server.fault("a.tif", Fault::Gone(first));
    let outcome = scan(&space, &format!("{url} --out none"), &few);
    assert!(matches!(outcome.code, Some(3 | 75)), "{outcome:?}");
    server.mend();
    server.log();

    // When some was: that stands, the rest is not asked for again and again, and joins in later.
    server.fault("a.tif", Fault::Gone(last));
    let outcome = scan(&space, &format!("{url} --out run"), &few);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let record = space.read_run("run").record();
    assert_eq!(record["failures"][0]["away"], true, "{record}");
    let reason = record["failures"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(&format!("`{url}` cannot be reached any more (")),
        "{reason}"
    );
    assert!(record["counts"]["chips"]["scanned"].as_u64().unwrap() > 0);
    assert!(server.log().len() < log.len() + 40);
    server.mend();
    assert_eq!(
        scan(&space, &format!("{url} --out run"), &few).code,
        Some(0)
    );
    assert_eq!(
        space.read_run("fine").results(),
        space.read_run("run").results()
    );
}

#[test]
fn a_cloud_mask_whose_server_goes_away_is_not_asked_for_every_chip() {
    let space = Workspace::new();
    std::fs::create_dir(space.path("web")).unwrap();
    let size = (640, 640);
    let fixture = Fixture::new(size, field(size, 50.0, 62));
    fixture.write(&space, "a.tif");
    fixture.write(&space, "web/mask.tif");
    let server = Server::web(&space.path("web"));
    let few = [
        ("GDAL_HTTP_MAX_RETRY", "1"),
        ("CPL_VSIL_CURL_CHUNK_SIZE", "16384"),
    ];
    let mask = format!("/vsicurl/{}", server.url("mask.tif"));
    let command = |out: &str| {
        let rest = format!("a.tif --cloud-mask {mask} --cloud-codes 999 --out {out}");
        scan(&space, &rest, &few)
    };
    assert_eq!(command("fine").code, Some(0));
    let log = server.log();
    let last = (0..log.len())
        .rfind(|&i| bytes_from(&log[i]).is_some_and(|from| from > 100_000))
        .unwrap_or_else(|| panic!("{log:?}"));

    // Away from the start: later.
    server.fault("mask.tif", Fault::Status(503, usize::MAX));
    let outcome = command("none");
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert!(outcome.stderr.contains("the cloud mask `"), "{outcome:?}");
    server.mend();
    server.log();

    server.fault("mask.tif", Fault::Gone(last));
    let outcome = command("run");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let record = space.read_run("run").record();
    let failures = record["failures"].as_array().unwrap();
    assert_eq!((failures.len(), &failures[0]["away"]), (1, &json!(true)));
    let reason = failures[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with(&format!(
            "the cloud mask `{mask}` of `a.tif` cannot be reached ("
        )),
        "{reason}"
    );
    assert!(record["counts"]["chips"]["scanned"].as_u64().unwrap() > 0);
    let failed = record["counts"]["chips"]["failed"].as_u64().unwrap();
    let asked = server.log().len();
    assert!(
        asked < last + 10,
        "{asked} requests, {last} at first, {failed} chips failed"
    );
    server.mend();
    assert_eq!(command("run").code, Some(0));
    assert_eq!(
        space.read_run("fine").results(),
        space.read_run("run").results()
    );
}

/// First byte that a request in the log asks for.
fn bytes_from(line: &str) -> Option<u64> {
    line.rsplit(' ').next()?.split_once('-')?.0.parse().ok()
}

#[test]
fn nobody_listening_and_no_answer_mean_try_again_later() {
    let (space, server, _) = with_web();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/a.tif", free.local_addr().unwrap());
    drop(free);
    let outcome = scan(&space, &format!("{nobody} --out run"), &[]);
    assert_eq!(outcome.code, Some(75), "{outcome:?}");

    server.fault("a.tif", Fault::Slow(Duration::from_secs(20)));
    let started = Instant::now();
    let impatient = [("GDAL_HTTP_TIMEOUT", "1"), ("GDAL_HTTP_MAX_RETRY", "0")];
    let outcome = scan(
        &space,
        &format!("{} --out run", server.url("a.tif")),
        &impatient,
    );
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn the_cache_holds_whole_files_and_is_used_again() {
    let (space, server, mut fixture) = with_web();
    space.scan_into("local", "a.tif");
    let cached = |out: &str| {
        let url = server.url("a.tif?sig=once");
        scan(&space, &format!("{url} --out {out} --cache kept"), &[])
    };
    let outcome = cached("run");
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(0), ""),
        "{outcome:?}"
    );
    assert_same_layers(&space, "local", "run");
    let copies = |ending: &str| kept(&space, ending);
    assert_eq!(copies("").len(), 2, "the copy and its note");
    let copy = copies(".tif").remove(0);
    assert_eq!(
        std::fs::read(&copy).unwrap(),
        std::fs::read(space.path("a.tif")).unwrap()
    );

    // Used again: only the headers are asked for. A scan without the cache goes on with the same run.
    server.log();
    assert_eq!(cached("again").code, Some(0));
    let whole = std::fs::metadata(&copy).unwrap().len();
    let read: u64 = server
        .log()
        .iter()
        .map(|line| bytes_asked(line, whole))
        .sum();
    assert!(read < whole / 2, "{read} of {whole}");
    assert_eq!(
        scan(&space, &format!("{} --out again", server.url("a.tif")), &[]).code,
        Some(0)
    );

    // Used while the server is away.
    server.fault("a.tif", Fault::Status(503, usize::MAX));
    let few = [("GDAL_HTTP_MAX_RETRY", "0")];
    let url = server.url("a.tif");
    let outcome = scan(&space, &format!("{url} --out away --cache kept"), &few);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_same_layers(&space, "local", "away");

    // Not used for a file that has changed.
    server.mend();
    fixture.blobs.truncate(3);
    fixture.write(&space, "web/a.tif");
    assert_eq!(cached("changed").code, Some(0));
    assert_eq!(copies(".tif").len(), 1, "the old copy is gone");
    assert_ne!(copies(".tif").remove(0), copy);
    assert_eq!(space.read_run("changed").layer("sites").len(), 3);
}

/// Copies and notes in the folder `kept` with that ending.
pub(crate) fn kept(space: &Workspace, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(space.path("kept")).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(ending) && !matches!(name, ".lock")
        })
        .collect()
}

/// A workspace whose folder `web` holds scenes `a.tif` to `c.tif` of the same number of bytes, which is returned.
fn with_three() -> (Workspace, Server, u64) {
    let space = Workspace::new();
    std::fs::create_dir(space.path("web")).unwrap();
    for (name, seed) in [("a", 60), ("b", 61), ("c", 62)] {
        let fixture = Fixture::new((200, 160), field((200, 160), 50.0, seed));
        fixture.write(&space, &format!("web/{name}.tif"));
    }
    let bytes = std::fs::metadata(space.path("web/a.tif")).unwrap().len();
    let server = Server::web(&space.path("web"));
    (space, server, bytes)
}

/// The first letters of the scenes that `kept` has whole copies of.
fn letters(space: &Workspace) -> Vec<String> {
    let names = kept(space, ".tif").into_iter().map(|path| {
        let name = path.to_str().unwrap().trim_end_matches(".tif");
        name.chars().last().unwrap().to_string()
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn the_cache_gives_back_what_was_used_longest_ago_and_what_does_not_fit_is_read_in_place() {
    let (space, server, bytes) = with_three();
    let most = bytes * 5 / 2;
    let cached = |names: &[&str], out: &str| {
        let urls: Vec<String> = names
            .iter()
            .map(|n| server.url(&format!("{n}.tif")))
            .collect();
        let rest = format!(
            "{} --out {out} --cache kept --cache-max {most}B",
            urls.join(" ")
        );
        let outcome = scan(&space, &rest, &[]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome.stderr
    };
    for (i, (name, left)) in [
        ("a", "a"),
        ("b", "a b"),
        ("a", "a b"),
        ("c", "a c"),
        ("b", "b c"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(cached(&[name], &format!("run{i}")), "");
        assert_eq!(letters(&space).join(" "), left, "after {name}");
    }
    // More than fits, all wanted at once: the last is read where it is.
    let said = cached(&["a", "b", "c"], "all");
    assert_eq!(
        said,
        format!(
            "`{}` does not fit into the cache beside what is in use, and is read where it is\n",
            server.url("c.tif")
        )
    );
    assert_eq!(letters(&space), ["a", "b"]);
    space.scan_into("local", "web/a.tif web/b.tif web/c.tif");
    assert_same_layers(&space, "local", "all");
}

#[test]
fn a_copy_that_another_scan_uses_stays() {
    let (space, server, bytes) = with_three();
    let (a, b, c) = (
        server.url("a.tif"),
        server.url("b.tif"),
        server.url("c.tif"),
    );
    // The first scan has got its copy of one scene, and waits for the other.
    server.fault("b.tif", Fault::Held);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| scan(&space, &format!("{a} {b} --out one --cache kept"), &[]));
        while !space.path("kept").exists() || kept(&space, ".content").is_empty() {
            assert!(!first.is_finished(), "it did not wait");
            std::thread::sleep(Duration::from_millis(20));
        }
        let rest = format!("{c} --out two --cache kept --cache-max {bytes}");
        let outcome = scan(&space, &rest, &[]);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains("does not fit"), "{outcome:?}");
        assert_eq!(letters(&space), ["a"]);
        server.mend();
        let outcome = first.join().unwrap();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    });
    // When it has ended, its copies may go.
    let rest = format!("{c} --out three --cache kept --cache-max {bytes}");
    assert_eq!(scan(&space, &rest, &[]).code, Some(0));
    assert_eq!(letters(&space), ["c"]);
    let left = kept(&space, "");
    assert_eq!(left.len(), 2, "{left:?}");
}

/// How many bytes of a file of that size a request in the log gives.
fn bytes_asked(line: &str, whole: u64) -> u64 {
    if line.starts_with("HEAD") {
        return 0;
    }
    let range = line.rsplit(' ').next().unwrap().split_once('-');
    match range.map(|(from, to)| (from.parse::<u64>(), to.parse::<u64>())) {
        Some((Ok(from), Ok(to))) => to.min(whole - 1) + 1 - from,
        _ => whole,
    }
}

#[test]
fn a_download_that_breaks_off_leaves_nothing_behind() {
    let (space, server, _) = with_web();
    server.fault("a.tif", Fault::Truncated);
    let few = [("GDAL_HTTP_MAX_RETRY", "0")];
    let command = format!("{} --out run --cache kept", server.url("a.tif"));
    let outcome = scan(&space, &command, &few);
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(kept(&space, "").len(), 0);
    server.mend();
    assert_eq!(scan(&space, &command, &few).code, Some(0));
}

#[test]
fn two_scans_at_once_share_a_cache() {
    let (space, server, _) = with_web();
    let url = server.url("a.tif");
    std::thread::scope(|scope| {
        let both = ["one", "two"].map(|out| {
            let (space, url) = (&space, &url);
            scope.spawn(move || scan(space, &format!("{url} --out {out} --cache kept"), &[]))
        });
        for outcome in both.map(|thread| thread.join().unwrap()) {
            assert_eq!(outcome.code, Some(0), "{outcome:?}");
        }
    });
    assert_same_layers(&space, "one", "two");
    assert_eq!(kept(&space, "").len(), 2);
}

#[test]
fn a_bucket_is_read_listed_and_cached() {
    let space = Workspace::new();
    std::fs::create_dir_all(space.path("buckets/imagery/north/deep")).unwrap();
    let fixture = Fixture::new((120, 100), field((120, 100), 50.0, 61));
    for name in ["a.tif", "b.tif", "deep/c.tif", "deep/d.tif", "notes.txt"] {
        fixture.write(&space, &format!("buckets/imagery/north/{name}"));
    }
    fixture.write(&space, "a.tif");
    space.scan_into("local", "a.tif");
    let server = Server::store(&space.path("buckets"));
    let host = server.host();
    let settings = |key: &'static str| {
        vec![
            ("AWS_S3_ENDPOINT", host.as_str()),
            ("AWS_HTTPS", "NO"),
            ("AWS_VIRTUAL_HOSTING", "FALSE"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
    };
    let with_key = settings("AKIATEST");
    let outcome = scan(&space, "s3://imagery/north/a.tif --out run", &with_key);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_same_layers(&space, "local", "run");
    let outcome = scan(
        &space,
        "s3://imagery/north/a.tif --out cached --cache kept",
        &with_key,
    );
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_same_layers(&space, "local", "cached");

    let outcome = scan(&space, "s3://imagery/north/ --out all", &with_key);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let record = space.read_run("all").record();
    let paths: Vec<_> = record["scenes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["path"].clone())
        .collect();
    assert_eq!(
        json!(paths),
        json!([
            "s3://imagery/north/a.tif",
            "s3://imagery/north/b.tif",
            "s3://imagery/north/deep/c.tif",
            "s3://imagery/north/deep/d.tif",
        ])
    );

    let outcome = scan(&space, "s3://imagery/north/gone.tif --out none", &with_key);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("`s3://imagery/north/gone.tif` is not there"),
        "{outcome:?}"
    );
    let unsigned: Vec<_> = [("AWS_NO_SIGN_REQUEST", "YES")]
        .into_iter()
        .chain(with_key)
        .collect();
    let outcome = scan(&space, "s3://imagery/north/a.tif --out none", &unsigned);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("may not be read"), "{outcome:?}");
}

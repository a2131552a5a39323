//! The small commands, the help, the manners on the command line.

use std::process::Stdio;

use crate::fixture::{Fixture, field};
use crate::harness::Workspace;

/// Help as it is printed: what users read is reviewed like code.
#[test]
fn help_of_every_command() {
    let space = Workspace::new();
    for command in [
        "",
        "scan",
        "model",
        "model info",
        "model check",
        "evaluate",
        "doctor",
        "verify",
        "verify consensus",
        "verify serve",
        "verify init",
        "verify add",
        "verify status",
        "verify gold",
        "verify import",
        "verify export",
        "verify replay",
        "verify backup",
        "verify restore",
        "labels",
    ] {
        let name = format!("help {command}").trim().replace(' ', "_");
        insta::assert_snapshot!(name, space.succeed(&format!("{command} --help")));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let said = Workspace::new().succeed("--version");
    assert_eq!(said, format!("kilnsight {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_with_2() {
    let space = Workspace::new();
    for arguments in [
        "",
        "frobnicate",
        "scan",
        "scan a.tif",
        "scan a.tif --model blob",
        "scan a.tif --model blob --out run --workers 0",
        "scan a.tif --model blob --out run --workers many",
        "scan a.tif --model blob --out run --min-score 1.5",
        "scan a.tif --model blob --out run --min-score 0.01",
        "scan a.tif --model blob --out run --scale nan",
        "scan a.tif --model blob --out run --nodata black",
        "scan a.tif --model blob --out run --date yesterday",
        "scan a.tif --model blob --out run --date 2024-02-30",
        "scan a.tif --model blob --out run --cluster-distance -5",
        "scan a.tif --model blob --out run --fresh --rewrite",
        "scan a.tif --model blob --out run --quiet --verbose",
        "model",
        "evaluate run",
        "verify",
        "verify consensus",
        "verify consensus --votes votes.csv --method guess",
        "verify consensus --votes votes.csv --unsure x --bad-image x",
    ] {
        let outcome = space.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments}\n{outcome:?}");
        assert_eq!(outcome.stdout, "", "{arguments}");
        assert!(!outcome.stderr.is_empty(), "{arguments}");
    }
}

#[test]
fn a_score_below_what_is_kept_is_refused_in_one_line() {
    let space = Workspace::new();
    Fixture::new((64, 64), vec![]).write(&space, "a.tif");
    let outcome = space.run("scan a.tif --model blob --out run --min-score 0.01");
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: --min-score 0.01 is below 0.02, the lowest score that is kept at all\n"
    );
}

#[test]
fn model_info_tells_what_a_model_expects() {
    let space = Workspace::new();
    insta::assert_snapshot!(space.succeed("model info blob"));
    insta::assert_snapshot!(
        "model_info_of_a_model_with_types",
        space.succeed("model info blob-typed")
    );
}

#[test]
fn model_info_as_json_says_the_same() {
    let space = Workspace::new();
    let text = space.succeed("model info blob");
    let json: serde_json::Value =
        serde_json::from_str(&space.succeed("model info blob --json")).unwrap();
    for (key, value) in json.as_object().unwrap() {
        if let Some(value) = value.as_str() {
            let line = text.lines().find(|line| line.starts_with(key.as_str()));
            assert!(
                line.is_some_and(|line| line.contains(value)),
                "{key}: {value}"
            );
        }
    }
}

#[test]
fn a_model_is_found_by_its_onnx_file_and_by_its_name() {
    let space = Workspace::new();
    space.succeed("model info blob/model.onnx");
    std::fs::create_dir(space.path("models")).unwrap();
    std::fs::rename(space.path("blob"), space.path("models/shipped")).unwrap();
    space.succeed("model info shipped");
    let outcome = space.run("model info shiped");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("`shipped`"), "{outcome:?}");
}

#[test]
fn a_misspelt_key_of_a_card_is_a_warning() {
    let space = Workspace::new();
    space.write_model("misspelt", |card| card["kilnsight:min_scor"] = 0.5.into());
    Fixture::new((64, 64), vec![]).write(&space, "a.tif");
    let outcome = space.run("scan a.tif --model misspelt --out run --workers 1");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "warning: the model card has `kilnsight:min_scor`, which this version does not know: is it misspelt?\n"
    );
}

#[test]
fn doctor_lists_what_is_in_place() {
    let space = Workspace::new();
    // Found beside where the program is run, whatever the checkout ships.
    std::fs::create_dir(space.path("models")).unwrap();
    std::fs::rename(space.path("blob"), space.path("models/blob")).unwrap();
    let outcome = space.run("doctor");
    for finding in ["kilnsight", "GDAL", "PROJ", "ONNX Runtime"] {
        let line = format!("ok       {finding}");
        assert!(outcome.stdout.contains(&line), "{finding}\n{outcome:?}");
    }
    let model = outcome
        .stdout
        .lines()
        .find(|line| line.contains("blob 1.0.0"));
    assert!(
        model.is_some_and(|line| line.starts_with("ok       model")),
        "{outcome:?}"
    );
}

#[test]
fn doctor_names_a_model_that_does_not_load() {
    let space = Workspace::new();
    std::fs::create_dir(space.path("models")).unwrap();
    space.write_model("models/broken", |_| {});
    space.write("models/broken/model.onnx", "no ONNX at all");
    let outcome = space.run("doctor");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("MISSING  model"), "{outcome:?}");
    assert!(
        outcome.stdout.contains("models/broken/model.onnx"),
        "{outcome:?}"
    );
}

#[test]
fn without_onnx_runtime_doctor_and_scan_say_how_to_get_it() {
    let space = Workspace::new();
    Fixture::new((64, 64), vec![]).write(&space, "a.tif");
    for (command, on_stdout) in [
        ("doctor", true),
        ("scan a.tif --model blob --out run", false),
        ("model info blob", false),
    ] {
        let output = space
            .command(command)
            .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = String::from_utf8(if on_stdout {
            output.stdout
        } else {
            output.stderr
        })
        .unwrap();
        let line = said
            .lines()
            .find(|line| line.contains("/nowhere/libonnxruntime.so"))
            .unwrap();
        assert!(line.contains("run `scripts/setup.sh`"), "{line}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let space = Workspace::new();
    Fixture::new((96, 96), field((96, 96), 40.0, 60)).write(&space, "a.tif");
    space.scan("a.tif");
    for command in [
        "--help",
        "doctor",
        "model info blob",
        "model info blob --json",
        "scan a.tif --model blob --out run --workers 1",
        "evaluate run --truth run/sites.geojson",
        "evaluate run --truth run/sites.geojson --json",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        // Closed before the program says its first word.
        drop(reader);
        let output = space
            .command(command)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}\n{said}");
        assert!(!said.contains("error"), "{command}\n{said}");
    }
}

#[test]
fn progress_for_programs_is_a_json_object_per_line() {
    let space = Workspace::new();
    Fixture::new((200, 200), field((200, 200), 40.0, 61)).write(&space, "a.tif");
    let outcome = space.run("scan a.tif --model blob --out run --workers 1 --progress json");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let lines: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect();
    let chips = lines
        .iter()
        .rfind(|line| line["step"] == "chips")
        .unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(chips["finished"], true);
    assert_eq!(chips["done"], chips["total"]);
    assert_eq!(
        chips["total"],
        space.read_run("run").record()["counts"]["chips"]["planned"]
    );
}

#[test]
fn quiet_says_nothing_but_results() {
    let space = Workspace::new();
    Fixture::new((96, 96), vec![]).write(&space, "a.tif");
    space.write("b.tif", "This is no picture.");
    let outcome = space.run("scan a.tif b.tif --model blob --out run --quiet --workers 64");
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(3), ""),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("failed: b.tif"));
}

#[test]
fn nothing_is_kept_for_others_to_fetch() {
    // Some builds of ONNX Runtime keep events and a number for the machine in the cache folder, and send them.
    let space = Workspace::new();
    let cache = space.path("cache");
    let mut command = space.command("model info blob");
    let output = command
        .env("XDG_CACHE_HOME", &cache)
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!cache.exists());
}

#[test]
fn names_from_elsewhere_do_not_steer_the_terminal() {
    let space = Workspace::new();
    let name = "red\u{1b}[31m title\u{9d}x\u{9c} turned\u{202e}fit.\nerror: line.tif";
    space.write(name, "no picture");
    for arguments in [
        vec!["scan", name, "--model", "blob", "--out", "run"],
        vec![
            "scan", "a.tif", "--model", "blob", "--out", "run", "--aoi", name,
        ],
        vec!["scan", "a.tif", "--model", name, "--out", "run"],
        vec!["scan", "a.tif", "--model", "blob", "--out", name],
        vec!["evaluate", name, "--truth", name],
        vec!["model", "info", name],
        vec![name],
    ] {
        let output = space.command("").args(&arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} {output:?}");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(steers), "{arguments:?}: {said:?}");
    }
}

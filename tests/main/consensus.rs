//! `verify consensus` from outside: published tables of votes, the same bytes whatever the order, and what is said.
//!
//! Tests on `../shared/data/crowd` say so and pass where it is absent; the same figures are tested inside the library on
//! tables that are in the papers.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::Workspace;

/// Votes of four workers on six places: `dee` sees kilns everywhere, `ed` is often unsure.
const VOTES: &str = "\
item,worker,label
t1,ada,yes
t1,bo,yes
t1,cy,yes
t1,dee,yes
t2,ada,no
t2,bo,no
t2,cy,no
t2,dee,yes
t2,ed,unsure
t3,ada,yes
t3,bo,yes
t3,dee,yes
t3,ed,yes
t4,bo,no
t4,cy,no
t4,dee,yes
t5,ada,yes
t5,cy,no
t6,ed,bad_image
t6,ada,unsure
";

const TRUTH: &str = "item,truth\nt1,yes\nt2,no\nt3,yes\nt4,yes\nt5,no\n";

fn votes() -> Workspace {
    let space = Workspace::new();
    space.write("votes.csv", VOTES);
    space.write("truth.csv", TRUTH);
    space
}

fn consensus(space: &Workspace, rest: &str) -> Value {
    let said = space.succeed(&format!("verify consensus --votes votes.csv {rest} --json"));
    serde_json::from_str(&said).unwrap()
}

/// A file of the shared vote data; none, said on standard error, where it is absent.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/crowd")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: needs ../shared/data/crowd/{name}");
    None
}

fn shared_json(name: &str) -> Option<Value> {
    let bytes = std::fs::read(shared(name)?).unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// A workspace with shared files under the names that the program is given.
fn with_shared(files: &[(&str, &str)]) -> Option<Workspace> {
    let space = Workspace::new();
    for (from, to) in files {
        std::fs::copy(shared(from)?, space.path(to)).unwrap();
    }
    Some(space)
}

#[track_caller]
fn assert_near(got: &Value, expected: &Value) {
    let (x, y) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
    assert!((x - y).abs() < 1e-6, "{x} is not {y}");
}

#[test]
fn the_anaesthetists_of_1979() {
    let files = [("ds1979_anaesthetists.csv", "votes.csv")];
    let (Some(space), Some(reference)) =
        (with_shared(&files), shared_json("ds1979_reference.json"))
    else {
        return;
    };
    let report = consensus(&space, "--method two-coin");
    assert_near(&report["log_likelihood"], &reference["loglik"]);
    let observers = reference["error_rates[observer][true][reported]"]
        .as_array()
        .unwrap();
    for (observer, matrix) in (1..).zip(observers) {
        for (truth, row) in (1..).zip(matrix.as_array().unwrap()) {
            for (answer, rate) in (1..).zip(row.as_array().unwrap()) {
                let key = |n: i32| n.to_string();
                assert_near(
                    &report["error_rates"][key(observer)][key(truth)][key(answer)],
                    rate,
                );
            }
        }
    }
    for (class, share) in (1..).zip(reference["class_marginals"].as_array().unwrap()) {
        assert_near(&report["prevalence"][class.to_string()], share);
    }
    for (patient, class) in reference["argmax_class"].as_object().unwrap() {
        assert_eq!(report["labels"][patient], json!(class.to_string()));
    }
    for (patient, posterior) in reference["ambiguous_posteriors"].as_object().unwrap() {
        for (class, p) in (1..).zip(posterior.as_array().unwrap()) {
            assert_near(&report["posteriors"][patient][class.to_string()], p);
        }
    }
}

#[test]
fn the_dentists_of_1989() {
    let (Some(patterns), Some(reference)) = (
        shared("caries_patterns.csv"),
        shared_json("caries_reference.json"),
    ) else {
        return;
    };
    let mut votes = "item,worker,label\n".to_owned();
    for line in std::fs::read_to_string(patterns).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        for tooth in 0..fields[5].parse().unwrap() {
            for (dentist, label) in fields[..5].iter().enumerate() {
                let name = fields[..5].concat();
                writeln!(votes, "{name}-{tooth},{dentist},{label}").unwrap();
            }
        }
    }
    let space = Workspace::new();
    space.write("votes.csv", votes);
    let report = consensus(&space, "");
    assert_near(&report["log_likelihood"], &reference["loglik"]);
    assert_near(&report["prevalence"]["2"], &reference["class_marginals"][1]);
    let teeth = reference["posterior_carious_by_pattern"]
        .as_object()
        .unwrap();
    for (pattern, carious) in teeth {
        assert_near(&report["posteriors"][format!("{pattern}-0")]["2"], carious);
    }
}

#[test]
fn birds_that_most_people_confuse() {
    let files = [
        ("bluebirds_labels.csv", "votes.csv"),
        ("bluebirds_truth.csv", "truth.csv"),
    ];
    let Some(space) = with_shared(&files) else {
        return;
    };
    let right = |method: &str| {
        let report = consensus(&space, &format!("--truth truth.csv --method {method}"));
        assert_eq!(report["accuracy"]["items"], 108);
        report["accuracy"]["right"].as_u64().unwrap()
    };
    assert_eq!(right("majority"), 82);
    assert!((96..=97).contains(&right("two-coin")));
    assert!(right("two-coin-prior") >= 94);
    // A free prevalence would explain the shared bias by a class that hardly occurs, and get 63 right.
    assert!(right("one-coin") >= 76);
    // With ten of them known beforehand, SWAP learns who confuses what.
    let truth = std::fs::read_to_string(space.path("truth.csv")).unwrap();
    let gold: Vec<&str> = truth
        .lines()
        .enumerate()
        .filter(|(n, _)| n % 10 == 0)
        .map(|(_, l)| l)
        .collect();
    space.write("gold.csv", gold.join("\n"));
    let report = consensus(&space, "--truth truth.csv --gold gold.csv --method swap");
    assert_eq!(report["accuracy"]["items"], 98);
    assert!(
        report["accuracy"]["accuracy"].as_f64().unwrap() > 0.8,
        "{:#}",
        report["accuracy"]
    );
}

#[test]
fn agreement_of_published_examples() {
    let Some(reference) = shared_json("agreement_reference.json") else {
        return;
    };
    let space = Workspace::new();
    for name in ["wikipedia_3x15", "krippendorff2011_4x12"] {
        let mut votes = "item,worker,label\n".to_owned();
        for (worker, row) in reference[name]["data"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            for (item, label) in row.as_array().unwrap().iter().enumerate() {
                if let Some(label) = label.as_u64() {
                    writeln!(votes, "{item},{worker},{label}").unwrap();
                }
            }
        }
        space.write("votes.csv", votes);
        let report = consensus(&space, "--method majority");
        assert_near(
            &report["agreement"]["krippendorff_alpha"],
            &reference[name]["alpha_nominal"],
        );
    }
    let diagnoses = &reference["fleiss1971_diagnoses_30x6x5"];
    let mut votes = "item,worker,label\n".to_owned();
    for (item, row) in diagnoses["ratings"].as_array().unwrap().iter().enumerate() {
        for (worker, label) in row.as_array().unwrap().iter().enumerate() {
            writeln!(votes, "{item},{worker},{label}").unwrap();
        }
    }
    space.write("votes.csv", votes);
    let report = consensus(&space, "--method majority");
    assert_near(&report["agreement"]["fleiss_kappa"], &diagnoses["kappa"]);
}

#[test]
fn the_order_of_rows_shows_in_no_byte() {
    let space = votes();
    let mut rows: Vec<&str> = VOTES.lines().skip(1).collect();
    rows.reverse();
    rows.rotate_left(7);
    space.write(
        "turned.csv",
        format!("item,worker,label\n{}\n", rows.join("\n")),
    );
    for method in ["majority", "one-coin", "two-coin", "two-coin-prior"] {
        let of = |file: &str| {
            space.succeed(&format!(
                "verify consensus --votes {file} --method {method} --unsure unsure --bad-image bad_image --json"
            ))
        };
        assert_eq!(of("votes.csv"), of("turned.csv"), "{method}");
    }
}

#[test]
fn a_report_reads_well() {
    let space = votes();
    insta::assert_snapshot!(space.succeed(
        "verify consensus --votes votes.csv --truth truth.csv --unsure unsure --bad-image bad_image --method two-coin-prior"
    ));
}

#[test]
fn the_report_as_json() {
    let space = votes();
    let report = consensus(
        &space,
        "--truth truth.csv --unsure unsure --bad-image bad_image --method majority",
    );
    insta::assert_json_snapshot!(report);
}

#[test]
fn gold_is_known_to_the_method_and_not_counted_as_accuracy() {
    let space = votes();
    space.write("gold.csv", "item,truth\nt4,yes\n");
    let options = "--truth truth.csv --unsure unsure --bad-image bad_image";
    let without = consensus(&space, options);
    let with = consensus(&space, &format!("{options} --gold gold.csv"));
    assert_eq!(
        (&without["labels"]["t4"], &with["labels"]["t4"]),
        (&json!("no"), &json!("yes"))
    );
    assert_eq!(
        (&without["accuracy"]["items"], &with["accuracy"]["items"]),
        (&json!(5), &json!(4))
    );
}

#[test]
fn votes_may_come_through_a_pipe() {
    let space = votes();
    let file = std::fs::File::open(space.path("votes.csv")).unwrap();
    let output = space
        .command("verify consensus --votes /dev/stdin --json")
        .stdin(Stdio::from(file))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let direct = space.succeed("verify consensus --votes votes.csv --json");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), direct);
}

#[test]
fn tables_that_cannot_be_used() {
    let space = votes();
    space.write("short.csv", "item,worker,label\n1,a,x\n2,a\n");
    space.write("other.csv", "task,user,answer\n1,a,x\n");
    space.write("three.csv", "item,worker,label\n1,a,x\n2,a,y\n3,a,z\n");
    space.write("contradicts.csv", "item,truth\nt1,yes\nt1,no\n");
    let mut said = String::new();
    for (arguments, code) in [
        ("--votes missing.csv", 1),
        ("--votes short.csv", 1),
        ("--votes other.csv", 1),
        ("--votes three.csv --method swap", 2),
        ("--votes votes.csv --truth contradicts.csv", 1),
        ("--votes votes.csv --truth three.csv", 1),
        ("--votes votes.csv --unsure yes --bad-image yes", 2),
    ] {
        let outcome = space.run(&format!("verify consensus {arguments}"));
        assert_eq!(outcome.code, Some(code), "{arguments}\n{outcome:?}");
        assert_eq!(outcome.stdout, "", "{arguments}");
        write!(said, "$ {arguments}\n{}", outcome.stderr).unwrap();
    }
    insta::assert_snapshot!(said);
}

//! Volunteers' projects: made from scans of drawn scenes, used through the store, driven by the commands.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use kilnsight::verify::{
    Answer, ChipInfo, NewVote, NextPack, OpenOptions, Pack, Project, SecretHash, SiteFilter,
    Status, View, VoteOutcome,
};
use serde_json::Value;

use crate::fixture::{Blob, Fixture, blob, field};
use crate::harness::Workspace;
use crate::layers::Layer;

/// Names a project folder to the process that is killed.
const PROJECT: &str = "KILNSIGHT_TEST_PROJECT";

fn scene(space: &Workspace, name: &str, date: &'static str, blobs: Vec<Blob>) {
    let mut fixture = Fixture::new((420, 420), blobs);
    fixture.date = Some(date);
    fixture.write(space, name);
}

/// A project from a scan of one scene full of blobs.
fn project(space: &Workspace) -> Project {
    scene(
        space,
        "spring.tif",
        "2024:03:05 05:30:00",
        field((420, 420), 100.0, 3),
    );
    space.scan("spring.tif");
    space.succeed("verify init project run --seed 7 --sample 3");
    open(space)
}

fn open(space: &Workspace) -> Project {
    let options = OpenOptions {
        seed: Some(1),
        clock: None,
    };
    Project::open_with(&space.path("project"), options).unwrap()
}

fn pack(project: &Project, member: &str) -> Option<Pack> {
    match project.next_pack(member, Some(25), false).unwrap() {
        NextPack::Pack(pack) => Some(pack),
        NextPack::Nothing(_) => None,
    }
}

fn vote(number: usize, task: &str, answer: Answer) -> NewVote {
    NewVote {
        id: format!("vote-{number:08}"),
        task: task.to_owned(),
        answer,
        question_version: 1,
        chip_hash: None,
        milliseconds: Some(1800),
    }
}

/// Three volunteers answer everything alike.
fn decide_all(project: &Project, answer: impl Fn(&str) -> Answer) {
    for name in ["ana", "ben", "cem"] {
        let member = project.join(name, SecretHash::of(name)).unwrap();
        let mut number = 0;
        while let Some(pack) = pack(project, &member.id) {
            let votes: Vec<NewVote> = pack
                .tasks
                .iter()
                .map(|t| {
                    number += 1;
                    vote(number, &t.task, answer(&t.task))
                })
                .collect();
            let sent = project.submit(&member.id, &votes).unwrap();
            assert!(
                sent.receipts
                    .iter()
                    .all(|r| r.outcome == VoteOutcome::Accepted)
            );
        }
    }
}

fn picture(project: &Project, chip: &ChipInfo) -> image::RgbImage {
    let bytes = project.chip(&chip.chip).unwrap().unwrap();
    assert_eq!(bytes.media_type, "image/jpeg");
    assert!(bytes.bytes.len() <= 15_000, "{}", bytes.bytes.len());
    image::load_from_memory(&bytes.bytes).unwrap().into_rgb8()
}

/// Middle of what is brighter than half-way, among the pixels that `of` names.
fn bright_middle(picture: &image::RgbImage, of: impl Fn(u32, u32) -> bool) -> [f64; 2] {
    let (mut x, mut y, mut weight) = (0.0, 0.0, 0.0);
    for (column, row, pixel) in picture.enumerate_pixels() {
        let above = f64::from(pixel.0[1]) - 150.0;
        if above > 0.0 && of(column, row) {
            x += above * (f64::from(column) + 0.5);
            y += above * (f64::from(row) + 0.5);
            weight += above;
        }
    }
    [x / weight, y / weight]
}

fn middle(outline: &[[f64; 2]]) -> [f64; 2] {
    let n = outline.len() as f64;
    [0, 1].map(|axis| outline.iter().map(|p| p[axis]).sum::<f64>() / n)
}

fn assert_near(a: [f64; 2], b: [f64; 2], pixels: f64) {
    let distance = (a[0] - b[0]).hypot(a[1] - b[1]);
    assert!(
        distance < pixels,
        "{a:?} and {b:?} are {distance} pixels apart"
    );
}

#[test]
fn a_run_becomes_tasks_with_pictures_of_every_date() {
    let space = Workspace::new();
    let blobs = || vec![blob(120.0, 130.0), blob(300.0, 90.0), blob(250.0, 330.0)];
    scene(&space, "spring.tif", "2024:03:05 05:30:00", blobs());
    scene(&space, "autumn.tif", "2023:11:20 05:30:00", blobs());
    let run = space.scan("spring.tif autumn.tif");
    let said = space.succeed("verify init project run --seed 1 --sample 4");
    assert!(
        said.contains("serve it to volunteers with `kilnsight verify serve project`"),
        "{said}"
    );

    let project = open(&space);
    let sites = project.sites(&SiteFilter::default()).unwrap();
    let ids: BTreeSet<&str> = sites.iter().map(|s| s.site_id.as_str()).collect();
    let layer = run.layer("sites");
    assert_eq!(
        ids,
        layer.features.iter().map(|f| f.text("site_id")).collect()
    );
    assert_eq!(sites.len(), 3);

    let everything = SiteFilter {
        everything: true,
        ..SiteFilter::default()
    };
    let all = project.sites(&everything).unwrap();
    let sampled = all.iter().filter(|s| s.inclusion.is_some());
    assert!(
        sampled.clone().any(|s| s.stratum == "empty"),
        "empty ground is sampled"
    );
    assert!(
        all.iter()
            .all(|s| s.inclusion.is_none_or(|p| p > 0.0 && p <= 1.0))
    );

    let ana = project.join("ana", SecretHash::of("ana")).unwrap();
    let (mut places, mut number) = (0, 0);
    while let Some(pack) = pack(&project, &ana.id) {
        for task in &pack.tasks {
            let looks: BTreeSet<i64> = task.chips.iter().map(|c| c.look).collect();
            assert_eq!(looks, BTreeSet::from([0, 1]), "one look per date");
            let dates: BTreeSet<&str> = task
                .chips
                .iter()
                .filter_map(|c| c.date.as_deref())
                .collect();
            assert_eq!(dates, BTreeSet::from(["2023-11-20", "2024-03-05"]));
            assert_eq!(task.chips.len(), 4);
            for chip in &task.chips {
                let picture = picture(&project, chip);
                assert_eq!(picture.dimensions(), (chip.width, chip.height));
                assert!(
                    chip.outline
                        .iter()
                        .flatten()
                        .all(|v| (0.0..=256.0).contains(v)),
                    "{:?}",
                    chip.outline
                );
                let is_site = ids.contains(
                    all.iter()
                        .find(|s| s.task == task.task)
                        .unwrap()
                        .site_id
                        .as_str(),
                );
                if is_site && chip.view == View::Close {
                    places += 1;
                    // The bright spot lies in the outline, to a third of a scene pixel.
                    let found = bright_middle(&picture, |_, _| true);
                    assert_near(found, middle(&chip.outline), 0.35 * 10.0 / chip.gsd_m + 1.0);
                }
            }
        }
        let votes: Vec<NewVote> = pack
            .tasks
            .iter()
            .map(|t| {
                number += 1;
                vote(number, &t.task, Answer::Unsure)
            })
            .collect();
        project.submit(&ana.id, &votes).unwrap();
        if places >= 6 {
            break;
        }
    }
    assert!(places >= 6, "{places}");
    assert!(project.replay().unwrap().same);
}

#[test]
fn pictures_are_north_up_whatever_the_grid_of_the_scene() {
    let space = Workspace::new();
    let (sin, cos) = 30f64.to_radians().sin_cos();
    let geotransform = [
        300_000.0,
        10.0 * cos,
        10.0 * sin,
        3_000_000.0,
        10.0 * sin,
        -10.0 * cos,
    ];
    // The second blob lies 600 m due north of the first, by the grid.
    let (column, row) = (180.0, 220.0);
    let north = blob(column + 60.0 * sin, row - 60.0 * cos);
    Fixture::new((360, 360), vec![blob(column, row), north])
        .at(32644, geotransform)
        .write(&space, "turned.tif");
    space.scan("turned.tif");
    space.succeed("verify init project run --sample 0");
    let project = open(&space);
    let sites = project.sites(&SiteFilter::default()).unwrap();
    assert_eq!(sites.len(), 2);
    let southern = sites.iter().min_by(|a, b| a.lat.total_cmp(&b.lat)).unwrap();
    let ana = project.join("ana", SecretHash::of("ana")).unwrap();
    let pack = pack(&project, &ana.id).unwrap();
    let task = pack.tasks.iter().find(|t| t.task == southern.task).unwrap();
    let context = task.chips.iter().find(|c| c.view == View::Context).unwrap();
    let up = bright_middle(&picture(&project, context), |_, row| row < 80);
    // Grid north is turned against true north by a degree there: 10 m in 600.
    assert_near(
        up,
        [128.0, 128.0 - 600.0 / context.gsd_m],
        15.0 / context.gsd_m + 1.5,
    );
}

#[test]
fn nothing_a_volunteer_gets_tells_where_a_place_is() {
    let space = Workspace::new();
    let project = project(&space);
    let sites = project
        .sites(&SiteFilter {
            everything: true,
            ..SiteFilter::default()
        })
        .unwrap();
    let mut secrets: BTreeSet<String> = [
        "spring",
        ".tif",
        "Exif",
        "GDAL",
        "EPSG",
        "ns.adobe.com",
        "site_id",
        "cluster",
    ]
    .map(str::to_owned)
    .into();
    for site in &sites {
        secrets.insert(site.site_id.clone());
        for degrees in [site.lon, site.lat] {
            // Three decimals are a hundred metres.
            secrets.insert(format!("{:.3}", (degrees * 1e3).trunc() / 1e3));
        }
    }
    let ana = project.join("ana", SecretHash::of("ana")).unwrap();
    let mut shown: Vec<Vec<u8>> = vec![
        serde_json::to_vec(&project.me(&ana.id).unwrap()).unwrap(),
        serde_json::to_vec(&project.questions().unwrap()).unwrap(),
    ];
    let mut number = 0;
    while let Some(pack) = pack(&project, &ana.id) {
        shown.push(serde_json::to_vec(&pack).unwrap());
        for chip in pack.tasks.iter().flat_map(|t| &t.chips) {
            let bytes = project.chip(&chip.chip).unwrap().unwrap().bytes;
            // APP1 to APP15 and comments carry metadata; a plain JPEG has APP0 only.
            for marker in bytes.windows(2).take(200) {
                assert!(
                    !(marker[0] == 0xff && (0xe1..=0xef).contains(&marker[1])
                        || marker == [0xff, 0xfe]),
                    "metadata"
                );
            }
            shown.push(bytes);
        }
        let votes: Vec<NewVote> = pack
            .tasks
            .iter()
            .map(|t| {
                number += 1;
                vote(number, &t.task, Answer::Yes)
            })
            .collect();
        shown.push(serde_json::to_vec(&project.submit(&ana.id, &votes).unwrap()).unwrap());
    }
    assert!(shown.len() > 2 * sites.len(), "all pictures were looked at");
    for bytes in &shown {
        let text = String::from_utf8_lossy(bytes);
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "`{secret}` in {text:.300}");
        }
    }
}

#[test]
fn a_further_run_adds_tasks_and_keeps_votes() {
    let space = Workspace::new();
    let before = vec![blob(120.0, 130.0), blob(300.0, 90.0)];
    scene(&space, "spring.tif", "2024:03:05 05:30:00", before);
    space.scan("spring.tif");
    space.succeed("verify init project run --sample 0");
    decide_all(&open(&space), |_| Answer::Yes);

    // The same two, seen 15 m further east, and a third.
    let after = vec![blob(121.5, 130.0), blob(301.5, 90.0), blob(250.0, 330.0)];
    scene(&space, "later.tif", "2025:02:01 05:30:00", after);
    space.scan_into("run-2", "later.tif");
    let said = space.succeed("verify add project run-2 --sample 0");
    assert!(said.starts_with("run-2: 1 task (1 site, 0 below the score of sites, 0 empty; 0 in the random sample), 6 pictures; 2 sites known, with their votes"), "{said}");
    let project = open(&space);
    let sites = project.sites(&SiteFilter::default()).unwrap();
    let statuses: Vec<Status> = sites.iter().map(|s| s.status).collect();
    assert_eq!(
        statuses,
        [Status::Confirmed, Status::Confirmed, Status::Unverified]
    );
    assert!(sites[..2].iter().all(|s| s.n_yes == 3));
    // Once more changes nothing.
    let again = space.succeed("verify add project run-2 --sample 0");
    assert!(again.starts_with("run-2: 0 tasks"), "{again}");
    assert!(again.contains("0 pictures; 3 sites known"), "{again}");
    assert!(project.replay().unwrap().same);
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let space = Workspace::new();
    drop(project(&space));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "verify::a_process_that_votes_until_it_is_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(PROJECT, space.path("project"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<[String; 3]> = Vec::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        if let [word, member, id, task] = &words[..]
            && word == "ack"
        {
            acknowledged.push([member.clone(), id.clone(), task.clone()]);
            if acknowledged.len() == 40 {
                // SIGKILL: nothing is flushed, nothing is closed.
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 40);

    let project = open(&space);
    assert!(project.replay().unwrap().same);
    for [member, id, task] in &acknowledged {
        let again = NewVote {
            id: id.clone(),
            ..vote(0, task, Answer::Yes)
        };
        let receipts = project.submit(member, &[again]).unwrap().receipts;
        assert_eq!(receipts[0].outcome, VoteOutcome::Known);
    }
    let counted = project.progress().unwrap().votes;
    assert!(
        (acknowledged.len() as u64..=acknowledged.len() as u64 + 1).contains(&counted),
        "{counted}"
    );
}

#[test]
#[ignore = "started, and killed, by the test above"]
fn a_process_that_votes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(PROJECT) else {
        return;
    };
    let project = Project::open(folder.as_ref()).unwrap();
    for name in ["ana", "ben", "cem"] {
        let member = project.join(name, SecretHash::of(name)).unwrap();
        let mut number = 0;
        while let Some(pack) = pack(&project, &member.id) {
            for task in &pack.tasks {
                number += 1;
                let vote = vote(number, &task.task, Answer::Yes);
                let receipts = project
                    .submit(&member.id, std::slice::from_ref(&vote))
                    .unwrap()
                    .receipts;
                assert_eq!(receipts[0].outcome, VoteOutcome::Accepted);
                let mut stdout = std::io::stdout().lock();
                writeln!(stdout, "ack {} {} {}", member.id, vote.id, task.task).unwrap();
                stdout.flush().unwrap();
            }
        }
    }
}

#[test]
fn exports_show_verdicts_and_hide_volunteers() {
    let space = Workspace::new();
    let project = project(&space);
    let wrong = project.sites(&SiteFilter::default()).unwrap()[0]
        .task
        .clone();
    decide_all(&project, |task| {
        if task == wrong {
            Answer::No
        } else {
            Answer::Yes
        }
    });
    space.succeed("verify export project --out first --licence CC-BY-4.0");
    space.succeed("verify export project --out second");

    let layer =
        Layer::parse(&std::fs::read_to_string(space.path("first/verified.geojson")).unwrap());
    layer.assert_valid();
    let sites = project.sites(&SiteFilter::default()).unwrap();
    assert_eq!(layer.len(), sites.len());
    let first = &layer.features[0];
    assert_eq!(
        first.names(),
        [
            "id",
            "kind",
            "class",
            "kiln_type",
            "status",
            "p_votes",
            "p_combined",
            "detector_score",
            "n_votes",
            "n_yes",
            "n_no",
            "n_unsure",
            "n_bad",
            "decided_at",
            "decided_by",
            "obs_date",
            "scene",
            "first_seen",
            "last_seen",
            "cluster_id",
            "model_version",
            "consensus_version",
            "question_version",
            "licence",
            "sensitivity"
        ]
    );
    assert_eq!(first.text("status"), "rejected");
    assert_eq!(first.text("licence"), "CC-BY-4.0");
    assert_eq!((first.number("n_no"), first.number("n_votes")), (3.0, 3.0));
    assert!(
        layer.features[1..]
            .iter()
            .all(|f| f.text("status") == "confirmed")
    );

    let volunteers = |folder: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(space.path(format!("{folder}/votes.csv"))).unwrap();
        assert!(text.lines().count() > 3 * sites.len());
        for name in ["ana", "ben", "cem"] {
            assert!(!text.contains(name));
        }
        text.lines()
            .skip(1)
            .map(|line| line.split(',').nth(2).unwrap().to_owned())
            .collect()
    };
    let (one, two) = (volunteers("first"), volunteers("second"));
    assert_eq!((one.len(), two.len()), (3, 3));
    assert!(one.is_disjoint(&two), "codes are drawn anew");

    let about: Value =
        serde_json::from_slice(&std::fs::read(space.path("first/export.json")).unwrap()).unwrap();
    assert!(about["log"]["through"].as_i64().unwrap() > 0);
    let sample = std::fs::read_to_string(space.path("first/sample.csv")).unwrap();
    assert!(sample.lines().count() > 5, "{sample}");
    assert!(project.replay().unwrap().same);
}

#[test]
fn votes_of_other_platforms_come_in_once() {
    let space = Workspace::new();
    let project = project(&space);
    let sites = project.sites(&SiteFilter::default()).unwrap();
    let mut table = String::from("\u{feff}task_id,user_id,result\n");
    for (i, site) in sites.iter().enumerate() {
        for user in 0..3 {
            writeln!(
                table,
                "{},user {user},{}",
                site.site_id,
                usize::from(i % 2 == 0)
            )
            .unwrap();
        }
    }
    space.write("results.csv", &table);
    let import = "verify import project results.csv --site task_id --volunteer user_id --answer result --map yes=1 --map no=0";
    let said = space.succeed(import);
    assert!(
        said.starts_with(&format!(
            "{} votes taken in, 0 here before",
            3 * sites.len()
        )),
        "{said}"
    );
    let said = space.succeed(import);
    assert!(
        said.starts_with(&format!(
            "0 votes taken in, {} here before",
            3 * sites.len()
        )),
        "{said}"
    );
    let after = project.sites(&SiteFilter::default()).unwrap();
    for (i, site) in after.iter().enumerate() {
        let expected = if i % 2 == 0 {
            Status::Confirmed
        } else {
            Status::Rejected
        };
        assert_eq!(site.status, expected);
    }
    assert!(project.replay().unwrap().same);
    // No name of a volunteer is kept anywhere.
    drop(project);
    let file = std::fs::read(space.path("project/project.sqlite")).unwrap();
    assert!(!file.windows(6).any(|w| w == b"user 1"));

    space.write(
        "more.csv",
        "site_id,volunteer,answer\nsite-nowhere,zoe,yes\n",
    );
    let outcome = space.run("verify import project more.csv");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stdout.contains(
        "left out: 1 row about sites that the project does not have (the first in line 2)"
    ));
}

#[test]
fn gold_from_a_table_trains_and_decides() {
    let space = Workspace::new();
    let project = project(&space);
    let sites = project.sites(&SiteFilter::default()).unwrap();
    let table = format!(
        "site_id,answer,purpose,note\n{},yes,training,look at the chimney\n{},no,control,\n",
        sites[0].site_id, sites[1].site_id
    );
    space.write("gold.csv", &table);
    assert!(
        space
            .succeed("verify gold project gold.csv")
            .starts_with("2 gold tasks taken in")
    );
    assert!(
        space
            .succeed("verify gold project gold.csv")
            .starts_with("0 gold tasks taken in, 2 here before")
    );
    let after = project.sites(&SiteFilter::default()).unwrap();
    assert_eq!(
        (after[0].status, after[1].status),
        (Status::Confirmed, Status::Rejected)
    );
    let ana = project.join("ana", SecretHash::of("ana")).unwrap();
    let first = &pack(&project, &ana.id).unwrap().tasks[0];
    let training = first.training.as_ref().unwrap();
    assert_eq!(
        (first.task.as_str(), training.answer, training.note.as_str()),
        (sites[0].task.as_str(), Answer::Yes, "look at the chimney")
    );
}

#[test]
fn a_backup_is_made_and_put_back_while_votes_come_in() {
    let space = Workspace::new();
    let project = project(&space);
    let ana = project.join("ana", SecretHash::of("ana")).unwrap();
    let before = pack(&project, &ana.id).unwrap();
    let answered = |n: usize| {
        project
            .submit(&ana.id, &[vote(n, &before.tasks[n].task, Answer::Yes)])
            .unwrap()
    };
    answered(0);
    let said = space.succeed("verify backup project kept/backup.sqlite");
    assert!(said.starts_with("wrote kept/backup.sqlite ("), "{said}");
    answered(1);
    assert_eq!(project.progress().unwrap().votes, 2);
    let outcome = space.run("verify restore project kept/backup.sqlite");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");

    // The project stays open meanwhile, as in a server.
    space.succeed("verify restore project kept/backup.sqlite --replace");
    assert_eq!(project.progress().unwrap().votes, 1);
    assert!(project.replay().unwrap().same);
    // What is sent again is taken in again.
    assert_eq!(answered(1).receipts[0].outcome, VoteOutcome::Accepted);

    space.succeed("verify restore elsewhere kept/backup.sqlite");
    let copy = Project::open(&space.path("elsewhere")).unwrap();
    assert_eq!(copy.progress().unwrap().votes, 1);
    let chip = &before.tasks[0].chips[0];
    assert_eq!(
        copy.chip(&chip.chip).unwrap(),
        project.chip(&chip.chip).unwrap()
    );
}

#[test]
fn projects_that_cannot_be_used() {
    let space = Workspace::new();
    drop(project(&space));
    std::fs::create_dir(space.path("foreign")).unwrap();
    space.write(
        "foreign/project.sqlite",
        "no database at all, but long enough to be looked at as if it were one",
    );
    space.write("bad.csv", "site_id,who,answer\nsite-1,zoe,yes\n");
    space.write("words.csv", "site_id,volunteer,answer\nsite-1,zoe,maybe\n");
    space.write("questions.json", "{\"kiln\": {\"text\": \"Is it?\"}}");
    space.write("areas.geojson", "{\"type\": \"FeatureCollection\", \"features\": [{\"type\": \"Feature\", \"properties\": {\"priority\": 7}, \"geometry\": null}]}");
    std::fs::remove_file(space.path("spring.tif")).unwrap();
    let mut said = String::new();
    for (arguments, code) in [
        ("verify status nowhere", 1),
        ("verify status foreign", 1),
        ("verify init project run", 1),
        ("verify init new nowhere", 1),
        ("verify init new run", 1),
        ("verify init new run --questions questions.json", 1),
        ("verify init new run --priority areas.geojson", 1),
        ("verify import project bad.csv", 1),
        ("verify import project words.csv", 1),
        ("verify import project missing.csv", 1),
        ("verify gold project bad.csv", 1),
        ("verify restore new foreign/project.sqlite", 1),
    ] {
        let outcome = space.run(arguments);
        assert_eq!(outcome.code, Some(code), "{arguments}\n{outcome:?}");
        assert_eq!(
            outcome.stderr.lines().count(),
            1,
            "{arguments}\n{outcome:?}"
        );
        write!(said, "$ kilnsight {arguments}\n{}", outcome.stderr).unwrap();
    }
    assert!(
        !space.path("new").exists(),
        "what failed leaves nothing behind"
    );
    insta::assert_snapshot!(said);
}

#[test]
fn the_status_and_the_log_read_well() {
    let space = Workspace::new();
    let project = project(&space);
    decide_all(&project, |_| Answer::Yes);
    insta::assert_snapshot!(space.succeed("verify status project"));
    let replayed: Value =
        serde_json::from_str(&space.succeed("verify replay project --json")).unwrap();
    assert_eq!(replayed["same"], true);
    let said = space.succeed("verify replay project");
    assert!(
        said.ends_with("the votes and verdicts in the project are what follows from the log\n"),
        "{said}"
    );
    let json: Value = serde_json::from_str(&space.succeed("verify status project --json")).unwrap();
    assert_eq!(json["by_status"]["unverified"], 0);
}

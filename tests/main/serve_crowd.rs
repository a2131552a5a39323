//! A crowd works through a whole project over HTTP. `scripts/simulate_verify.py` does the same with thousands of tasks.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::fixture::noise;
use crate::harness::Workspace;
use crate::serve_client::{Client, Served, project, vote};

const VOLUNTEERS: usize = 15;

/// A number that belongs to a place: it follows from its picture. Half of the places are true.
fn number(task: &Value) -> u64 {
    let hash = task["looks"][0]["close"]["hash"].as_str().unwrap();
    u64::from_str_radix(hash, 16).unwrap() >> 16
}

fn is_true(task: &Value) -> bool {
    number(task).is_multiple_of(2)
}

/// One answer in eight is wrong; of the last volunteer, who does not look, every other.
fn answer(volunteer: usize, task: &Value) -> &'static str {
    let draw = noise(number(task).wrapping_mul(1_009) + volunteer as u64).abs();
    let errors = if volunteer + 1 == VOLUNTEERS {
        0.5
    } else {
        0.125
    };
    if is_true(task) == (draw < errors) {
        "no"
    } else {
        "yes"
    }
}

fn send(client: &mut Client, volunteer: usize, tasks: &[Value]) -> usize {
    let votes: Vec<Value> = tasks
        .iter()
        .map(|task| {
            let id = format!("{volunteer}-{}", task["task"].as_str().unwrap());
            vote(&id, task, answer(volunteer, task))
        })
        .collect();
    let sent = client.post("/api/v1/votes", json!({ "votes": votes }));
    let results = sent.body["results"].as_array().unwrap();
    assert!(
        results.iter().all(|r| r["outcome"] == "accepted"),
        "{results:?}"
    );
    results.len()
}

#[test]
fn a_crowd_decides_a_project_over_http() {
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "--joins-per-hour 100");
    let mut crowd: Vec<Client> = (0..VOLUNTEERS)
        .map(|n| served.volunteer(&format!("volunteer {n}")))
        .collect();

    let mut truth: HashMap<String, bool> = HashMap::new();
    // Several hold packs at a time; whoever has held one longest sends it.
    let mut held: Vec<(usize, Vec<Value>)> = Vec::new();
    let (mut votes, mut turn, mut idle) = (0, 0, 0);
    while idle < 2 * VOLUNTEERS {
        let who = turn % VOLUNTEERS;
        turn += 1;
        let pack = crowd[who].post("/api/v1/packs", json!({ "size": 10 })).body;
        let tasks = pack["tasks"].as_array().unwrap().clone();
        idle += 1;
        if !tasks.is_empty() {
            idle = 0;
            for task in &tasks {
                let id = task["task"].as_str().unwrap().to_owned();
                truth.insert(id, is_true(task));
            }
            held.push((who, tasks));
        }
        if held.len() > 4 || idle > 0 && !held.is_empty() {
            let (who, tasks) = held.remove(0);
            votes += send(&mut crowd[who], who, &tasks);
        }
    }
    drop(served);

    let project = kilnsight::verify::Project::open(&space.path("project")).unwrap();
    let filter = kilnsight::verify::SiteFilter {
        everything: true,
        ..Default::default()
    };
    let sites = project.sites(&filter).unwrap();
    assert_eq!(truth.len(), sites.len(), "every task was asked about");
    let decided: Vec<_> = sites.iter().filter(|s| s.decided_by.is_some()).collect();
    let right = decided
        .iter()
        .filter(|s| (s.status == kilnsight::verify::Status::Confirmed) == truth[&s.task])
        .count();
    assert!(decided.len() * 10 >= sites.len() * 9, "{}", decided.len());
    assert!(right * 10 >= decided.len() * 9, "{right}");
    assert!(votes * 10 <= sites.len() * 55, "{votes} votes");
    let most = sites.iter().map(|s| s.n_yes + s.n_no).max().unwrap();
    assert!(most <= 15, "{most} votes on one task");
    assert!(project.replay().unwrap().same);
}

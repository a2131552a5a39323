//! The API as volunteers and researchers use it. Every request and answer is checked against the API's description
//! by the client.

use serde_json::{Value, json};

use crate::harness::Workspace;
use crate::serve_client::{Client, PASSWORD, Served, project, vote};

fn served() -> (Workspace, Served) {
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "--joins-per-hour 100");
    (space, served)
}

fn pack(client: &mut Client) -> Vec<Value> {
    let pack = client.post("/api/v1/packs", json!({ "size": 10 }));
    assert_eq!(pack.status, 200);
    // Places for hidden controls stay empty while there is no gold: a pack may be a little smaller than asked for.
    let tasks = pack.body["tasks"].as_array().unwrap();
    assert!((8..=10).contains(&tasks.len()), "{}", tasks.len());
    tasks[..8].to_vec()
}

fn send(client: &mut Client, votes: &[Value]) -> Vec<String> {
    let sent = client.post("/api/v1/votes", json!({ "votes": votes }));
    assert_eq!(sent.status, 200, "{sent:?}");
    let results = sent.body["results"].as_array().unwrap();
    results
        .iter()
        .map(|result| result["outcome"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_volunteer_joins_answers_corrects_and_leaves() {
    let (_space, served) = served();
    let mut ada = served.volunteer("Ada");
    let tutorial = ada.get("/api/v1/tutorial");
    assert!(
        tutorial.body["questions"][0]["text"]
            .as_str()
            .unwrap()
            .contains("inside the outline")
    );
    let tasks = pack(&mut ada);
    let close = &tasks[0]["looks"][0]["close"];
    let chip = ada.get(&format!(
        "/api/v1/chips/{}",
        close["chip"].as_str().unwrap()
    ));
    let picture = image::load_from_memory(&chip.bytes).unwrap();
    assert_eq!(
        (json!(picture.width()), json!(picture.height())),
        (close["width"].clone(), close["height"].clone())
    );
    assert!(chip.bytes.len() <= 15_000, "{}", chip.bytes.len());
    assert_eq!(
        chip.header("cache-control"),
        "private, max-age=31536000, immutable"
    );

    let votes: Vec<Value> = tasks
        .iter()
        .enumerate()
        .map(|(n, task)| vote(&format!("vote-{n:04}"), task, "yes"))
        .collect();
    assert_eq!(send(&mut ada, &votes[..7]), vec!["accepted"; 7]);
    // The answer got lost, and the page sends again.
    let outcomes = send(&mut ada, &votes);
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| *outcome == "known")
            .count(),
        7
    );
    assert_eq!(outcomes[7], "accepted");

    let corrected = ada.post(
        "/api/v1/corrections",
        json!({ "corrections": [{ "id": "correction-1", "vote": "vote-0000", "answer": "no" }] }),
    );
    assert_eq!(corrected.body["results"][0]["outcome"], "accepted");
    let undone = ada.post(
        "/api/v1/undo",
        json!({ "id": "undo-0001", "vote": "vote-0001" }),
    );
    assert_eq!(undone.body["results"][0]["outcome"], "accepted");
    assert_eq!(ada.get("/api/v1/me").body["votes"], 7);
    let again = ada.post("/api/v1/packs", json!({ "resume": true })).body;
    assert_eq!(again["tasks"][0]["task"], votes[1]["task"]);

    let code = ada.post("/api/v1/recovery-code", json!({})).body["code"].clone();
    let mut phone = served.client();
    let recovered = phone.post("/api/v1/recover", json!({ "code": code }));
    assert_eq!(
        (recovered.status, &recovered.body["votes"]),
        (201, &json!(7))
    );
    assert_eq!(
        served
            .client()
            .post("/api/v1/recover", json!({ "code": code }))
            .status,
        403
    );

    assert_eq!(ada.post("/api/v1/forget-me", json!({})).status, 200);
    assert!(ada.cookies.is_empty());
    assert_eq!(phone.get("/api/v1/me").status, 401);
    // The votes are still there.
    let mut admin = served.admin();
    assert_eq!(admin.get("/api/v1/progress").body["votes"], 7);
    assert!(
        !admin
            .get("/api/v1/members")
            .body
            .to_string()
            .contains("\"Ada\",\"role\":\"volunteer\"")
    );
}

#[test]
fn votes_that_cannot_count_are_refused_one_by_one() {
    let (_space, served) = served();
    let (mut ada, mut eve) = (served.volunteer("Ada"), served.volunteer("Eve"));
    let tasks = pack(&mut ada);
    let changed = |key: &str, value: Value| {
        let mut vote = vote("vote-0001", &tasks[0], "yes");
        vote[key] = value;
        vote
    };
    let bad = [
        changed("id", json!("bad id with spaces")),
        changed("task", json!("0".repeat(32))),
        changed("question_version", json!(7)),
        changed("hash", json!("0123456789abcdef")),
        changed("id", json!("vote-good")),
        changed("id", json!("vote-second")),
    ];
    let outcomes = send(&mut ada, &bad);
    assert_eq!(
        outcomes,
        [
            "bad_id",
            "not_offered",
            "other_questions",
            "other_picture",
            "accepted",
            "already_answered"
        ]
    );
    // Eve was offered nothing.
    let stolen = [vote("vote-0001", &tasks[1], "yes")];
    assert_eq!(send(&mut eve, &stolen), ["not_offered"]);
    for (body, status) in [
        (json!({}), 422),
        (json!({ "votes": [] }), 422),
        (json!({ "votes": [{ "id": "x" }] }), 422),
        (
            json!({ "votes": vec![changed("answer", json!("maybe"))] }),
            422,
        ),
        (
            json!({ "votes": vec![changed("milliseconds", json!(-1))] }),
            422,
        ),
        (json!({ "votes": [], "more": 1 }), 422),
        (json!({ "votes": vec![bad[4].clone(); 51] }), 422),
    ] {
        assert_eq!(
            ada.post("/api/v1/votes", body.clone()).status,
            status,
            "{body}"
        );
    }
    assert_eq!(
        ada.raw("POST", "/api/v1/votes", "application/json", b"{".to_vec())
            .status,
        400
    );
}

#[test]
fn when_nothing_is_left_it_says_so() {
    let (_space, served) = served();
    let mut ada = served.volunteer("Ada");
    let mut seen = Vec::new();
    for round in 0.. {
        let pack = ada.post("/api/v1/packs", json!({ "size": 25 })).body;
        let tasks = pack["tasks"].as_array().unwrap();
        if tasks.is_empty() {
            assert_eq!(pack["nothing_left"], "none_for_you");
            break;
        }
        let votes: Vec<Value> = tasks
            .iter()
            .enumerate()
            .map(|(n, task)| vote(&format!("vote-{round}-{n:03}"), task, "no"))
            .collect();
        assert!(
            send(&mut ada, &votes)
                .iter()
                .all(|outcome| outcome == "accepted")
        );
        seen.extend(tasks.iter().map(|task| task["task"].to_string()));
    }
    let tasks = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), tasks, "no task is offered twice");
    assert!(tasks >= 36);
}

#[test]
fn researchers_set_up_watch_and_decide() {
    let (_space, served) = served();
    let mut admin = served.admin();
    assert_eq!(admin.get("/api/v1/session").body["role"], "admin");
    let mut ada = served.volunteer("Ada");
    let tasks = pack(&mut ada);
    let votes: Vec<Value> = tasks
        .iter()
        .enumerate()
        .map(|(n, task)| vote(&format!("vote-{n:04}"), task, "yes"))
        .collect();
    send(&mut ada, &votes);

    let progress = admin.get("/api/v1/progress").body;
    assert_eq!(
        (&progress["votes"], &progress["volunteers"]),
        (&json!(8), &json!(1))
    );
    let members = admin.get("/api/v1/members").body["members"].clone();
    let ada_row = members
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["role"] == "volunteer")
        .unwrap()
        .clone();
    assert_eq!(
        (&ada_row["nickname"], &ada_row["votes"]),
        (&json!("Ada"), &json!(8))
    );

    let page = admin.get("/api/v1/sites?limit=20").body;
    assert_eq!(page["matched"], 36);
    assert_eq!(page["sites"].as_array().unwrap().len(), 20);
    let rest = admin
        .get(&format!("/api/v1/sites?limit=20&after={}", page["next"]))
        .body;
    assert_eq!(
        (rest["sites"].as_array().unwrap().len(), &rest["next"]),
        (16, &Value::Null)
    );
    assert_eq!(admin.get("/api/v1/sites?status=maybe").status, 400);

    let task = page["sites"][0]["task"].as_str().unwrap().to_owned();
    let decision = json!({ "status": "confirmed", "reason": "seen on the ground" });
    assert_eq!(
        admin
            .post(&format!("/api/v1/tasks/{task}/decision"), decision.clone())
            .status,
        200
    );
    assert_eq!(
        admin
            .post(
                &format!("/api/v1/tasks/{}/decision", "0".repeat(32)),
                decision
            )
            .status,
        404
    );
    assert_eq!(
        admin.get("/api/v1/sites?status=confirmed").body["matched"],
        1
    );
    let gold = json!({ "task": task, "answer": "yes", "purpose": "training", "note": "Look for the oval." });
    assert_eq!(admin.post("/api/v1/gold", gold.clone()).status, 200);
    assert_eq!(admin.get("/api/v1/gold").body["gold"], json!([gold]));
    let mut grace = served.volunteer("Grace");
    let first = pack(&mut grace)[0].clone();
    assert_eq!(
        (&first["task"], &first["training"]["answer"]),
        (&json!(task), &json!("yes"))
    );
    assert_eq!(
        admin
            .send(
                "DELETE",
                &format!("/api/v1/gold/{task}"),
                Some(&Value::Null)
            )
            .status,
        200
    );

    let void = json!({ "reason": "did not look" });
    let path = format!(
        "/api/v1/members/{}/void",
        ada_row["member"].as_str().unwrap()
    );
    assert_eq!(admin.post(&path, void).body["votes"], 8);
    assert_eq!(admin.get("/api/v1/progress").body["votes"], 0);
    assert_eq!(
        admin
            .post(&path, json!({ "reason": "did", "restore": true }))
            .body["votes"],
        8
    );
}

#[test]
fn admins_back_up_and_change_the_invitation() {
    let (space, served) = served();
    let mut admin = served.admin();
    let backup = admin.post("/api/v1/backup", json!({})).body;
    let file = space.path("project").join(backup["file"].as_str().unwrap());
    assert_eq!(
        json!(std::fs::metadata(file).unwrap().len()),
        backup["bytes"]
    );

    let invite = admin.post("/api/v1/invite", json!({})).body["invite"].clone();
    assert_ne!(invite, json!(served.invite()));
    let old = json!({ "invite": served.invite(), "nickname": "Late", "consent": true });
    assert_eq!(
        served.client().post("/api/v1/join", old).problem(),
        "invite"
    );
    let typed = invite.as_str().unwrap().to_lowercase().replace('-', " ");
    let new = json!({ "invite": typed, "nickname": "Late", "consent": true });
    assert_eq!(served.client().post("/api/v1/join", new).status, 201);
}

#[test]
fn roles_are_kept_apart() {
    let (_space, served) = served();
    let mut admin = served.admin();
    let mut ada = served.volunteer("Ada Volunteer");
    let members = admin.get("/api/v1/members").body["members"].clone();
    let member = members
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["role"] == "volunteer")
        .unwrap()["member"]
        .clone();
    for path in ["progress", "members", "sites", "gold", "invite", "session"] {
        assert_eq!(ada.get(&format!("/api/v1/{path}")).status, 401, "{path}");
    }
    let token = admin
        .post(
            "/api/v1/accounts",
            json!({ "role": "expert", "member": member }),
        )
        .body["token"]
        .clone();
    let mut expert = served.client();
    let made = expert.post(
        "/api/v1/setup",
        json!({ "token": token, "name": "any", "password": PASSWORD }),
    );
    assert_eq!(
        (made.status, &made.body["name"], &made.body["role"]),
        (201, &json!("Ada Volunteer"), &json!("expert"))
    );
    expert.keep_token(&made);
    assert_eq!(
        served
            .client()
            .post(
                "/api/v1/setup",
                json!({ "token": token, "name": "any", "password": PASSWORD })
            )
            .status,
        403
    );
    assert_eq!(expert.get("/api/v1/progress").status, 200);
    for path in ["members", "invite"] {
        assert_eq!(expert.get(&format!("/api/v1/{path}")).problem(), "role");
    }
    let path = format!("/api/v1/members/{}/role", member.as_str().unwrap());
    assert_eq!(
        expert.post(&path, json!({ "role": "admin" })).problem(),
        "role"
    );
    // Another role: what was known of the old one is good no more.
    assert_eq!(
        admin.post(&path, json!({ "role": "volunteer" })).status,
        200
    );
    assert_eq!(expert.get("/api/v1/session").status, 401);
    let log_in = json!({ "name": "Ada Volunteer", "password": PASSWORD });
    assert_eq!(served.client().post("/api/v1/login", log_in).status, 401);
    // Somebody has to run the project.
    let own = members
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["role"] == "admin")
        .unwrap()["member"]
        .clone();
    let own = format!("/api/v1/members/{}/role", own.as_str().unwrap());
    assert_eq!(
        admin.post(&own, json!({ "role": "volunteer" })).problem(),
        "refused"
    );
}

//! What somebody who means harm may try.

use std::collections::BTreeSet;

use kilnsight::verify::Project;
use serde_json::{Value, json};

use crate::harness::Workspace;
use crate::serve_client::{Answer, Client, PASSWORD, SCENE, Served, project, vote};

fn served() -> (Workspace, Served) {
    served_with("--joins-per-hour 100")
}

fn served_with(options: &str) -> (Workspace, Served) {
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", options);
    (space, served)
}

const JSON: &str = "application/json";

#[test]
fn another_sites_page_changes_nothing() {
    let (_space, served) = served();
    let ada = served.volunteer("Ada");
    let packs = |client: &Client| {
        client
            .clone()
            .raw("POST", "/api/v1/packs", JSON, b"{}".to_vec())
    };
    let own = served.url.clone();
    assert_eq!(packs(&ada).status, 200);
    assert_eq!(
        packs(
            &ada.with("origin", &own)
                .with("sec-fetch-site", "same-origin")
        )
        .status,
        200
    );
    // What a browser sends for a form or a script of another page.
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        assert_eq!(
            packs(&ada.with(name, value)).problem(),
            "cross-site",
            "{name}: {value}"
        );
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        assert_eq!(
            ada.clone()
                .raw("POST", "/api/v1/packs", kind, b"{}".to_vec())
                .problem(),
            "not-json",
            "{kind}"
        );
    }
    // The cookie alone is not enough, nor is the token of somebody else.
    let mut without = ada.clone();
    without.csrf = String::new();
    assert_eq!(packs(&without).problem(), "csrf");
    without.csrf = served.volunteer("Eve").csrf;
    assert_eq!(packs(&without).problem(), "csrf");
    // Reading never changes anything.
    for path in [
        "packs",
        "votes",
        "forget-me",
        "join",
        "logout",
        "setup",
        "backup",
    ] {
        assert_eq!(
            ada.clone().get(&format!("/api/v1/{path}")).status,
            405,
            "{path}"
        );
    }
}

#[test]
fn a_session_cannot_be_prepared_for_somebody_else() {
    let (_space, served) = served();
    let admin = served.admin();
    let cookie = admin.cookies.keys().next().unwrap().clone();
    // Eve plants a cookie of her choice, and one that is good.
    let planted = "ab".repeat(32);
    let mut victim = served.client();
    victim.cookies.insert(cookie.clone(), planted.clone());
    let log_in = |client: &mut Client| {
        client.post(
            "/api/v1/login",
            json!({ "name": "Ada", "password": PASSWORD }),
        )
    };
    assert_eq!(log_in(&mut victim).status, 200);
    let first = victim.cookies[&cookie].clone();
    assert_ne!(first, planted);
    let mut eve = served.client();
    eve.cookies.insert(cookie.clone(), planted);
    assert_eq!(eve.get("/api/v1/session").status, 401);
    // Logging in again ends the session that was.
    assert_eq!(log_in(&mut victim).status, 200);
    eve.cookies.insert(cookie.clone(), first);
    assert_eq!(eve.get("/api/v1/session").status, 401);
    // So does logging out.
    let kept = victim.clone();
    let session = victim.get("/api/v1/session");
    victim.keep_token(&session);
    assert_eq!(victim.post("/api/v1/logout", json!({})).status, 200);
    assert_eq!(kept.clone().get("/api/v1/session").status, 401);
}

#[test]
fn secrets_are_not_guessed_and_passwords_slowly() {
    let (_space, served) = served_with("");
    drop(served.admin());
    let mut eve = served.client();
    let mut log_in = |password: &str| {
        eve.post(
            "/api/v1/login",
            json!({ "name": "Ada", "password": password }),
        )
        .status
    };
    let answers: Vec<u16> = (0..7)
        .map(|n| log_in(&format!("wrong password {n}")))
        .collect();
    assert_eq!(answers[..5], [401; 5]);
    assert_eq!(answers[6], 429);
    // Not even the right one is tried meanwhile.
    assert_eq!(log_in(PASSWORD), 429);

    let mut guess = |code: &str| {
        eve.post(
            "/api/v1/join",
            json!({ "invite": code, "nickname": "Eve", "consent": true }),
        )
    };
    let answers: Vec<Answer> = (0..20)
        .map(|n| guess(&format!("AAAA-AAAA-AA{n:02}")))
        .collect();
    assert_eq!(answers[0].problem(), "invite");
    assert_eq!(answers[19].problem(), "too-many");
    assert!(answers[19].header("retry-after").parse::<u64>().unwrap() >= 1);
    // Five join from one address in an hour.
    for n in 0..5 {
        served.volunteer(&format!("Volunteer {n}"));
    }
    let sixth = json!({ "invite": served.invite(), "nickname": "Sixth", "consent": true });
    assert_eq!(
        served.client().post("/api/v1/join", sixth).problem(),
        "too-many"
    );
}

#[test]
fn ids_and_paths_lead_nowhere() {
    let (_space, served) = served();
    let mut ada = served.volunteer("Ada");
    for path in [
        "/api/v1/chips/1",
        "/api/v1/chips/00000000000000000000000000000000",
        "/api/v1/chips/..%2f..%2fproject.sqlite",
        "/api/v1/chips/..%2F..%2F..%2Fetc%2Fpasswd",
        "/api/v1/chips/%2e%2e/%2e%2e/project.sqlite",
        "/api/v1/chips/%00",
        "/api/v1/chips/' OR 1=1 --",
        "/assets/../project.sqlite",
        "/assets/..%2fproject.sqlite",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/project.sqlite",
        "/.git/config",
        "//etc/passwd",
    ] {
        let path = path.replace(' ', "%20");
        let answer = ada.raw("GET", &path, JSON, Vec::new());
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    // Without a device there are no pictures, even for those who know an id.
    let pack = ada.post("/api/v1/packs", json!({})).body;
    let chip = pack["tasks"][0]["looks"][0]["close"]["chip"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(ada.get(&format!("/api/v1/chips/{chip}")).status, 200);
    assert_eq!(
        served.client().get(&format!("/api/v1/chips/{chip}")).status,
        401
    );
}

#[test]
fn oversize_and_strange_requests_are_turned_away() {
    let (_space, served) = served();
    let mut ada = served.volunteer("Ada");
    let long = format!("{{\"votes\":\"{}\"}}", "x".repeat(300 * 1024));
    assert_eq!(
        ada.raw("POST", "/api/v1/votes", JSON, long.into_bytes())
            .problem(),
        "too-large"
    );
    assert_eq!(ada.post("/api/v1/packs", json!({ "size": 51 })).status, 422);
    let deep = "[".repeat(100_000);
    assert_eq!(
        ada.raw("POST", "/api/v1/votes", JSON, deep.into_bytes())
            .status
            / 100,
        4
    );
    for host in ["evil.example", "localhost.evil.example", "169.254.169.254"] {
        assert_eq!(
            ada.with("host", host)
                .raw("GET", "/", JSON, Vec::new())
                .problem(),
            "unknown-host",
            "{host}"
        );
    }
    for method in ["PUT", "PATCH", "TRACE"] {
        assert!(
            [403, 405].contains(&ada.raw(method, "/api/v1/me", JSON, b"{}".to_vec()).status),
            "{method}"
        );
    }
}

#[test]
fn every_answer_keeps_scripts_frames_and_caches_out() {
    let (_space, served) = served();
    let mut ada = served.volunteer("Ada");
    for path in [
        "/",
        "/research",
        "/assets/volunteer.js",
        "/api/v1/me",
        "/api/v1/openapi.json",
        "/nowhere",
        "/ogc",
    ] {
        let answer = ada.raw("GET", path, JSON, Vec::new());
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    assert_eq!(ada.get("/api/v1/me").header("cache-control"), "no-store");
}

#[test]
fn a_nickname_is_text_whatever_it_says() {
    let (_space, served) = served();
    let payload = "<img src=x onerror=alert(1)>\"'&";
    let mut eve = served.volunteer(payload);
    let me = eve.get("/api/v1/me");
    assert_eq!(me.body["nickname"], payload);
    assert_eq!(me.header("content-type"), "application/json");
    let mut admin = served.admin();
    let members = admin.get("/api/v1/members");
    assert!(
        members.body["members"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["nickname"] == payload)
    );
    for nickname in ["", "   ", "\u{202e}\u{200b}", &"x".repeat(41)] {
        let body = json!({ "invite": served.invite(), "nickname": nickname, "consent": true });
        assert!(
            [409, 422].contains(&served.client().post("/api/v1/join", body).status),
            "{nickname:?}"
        );
    }
}

#[test]
fn stuffing_votes_counts_once_is_slowed_and_shows() {
    let (_space, served) = served();
    let mut eve = served.volunteer("Eve");
    let tasks = eve.post("/api/v1/packs", json!({ "size": 10 })).body["tasks"]
        .as_array()
        .unwrap()
        .clone();
    let mut last = 200;
    for round in 0..20 {
        let votes: Vec<Value> = tasks
            .iter()
            .enumerate()
            .map(|(n, task)| {
                let mut vote = vote(&format!("stuffed-{round:02}-{n:03}"), task, "yes");
                vote["milliseconds"] = json!(5);
                vote
            })
            .collect();
        last = eve.post("/api/v1/votes", json!({ "votes": votes })).status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    let mut admin = served.admin();
    assert_eq!(
        admin.get("/api/v1/progress").body["votes"],
        json!(tasks.len())
    );
    let members = admin.get("/api/v1/members").body["members"].clone();
    let row = members
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["nickname"] == "Eve")
        .unwrap()
        .clone();
    // Flagged and weighed, not deleted.
    assert_eq!(
        (&row["votes"], &row["too_fast"]),
        (&json!(tasks.len()), &json!(tasks.len()))
    );
    let block = format!("/api/v1/members/{}/block", row["member"].as_str().unwrap());
    assert_eq!(admin.post(&block, json!({ "blocked": true })).status, 200);
    assert_eq!(
        eve.post("/api/v1/packs", json!({})).body["nothing_left"],
        "blocked"
    );
}

/// Fetches all that a volunteer can reach, and looks for anything that tells where the pictures were taken.
#[test]
fn nothing_that_a_volunteer_gets_tells_where_the_pictures_are() {
    let (space, served) = served();
    let mut ada = served.volunteer("Ada");
    let mut seen: Vec<(String, Answer)> = Vec::new();
    let mut visit = |client: &mut Client, path: &str| {
        let answer = client.raw("GET", path, JSON, Vec::new());
        seen.push((path.to_owned(), answer.clone()));
        answer
    };
    let document = visit(&mut ada, "/api/v1/openapi.json").body;
    for path in document["paths"].as_object().unwrap().keys() {
        visit(&mut ada, &path.replace(['{', '}'], ""));
    }
    for path in [
        "/",
        "/research",
        "/nowhere",
        "/assets/volunteer.js",
        "/assets/strings.en.json",
        "/ogc/",
        "/ogc/collections/sites/items",
    ] {
        visit(&mut ada, path);
    }
    let mut chips = BTreeSet::new();
    for round in 0..4 {
        let pack = ada.post("/api/v1/packs", json!({ "size": 25 }));
        let tasks = pack.body["tasks"].as_array().unwrap().clone();
        seen.push(("pack".to_owned(), pack));
        if tasks.is_empty() {
            break;
        }
        for task in &tasks {
            for look in task["looks"].as_array().unwrap() {
                for scale in ["close", "context"] {
                    let chip = look[scale]["chip"].as_str().unwrap().to_owned();
                    if chips.insert(chip.clone()) {
                        seen.push((chip.clone(), ada.get(&format!("/api/v1/chips/{chip}"))));
                    }
                }
            }
        }
        let votes: Vec<Value> = tasks
            .iter()
            .enumerate()
            .map(|(n, task)| vote(&format!("vote-{round}-{n:03}"), task, "yes"))
            .collect();
        seen.push((
            "votes".to_owned(),
            ada.post("/api/v1/votes", json!({ "votes": votes })),
        ));
    }
    for path in ["me", "tutorial"] {
        seen.push((path.to_owned(), ada.get(&format!("/api/v1/{path}"))));
    }
    assert!(chips.len() >= 72, "{}", chips.len());

    let sites = Project::open(&space.path("project"))
        .unwrap()
        .sites(&kilnsight::verify::SiteFilter {
            everything: true,
            ..Default::default()
        })
        .unwrap();
    assert!(sites.len() >= 36);
    let mut secrets = vec![
        SCENE.to_owned(),
        ".tif".to_owned(),
        "project.sqlite".to_owned(),
        space.path("").display().to_string(),
    ];
    for site in &sites {
        secrets.push(site.site_id.clone());
        // As near as a metre: fewer digits may stand in any outline.
        for degrees in [site.lon, site.lat] {
            secrets.push(format!("{degrees:.5}"));
        }
    }
    for (what, answer) in &seen {
        let headers = format!("{:?}", answer.headers);
        // Whatever stands in a picture's bytes besides the picture stands there as plain text.
        let body = String::from_utf8_lossy(&answer.bytes);
        for secret in &secrets {
            assert!(
                !headers.contains(secret) && !body.contains(secret.as_str()),
                "{what} tells {secret}"
            );
        }
        let tags = ["GeoKey", "Exif", "GDAL", "GPS", "http://ns.adobe.com"];
        if chips.contains(what) {
            assert!(
                tags.iter().all(|tag| !body.contains(tag)),
                "{what} has metadata"
            );
        }
    }
}

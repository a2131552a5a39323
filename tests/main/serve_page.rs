//! The volunteers' page in a real browser.

use serde_json::{Value, json};

use crate::browser::{Browser, LEFT, RIGHT};
use crate::harness::Workspace;
use crate::serve_client::{Client, Served, project};

/// Joins as somebody new would, from the invitation's link.
fn join(browser: &Browser, served: &Served) {
    browser.go(&format!("{}/#code={}", served.url, served.invite()));
    browser.until_shown("#join");
    browser.type_into("#nickname", "Ada <b>Lovelace</b>");
    browser.click("#join-form .primary");
    browser.until_shown("#trouble");
    browser.click("#consent");
    browser.click("#join-form .primary");
    browser.until_shown("#work");
    loaded(browser);
}

fn loaded(browser: &Browser) {
    browser.until("the picture", "const p = document.getElementById('picture'); return p.complete && p.naturalWidth > 0 && document.getElementById('waiting').hidden");
}

fn step(browser: &Browser) -> String {
    browser.text("#step")
}

/// A script that tells whether the page shows a picture.
fn at(number: usize, total: usize) -> String {
    format!("return document.getElementById('step').innerText === 'Picture {number} of {total}'")
}

/// From the fourth picture to the last, and on to the next pack.
fn finish_the_pack(browser: &Browser, admin: &mut Client, total: usize) {
    // Another answer to a picture that was sent.
    loaded(browser);
    browser.press(LEFT);
    loaded(browser);
    browser.press("1");
    browser.until("sending", "const s = JSON.parse(localStorage.getItem('kilnsight.work.1')); return s.outbox.length === 1 && !!s.outbox[0].vote");
    browser.screen(1280, 800, false);
    for number in 4..=total {
        browser.until("the picture", &at(number, total));
        loaded(browser);
        browser.press("2");
    }
    browser.until_shown("#done");
    browser.until(
        "sending",
        "return JSON.parse(localStorage.getItem('kilnsight.work.1')).outbox.length === 0",
    );
    assert_eq!(admin.get("/api/v1/progress").body["votes"], json!(total));
    browser.click("#more");
    browser.until_shown("#work");
}

#[test]
fn a_volunteer_works_with_keys_touch_and_a_bad_network() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "");
    let mut admin = served.admin();
    browser.screen(360, 740, true);
    join(&browser, &served);

    // On a small phone everything is in reach, without scrolling sideways or down.
    let fits =
        "const e = document.documentElement; return e.scrollWidth <= 360 && e.scrollHeight <= 740";
    assert_eq!(
        browser.script(fits),
        true,
        "{}",
        browser.script(
            "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        )
    );
    let small = "return [...document.querySelectorAll('#work button')].filter(b => b.checkVisibility() && b.getBoundingClientRect().height < 44).map(b => b.id || b.textContent)";
    assert_eq!(browser.script(small), json!([]));
    // The outline lies over the picture, in its pixels.
    assert_eq!(
        browser.script("return document.querySelectorAll('#outline polygon').length"),
        2
    );
    let first = step(&browser);
    let (_, total) = first.split_once("Picture 1 of ").unwrap();
    let total: usize = total.parse().unwrap();
    let at = |number| at(number, total);
    let is_at = |number: usize| assert_eq!(step(&browser), format!("Picture {number} of {total}"));

    browser.press("1");
    browser.until("the next picture", &at(2));
    loaded(&browser);
    browser.click("[data-answer=no]");
    browser.until("the next picture", &at(3));
    loaded(&browser);
    browser.press(LEFT);
    loaded(&browser);
    assert_eq!(
        browser.script(
            "return document.querySelector('[aria-pressed=true][data-answer]').dataset.answer"
        ),
        "no"
    );
    // A slip of the finger is put right before anybody saw it.
    browser.press("3");
    loaded(&browser);
    is_at(3);
    // Unanswered pictures are not skipped.
    browser.press(RIGHT);
    is_at(3);
    browser.press(" ");
    loaded(&browser);
    assert_eq!(browser.text("#scale"), "Close view");
    browser.press("o");
    assert_eq!(
        browser.script("return document.getElementById('outline').style.visibility"),
        "hidden"
    );

    // The network goes: work goes on with what is there, and a page loaded again has forgotten nothing.
    let waiting = "return JSON.parse(localStorage.getItem('kilnsight.work.1')).outbox.length";
    assert_eq!(browser.script(waiting), 2);
    browser.offline(true);
    browser.press("4");
    browser.until("the next picture", &at(4));
    assert_eq!(browser.script(waiting), 3);
    assert_eq!(admin.get("/api/v1/progress").body["votes"], 0);
    browser.offline(false);
    browser.reload();
    browser.until_shown("#work");
    is_at(4);
    browser.until(
        "sending",
        "return JSON.parse(localStorage.getItem('kilnsight.work.1')).outbox.length === 0",
    );
    assert_eq!(browser.text("#sending"), "3 sent");
    let progress = admin.get("/api/v1/progress").body;
    assert_eq!(progress["votes"], 3, "{progress}");

    finish_the_pack(&browser, &mut admin, total);

    browser.click("#open-me");
    browser.until_shown("#me");
    let facts = browser.text("#me-facts");
    assert!(
        facts.contains("Ada <b>Lovelace</b>") && facts.contains(&total.to_string()),
        "{facts}"
    );
    browser.click("#forget-sure");
    browser.click("#forget-form .danger");
    browser.until_shown("#join");
    assert_eq!(browser.script("return localStorage.length"), 0);
    assert_eq!(browser.script("return document.cookie"), "");
}

#[test]
fn every_control_has_a_name_and_researchers_see_the_progress() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "");
    join(&browser, &served);
    browser.devtools("Accessibility.enable", &json!({}));
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let mut names = Vec::new();
    for node in tree["nodes"].as_array().unwrap() {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if node["ignored"] == Value::Bool(false)
            && [
                "button",
                "image",
                "textbox",
                "checkbox",
                "progressbar",
                "heading",
            ]
            .contains(&role)
        {
            names.push(format!(
                "{role}: {}",
                node["name"]["value"].as_str().unwrap_or_default().trim()
            ));
        }
    }
    assert!(names.iter().all(|name| !name.ends_with(": ")), "{names:?}");
    for name in [
        "button: Yes",
        "button: No",
        "button: Not sure",
        "button: Bad picture",
        "image: Satellite picture, close view",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }

    browser.go(&format!(
        "{}/research#setup={}",
        served.url,
        served.setup_token().unwrap()
    ));
    browser.until_shown("#setup");
    browser.type_into("#setup-name", "Grace");
    browser.type_into("#setup-password", "a long enough password");
    browser.click("#setup-form .primary");
    browser.until_shown("#desk");
    browser.until(
        "the progress",
        "return document.getElementById('progress').innerText.includes('0 of ')",
    );
    browser.until(
        "the code",
        &format!(
            "return document.getElementById('invite').innerText === '{}'",
            served.invite()
        ),
    );
    browser.until(
        "the members",
        "return document.getElementById('members').innerText.includes('Ada <b>Lovelace</b>')",
    );
    browser.click("#log-out");
    browser.until_shown("#login");
}

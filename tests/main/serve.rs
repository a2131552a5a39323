//! Starting, listening and stopping.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::json;

use crate::harness::Workspace;
use crate::serve_client::{Served, project, vote};

#[test]
fn it_says_where_everything_is_and_ends_cleanly() {
    let space = Workspace::new();
    project(&space);
    for signal in ["-INT", "-TERM"] {
        let served = Served::start(&space, "project", "");
        let port = served.url.rsplit(':').next().unwrap().to_owned();
        let said = served
            .said
            .join("\n")
            .replace(&port, "PORT")
            .replace(&served.invite(), "INVITE-CODE");
        let said = said.replace(&served.setup_token().unwrap(), "SETUP-TOKEN");
        insta::assert_snapshot!("greeting", said);
        served.signal(signal);
        assert_eq!(served.wait(), (Some(0), String::new()));
    }
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line() {
    let space = Workspace::new();
    project(&space);
    space.write("no-cert.pem", "nothing");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let mut said = String::new();
    for (arguments, code) in [
        ("nowhere", 1),
        ("project --listen 0.0.0.0:0", 1),
        ("project --listen nonsense", 2),
        ("project --host http://x", 2),
        ("project --tls-cert cert.pem", 2),
        ("project --tls-cert missing.pem --tls-key missing.pem", 1),
        ("project --tls-cert no-cert.pem --tls-key no-cert.pem", 1),
        ("project --listen 0.0.0.0:0 --tls-proxy", 2),
        (&format!("project --listen {taken}"), 75),
    ] {
        let outcome = space.run(&format!("verify serve {arguments}"));
        assert_eq!(outcome.code, Some(code), "{arguments}\n{outcome:?}");
        assert_eq!(outcome.stdout, "", "{arguments}");
        let first = outcome.stderr.lines().next().unwrap();
        said.extend([arguments, "\n  ", first, "\n"]);
    }
    insta::assert_snapshot!("refusals", said.replace(&taken.to_string(), "TAKEN"));
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let space = Workspace::new();
    project(&space);
    let served = Served::start(&space, "project", "");
    let mut ada = served.volunteer("Ada");
    let pack = ada.post("/api/v1/packs", json!({})).body;
    let votes: Vec<_> = pack["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(n, task)| vote(&format!("vote-{n:04}"), task, "yes"))
        .collect();
    let sent = ada.post("/api/v1/votes", json!({ "votes": votes }));
    assert_eq!(sent.body["results"].as_array().unwrap().len(), votes.len());
    served.signal("-KILL");
    drop(served);

    let served = Served::start(&space, "project", "");
    // The same code and the same device, on another port.
    let mut again = served.client();
    again.cookies = ada.cookies.clone();
    let me = again.get("/api/v1/me");
    assert_eq!(me.body["votes"], json!(votes.len()), "{me:?}");
    again.keep_token(&me);
    // The client that never saw the answer sends all of it again: nothing is counted twice.
    let sent = again.post("/api/v1/votes", json!({ "votes": votes }));
    assert!(
        sent.body["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|result| result["outcome"] == "known" && result["kept"] == true)
    );
    assert_eq!(again.get("/api/v1/me").body["votes"], json!(votes.len()));
}

#[test]
fn with_tls_cookies_are_for_tls_only() {
    let space = Workspace::new();
    project(&space);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    space.write("cert.pem", made.cert.pem());
    space.write("key.pem", made.signing_key.serialize_pem());
    let served = Served::start(&space, "project", "--tls-cert cert.pem --tls-key key.pem");
    assert!(served.url.starts_with("https://127.0.0.1:"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let address = served.url.strip_prefix("https://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    let body = json!({ "invite": served.invite(), "nickname": "Ada", "consent": true }).to_string();
    write!(
        stream,
        "POST /api/v1/join HTTP/1.1\r\nHost: localhost\r\nOrigin: https://localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let cookie = answer
        .lines()
        .find(|line| line.starts_with("set-cookie:"))
        .unwrap();
    assert!(cookie.contains(" __Host-kilnsight-device-"), "{cookie}");
    for property in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(property), "{cookie}");
    }
    assert!(answer.contains("strict-transport-security:"));
}

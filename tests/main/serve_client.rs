//! The server as a process, and clients that hold both sides to the API's own description.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::fixture::{Fixture, blob};
use crate::harness::Workspace;

/// The built server, on a port of its own. It ends with the value.
pub(crate) struct Served {
    child: Child,
    /// What it said when it started.
    pub(crate) said: Vec<String>,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    contract: Arc<Contract>,
}

impl Served {
    /// Serves `project`, and waits until it listens.
    pub(crate) fn start(space: &Workspace, project: &str, options: &str) -> Self {
        let listen = if options.contains("--listen") {
            ""
        } else {
            "--listen 127.0.0.1:0"
        };
        let mut child = space
            .command(&format!("verify serve {project} {listen} {options}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        // The last line of the greeting says how to stop.
        while let Some(Ok(line)) = lines.next() {
            let last = line.contains("Ctrl-C");
            said.push(line);
            if last {
                break;
            }
        }
        if said.is_empty() {
            let mut why = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut why)
                .unwrap();
            panic!("the server did not start: {why}");
        }
        let url = said
            .iter()
            .find_map(|line| {
                line.split_whitespace()
                    .find(|word| word.starts_with("http"))
            })
            .unwrap();
        let url = url.trim_end_matches('/').to_owned();
        let contract = if url.starts_with("http:") {
            Contract::of(&url)
        } else {
            Contract::default()
        };
        Self {
            child,
            said,
            url,
            contract: Arc::new(contract),
        }
    }

    /// What stands behind `#key=` in the greeting.
    fn told(&self, key: &str) -> Option<String> {
        let mark = format!("#{key}=");
        self.said.iter().find_map(|line| {
            let (_, rest) = line.split_once(&mark)?;
            rest.split_whitespace().next().map(str::to_owned)
        })
    }

    pub(crate) fn invite(&self) -> String {
        self.told("code").unwrap()
    }

    pub(crate) fn setup_token(&self) -> Option<String> {
        self.told("setup")
    }

    /// Somebody with a browser.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, Arc::clone(&self.contract))
    }

    /// A volunteer who has joined.
    pub(crate) fn volunteer(&self, nickname: &str) -> Client {
        let mut client = self.client();
        let joined = client.post(
            "/api/v1/join",
            json!({ "invite": self.invite(), "nickname": nickname, "consent": true }),
        );
        assert_eq!(joined.status, 201, "{joined:?}");
        client.keep_token(&joined);
        client
    }

    /// The person who runs the project, at the first start.
    pub(crate) fn admin(&self) -> Client {
        let mut client = self.client();
        let made = client.post(
            "/api/v1/setup",
            json!({ "token": self.setup_token().unwrap(), "name": "Ada", "password": PASSWORD }),
        );
        assert_eq!(made.status, 201, "{made:?}");
        client.keep_token(&made);
        client
    }

    pub(crate) fn signal(&self, signal: &str) {
        let done = std::process::Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Waits for the end, and returns the exit code and what was said on standard error.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let mut said = String::new();
                self.child
                    .stderr
                    .take()
                    .unwrap()
                    .read_to_string(&mut said)
                    .unwrap();
                return (status.code(), said);
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "the server does not end"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Password of accounts in tests.
pub(crate) const PASSWORD: &str = "a long enough password";

/// An answer of the server.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) bytes: Vec<u8>,
    /// The JSON, or null.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |values| values[0].as_str())
    }

    /// Name of the problem, without the common part.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        self.body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:kilnsight:problem:")
            .unwrap()
    }
}

/// A browser as far as the server can tell: cookies, and the token that its page knows.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    contract: Arc<Contract>,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf: String,
    /// Sent with every request, in place of what a browser would send.
    pub(crate) extra: Vec<(String, String)>,
}

impl Client {
    fn new(url: &str, contract: Arc<Contract>) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            contract,
            cookies: BTreeMap::new(),
            csrf: String::new(),
            extra: Vec::new(),
        }
    }

    /// With a header on every request.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.extra.push((name.to_owned(), value.to_owned()));
        other
    }

    /// Keeps the token of an answer about the session, as the page does.
    pub(crate) fn keep_token(&mut self, answer: &Answer) {
        answer.body["csrf"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.csrf);
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "calls read better without a sign"
    )]
    pub(crate) fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body))
    }

    /// Sends a request, and checks it and the answer against the API's description.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let answer = self.raw(method, path, "application/json", bytes.unwrap_or_default());
        if path.starts_with("/api/v1/") {
            self.contract.check(method, path, body, &answer);
        }
        answer
    }

    /// Sends anything.
    pub(crate) fn raw(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if method != "GET" {
            request = request.header("content-type", content_type);
            if !self.csrf.is_empty() {
                request = request.header("x-csrf-token", &self.csrf);
            }
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in &self.extra {
            request = request.header(name, value);
        }
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in response.headers() {
            headers
                .entry(name.to_string())
                .or_default()
                .push(value.to_str().unwrap().to_owned());
        }
        for cookie in headers.get("set-cookie").into_iter().flatten() {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = response.status().as_u16();
        let bytes = response.body_mut().read_to_vec().unwrap();
        let json = headers
            .get("content-type")
            .is_some_and(|kind| kind[0].contains("json"));
        let body = if json {
            serde_json::from_slice(&bytes).unwrap()
        } else {
            Value::Null
        };
        Answer {
            status,
            headers,
            bytes,
            body,
        }
    }
}

/// The API's own description, and which of its answers have been seen.
#[derive(Default)]
pub(crate) struct Contract {
    document: Value,
    validators: Mutex<BTreeMap<String, Arc<jsonschema::Validator>>>,
}

impl Contract {
    fn of(url: &str) -> Self {
        let mut client = Client::new(url, Arc::new(Self::default()));
        let answer = client.raw("GET", "/api/v1/openapi.json", "", Vec::new());
        assert_eq!(answer.status, 200);
        Self {
            document: answer.body,
            validators: Mutex::default(),
        }
    }

    /// The described operation that a path belongs to.
    fn operation(&self, method: &str, path: &str) -> Option<(String, &Value)> {
        let path = path.split('?').next().unwrap();
        let given: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == given.len()
                && parts
                    .iter()
                    .zip(&given)
                    .all(|(part, given)| part.starts_with('{') || part == given)
        };
        let paths = self.document["paths"].as_object()?;
        // A path without parameters comes before one with.
        let (template, item) = paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(t, _)| t.matches('{').count())?;
        let operation = item.get(method.to_lowercase())?;
        Some((template.clone(), operation))
    }

    fn check(&self, method: &str, path: &str, sent: Option<&Value>, answer: &Answer) {
        if self.document.is_null() {
            return;
        }
        let Some((template, operation)) = self.operation(method, path) else {
            assert!(
                [404, 405, 403, 415, 421].contains(&answer.status),
                "{method} {path} is not described: {answer:?}"
            );
            return;
        };
        let name = format!("{method} {template}");
        let response = &operation["responses"][answer.status.to_string()];
        // Every operation may end in a problem: the description says so once, for all.
        let problem = answer.status >= 400;
        assert!(
            problem || !response.is_null(),
            "{name}: {} is not described",
            answer.status
        );
        if answer.status < 300
            && let Some(sent) = sent
        {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if !schema.is_null() {
                self.validate(&format!("{name} request"), schema, sent);
            }
        }
        if problem {
            answer.problem();
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            self.validate("problem", &schema, &answer.body);
        } else if let Some(content) = response["content"].as_object() {
            let kind = answer.header("content-type");
            let described = content
                .get(kind)
                .unwrap_or_else(|| panic!("{name}: {kind} is not described"));
            if kind == "application/json" {
                self.validate(
                    &format!("{name} {}", answer.status),
                    &described["schema"],
                    &answer.body,
                );
            }
        }
    }

    fn validate(&self, name: &str, schema: &Value, value: &Value) {
        let mut validators = self.validators.lock().unwrap();
        let validator = validators.entry(name.to_owned()).or_insert_with(|| {
            let mut root = schema.as_object().unwrap().clone();
            root.insert("components".to_owned(), self.document["components"].clone());
            Arc::new(jsonschema::draft202012::new(&Value::Object(root)).unwrap())
        });
        let errors: Vec<String> = validator
            .iter_errors(value)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}\n{value:#}");
    }
}

/// Name of the scene behind [`project`]: volunteers must never see it.
pub(crate) const SCENE: &str = "secret-valley";

/// A project of 36 sites, made from a scan of a drawn scene, in the folder `project`.
///
/// It is made once per build of the program, and copied.
pub(crate) fn project(space: &Workspace) {
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_kilnsight")).unwrap();
    let built = program
        .modified()
        .unwrap()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let kept = folder.join(format!("serve-project-{built}.sqlite"));
    if !kept.exists() {
        for old in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if old
                .file_name()
                .to_string_lossy()
                .starts_with("serve-project-")
            {
                drop(std::fs::remove_file(old.path()));
            }
        }
        // Tests run side by side: whoever comes second puts the same in its place.
        let made = tempfile::NamedTempFile::new_in(folder).unwrap();
        make_project(&Workspace::new(), made.path());
        made.persist(&kept).unwrap();
    }
    space.succeed(&format!("verify restore project {}", kept.display()));
}

fn make_project(space: &Workspace, backup: &Path) {
    let blobs = (0..36)
        .map(|n| {
            blob(
                60.0 + 100.0 * f64::from(n % 6),
                60.0 + 100.0 * f64::from(n / 6),
            )
        })
        .collect();
    Fixture::new((620, 620), blobs).write(space, &format!("{SCENE}.tif"));
    space.scan(&format!("{SCENE}.tif"));
    space.succeed("verify init project run --seed 7");
    space.succeed(&format!("verify backup project {}", backup.display()));
}

/// A vote as the page sends it.
pub(crate) fn vote(id: &str, task: &Value, answer: &str) -> Value {
    json!({
        "id": id,
        "task": task["task"],
        "answer": answer,
        "question_version": 1,
        "hash": task["looks"][0]["close"]["hash"],
        "milliseconds": 1500,
    })
}

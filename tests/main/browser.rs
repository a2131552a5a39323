//! A real browser: Chromium without a window, driven through chromedriver (`WebDriver`).

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Key of an element in `WebDriver`'s answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long a page may take to get where a test expects it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A browser with a profile of its own.
pub(crate) struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one. `None`, with a word on standard error, where none is installed; on CI that is a failure.
    pub(crate) fn start() -> Option<Self> {
        let driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=WARNING"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "chromedriver: {error} (scripts/setup.sh --dev installs it)"
                );
                drop(writeln!(
                    std::io::stderr(),
                    "skipped: no chromedriver ({error}); scripts/setup.sh --dev installs it"
                ));
                return None;
            }
        };
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says on which port it listens");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self {
            driver,
            agent: config.into(),
            session: format!("http://127.0.0.1:{port}/session"),
            profile,
        };
        let data = format!("--user-data-dir={}", browser.profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=en-GB",
            &data,
        ];
        let options = json!({ "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let created = browser.call("POST", "", &wanted);
        let id = created["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no browser: {created}"));
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.session));
        let body = if method == "POST" {
            body.to_string()
        } else {
            String::new()
        };
        let request = request
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let mut response = self.agent.run(request).unwrap();
        let mut answer: Value = response.body_mut().read_json().unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{method} {path}: {value}");
        value
    }

    pub(crate) fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    pub(crate) fn reload(&self) {
        self.call("POST", "/refresh", &json!({}));
    }

    /// What a script returns.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.call(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// Waits until a script returns true.
    pub(crate) fn until(&self, what: &str, script: &str) {
        let begun = Instant::now();
        while self.script(script) != Value::Bool(true) {
            if begun.elapsed() > PATIENCE {
                let page = self.script("return document.body.innerText");
                panic!("{what} does not come about; the page says: {page}");
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// Waits until something is shown.
    pub(crate) fn until_shown(&self, selector: &str) {
        self.until(
            selector,
            &format!(
                "const e = document.querySelector('{selector}'); return !!e && e.checkVisibility()"
            ),
        );
    }

    fn element(&self, selector: &str) -> String {
        let found = self.call(
            "POST",
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.call("POST", &format!("/element/{element}/click"), &json!({}));
    }

    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.call(
            "POST",
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    /// Presses a key, whatever has the focus.
    pub(crate) fn press(&self, key: &str) {
        let actions = [
            json!({ "type": "keyDown", "value": key }),
            json!({ "type": "keyUp", "value": key }),
        ];
        self.call(
            "POST",
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }),
        );
    }

    /// The text that somebody sees.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.script(&format!(
            "return document.querySelector('{selector}').innerText"
        ));
        text.as_str().unwrap().to_owned()
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call(
            "POST",
            "/goog/cdp/execute",
            &json!({ "cmd": command, "params": parameters }),
        )
    }

    /// A window, or a phone's screen.
    pub(crate) fn screen(&self, width: u32, height: u32, phone: bool) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        self.devtools(
            "Emulation.setTouchEmulationEnabled",
            &json!({ "enabled": phone }),
        );
    }

    /// Cuts the network, or mends it.
    pub(crate) fn offline(&self, offline: bool) {
        self.devtools("Network.enable", &json!({}));
        let conditions = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.devtools("Network.emulateNetworkConditions", &conditions);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let gone = self.agent.delete(&self.session).call();
        drop(gone);
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// The arrow keys, as `WebDriver` names them.
pub(crate) const LEFT: &str = "\u{e012}";
pub(crate) const RIGHT: &str = "\u{e014}";

//! A folder per test, and the built program run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::layers::Layer;

/// Test models, by folder name.
const MODELS: &[&str] = &["blob", "blob-typed"];

/// A folder of its own, in which the program runs, so that paths in what it says are short and the same
/// everywhere. The test models lie in it under their names.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

/// How the program ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for model in MODELS {
            std::os::unix::fs::symlink(test_data(model), folder.path().join(model)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// A model like `blob` in the folder `name`, with another card.
    pub(crate) fn write_model(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let card = std::fs::read(self.path("blob/model.json")).unwrap();
        let mut card: Value = serde_json::from_slice(&card).unwrap();
        change(&mut card);
        std::fs::create_dir(self.path(name)).unwrap();
        let onnx = Path::new(name).join("model.onnx");
        std::fs::copy(self.path("blob/model.onnx"), self.path(onnx)).unwrap();
        self.write(&format!("{name}/model.json"), card.to_string());
    }

    /// A model like `blob` in the folder `name`, with one of the screens of `tests/data/screens` before it that drops
    /// chips below `threshold`.
    pub(crate) fn write_screened(&self, name: &str, screen: &str, threshold: f64) {
        self.write_model(name, |card| {
            card["kilnsight:screen"] =
                serde_json::json!({"onnx": "screen.onnx", "factor": 2, "threshold": threshold});
        });
        let file = Path::new(name).join("screen.onnx");
        let screen = test_data("screens").join(format!("{screen}.onnx"));
        std::fs::copy(screen, self.path(file)).unwrap();
    }

    /// The built program with `arguments` separated by spaces, ready to run here. Nothing of the caller's
    /// environment that shapes the output is left.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kilnsight"));
        command
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .env("COLUMNS", "100")
            .env("NO_COLOR", "1")
            .env_remove("KILNSIGHT_LOG")
            .env_remove("ORT_DYLIB_PATH")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Outcome {
        let output = self.command(arguments).output().unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the program, which must succeed without a word on standard error. Returns standard output.
    pub(crate) fn succeed(&self, arguments: &str) -> String {
        let outcome = self.run(arguments);
        assert_eq!(
            (outcome.code, outcome.stderr.as_str()),
            (Some(0), ""),
            "kilnsight {arguments}\n{outcome:?}"
        );
        outcome.stdout
    }

    /// Scans with the blob model into the run directory `out`; `rest` are scenes and options.
    pub(crate) fn scan_into(&self, out: &str, rest: &str) -> Run {
        self.succeed(&format!("scan --model blob --workers 1 --out {out} {rest}"));
        self.read_run(out)
    }

    /// Scans with the blob model.
    pub(crate) fn scan(&self, rest: &str) -> Run {
        self.scan_into("run", rest)
    }

    pub(crate) fn read_run(&self, out: &str) -> Run {
        Run {
            folder: self.path(out),
        }
    }
}

/// A run directory.
pub(crate) struct Run {
    folder: PathBuf,
}

/// The layers of every run.
pub(crate) const LAYERS: [&str; 4] = ["detections", "sites", "clusters", "coverage"];

impl Run {
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn bytes(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file))
            .unwrap_or_else(|e| panic!("{}/{file}: {e}", self.folder.display()))
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_str(&self.bytes("run.json")).unwrap()
    }

    pub(crate) fn layer(&self, name: &str) -> Layer {
        Layer::parse(&self.bytes(&format!("{name}.geojson")))
    }

    /// Everything that must not depend on how the scan was executed: all layers, and the record without its
    /// `execution`.
    pub(crate) fn results(&self) -> Vec<String> {
        let mut record = self.record();
        record.as_object_mut().unwrap().remove("execution").unwrap();
        let layers = LAYERS.map(|name| self.bytes(&format!("{name}.geojson")));
        layers.into_iter().chain([format!("{record:#}")]).collect()
    }
}

/// A file or folder under `tests/data`.
pub(crate) fn test_data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Runs one of GDAL's command line tools in `folder` and returns what it prints.
pub(crate) fn gdal_tool(
    folder: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    input: &str,
) -> String {
    use std::io::Write;
    let mut arguments = arguments.into_iter();
    let mut child = Command::new(arguments.next().unwrap())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("GDAL's command line tools are missing: {e}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

//! `kilnsight`: parse, dispatch, set the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_onnx_runtime_quiet();
    ExitCode::from(kilnsight::cli::run().code())
}

/// From 1.31 on, ONNX Runtime keeps a number for this machine and a store of events in the user's cache folder, to
/// send them to its makers, and does so before a program can tell it through its interface not to. This variable it
/// heeds, and it must be set before the library is loaded.
#[expect(
    unsafe_code,
    reason = "the standard library has no safe way to set a variable"
)]
fn keep_onnx_runtime_quiet() {
    // SAFETY: nothing has run before this, so there is no other thread that could read the environment meanwhile.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") }
}

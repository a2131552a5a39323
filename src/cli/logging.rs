//! What is logged, and where: standard error, warnings only unless asked for more.

use tracing_subscriber::EnvFilter;

use crate::scene::redacted;

/// Starts the log, and turns GDAL's own messages into log lines.
pub(super) fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "kilnsight=warn,error",
        (false, 1) => "kilnsight=info,warn",
        (false, _) => "kilnsight=debug,gdal=debug,info",
    };
    let filter =
        EnvFilter::try_from_env("KILNSIGHT_LOG").unwrap_or_else(|_unset| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(
            std::io::IsTerminal::is_terminal(&std::io::stderr())
                && std::env::var_os("NO_COLOR").is_none(),
        )
        .without_time()
        .init();
    // Errors that matter come back through return values; GDAL would also print them.
    gdal::config::set_error_handler(|class, number, message| {
        tracing::debug!(target: "gdal", ?class, number, "{}", redacted(message.trim()));
    });
}

//! `kilnsight verify serve`: the queue for volunteers, on the network.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{ExitStatus, UsageError};
use crate::serve::{ServeOptions, Server, TlsFiles, is_host_name};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight verify serve project
  kilnsight verify serve project --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem --host kilns.example.org
  kilnsight verify serve project --tls-proxy --host kilns.example.org

At the first start it says where to make the account of whoever runs the project. It can be stopped, or killed, \
at any time: an answer that was acknowledged is on the disk. Other commands may use the project meanwhile.")]
pub(in crate::cli) struct ServeArgs {
    /// Folder of the project
    #[arg(value_name = "PROJECT")]
    project: PathBuf,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Certificate for TLS (PEM, with those that lead to its root)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A proxy in front of this server speaks TLS: cookies and links are for https
    #[arg(long, conflicts_with_all = ["tls_cert", "insecure_lan"])]
    tls_proxy: bool,
    /// Listen beyond this machine without TLS: everybody on the network can read along
    #[arg(long, conflicts_with = "tls_cert")]
    insecure_lan: bool,
    /// A name that people reach this server by (may be given more than once)
    #[arg(long = "host", value_name = "NAME", value_parser = host_name)]
    hosts: Vec<String>,
    /// Volunteers who may join from one network in an hour: more for a class behind one router
    #[arg(long, value_name = "N", default_value = "5")]
    joins_per_hour: NonZeroU32,
}

fn host_name(text: &str) -> Result<String, String> {
    if is_host_name(text) {
        return Ok(text.to_owned());
    }
    Err("a host name without scheme and port is expected, such as kilns.example.org".to_owned())
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitStatus> {
    if args.tls_proxy && !args.listen.ip().is_loopback() {
        return Err(UsageError(
            "`--tls-proxy` is for a proxy on this machine: listen on 127.0.0.1".to_owned(),
        )
        .into());
    }
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    let options = ServeOptions {
        listen: args.listen,
        tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
        tls_proxy: args.tls_proxy,
        insecure_lan: args.insecure_lan,
        hosts: args.hosts.clone(),
        joins_per_hour: args.joins_per_hour,
    };
    let server = Server::open(&args.project, &options)?;
    let beyond = !server.address().ip().is_loopback();
    if beyond && !server.is_secure() {
        tracing::warn!(
            "without TLS, everybody on the network can read passwords, tokens and answers: use this on a network that you trust"
        );
    }
    greet(&server, args)?;
    server.run(stopped())?;
    writeln!(
        std::io::stdout(),
        "Stopped. All that was acknowledged is in {}; the same command goes on.",
        args.project.display()
    )?;
    Ok(ExitStatus::Done)
}

fn greet(server: &Server, args: &ServeArgs) -> anyhow::Result<()> {
    let url = public_url(server, args);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Serving {} on {}/",
        args.project.display(),
        server.url()
    )?;
    writeln!(out, "  volunteers   {url}/#code={}", server.invite()?)?;
    writeln!(out, "  researchers  {url}/research")?;
    writeln!(out, "  map layer    {url}/ogc")?;
    if let Some(token) = server.first_token() {
        writeln!(
            out,
            "Nobody runs this project yet. Make your account (the link works once):"
        )?;
        writeln!(out, "  {url}/research#setup={token}")?;
    }
    if server.address().ip().is_unspecified() && args.hosts.is_empty() {
        writeln!(
            out,
            "From other machines, put this machine's address in place of 127.0.0.1."
        )?;
    }
    writeln!(out, "Stop with Ctrl-C.")?;
    out.flush()?;
    Ok(())
}

/// The address as people reach it: by the first name that was given, where that says more.
fn public_url(server: &Server, args: &ServeArgs) -> String {
    let name = args
        .hosts
        .iter()
        .find(|name| name.parse::<IpAddr>().is_err());
    match name {
        Some(name) if args.tls_proxy => format!("https://{name}"),
        Some(name) => {
            let scheme = if server.is_secure() { "https" } else { "http" };
            format!("{scheme}://{name}:{}", server.address().port())
        }
        None => server.url(),
    }
}

/// Comes true at Ctrl-C, or when the system asks the program to end.
async fn stopped() {
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => {
                tracing::warn!("cannot wait for the signal to end: {error}");
                return std::future::pending().await;
            }
        };
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

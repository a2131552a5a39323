//! The listening side: address, TLS, and a clean end.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::app::{App, Settings};
use super::{door, routes};
use crate::verify::VerifyError;

/// A connection that has sent no complete request after this long is closed.
const HEADER_TIME: Duration = Duration::from_secs(15);
/// How long requests under way may take to end when the server stops.
const STOP_TIME: Duration = Duration::from_secs(5);

/// Why the server does not start, or had to end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Somebody else listens there.
    #[error(
        "{address} is taken by another program: stop it, or choose another address with `--listen`"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// It cannot listen there.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Passwords and votes would cross a network in the clear.
    #[error(
        "{address} can be reached from other machines, and without TLS everybody between reads along: give `--tls-cert` and `--tls-key`, or put a proxy with TLS in front of 127.0.0.1, or say `--insecure-lan` on a network that you trust"
    )]
    NoTls {
        /// The address.
        address: SocketAddr,
    },
    /// The certificate or key cannot be used.
    #[error("`{path}`: {what}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong, and what is expected.
        what: String,
    },
    /// The project cannot be used.
    #[error(transparent)]
    Project(#[from] VerifyError),
    /// The operating system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The operating system gives no threads or sockets.
    #[error("the server cannot run: {0}")]
    System(#[from] std::io::Error),
}

impl ServeError {
    /// Whether trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::InUse { .. } => true,
            Self::Project(error) => error.is_passing(),
            _ => false,
        }
    }
}

/// The files that TLS needs, in PEM form.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, and those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What the server may do and where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Where to listen. Port 0: any free one.
    pub listen: SocketAddr,
    /// TLS, if this server speaks it.
    pub tls: Option<TlsFiles>,
    /// A proxy in front of this server speaks TLS.
    pub tls_proxy: bool,
    /// Listening beyond this machine without TLS is meant.
    pub insecure_lan: bool,
    /// Names besides the obvious ones that the server goes by.
    pub hosts: Vec<String>,
    /// Volunteers who may join from one network in an hour.
    pub joins_per_hour: std::num::NonZeroU32,
}

/// A server that listens and has not answered yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
    secure: bool,
    app: Arc<App>,
    first_token: Option<String>,
}

impl Server {
    /// Opens the project in `folder` and takes the address.
    pub fn open(folder: &Path, options: &ServeOptions) -> Result<Self, ServeError> {
        let listen = options.listen;
        let local = listen.ip().is_loopback();
        if !local && options.tls.is_none() && !options.insecure_lan {
            return Err(ServeError::NoTls { address: listen });
        }
        let tls = options.tls.as_ref().map(tls).transpose()?;
        let listener = TcpListener::bind(listen).map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => ServeError::InUse { address: listen },
            _ => ServeError::Listen {
                address: listen,
                source,
            },
        })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let secure = tls.is_some() || options.tls_proxy;
        let (app, first_token) = App::open(
            folder,
            &Settings {
                listen: address,
                hosts: options.hosts.clone(),
                secure,
                joins_per_hour: options.joins_per_hour,
            },
        )?;
        Ok(Self {
            listener,
            address,
            tls,
            secure,
            app: Arc::new(app),
            first_token,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the pages, for people on this machine.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let ip = self.address.ip();
        let name = if ip.is_unspecified() {
            "127.0.0.1".into()
        } else {
            ip.to_string()
        };
        let name = if name.contains(':') {
            format!("[{name}]")
        } else {
            name
        };
        format!("{scheme}://{name}:{}", self.address.port())
    }

    /// Whether browsers reach it by TLS only.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The token that the first account is made with, where there is none yet.
    pub fn first_token(&self) -> Option<&str> {
        self.first_token.as_deref()
    }

    /// The code that volunteers join with.
    pub fn invite(&self) -> Result<String, ServeError> {
        door::invite(&self.app.project)
    }

    /// Answers requests until `stop` comes true, then ends those under way. Takes the calling thread.
    pub fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(self.answer(stop));
        // Work on the database that has begun is finished, so that no transaction is cut.
        runtime.shutdown_timeout(STOP_TIME);
        outcome
    }

    async fn answer(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let handle = Handle::new();
        let stopper = handle.clone();
        tokio::spawn(async move {
            stop.await;
            stopper.graceful_shutdown(Some(STOP_TIME));
        });
        let service = routes(self.app).into_make_service_with_connect_info::<SocketAddr>();
        if let Some(config) = self.tls {
            let mut server = axum_server::from_tcp_rustls(self.listener, config)?.handle(handle);
            server
                .http_builder()
                .http1()
                .header_read_timeout(HEADER_TIME);
            server
                .first_request_timeout(HEADER_TIME)
                .serve(service)
                .await?;
        } else {
            let mut server = axum_server::from_tcp(self.listener)?.handle(handle);
            server
                .http_builder()
                .http1()
                .header_read_timeout(HEADER_TIME);
            server
                .first_request_timeout(HEADER_TIME)
                .serve(service)
                .await?;
        }
        Ok(())
    }
}

fn tls(files: &TlsFiles) -> Result<RustlsConfig, ServeError> {
    let wrong = |path: &Path, what: String| ServeError::Certificate {
        path: path.display().to_string(),
        what,
    };
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| {
            wrong(
                &files.certificate,
                format!("no certificates can be read (PEM is expected): {e}"),
            )
        })?;
    if certificates.is_empty() {
        return Err(wrong(
            &files.certificate,
            "holds no certificate in PEM form".to_owned(),
        ));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| {
        wrong(
            &files.key,
            format!("no private key can be read (PEM is expected): {e}"),
        )
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|e| {
            wrong(
                &files.certificate,
                format!("does not go with the key `{}`: {e}", files.key.display()),
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

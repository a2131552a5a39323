//! The names that this server goes by. A page of another site can make a browser resolve its own name to this
//! machine (DNS rebinding); it cannot make the browser send our name.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The names that requests may be addressed to.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    names: BTreeSet<String>,
    /// Listening on every address: then any number is our own. A number cannot be rebound, only a name.
    any_number: bool,
}

impl Hosts {
    /// What goes without saying for an address, and the names that were allowed besides.
    pub(crate) fn new(listen: SocketAddr, allowed: &[String]) -> Self {
        let mut names: BTreeSet<String> = allowed
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        if listen.ip().is_loopback() || listen.ip().is_unspecified() {
            names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
        }
        names.insert(listen.ip().to_string());
        Self {
            names,
            any_number: listen.ip().is_unspecified(),
        }
    }

    /// Whether a `Host` header (with or without a port) names this server.
    pub(crate) fn know(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        self.names.contains(&name) || (self.any_number && name.parse::<IpAddr>().is_ok())
    }
}

/// `name:port`, `[v6]:port`, `name` or `[v6]` without port and brackets.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(address, _port)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _port)| name)
}

/// Whether `name` can be a host's: what `--host` takes.
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_server_is_called_by_its_names_only() {
        let hosts = Hosts::new(
            "127.0.0.1:8080".parse().unwrap(),
            &["Kilns.Example.org".to_owned()],
        );
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "kilns.example.org",
            "kilns.example.org:443",
        ] {
            assert!(hosts.know(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "192.0.2.1",
            "[::2]:8080",
            "[::1",
            ":8080",
            "127.0.0.1.evil.example",
        ] {
            assert!(!hosts.know(bad), "{bad}");
        }
    }

    #[test]
    fn a_server_on_every_address_is_called_by_any_number() {
        let hosts = Hosts::new("0.0.0.0:80".parse().unwrap(), &[]);
        assert!(hosts.know("192.168.1.7:8080"));
        assert!(hosts.know("[fe80::1]:8080"));
        assert!(!hosts.know("evil.example"));
        assert!(!Hosts::new("192.168.1.7:80".parse().unwrap(), &[]).know("192.168.1.8"));
    }

    #[test]
    fn host_names() {
        assert!(
            ["kilns.example.org", "localhost", "192.0.2.1", "::1"]
                .iter()
                .all(|n| is_host_name(n))
        );
        assert!(
            !["", "a b", "http://x", "x:80", "a..b", "*"]
                .iter()
                .any(|n| is_host_name(n))
        );
    }
}

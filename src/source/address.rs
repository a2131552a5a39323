//! Where something lies: a local path, a path of GDAL's, or a URL, and how GDAL names it.

use crate::scene::{is_remote, redacted};

/// URL schemes and the file systems of GDAL that serve them.
const SCHEMES: &[(&str, &str)] = &[
    ("s3://", "/vsis3/"),
    ("gs://", "/vsigs/"),
    ("gcs://", "/vsigs/"),
    ("az://", "/vsiaz/"),
    ("http://", "/vsicurl/http://"),
    ("https://", "/vsicurl/https://"),
    ("file://", ""),
];

/// A place, as typed or as a document refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    typed: String,
}

impl Address {
    pub(super) fn new(typed: impl Into<String>) -> Self {
        Self {
            typed: typed.into(),
        }
    }

    /// What GDAL opens.
    pub(super) fn gdal(&self) -> String {
        for (scheme, system) in SCHEMES {
            if let Some(rest) = strip_prefix_any_case(&self.typed, scheme) {
                return format!("{system}{rest}");
            }
        }
        self.typed.clone()
    }

    /// As typed, without secrets: what is shown and recorded, and what tells whether two places are one.
    pub(super) fn shown(&self) -> String {
        redacted(&self.typed)
    }

    /// Whether it lies on a network.
    pub(super) fn is_remote(&self) -> bool {
        is_remote(&self.gdal())
    }

    /// Whether it is a path of this machine's file system.
    pub(super) fn is_local(&self) -> bool {
        let gdal = self.gdal();
        !gdal.starts_with("/vsi") && !gdal.contains("://")
    }

    /// The last part of the path.
    pub(super) fn name(&self) -> String {
        let shown = self.shown();
        let path = shown.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The ending of the name in lower case, without the dot.
    pub(super) fn ending(&self) -> String {
        self.name()
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_ascii_lowercase())
            .unwrap_or_default()
    }

    /// What a document at this place means by `reference`: an address, or a path relative to the document.
    pub(super) fn join(&self, reference: &str) -> Self {
        let has_scheme = reference.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'+')
        });
        if has_scheme || reference.starts_with("/vsi") {
            return Self::new(reference);
        }
        let here = self.typed.split(['?', '#']).next().unwrap_or_default();
        let here = if self.is_local() { &self.typed } else { here };
        let root = self.root();
        if let Some(rest) = reference.strip_prefix("//")
            && let Some((scheme, _)) = here.split_once("://")
        {
            return Self::new(format!("{scheme}://{rest}"));
        }
        if reference.starts_with('/') {
            return Self::new(format!("{}{reference}", root.trim_end_matches('/')));
        }
        let inside = here.get(root.len()..).unwrap_or_default();
        let folder = inside.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (reference, query) = match reference.split_once('?') {
            Some((path, _)) => (path, reference.get(path.len()..).unwrap_or_default()),
            None => (reference, ""),
        };
        let absolute = inside.starts_with('/') || !root.is_empty();
        let mut parts: Vec<&str> = Vec::new();
        for part in folder.split('/').chain(reference.split('/')) {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|last| *last != "..") => {
                    parts.pop();
                }
                // Above the root of a server there is nothing.
                ".." if absolute => {}
                other => parts.push(other),
            }
        }
        let slash = if absolute { "/" } else { "" };
        Self::new(format!("{root}{slash}{}{query}", parts.join("/")))
    }

    /// The part before the path: scheme and host of a URL; empty for paths.
    fn root(&self) -> &str {
        let Some(at) = self.typed.find("://") else {
            return "";
        };
        let host = at + 3;
        let rest = self.typed.get(host..).unwrap_or_default();
        let end = rest
            .find(['/', '?', '#'])
            .map_or(self.typed.len(), |n| host + n);
        self.typed.get(..end).unwrap_or_default()
    }
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| text.get(prefix.len()..))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_paths_of_gdal() {
        for (typed, gdal) in [
            ("a/b.tif", "a/b.tif"),
            ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
            ("https://h/a.tif?s=1", "/vsicurl/https://h/a.tif?s=1"),
            ("S3://bucket/k.tif", "/vsis3/bucket/k.tif"),
            ("file:///d/a.tif", "/d/a.tif"),
        ] {
            assert_eq!(Address::new(typed).gdal(), gdal);
        }
        assert!(Address::new("s3://b/k").is_remote() && !Address::new("a.tif").is_remote());
        assert!(Address::new("file:///a").is_local() && !Address::new("/vsimem/a").is_local());
    }

    #[test]
    fn names_are_free_of_queries() {
        let address = Address::new("https://me:pw@h/d/a.TIF?sig=x/y.json");
        assert_eq!(address.shown(), "https://h/d/a.TIF");
        assert_eq!(
            (address.name(), address.ending()),
            ("a.TIF".into(), "tif".into())
        );
    }

    #[test]
    fn references_are_relative_to_their_document() {
        for (here, reference, joined) in [
            ("cat/item.json", "./a.tif", "cat/a.tif"),
            ("cat/item.json", "../a.tif", "a.tif"),
            ("item.json", "../a.tif", "../a.tif"),
            ("../cat/item.json", "../../a.tif", "../../a.tif"),
            ("/d/cat/item.json", "b/a.tif", "/d/cat/b/a.tif"),
            ("/d/item.json", "/e/a.tif", "/e/a.tif"),
            (
                "https://h/c/item.json?x=/1",
                "../a.tif?s=../2",
                "https://h/a.tif?s=../2",
            ),
            ("https://h/c/i.json", "/a.tif", "https://h/a.tif"),
            ("https://h/c/i.json", "//g/a.tif", "https://g/a.tif"),
            ("https://h/i.json", "../../a.tif", "https://h/a.tif"),
            ("https://h", "a.tif", "https://h/a.tif"),
            ("https://h/i.json", "s3://b/a.tif", "s3://b/a.tif"),
            ("s3://b/c/i.json", "a.tif", "s3://b/c/a.tif"),
            ("/vsis3/b/c/i.json", "../a.tif", "/vsis3/b/a.tif"),
        ] {
            assert_eq!(
                Address::new(here).join(reference).typed,
                joined,
                "{here} {reference}"
            );
        }
    }
}

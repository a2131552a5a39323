//! Files reached over a network: what GDAL is told for them, what its errors mean, and how their addresses are
//! shown.

use gdal::config::{
    clear_thread_local_config_option, set_config_option, set_thread_local_config_option,
};
use gdal::errors::GdalError;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use super::raw::{VirtualFile, files_of, forget_remote};

/// GDAL's file systems that lie on a network.
const NETWORKS: &[&str] = &[
    "/vsicurl",
    "/vsis3",
    "/vsigs",
    "/vsiaz",
    "/vsiadls",
    "/vsioss",
    "/vsiswift",
    "/vsihdfs",
    "/vsiwebhdfs",
];

/// For every request. A request that fails for a passing reason is made again; one that stalls is given up.
const REQUESTS: &[(&str, &str)] = &[
    ("GDAL_HTTP_VERSION", "2TLS"),
    ("GDAL_HTTP_MULTIPLEX", "YES"),
    ("GDAL_HTTP_MERGE_CONSECUTIVE_RANGES", "YES"),
    ("GDAL_HTTP_MAX_RETRY", "4"),
    ("GDAL_HTTP_RETRY_DELAY", "1"),
    ("GDAL_HTTP_CONNECTTIMEOUT", "20"),
    ("GDAL_HTTP_LOW_SPEED_TIME", "30"),
    ("GDAL_HTTP_LOW_SPEED_LIMIT", "1000"),
    ("GDAL_HTTP_TIMEOUT", "300"),
];

/// For rasters on a network alone, since they would hide overviews beside local files and double their memory:
/// no listing of the folder, no search for files beside, a first request that holds the whole header of a
/// cloud-optimised GeoTIFF, and a cache of its own for each open file.
const REMOTE_RASTERS: &[(&str, &str)] = &[
    ("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR"),
    ("GDAL_INGESTED_BYTES_AT_OPEN", "32768"),
    ("VSI_CACHE", "TRUE"),
    ("VSI_CACHE_SIZE", "8388608"),
];

/// Whether GDAL reaches a raster, or any file that a virtual raster names, over a network.
pub(crate) fn is_remote(raster: &str) -> bool {
    NETWORKS.iter().any(|network| raster.contains(network))
}

/// Opens a raster with the settings that suit where it lies.
///
/// Some of them belong to the thread and hold until it opens the next raster: a virtual raster opens its
/// sources when they are first read.
pub(crate) fn open_dataset(raster: &str) -> Result<Dataset, GdalError> {
    prepare_thread(raster);
    // As a raster and nothing else: a file of vectors is no scene.
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_READONLY | GdalOpenFlags::GDAL_OF_RASTER,
        ..DatasetOptions::default()
    };
    Dataset::open_ex(raster, options)
}

/// Makes the settings for a raster, except where the user has made others in the environment.
pub(crate) fn prepare_thread(raster: &str) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    let is_free = |key: &str| std::env::var_os(key).is_none();
    ONCE.call_once(|| {
        for (key, value) in REQUESTS.iter().filter(|(key, _)| is_free(key)) {
            note_failure(set_config_option(key, value));
        }
    });
    let remote = is_remote(raster);
    for (key, value) in REMOTE_RASTERS.iter().filter(|(key, _)| is_free(key)) {
        note_failure(if remote {
            set_thread_local_config_option(key, value)
        } else {
            clear_thread_local_config_option(key)
        });
    }
}

/// Settings fail for names with a NUL byte only; nothing depends on them but speed.
fn note_failure(result: Result<(), GdalError>) {
    if let Err(error) = result {
        tracing::debug!("a setting of GDAL was not made: {error}");
    }
}

/// Whether GDAL's words mean that a server is away for now (no answer, too busy, broken inside), not that the
/// file is missing or forbidden.
pub(crate) fn means_away(message: &str) -> bool {
    let code = message
        .split_once("HTTP response code: ")
        .and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
    match code {
        Some(408 | 425 | 429) => true,
        Some(code) => code >= 500,
        None => {
            message.contains("CURL error")
                || message.contains("timed out")
                || message.contains("Could not resolve host")
                || message.contains("Failed to connect")
        }
    }
}

/// Why a raster whose pixels cannot be read is away, if it is: the server of each of its remote files is asked, since
/// the error of a failed read tells of the pixels only.
pub(super) fn why_away(dataset: &Dataset, raster: &str) -> Option<String> {
    let mut names = files_of(dataset);
    names.push(raster.to_owned());
    server_away(&names)
}

/// Why a raster that does not open is away, if it is.
pub(super) fn why_not_opened(raster: &str) -> Option<String> {
    server_away(&[raster.to_owned()])
}

fn server_away(names: &[String]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| remote_file(name))
        .find_map(|file| {
            forget_remote(file);
            let reason = VirtualFile::open(file).err()?;
            means_away(&reason).then(|| redacted(reason.trim()))
        })
}

/// The file on a network that a name of GDAL's begins with or holds in braces.
fn remote_file(name: &str) -> Option<&str> {
    let at = (NETWORKS.iter().filter_map(|network| name.find(network))).min()?;
    let file = name.get(at..)?.split(['}', '<', '"']).next()?;
    (!file.is_empty()).then_some(file)
}

/// The text with the secrets taken out of its addresses: whatever follows `?` (signatures, tokens), and names
/// and passwords before `@`.
pub fn redacted(text: &str) -> String {
    const ENDS: &[char] = &[
        ' ', '\t', '\r', '\n', '"', '\'', '`', '<', '>', '|', '\\', '{', '}',
    ];
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next_address(rest) {
        let (before, address) = rest.split_at(at);
        clean.push_str(before);
        let end = address.find(ENDS).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        let bare = address.split('?').next().unwrap_or_default();
        let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
        clean.push_str(host.rsplit('@').next().unwrap_or_default());
        clean.push_str(path);
        rest = after;
    }
    clean.push_str(rest);
    clean
}

/// Where the next address goes on after its `://`, or GDAL's own form of options (`/vsicurl?…`) begins.
fn next_address(text: &str) -> Option<usize> {
    let scheme = text.find("://").map(|at| at + 3);
    let options = text.find("/vsicurl?");
    match (scheme, options) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_addresses_wherever_they_stand() {
        let cases = [
            ("plain.tif", "plain.tif"),
            ("what? no address", "what? no address"),
            ("https://host/a.tif", "https://host/a.tif"),
            ("https://host/a.tif?sig=abc&se=1", "https://host/a.tif"),
            ("https://me:pw@host:8/a.tif?x", "https://host:8/a.tif"),
            ("/vsicurl/http://h/a?s=1", "/vsicurl/http://h/a"),
            (
                "`/vsizip/{/vsicurl/http://h/a.zip?s=1}/b` is bad",
                "`/vsizip/{/vsicurl/http://h/a.zip}/b` is bad",
            ),
            (
                "<S>/vsicurl/http://h/a?s=1&amp;t=2</S><S>http://h/b?s=3</S>",
                "<S>/vsicurl/http://h/a</S><S>http://h/b</S>",
            ),
            ("/vsicurl?url=http%3A%2F%2Fh&pw=1 x", "/vsicurl x"),
            ("s3://bucket/key?versionId=1", "s3://bucket/key"),
            ("https://h?token=1", "https://h"),
            ("https://h/p@q?x", "https://h/p@q"),
        ];
        for (text, clean) in cases {
            assert_eq!(redacted(text), clean);
            assert_eq!(redacted(clean), clean);
        }
    }

    #[test]
    fn the_remote_file_in_a_name_is_found() {
        for (name, file) in [
            ("/vsicurl/http://h/a.tif", Some("/vsicurl/http://h/a.tif")),
            ("/vsizip/{/vsis3/b/a.zip}/c/d.jp2", Some("/vsis3/b/a.zip")),
            (
                "<S>/vsicurl/http://h/a.tif</S>",
                Some("/vsicurl/http://h/a.tif"),
            ),
            ("a.tif", None),
        ] {
            assert_eq!(remote_file(name), file);
        }
    }

    #[test]
    fn a_busy_server_is_away_and_a_missing_file_is_not() {
        for message in [
            "HTTP response code: 503",
            "HTTP response code: 429 - slow down",
            "CURL error: Failed to connect to 127.0.0.1 port 9",
        ] {
            assert!(means_away(message), "{message}");
        }
        for message in ["HTTP response code: 404", "HTTP response code: 403", ""] {
            assert!(!means_away(message), "{message}");
        }
    }
}

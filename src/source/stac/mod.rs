//! STAC: Items, collections of Items, Collections and Catalogues (STAC 1.0 and 1.1), on disk or on a network.
//!
//! A catalogue is walked through its `child` and `item` links (`items`, where an API offers nothing else). What
//! has been read is not read again, so catalogues may lead back to one another; a link that leads nowhere is
//! one failure among the scenes.

mod assets;
mod item;
mod place;

use serde_json::Value;

use super::address::Address;
use super::error::SourceError;
use super::expand::Expansion;
use crate::scene::SceneSource;

/// Links from the first document on; real catalogues have five levels or six.
const DEPTH: usize = 32;
/// Documents of one scan.
const DOCUMENTS: usize = 200_000;

/// A document that waits to be read.
struct Waiting {
    address: Address,
    via: Vec<String>,
    depth: usize,
}

/// All scenes that a document leads to.
pub(super) fn walk(
    expansion: &mut Expansion<'_>,
    address: &Address,
    via: &[String],
) -> Result<(), SourceError> {
    let first = Waiting {
        address: address.clone(),
        via: via.to_vec(),
        depth: 0,
    };
    let mut waiting = read(expansion, &first)?;
    while let Some(next) = waiting.pop() {
        match read(expansion, &next) {
            Ok(more) => waiting.extend(more),
            Err(SourceError::Stopped) => return Err(SourceError::Stopped),
            Err(error) => expansion.give_up(&next.address.shown(), &error),
        }
    }
    Ok(())
}

/// Reads one document: its Items become scenes; returns what it links to.
fn read(expansion: &mut Expansion<'_>, document: &Waiting) -> Result<Vec<Waiting>, SourceError> {
    let Waiting {
        address,
        via,
        depth,
    } = document;
    let shown = address.shown();
    // The whole address: pages of a search differ in their query alone.
    if !expansion.documents.insert(address.gdal()) {
        return Ok(Vec::new());
    }
    let too_far = |reason: String| SourceError::TooFar {
        path: shown.clone(),
        reason,
    };
    if *depth > DEPTH {
        return Err(too_far(format!("more than {DEPTH} links deep")));
    }
    if expansion.documents.len() > DOCUMENTS {
        return Err(too_far(format!("more than {DOCUMENTS} documents")));
    }
    let not_stac = |reason: String| SourceError::NotStac {
        path: shown.clone(),
        reason,
    };
    let bytes = expansion.access.read(address)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| not_stac(e.to_string()))?;
    let kind = value
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match kind {
        "Feature" => {
            add_item(expansion, address, &shown, &value, via);
            Ok(Vec::new())
        }
        "FeatureCollection" => {
            let Some(features) = value.get("features").and_then(Value::as_array) else {
                return Err(not_stac("it has no `features`".to_owned()));
            };
            for feature in features {
                let id = feature.get("id").and_then(Value::as_str).unwrap_or("?");
                add_item(expansion, address, &format!("{shown}#{id}"), feature, via);
            }
            Ok(links(document, &value, &["next"]))
        }
        // Early versions have no `type`.
        "Catalog" | "Collection" | "" if value.get("links").is_some() => {
            let mut found = links(document, &value, &["child", "item"]);
            if found.is_empty() {
                found = links(document, &value, &["items"]);
            }
            if found.is_empty() {
                return Err(not_stac("it links to no Item and no child".to_owned()));
            }
            Ok(found)
        }
        _ => Err(not_stac(
            "it is no Item, ItemCollection, Collection or Catalogue".to_owned(),
        )),
    }
}

fn add_item(
    expansion: &mut Expansion<'_>,
    document: &Address,
    path: &str,
    value: &Value,
    via: &[String],
) {
    let beside = expansion
        .near
        .zip(place::bounds(value))
        .is_some_and(|(near, bounds)| !near(bounds));
    if let Some(id) = value.get("id").and_then(Value::as_str).filter(|_| beside) {
        expansion.passed_over.push(SceneSource {
            id: Some(id.to_owned()),
            ..SceneSource::file(path)
        });
        return;
    }
    match item::source(document, path, value, expansion.wanted, expansion.access) {
        Ok(mut source) => {
            source.via = via.to_vec();
            expansion.found.sources.push(source);
        }
        Err(error) => expansion.give_up(path, &error),
    }
}

/// What a document links to by any of `relations`, in the order of its links reversed: the last is read next.
fn links(document: &Waiting, value: &Value, relations: &[&str]) -> Vec<Waiting> {
    let here = document.address.shown();
    let via: Vec<String> = if document.via.contains(&here) {
        document.via.clone()
    } else {
        document.via.iter().cloned().chain([here]).collect()
    };
    let mut found: Vec<Waiting> = value
        .get("links")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|link| {
            let text = |key: &str| link.get(key).and_then(Value::as_str);
            text("rel").is_some_and(|rel| relations.contains(&rel))
                && text("method").is_none_or(|method| method.eq_ignore_ascii_case("GET"))
        })
        .filter_map(|link| link.get("href")?.as_str())
        .map(|href| Waiting {
            address: document.address.join(href),
            via: via.clone(),
            depth: document.depth + 1,
        })
        .collect();
    found.reverse();
    found
}

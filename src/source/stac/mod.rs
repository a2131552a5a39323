//! STAC: Items, collections of Items, Collections and Catalogues (STAC 1.0 and 1.1), on disk or on a network.
//!
//! A catalogue is walked through its `child` and `item` links (`items`, where an API offers nothing else). What
//! has been read is not read again, so catalogues may lead back to one another; a link that leads nowhere is
//! one failure among the scenes.

mod assets;
mod item;
mod place;

use serde_json::Value;

use super::access::Access;
use super::address::Address;
use super::error::SourceError;
use super::expand::Expansion;
use crate::scene::SceneSource;

/// Links from the first document on; real catalogues have five levels or six.
const DEPTH: usize = 32;
/// Documents of one scan.
const DOCUMENTS: usize = 200_000;

/// Documents that are read, and whose Items are made into scenes, at a time: what is in memory at once.
const BATCH: usize = 16;

/// A document that waits to be read.
struct Waiting {
    address: Address,
    via: Vec<String>,
    depth: usize,
}

/// What a document holds.
struct Document {
    /// How each Item is shown, and the Item.
    items: Vec<(String, Value)>,
    links: Vec<Waiting>,
}

/// An Item and the document that it stands in.
struct Item<'a> {
    document: &'a Waiting,
    path: String,
    value: Value,
}

/// All scenes that a document leads to.
pub(super) fn walk(
    expansion: &mut Expansion<'_>,
    address: &Address,
    via: &[String],
) -> Result<(), SourceError> {
    let access = expansion.access;
    let mut waiting = vec![Waiting {
        address: address.clone(),
        via: via.to_vec(),
        depth: 0,
    }];
    while !waiting.is_empty() {
        let batch = next(expansion, &mut waiting);
        let documents = access.waiters.each(
            &batch,
            |document| document.address.is_remote(),
            |document| read(access, document),
        );
        let (mut items, mut links) = (Vec::new(), Vec::new());
        for (document, read) in batch.iter().zip(documents) {
            match read {
                Ok(read) => {
                    items.extend(read.items.into_iter().map(|(path, value)| Item {
                        document,
                        path,
                        value,
                    }));
                    links.push(read.links);
                }
                Err(SourceError::Stopped) => return Err(SourceError::Stopped),
                Err(error) => expansion.give_up(&document.address.shown(), &error),
            }
        }
        add_items(expansion, items)?;
        // What the first of them links to is read next.
        waiting.extend(links.into_iter().rev().flatten());
    }
    Ok(())
}

/// The documents to read next: those that were not read yet and do not lead too far.
fn next(expansion: &mut Expansion<'_>, waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut batch = Vec::new();
    while batch.len() < BATCH
        && let Some(document) = waiting.pop()
    {
        // The whole address: pages of a search differ in their query alone.
        if !expansion.documents.insert(document.address.gdal()) {
            continue;
        }
        let reason = if document.depth > DEPTH {
            format!("more than {DEPTH} links deep")
        } else if expansion.documents.len() > DOCUMENTS {
            format!("more than {DOCUMENTS} documents")
        } else {
            batch.push(document);
            continue;
        };
        let path = document.address.shown();
        let error = SourceError::TooFar {
            path: path.clone(),
            reason,
        };
        expansion.give_up(&path, &error);
    }
    batch
}

/// Reads one document.
fn read(access: &Access<'_>, document: &Waiting) -> Result<Document, SourceError> {
    let shown = document.address.shown();
    let not_stac = |reason: String| SourceError::NotStac {
        path: shown.clone(),
        reason,
    };
    let bytes = access.read(&document.address)?;
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|e| not_stac(e.to_string()))?;
    let kind = value
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match kind {
        "Feature" => Ok(Document {
            items: vec![(shown, value)],
            links: Vec::new(),
        }),
        "FeatureCollection" => {
            let links = links(document, &value, &["next"]);
            let Some(Value::Array(features)) = value.get_mut("features").map(Value::take) else {
                return Err(not_stac("it has no `features`".to_owned()));
            };
            let items = features.into_iter().map(|feature| {
                let id = feature.get("id").and_then(Value::as_str).unwrap_or("?");
                (format!("{shown}#{id}"), feature)
            });
            Ok(Document {
                items: items.collect(),
                links,
            })
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
            Ok(Document {
                items: Vec::new(),
                links: found,
            })
        }
        _ => Err(not_stac(
            "it is no Item, ItemCollection, Collection or Catalogue".to_owned(),
        )),
    }
}

/// Makes scenes of Items; those that say that they lie elsewhere are passed over.
fn add_items(expansion: &mut Expansion<'_>, mut items: Vec<Item<'_>>) -> Result<(), SourceError> {
    items.retain(|item| {
        let beside = expansion
            .near
            .zip(place::bounds(&item.value))
            .is_some_and(|(near, bounds)| !near(bounds));
        let id = item.value.get("id").and_then(Value::as_str);
        let Some(id) = id.filter(|_| beside) else {
            return true;
        };
        expansion.passed_over.push(SceneSource {
            id: Some(id.to_owned()),
            ..SceneSource::file(&item.path)
        });
        false
    });
    let (wanted, access) = (expansion.wanted, expansion.access);
    // Copies are fetched one after the other: a line is filled by one of them alone.
    let remote = |item: &Item<'_>| access.cache.is_none() && item.is_remote();
    let sources = access.waiters.each(&items, remote, |item| {
        let address = &item.document.address;
        item::source(address, &item.path, &item.value, wanted, access)
    });
    for (item, source) in items.iter().zip(sources) {
        match source {
            Ok(mut source) => {
                source.via.clone_from(&item.document.via);
                expansion.found.sources.push(source);
            }
            Err(SourceError::Stopped) => return Err(SourceError::Stopped),
            Err(error) => expansion.give_up(&item.path, &error),
        }
    }
    Ok(())
}

impl Item<'_> {
    /// Whether all its files lie on a network.
    fn is_remote(&self) -> bool {
        let assets = self.value.get("assets").and_then(Value::as_object);
        assets.is_some_and(|assets| {
            let hrefs = assets
                .values()
                .filter_map(|asset| asset.get("href")?.as_str());
            let mut addresses = hrefs.map(|href| self.document.address.join(href));
            addresses.all(|address| address.is_remote())
        })
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

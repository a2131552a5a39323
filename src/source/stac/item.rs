//! A STAC Item as a scene.

use serde_json::Value;

use super::super::Wanted;
use super::super::access::{Access, exists};
use super::super::address::Address;
use super::super::error::SourceError;
use super::super::stack::{Layer, stack};
use super::assets::{Asset, assets, choose, in_words};
use crate::scene::{
    BandScaling, CloudCodes, CloudMask, DateOrigin, SceneDate, SceneSource, content_of_files,
    day_of, on_disk, same_band,
};

/// Flag of one archive that says whether its files have had the offset of the processing baseline applied. It
/// is known to be wrong for some Items (Element84/earth-search#66), so what follows from it is said.
const APPLIED: &str = "earthsearch:boa_offset_applied";
/// First processing baseline of Sentinel-2 that has an offset.
const FIRST_WITH_OFFSET: f64 = 4.0;

/// The scene of an Item that stands in `document`; `path` is how it is shown.
pub(super) fn source(
    document: &Address,
    path: &str,
    item: &Value,
    wanted: &Wanted,
    access: &Access<'_>,
) -> Result<SceneSource, SourceError> {
    if wanted.by_number {
        return Err(SourceError::BandsByNumber(path.to_owned()));
    }
    let Some(id) = item.get("id").and_then(Value::as_str) else {
        return Err(SourceError::NotStac {
            path: path.to_owned(),
            reason: "it is a GeoJSON Feature without the `id` and `assets` of an Item".to_owned(),
        });
    };
    let all = assets(item);
    let sentinel = is_sentinel(item);
    let Some(chosen) = choose(&all, wanted, sentinel) else {
        // Bands that nobody lists: the file may tell.
        return match all.as_slice() {
            [only] if !only.listed => whole_file(document, path, id, item, only, access),
            _ => Err(SourceError::NoBands {
                path: path.to_owned(),
                wanted: wanted.bands.join(", "),
                has: in_words(&all),
            }),
        };
    };
    let (mut layers, mut contents, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (asset, band)) in chosen.iter().enumerate() {
        let address = document.join(&asset.href);
        if !address.is_remote() && !exists(&address) {
            return Err(SourceError::Missing(address.shown()));
        }
        let reached = access.reach(&address)?;
        files.push(on_disk(&reached.path));
        if let Some(content) = reached.content.filter(|c| !contents.contains(c)) {
            contents.push(content);
        }
        let key = || asset.key.clone();
        layers.push(Layer {
            path: reached.path,
            band: band + 1,
            name: wanted.bands.get(i).cloned().unwrap_or_else(key),
            nodata: asset.bands.get(*band).and_then(|b| b.nodata),
        });
    }
    let clouds = clouds(document, item, access)?;
    if let Some((mask, content)) = &clouds {
        match content {
            Some(content) => contents.push(content.clone()),
            None => files.push(on_disk(&mask.raster)),
        }
    }
    let scaling = scaling(&chosen);
    let settled = scaling.map(|scaling| settle_offset(scaling, item));
    let scaling_warning = settled
        .as_ref()
        .filter(|settled| settled.dropped)
        .map(|settled| settled.words.clone());
    let (scaling, scaling_note) = settled
        .map(|settled| (settled.scaling, settled.words))
        .unzip();
    Ok(SceneSource {
        path: path.to_owned(),
        raster: Some(stack(path, &layers)?),
        id: Some(id.to_owned()),
        date: date(item),
        scaling,
        scaling_note,
        clouds: clouds.map(|(mask, _)| mask),
        content: Some(if contents.is_empty() {
            content_of_files(&files)
        } else {
            contents.join("; ")
        }),
        warning: scaling_warning,
        via: Vec::new(),
    })
}

/// An Item of one raster whose bands are known to the file alone.
fn whole_file(
    document: &Address,
    path: &str,
    id: &str,
    item: &Value,
    asset: &Asset,
    access: &Access<'_>,
) -> Result<SceneSource, SourceError> {
    let reached = access.reach(&document.join(&asset.href))?;
    Ok(SceneSource {
        path: path.to_owned(),
        raster: Some(reached.path),
        id: Some(id.to_owned()),
        date: date(item),
        content: reached.content,
        ..SceneSource::default()
    })
}

fn property<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    item.get("properties")?.get(name)
}

/// `datetime`; a period of one day is that day, a longer one has no date.
fn date(item: &Value) -> Option<SceneDate> {
    let day = |name: &str| day_of(property(item, name)?.as_str()?);
    let day = day("datetime").or_else(|| {
        let (first, last) = (day("start_datetime")?, day("end_datetime")?);
        (first == last).then_some(first)
    })?;
    Some(SceneDate {
        day,
        origin: DateOrigin::Stac,
    })
}

fn is_sentinel(item: &Value) -> bool {
    ["constellation", "platform"].iter().any(|name| {
        property(item, name)
            .and_then(Value::as_str)
            .is_some_and(|text| text.to_ascii_lowercase().contains("sentinel-2"))
    })
}

/// To reflectance, where each chosen band has a scale.
fn scaling(chosen: &[(&Asset, usize)]) -> Option<Vec<BandScaling>> {
    chosen
        .iter()
        .map(|(asset, band)| {
            let band = asset.bands.get(*band)?;
            Some(BandScaling {
                scale: band.scale?,
                offset: band.offset.unwrap_or(0.0),
            })
        })
        .collect()
}

/// A scaling with its story.
struct Settled {
    scaling: Vec<BandScaling>,
    words: String,
    /// Whether a stated offset is not used.
    dropped: bool,
}

/// Takes the offset out again where it cannot be one of the stored numbers: where the Item says that it has been
/// applied, or where its processing baseline has none. Says so.
fn settle_offset(mut scaling: Vec<BandScaling>, item: &Value) -> Settled {
    let stated = scaling.iter().map(|band| band.offset).find(|v| *v != 0.0);
    let applied = property(item, APPLIED).and_then(Value::as_bool);
    let baseline = property(item, "s2:processing_baseline")
        .or_else(|| property(item, "processing:version"))
        .and_then(Value::as_str);
    let old = is_sentinel(item)
        && baseline
            .and_then(|text| text.parse::<f64>().ok())
            .is_some_and(|number| number < FIRST_WITH_OFFSET);
    let because = match applied {
        Some(true) => Some(format!(
            "{APPLIED} is true (known to be wrong for some Items; `--offset` overrules)"
        )),
        _ if old => Some(format!(
            "processing baseline {} has none",
            baseline.unwrap_or_default()
        )),
        _ => None,
    };
    let dropped = stated.is_some() && because.is_some();
    let words = match (stated, because) {
        (None, _) => "STAC Item: no offset".to_owned(),
        (Some(offset), Some(because)) => {
            for band in &mut scaling {
                band.offset = 0.0;
            }
            format!("STAC Item: offset {offset} not used, since {because}")
        }
        (Some(offset), None) if applied == Some(false) => {
            format!("STAC Item: offset {offset}, {APPLIED} is false")
        }
        (Some(offset), None) => format!("STAC Item: offset {offset}"),
    };
    Settled {
        scaling,
        words,
        dropped,
    }
}

/// The scene classification, with what its file holds where that is known.
fn clouds(
    document: &Address,
    item: &Value,
    access: &Access<'_>,
) -> Result<Option<(CloudMask, Option<String>)>, SourceError> {
    let Some(assets) = item.get("assets").and_then(Value::as_object) else {
        return Ok(None);
    };
    let named = |(key, asset): &(&String, &Value)| {
        let is_scl =
            |name: &str| same_band(name, "scl") || name.to_ascii_lowercase().starts_with("scl_");
        let bands = asset.get("bands").or_else(|| asset.get("eo:bands"));
        let band = bands
            .and_then(Value::as_array)
            .and_then(|bands| bands.first()?.get("name")?.as_str());
        is_scl(key) || band.is_some_and(is_scl)
    };
    let is_jp2 = |asset: &Value| {
        let media = asset
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        media.contains("jp2")
    };
    let best = assets
        .iter()
        .filter(named)
        .min_by_key(|(key, asset)| (is_jp2(asset), (*key).clone()));
    let Some(href) = best.and_then(|(_, asset)| asset.get("href")?.as_str()) else {
        return Ok(None);
    };
    let address = document.join(href);
    match access.reach(&address) {
        Ok(_) if !address.is_remote() && !exists(&address) => Ok(None),
        Ok(reached) => Ok(Some((
            CloudMask {
                raster: reached.path,
                band: 1,
                codes: CloudCodes::SceneClassification,
            },
            reached.content,
        ))),
        // A scene whose clouds are not known can still be scanned.
        Err(SourceError::NotFound(_) | SourceError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settled(properties: &Value, offset: f64) -> (f64, String) {
        let given = vec![BandScaling {
            scale: 1e-4,
            offset,
        }];
        let settled = settle_offset(given, &json!({"properties": properties}));
        assert_eq!(settled.dropped, settled.scaling[0].offset != offset);
        (settled.scaling[0].offset, settled.words)
    }

    #[test]
    fn an_offset_is_used_unless_the_item_says_that_it_is_not_there() {
        let s2 = |baseline: &str, applied: Value| json!({"platform": "sentinel-2a", "s2:processing_baseline": baseline, (APPLIED): applied});
        assert_eq!(settled(&json!({}), -0.1).0, -0.1);
        assert_eq!(settled(&s2("05.09", Value::Null), -0.1).0, -0.1);
        assert_eq!(settled(&s2("05.09", false.into()), -0.1).0, -0.1);
        let (offset, words) = settled(&s2("05.09", true.into()), -0.1);
        assert!(offset == 0.0 && words.contains("-0.1 not used") && words.contains("--offset"));
        let (offset, words) = settled(&s2("02.14", false.into()), -0.1);
        assert!(
            offset == 0.0 && words.contains("baseline 02.14 has none"),
            "{words}"
        );
        assert_eq!(
            settled(&s2("05.09", true.into()), 0.0).1,
            "STAC Item: no offset"
        );
    }

    #[test]
    fn a_composite_of_many_days_has_no_date() {
        let of = |properties: Value| date(&json!({ "properties": properties })).map(|d| d.day);
        let period = |last: &str| json!({"datetime": null, "start_datetime": "2024-01-31T05:00:00Z", "end_datetime": last});
        assert_eq!(
            of(json!({"datetime": "2024-01-31T05:30:21.024Z"})).as_deref(),
            Some("2024-01-31")
        );
        assert_eq!(
            of(period("2024-01-31T06:00:00Z")).as_deref(),
            Some("2024-01-31")
        );
        assert_eq!(of(period("2024-02-28T06:00:00Z")), None);
    }
}

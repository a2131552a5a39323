//! When a scene was taken, and who says so.

use gdal::{Dataset, Metadata};
use serde::{Deserialize, Serialize};

/// Where a date comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrigin {
    /// `--date`.
    Given,
    /// The STAC Item.
    Stac,
    /// The metadata of the Sentinel-2 product.
    Sentinel2,
    /// A tag in the file.
    FileMetadata,
    /// The name of the file.
    FileName,
}

/// An acquisition date (ISO 8601) and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneDate {
    /// `2024-01-31`.
    pub day: String,
    /// Who says so.
    pub origin: DateOrigin,
}

/// Tags that state when a scene was taken, without case and punctuation. Those of processing and of files
/// are left out.
const ACQUISITION_TAGS: &[&str] = &[
    "ACQUISITIONDATETIME",
    "ACQUISITIONDATE",
    "ACQUISITIONTIME",
    "DATEACQUIRED",
    "ACQUIRED",
    "SENSINGTIME",
    "SENSINGDATE",
    "PRODUCTSTARTTIME",
    "DATATAKESENSINGSTART",
    "DATATAKE1DATATAKESENSINGSTART",
    "TIMECOVERAGESTART",
    "NCGLOBALTIMECOVERAGESTART",
];

/// The date in a file's tags: one of acquisition, else the TIFF tag `DateTime`.
pub(super) fn date_in_tags(dataset: &Dataset) -> Option<String> {
    let tags: Vec<String> = ["IMAGERY", ""]
        .iter()
        .filter_map(|domain| dataset.metadata_domain(domain))
        .flatten()
        .collect();
    let acquired = tags
        .iter()
        .filter_map(|tag| tag.split_once('='))
        .find_map(|(name, value)| {
            let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            let known = ACQUISITION_TAGS.contains(&name.to_ascii_uppercase().as_str());
            known.then(|| day_of(value)).flatten()
        });
    acquired.or_else(|| day_of(&dataset.metadata_item("TIFFTAG_DATETIME", "")?))
}

/// The day of a date or time (`2024-01-31T05:30:21Z`, `2024:01:31 05:30:21`, `20240131`), if it is one.
pub(crate) fn day_of(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('"');
    let digits: String = match text.as_bytes() {
        [_, _, _, _, b'-' | b':', _, _, b'-' | b':', ..] => {
            [text.get(..4)?, text.get(5..7)?, text.get(8..10)?].concat()
        }
        _ => text.get(..8)?.to_owned(),
    };
    calendar_day(&digits)
}

/// The date in the name of a file, after the patterns of Sentinel-2 (`20240131T053021`), Landsat and Planet
/// (`_20240131_`) and `2024-01-31`: the first group of digits between other characters that is a date of the
/// satellite era. Products that state two dates put the acquisition first.
pub(super) fn date_in_name(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let starts = (0..bytes.len()).filter(|&i| {
        bytes[i].is_ascii_digit() && (i == 0 || !bytes[i - 1].is_ascii_alphanumeric())
    });
    for start in starts {
        let rest = name.get(start..)?;
        if let Some(day) = day_at_start(rest) {
            return Some(day);
        }
    }
    None
}

fn day_at_start(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digits = |from: usize, to: usize| {
        bytes.len() >= to && bytes[from..to].iter().all(u8::is_ascii_digit)
    };
    let ends_at = |at: usize| bytes.get(at).is_none_or(|b| !b.is_ascii_alphanumeric());
    if is_digits(0, 8) {
        let has_time = matches!(bytes.get(8), Some(b'T' | b't')) && is_digits(9, 15) && ends_at(15);
        if ends_at(8) || has_time {
            return calendar_day(text.get(..8)?);
        }
    }
    let dashed = is_digits(0, 4)
        && is_digits(5, 7)
        && is_digits(8, 10)
        && bytes[4] == bytes[7]
        && matches!(bytes[4], b'-' | b'_')
        && (ends_at(10) || matches!(bytes.get(10), Some(b'T' | b't')));
    dashed
        .then(|| calendar_day(&[text.get(..4)?, text.get(5..7)?, text.get(8..10)?].concat()))
        .flatten()
}

/// Eight digits as a date, if the calendar has it and satellites could have seen it.
fn calendar_day(digits: &str) -> Option<String> {
    if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let date = jiff::civil::Date::new(year, month as i8, day as i8).ok()?;
    (1959..=2099).contains(&year).then(|| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_file_names_are_those_of_the_acquisition() {
        for (name, day) in [
            (
                "S2A_MSIL2A_20240131T053021_N0510_R105_T43RGM_20240201T091234",
                Some("2024-01-31"),
            ),
            ("T43RGM_20240131T053021_B04_10m", Some("2024-01-31")),
            (
                "LC08_L2SP_145041_20240131_20240208_02_T1_SR_B4",
                Some("2024-01-31"),
            ),
            ("20240131_053021_45_2486_3B_AnalyticMS", Some("2024-01-31")),
            ("mosaic-2024-01-31", Some("2024-01-31")),
            ("mosaic_2024_01_31_v2", Some("2024-01-31")),
            ("2024-01-31T05", Some("2024-01-31")),
            // Digits that are no date.
            ("tile_12345678", None),
            ("tile_20241301", None),
            ("tile_20230229", None),
            ("tile_202401310", None),
            ("id20240131", None),
            ("20240131b", None),
            ("19000101", None),
            ("2024-013-1", None),
            ("1234-56-78", None),
            ("a", None),
            ("", None),
            ("größe_20240131", Some("2024-01-31")),
        ] {
            assert_eq!(date_in_name(name).as_deref(), day, "{name}");
        }
    }

    #[test]
    fn times_of_many_spellings_have_a_day() {
        for (text, day) in [
            ("2024-01-31T05:30:21Z", Some("2024-01-31")),
            ("2024:01:31 05:30:21", Some("2024-01-31")),
            ("2024-01-31", Some("2024-01-31")),
            ("20240131T0530", Some("2024-01-31")),
            ("\"2024-01-31\"", Some("2024-01-31")),
            ("0000:00:00 00:00:00", None),
            ("2024:13:01 00:00:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(day_of(text).as_deref(), day, "{text}");
        }
    }
}

//! The verified layer and its votes, as files.
//!
//! All files of an export show one state of the project, and the log keeps their checksums. Volunteers appear under
//! codes that are drawn anew for every export.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::error::VerifyError;
use super::event::{self, Event};
use super::id::random_id;
use super::project::{Project, questions};
use super::verified::{LayerTerms, SiteFilter, for_each_site};
use crate::layer::geojson::GeoJsonWriter;
use crate::run::StagedFile;
use crate::scene::hex;

/// What an export says of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// Licence of the layer.
    pub licence: String,
    /// Who may see it.
    pub sensitivity: String,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            licence: "not stated".to_owned(),
            // Exact places of sites can put people in danger.
            sensitivity: "restricted: exact places".to_owned(),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Files with what they hold.
    pub files: Vec<(PathBuf, String)>,
    /// The state they show: up to this event.
    pub through: i64,
}

impl Project {
    /// Writes `verified.geojson`, `votes.csv`, `sample.csv` and `export.json` into a folder.
    pub fn export(&self, out: &Path, options: &ExportOptions) -> Result<Exported, VerifyError> {
        // What is published follows from one estimate.
        self.finish_batch()?;
        let (staged, written, through) = self.store.read(|c| {
            let (through, seal) = event::head(c)?;
            let terms = LayerTerms {
                question_version: questions(c)?.version,
                licence: options.licence.clone(),
                sensitivity: options.sensitivity.clone(),
            };
            let mut made: Vec<Made> = vec![
                stage(&out.join("verified.geojson"), "site", |file| {
                    layer(c, file, &terms)
                })?,
                stage(&out.join("votes.csv"), "vote", |file| votes(c, file))?,
                stage(&out.join("sample.csv"), "sampled task", |file| {
                    sample(c, file)
                })?,
            ];
            let sums: BTreeMap<&str, &str> = made
                .iter()
                .map(|m| (m.name.as_str(), m.sha256.as_str()))
                .collect();
            let about = json!({
                "kilnsight": env!("CARGO_PKG_VERSION"),
                "consensus_version": super::CONSENSUS_VERSION,
                "question_version": terms.question_version,
                "licence": terms.licence,
                "sensitivity": terms.sensitivity,
                "log": { "through": through, "seal": seal },
                "sha256": sums,
            });
            made.push(stage(&out.join("export.json"), "", |file| {
                writeln!(file, "{about:#}")?;
                Ok(0)
            })?);
            let written: Vec<Written> = made
                .iter()
                .map(|m| Written {
                    path: out.join(&m.name),
                    name: m.name.clone(),
                    holds: if m.what.is_empty() {
                        "state of the log, checksums".to_owned()
                    } else {
                        crate::run::counted(m.count, m.what)
                    },
                    sha256: m.sha256.clone(),
                })
                .collect();
            let staged: Vec<StagedFile> = made.into_iter().map(|m| m.file).collect();
            Ok((staged, written, through))
        })?;
        for file in staged {
            file.publish()?;
        }
        let files = written
            .iter()
            .map(|w| (w.name.clone(), w.sha256.clone()))
            .collect();
        self.happen(|h| h.record(Event::Publication { files, through }))?;
        Ok(Exported {
            files: written.into_iter().map(|w| (w.path, w.holds)).collect(),
            through,
        })
    }
}

struct Made {
    name: String,
    what: &'static str,
    count: u64,
    sha256: String,
    file: StagedFile,
}

struct Written {
    path: PathBuf,
    name: String,
    holds: String,
    sha256: String,
}

/// Writes a file beside its place, and its checksum on the way.
fn stage(
    path: &Path,
    what: &'static str,
    write: impl FnOnce(&mut dyn Write) -> Result<u64, VerifyError>,
) -> Result<Made, VerifyError> {
    let mut failed = None;
    let staged = StagedFile::write(path, |file| {
        let mut summed = Summed {
            file,
            hash: Sha256::new(),
        };
        match write(&mut summed) {
            Ok(count) => Ok((count, hex(&summed.hash.finalize()))),
            Err(error) => {
                let text = error.to_string();
                failed = Some(error);
                Err(std::io::Error::other(text))
            }
        }
    });
    match (staged, failed) {
        (Ok((file, (count, sha256))), _) => Ok(Made {
            name: path
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            what,
            count,
            sha256,
            file,
        }),
        (Err(_), Some(VerifyError::Write(source))) => Err(VerifyError::File {
            path: path.display().to_string(),
            source,
        }),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(error.into()),
    }
}

struct Summed<'a> {
    file: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn layer(c: &Connection, file: &mut dyn Write, terms: &LayerTerms) -> Result<u64, VerifyError> {
    let mut writer = GeoJsonWriter::new(file, "verified", "id")?;
    for_each_site(c, &SiteFilter::default(), |site| {
        Ok(writer.write(&site.feature(terms))?)
    })?;
    Ok(writer.finish()?)
}

/// Every vote, also those that do not count. No times of day: they would tie the codes of two exports together.
fn votes(c: &Connection, file: &mut dyn Write) -> Result<u64, VerifyError> {
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    let mut statement = c.prepare("SELECT DISTINCT voter FROM vote")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        codes.insert(row.get(0)?, random_id()?);
    }
    let header = [
        "site_id",
        "kind",
        "volunteer",
        "answer",
        "state",
        "stream",
        "gold",
        "date",
        "question_version",
        "look",
        "milliseconds",
        "weight",
    ];
    // Within a site by code: an order that the codes themselves do not give would tell who came first.
    let sql = "SELECT t.site_id, t.kind, v.voter, v.answer, v.state, v.stream, g.answer, substr(v.at, 1, 10),
               v.question_version, v.rank, v.milliseconds, v.weight, t.number
               FROM vote v JOIN task t ON t.id = v.task LEFT JOIN gold g ON g.task = t.id ORDER BY t.number, v.voter";
    let mut csv = csv::Writer::from_writer(file);
    csv.write_record(header)?;
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    let mut of_site: Vec<Vec<String>> = Vec::new();
    let mut number = 0i64;
    while let Some(row) = rows.next()? {
        let here: i64 = row.get(12)?;
        if here != number {
            count += write_sorted(&mut csv, &mut of_site)?;
            number = here;
        }
        let mut record = texts(row, header.len())?;
        if let Some(code) = codes.get(&record[2]) {
            record[2].clone_from(code);
        }
        of_site.push(record);
    }
    count += write_sorted(&mut csv, &mut of_site)?;
    csv.flush()?;
    Ok(count)
}

fn write_sorted<W: Write>(
    csv: &mut csv::Writer<W>,
    records: &mut Vec<Vec<String>>,
) -> Result<u64, VerifyError> {
    records.sort_by(|a, b| a[2].cmp(&b[2]));
    for record in records.iter() {
        csv.write_record(record)?;
    }
    let count = records.len() as u64;
    records.clear();
    Ok(count)
}

/// The probability sample: what an estimate of totals needs.
fn sample(c: &Connection, file: &mut dyn Write) -> Result<u64, VerifyError> {
    let header = [
        "site_id",
        "kind",
        "stratum",
        "wave",
        "population",
        "sampled",
        "inclusion",
        "score",
        "status",
        "p_votes",
        "n_votes",
    ];
    let sql = "SELECT t.site_id, t.kind, t.stratum, t.wave, s.population, s.sampled, t.inclusion, t.score,
               v.status, v.p_votes, v.yes + v.no + v.unsure + v.bad
               FROM task t JOIN verdict v ON v.task = t.id JOIN stratum s ON s.wave = t.wave AND s.name = t.stratum
               WHERE t.inclusion IS NOT NULL ORDER BY t.number";
    let mut csv = csv::Writer::from_writer(file);
    csv.write_record(header)?;
    let mut statement = c.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        csv.write_record(texts(row, header.len())?)?;
        count += 1;
    }
    csv.flush()?;
    Ok(count)
}

/// The first columns of a row as text; nothing for NULL.
fn texts(row: &Row<'_>, columns: usize) -> Result<Vec<String>, VerifyError> {
    use rusqlite::types::ValueRef;
    (0..columns)
        .map(|i| {
            Ok(match row.get_ref(i)? {
                ValueRef::Integer(n) => n.to_string(),
                ValueRef::Real(x) => x.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Null | ValueRef::Blob(_) => String::new(),
            })
        })
        .collect()
}

//! Votes and truth from CSV: the order of rows and columns never matters.
//!
//! The first line names the columns. Fields may be quoted; commas, semicolons or tabs separate them; a byte order mark is
//! skipped, and so are empty lines and lines that begin with `#`. Errors name the line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use csv::{ErrorKind, Position, Reader, ReaderBuilder, StringRecord, Trim};
use thiserror::Error;

use crate::verify::consensus::{VoteTable, VoteTableBuilder};

/// Where the header has to end for its separator to be found.
const HEADER_BYTES: usize = 1 << 16;
/// How often progress is told.
const ADVANCE_BYTES: u64 = 1 << 16;
/// Names of the column of items.
const ITEM: &[&str] = &["item"];
/// Names of the column of workers.
const WORKER: &[&str] = &["worker", "rater"];
/// Names of the column of labels.
const LABEL: &[&str] = &["label", "rating"];
/// Names of the column of true labels.
const TRUTH: &[&str] = &["truth", "label"];

/// Why a table cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A column is missing or there twice.
    #[error("`{}`: {problem}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A line cannot be used.
    #[error("`{}`, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1; of a record over several lines, the first.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
    /// There is nothing in the file.
    #[error("`{}` holds no {what}; give one per line under the header", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// Votes or true labels.
        what: &'static str,
    },
    /// Truth and votes speak of different things.
    #[error("`{}`: none of its {what} occurs in the votes; check that both files name them alike", path.display())]
    NothingInCommon {
        /// The file of true labels.
        path: PathBuf,
        /// Items or labels.
        what: &'static str,
    },
}

/// Labels that name no class.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// Answers such as "not sure": evidence like other answers, but no class.
    pub unsure: Vec<String>,
    /// Answers such as "bad image": no evidence, counted apart.
    pub bad_image: Vec<String>,
}

/// A table of votes as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct VotesRead {
    /// The votes.
    pub table: VoteTable,
    /// Votes that say that the item cannot be judged: not in the table.
    pub bad_image: usize,
    /// Labels given as names of no class that no vote has: perhaps misspelt.
    pub unused: Vec<String>,
}

/// What is true of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Label by item.
    pub labels: BTreeMap<String, String>,
}

/// Reads votes from columns `item`, `worker` (or `rater`) and `label` (or `rating`). A worker may vote on an item more than
/// once. `advance` is told how many bytes were read, now and then.
pub fn read_votes(
    path: &Path,
    vocabulary: &Vocabulary,
    mut advance: impl FnMut(u64),
) -> Result<VotesRead, TableError> {
    let mut builder = VoteTableBuilder::new();
    let (mut votes, mut bad_image) = (0_usize, 0);
    let mut unused: BTreeSet<&String> = (vocabulary.unsure.iter())
        .chain(&vocabulary.bad_image)
        .collect();
    let mut rows = Rows::open(path, &[ITEM, WORKER, LABEL])?;
    let mut told = 0;
    while let Some([item, worker, label]) = rows.next()? {
        votes += 1;
        if vocabulary.bad_image.iter().any(|bad| bad == label) {
            bad_image += 1;
            builder.add_item(item);
        } else {
            builder.add(item, worker, label, 1.0);
        }
        unused.retain(|known| *known != label);
        let read = rows.position();
        if read - told >= ADVANCE_BYTES {
            advance(read - told);
            told = read;
        }
    }
    if votes == 0 {
        return Err(TableError::Empty {
            path: path.to_path_buf(),
            what: "votes",
        });
    }
    Ok(VotesRead {
        table: builder.build(|label| vocabulary.unsure.iter().any(|unsure| unsure == label)),
        bad_image,
        unused: unused.into_iter().cloned().collect(),
    })
}

/// Reads true labels from columns `item` and `truth` (or `label`), and checks that they speak of the items and classes of
/// `table`.
pub fn read_truth(path: &Path, table: &VoteTable) -> Result<Truth, TableError> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut rows = Rows::open(path, &[ITEM, TRUTH])?;
    while let Some([item, label]) = rows.next()? {
        match labels.get(item) {
            Some(before) if before != label => {
                let problem =
                    format!("item `{item}` is `{label}` here and `{before}` above; keep one");
                return Err(rows.error(problem));
            }
            Some(_) => {}
            None => {
                labels.insert(item.to_owned(), label.to_owned());
            }
        }
    }
    if labels.is_empty() {
        return Err(TableError::Empty {
            path: path.to_path_buf(),
            what: "true labels",
        });
    }
    let nothing_in_common = |what| TableError::NothingInCommon {
        path: path.to_path_buf(),
        what,
    };
    if !labels.keys().any(|item| table.item(item).is_some()) {
        return Err(nothing_in_common("items"));
    }
    if !labels.values().any(|label| table.class(label).is_some()) {
        return Err(nothing_in_common("labels"));
    }
    Ok(Truth { labels })
}

/// Rows of a CSV file, of each the wanted columns.
struct Rows {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    /// Names and places of the wanted columns.
    columns: Vec<(String, usize)>,
    record: StringRecord,
}

impl Rows {
    /// `wanted` holds the names that each column may have.
    fn open(path: &Path, wanted: &[&[&str]]) -> Result<Self, TableError> {
        let failed = |source| TableError::Read {
            path: path.to_path_buf(),
            source,
        };
        let mut file = BufReader::with_capacity(HEADER_BYTES, File::open(path).map_err(failed)?);
        // A look ahead that consumes nothing, so that pipes can be read too.
        let delimiter = delimiter(file.fill_buf().map_err(failed)?);
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(file);
        let header = match reader.headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(unreadable(path, error)),
        };
        let columns = wanted
            .iter()
            .map(|names| {
                let found = column(&header, names);
                found.map_err(|problem| TableError::Columns {
                    path: path.to_path_buf(),
                    problem,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_path_buf(),
            reader,
            columns,
            record: StringRecord::new(),
        })
    }

    /// The wanted fields of the next row; none at the end.
    fn next<const N: usize>(&mut self) -> Result<Option<[&str; N]>, TableError> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(unreadable(&self.path, error)),
        }
        let mut fields = [""; N];
        for (field, (name, place)) in fields.iter_mut().zip(&self.columns) {
            *field = self.record.get(*place).unwrap_or_default();
            if field.is_empty() {
                return Err(self.error(format!("`{name}` is empty; fill it in or remove the line")));
            }
        }
        Ok(Some(fields))
    }

    /// An error of the row read last.
    fn error(&self, problem: String) -> TableError {
        TableError::Line {
            path: self.path.clone(),
            line: line(&self.path, self.record.position()),
            problem,
        }
    }

    /// Bytes read.
    fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

/// What separates the fields of the header: a comma unless there is none.
fn delimiter(beginning: &[u8]) -> u8 {
    let header = beginning
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .find(|line| !line.is_empty() && line[0] != b'#')
        .unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .find(|separator| header.contains(separator))
        .unwrap_or(b',')
}

/// The first of `names` that the header has, and where.
fn column(header: &StringRecord, names: &[&str]) -> Result<(String, usize), String> {
    for name in names {
        let mut places = (0..)
            .zip(header)
            .filter(|(_, h)| h.eq_ignore_ascii_case(name));
        match (places.next(), places.next()) {
            (Some((place, _)), None) => return Ok(((*name).to_owned(), place)),
            (Some(_), Some(_)) => {
                return Err(format!("two columns are called `{name}`; rename one"));
            }
            (None, _) => {}
        }
    }
    let wanted = names.join("` or `");
    if header.iter().all(str::is_empty) {
        return Err(format!(
            "the file is empty; the first line should name the columns, among them `{wanted}`"
        ));
    }
    let there: Vec<&str> = header.iter().collect();
    Err(format!(
        "no column is called `{wanted}`; the first line names `{}`",
        there.join("`, `")
    ))
}

fn unreadable(path: &Path, error: csv::Error) -> TableError {
    let path = path.to_path_buf();
    let line = line(&path, error.position());
    let problem = match error.into_kind() {
        ErrorKind::Io(source) => return TableError::Read { path, source },
        ErrorKind::Utf8 { .. } => "the text is not UTF-8; save the table as UTF-8".to_owned(),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "{len} fields where the first line has {expected_len}; put text with separators in quotes"
        ),
        other => format!("not CSV: {other:?}"),
    };
    TableError::Line {
        path,
        line,
        problem,
    }
}

/// The line of a record. The parser's position lies before the empty lines and comments that precede the record, so they
/// are counted in the file, where it can be read again.
fn line(path: &Path, record: Option<&Position>) -> u64 {
    let Some(position) = record else { return 0 };
    let mut next = Vec::new();
    if let Ok(mut file) = File::open(path)
        && file.seek(SeekFrom::Start(position.byte())).is_ok()
    {
        let mut file = BufReader::new(file);
        let mut skipped = 0;
        while matches!(file.read_until(b'\n', &mut next), Ok(1..))
            && (next.trim_ascii().is_empty() || next.starts_with(b"#"))
        {
            skipped += 1;
            next.clear();
        }
        return position.line() + skipped;
    }
    position.line()
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

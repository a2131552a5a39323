//! Finding a model on disk: its card, its ONNX file, and whether the two belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::card::{CardError, ModelCard};
use super::card_screen::ScreenCard;
use super::metadata::{self, MetadataError, Told};
use super::session::{SessionError, inspect};
use crate::scene::{hex, is_special};

/// Why a model cannot be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Nothing there.
    #[error(
        "there is no model at `{given}`: name a folder with `model.onnx` and `model.json`, or an `.onnx` file with a `.json` card beside it or metadata of Ultralytics, GeoDeep or Deepness in it{known}"
    )]
    Missing {
        /// As given.
        given: String,
        /// Models that are there, in words.
        known: String,
    },
    /// A file of the model cannot be read.
    #[error(
        "`{path}` cannot be read: {source}; a model is a folder with `model.onnx` and its card `model.json`, or an `.onnx` file with a `.json` card beside it"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The card is wrong.
    #[error("model card `{path}`: {source}")]
    Card {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: CardError,
    },
    /// There is no card, and the metadata in the file make none.
    #[error("`{path}` cannot be used without a card: {source}")]
    Metadata {
        /// The ONNX file.
        path: String,
        /// Why.
        #[source]
        source: MetadataError,
    },
    /// ONNX Runtime cannot open the file.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The ONNX file is not the one the card was written for.
    #[error(
        "`{path}` is not the file its card describes: its SHA-256 is {actual}, the card says {expected}; restore the file, or correct {key}"
    )]
    Digest {
        /// The ONNX file.
        path: String,
        /// Digest of the file.
        actual: String,
        /// Digest on the card.
        expected: String,
        /// Where it stands on the card.
        key: &'static str,
    },
}

/// A model on disk, read whole.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its card.
    pub card: ModelCard,
    /// The ONNX file.
    pub onnx_path: PathBuf,
    /// Content of the ONNX file, shared by all workers, as it was read. Neither copied nor given back while sessions are
    /// made: the memory allocator of Linux keeps pieces as large as the largest that was ever given back, and those of
    /// the sessions with them.
    pub onnx: Arc<Vec<u8>>,
    /// SHA-256 of the ONNX file.
    pub sha256: String,
    /// The screen that the card names.
    pub screen: Option<ScreenModel>,
    /// SHA-256 of the card: another threshold or overlap makes another scan. That of the ONNX file where its own
    /// metadata are the card.
    pub card_sha256: String,
    /// Where the card comes from.
    pub card_source: CardSource,
    /// In what card and metadata differ, in words.
    pub warnings: Vec<String>,
}

/// The screen of a model, read whole.
#[derive(Debug, Clone)]
pub struct ScreenModel {
    /// What the card says of it.
    pub card: ScreenCard,
    /// Its ONNX file.
    pub onnx_path: PathBuf,
    /// Content of that file, shared by all workers.
    pub onnx: Arc<Vec<u8>>,
    /// SHA-256 of that file.
    pub sha256: String,
}

/// Where a card comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardSource {
    /// A file beside the model.
    File,
    /// The metadata in the ONNX file, of this kind.
    Metadata(&'static str),
}

impl Model {
    /// Loads a model from a folder, from an `.onnx` file with a card beside it, or by its name under `models/`.
    pub fn load(given: &str) -> Result<Self, LoadError> {
        Self::load_told(given, Told::default())
    }

    /// The same, with what the user says of it: that counts more than the card.
    pub fn load_told(given: &str, told: Told) -> Result<Self, LoadError> {
        let (onnx_path, card_path) = locate(given)?;
        let Some(card_path) = card_path else {
            return Self::without_card(onnx_path, told);
        };
        let card_text = read(&card_path)?;
        let in_card = |source| LoadError::Card {
            path: card_path.display().to_string(),
            source,
        };
        let mut card = ModelCard::parse(&String::from_utf8_lossy(&card_text)).map_err(in_card)?;
        let (onnx, sha256) = read_signed(&onnx_path, card.sha256.as_ref(), "`kilnsight:sha256`")?;
        let screen = (card.screen.as_ref())
            .map(|screen| ScreenModel::beside(&onnx_path, screen))
            .transpose()?;
        let warnings = metadata::differences(&card, &inspect(&onnx_path, &onnx)?);
        card.gsd_m = told.gsd_m.unwrap_or(card.gsd_m);
        card.overlap_m = told.overlap_m.unwrap_or(card.overlap_m);
        Ok(Self {
            card,
            onnx_path,
            onnx: Arc::new(onnx),
            sha256,
            screen,
            card_sha256: hex(&Sha256::digest(&card_text)),
            card_source: CardSource::File,
            warnings,
        })
    }

    /// An ONNX file that is its own card.
    fn without_card(onnx_path: PathBuf, told: Told) -> Result<Self, LoadError> {
        let onnx = read(&onnx_path)?;
        let file = inspect(&onnx_path, &onnx)?;
        let stem = onnx_path.file_stem().map(|s| s.to_string_lossy());
        let name = stem.as_deref().unwrap_or("model");
        let (card, kind) =
            metadata::card(&file, name, told).map_err(|source| LoadError::Metadata {
                path: onnx_path.display().to_string(),
                source,
            })?;
        let sha256 = hex(&Sha256::digest(&onnx));
        Ok(Self {
            card,
            onnx_path,
            onnx: Arc::new(onnx),
            card_sha256: sha256.clone(),
            sha256,
            screen: None,
            card_source: CardSource::Metadata(kind),
            warnings: Vec::new(),
        })
    }
}

impl ScreenModel {
    /// The screen of the model in a file.
    fn beside(onnx_path: &Path, card: &ScreenCard) -> Result<Self, LoadError> {
        let onnx_path = onnx_path.with_file_name(&card.onnx);
        let key = "`sha256` of `kilnsight:screen`";
        let (onnx, sha256) = read_signed(&onnx_path, card.sha256.as_ref(), key)?;
        Ok(Self {
            card: card.clone(),
            onnx_path,
            onnx: Arc::new(onnx),
            sha256,
        })
    }
}

/// An ONNX file and its SHA-256, which must be the one that the card expects under `key`, if it does.
fn read_signed(
    path: &Path,
    expected: Option<&String>,
    key: &'static str,
) -> Result<(Vec<u8>, String), LoadError> {
    let onnx = read(path)?;
    let sha256 = hex(&Sha256::digest(&onnx));
    match expected {
        Some(expected) if *expected != sha256 => Err(LoadError::Digest {
            path: path.display().to_string(),
            actual: sha256,
            expected: expected.clone(),
            key,
        }),
        _ => Ok((onnx, sha256)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let content = if is_special(path) {
        Err(std::io::Error::other(
            "it is a pipe or a device, not a file",
        ))
    } else {
        std::fs::read(path)
    };
    content.map_err(|source| LoadError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

/// The ONNX file and its card, where it has one.
fn locate(given: &str) -> Result<(PathBuf, Option<PathBuf>), LoadError> {
    let path = Path::new(given);
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
        && path.is_file()
    {
        let cards = [
            path.with_extension("json"),
            path.with_file_name("model.json"),
        ];
        let card = cards.into_iter().find(|card| card.is_file());
        return Ok((path.to_path_buf(), card));
    }
    let mut folders = vec![path.to_path_buf()];
    // A bare name means a model that ships with the program.
    if path.components().count() == 1 {
        folders.extend(model_folders().into_iter().map(|folder| folder.join(path)));
    }
    folders
        .into_iter()
        .find(|folder| folder.is_dir())
        .map(|folder| (folder.join("model.onnx"), Some(folder.join("model.json"))))
        .ok_or_else(|| LoadError::Missing {
            given: given.to_owned(),
            known: known_models(),
        })
}

/// `models/` here and in the folders above the program (a checkout keeps it there).
fn model_folders() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("models")];
    if let Ok(executable) = std::env::current_exe() {
        folders.extend(
            executable
                .ancestors()
                .skip(1)
                .take(4)
                .map(|folder| folder.join("models")),
        );
    }
    folders
}

/// Names of the models that can be given without a path, sorted.
pub fn shipped_models() -> Vec<(String, PathBuf)> {
    let mut models: Vec<(String, PathBuf)> = model_folders()
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(Iterator::flatten)
        .map(|entry| entry.path())
        .filter(|path| path.join("model.onnx").is_file())
        .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path.clone())))
        .collect();
    models.sort();
    models.dedup_by(|a, b| a.0 == b.0);
    models
}

fn known_models() -> String {
    let names: Vec<String> = shipped_models()
        .into_iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (shipped: {})", names.join(", "))
    }
}

//! Making a project: whole, or not at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::error::VerifyError;
use super::intake::{Added, IntakeOptions};
use super::project::{DATABASE, OpenOptions, Project};
use super::rules::{QuestionSet, Rules};
use super::workshop::{self, Workshop};
use crate::run::{LoadedRun, Progress};

impl Project {
    /// Removes what is left in a folder of projects whose making was killed. One that is being made stays.
    pub fn remove_abandoned(folder: &Path) {
        workshop::remove_abandoned(folder);
    }

    /// Makes a project from runs. It appears whole or not at all.
    pub fn init(
        folder: &Path,
        runs: &[PathBuf],
        rules: &Rules,
        questions: Option<QuestionSet>,
        options: &IntakeOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Vec<Added>, VerifyError> {
        if folder.join(DATABASE).exists() {
            return Err(VerifyError::Exists {
                path: folder.display().to_string(),
            });
        }
        let file_error = |source| VerifyError::File {
            path: folder.display().to_string(),
            source,
        };
        let mut classes = BTreeSet::new();
        for run in runs {
            classes.extend(LoadedRun::open(run)?.classes);
        }
        let classes: Vec<String> = classes.into_iter().collect();
        let questions = questions.unwrap_or_else(|| QuestionSet::first(&classes));
        if let Some(class) = classes
            .iter()
            .find(|c| !questions.questions.contains_key(*c))
        {
            return Err(VerifyError::Refused(format!(
                "the questions say nothing about class `{class}`, which the runs have"
            )));
        }
        let is_new = !folder.exists();
        std::fs::create_dir_all(folder).map_err(file_error)?;
        let beside = Workshop::open(folder).map_err(file_error)?;
        let made = (|| {
            let project = Self::create(beside.path(), rules, &questions, OpenOptions::default())?;
            let added = runs
                .iter()
                .map(|run| project.add_run(run, options, progress, stop))
                .collect::<Result<Vec<_>, _>>()?;
            project.store.close()?;
            Ok(added)
        })();
        let finish = made.and_then(|added| {
            if added.iter().all(|a| a.tasks() == 0) {
                let unread: Vec<&str> = added
                    .iter()
                    .flat_map(|a| &a.failures)
                    .map(|f| f.reason.as_str())
                    .collect();
                return Err(VerifyError::Nothing(if unread.is_empty() {
                    "the runs hold nothing that can be asked about".to_owned()
                } else {
                    format!(
                        "no pictures can be cut: {}; give the command where the scan was made",
                        unread.join("; ")
                    )
                }));
            }
            std::fs::rename(beside.path().join(DATABASE), folder.join(DATABASE))
                .map_err(file_error)?;
            Ok(added)
        });
        drop(beside);
        if finish.is_err() && is_new {
            // Only if nothing else has been put there meanwhile.
            drop(std::fs::remove_dir(folder));
        }
        finish
    }
}

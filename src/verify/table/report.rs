//! The report of a table of votes: what was found, agreement, and accuracy against the truth.

use serde_json::{Map, Value, json};

use super::accuracy::{Accuracy, Interval};
use super::method::Findings;
use super::read::{Truth, VotesRead};
use crate::verify::consensus::{Agreement, VoteTable};

/// What `kilnsight verify consensus` prints.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<'a> {
    pub(super) table: &'a VoteTable,
    pub(super) bad_image: usize,
    pub(super) findings: Findings,
    pub(super) agreement: Agreement,
    pub(super) accuracy: Option<Accuracy>,
    pub(super) notices: Vec<String>,
}

impl<'a> Report<'a> {
    /// Puts the report together. Items of `gold` were known to the method and are left out of the accuracy.
    pub fn new(
        votes: &'a VotesRead,
        findings: Findings,
        truth: Option<&Truth>,
        gold: Option<&Truth>,
    ) -> Self {
        let table = &votes.table;
        let is_gold = |item: &str| gold.is_some_and(|gold| gold.labels.contains_key(item));
        let mut notices: Vec<String> = votes
            .unused
            .iter()
            .map(|label| format!("no vote has the label `{label}`: is it misspelt?"))
            .collect();
        if !findings.converged {
            notices.push("the posteriors still moved when the steps ran out".to_owned());
        }
        if table.classes() == 1 {
            notices.push("all votes name one class: there is nothing to tell apart".to_owned());
        }
        if findings.method == super::Method::Swap && gold.is_none() {
            notices.push(
                "swap learns from gold only (--gold): without it every worker counts the same"
                    .to_owned(),
            );
        }
        let accuracy = truth.map(|truth| {
            let without_votes = truth
                .labels
                .keys()
                .filter(|i| table.item(i).is_none())
                .count();
            if without_votes > 0 {
                notices.push(format!("{without_votes} items of the truth have no votes"));
            }
            let pairs = truth.labels.iter().filter(|(item, _)| !is_gold(item));
            let pairs = pairs.filter_map(|(item, label)| {
                let item = table.item(item)?;
                Some((label.as_str(), findings.labels[item]))
            });
            Accuracy::of(pairs, table.classes(), |label| table.class(label))
        });
        Self {
            table,
            bad_image: votes.bad_image,
            findings,
            agreement: Agreement::of(table),
            accuracy,
            notices,
        }
    }

    /// The report as JSON. Items, workers and labels are keys, in the order of the table; what does not exist is null.
    pub fn to_json(&self) -> Value {
        let (table, found) = (self.table, &self.findings);
        let classes = table.class_names();
        json!({
            "method": found.method.name(),
            "votes": table.given(),
            "bad_image": self.bad_image,
            "items": table.items().len(),
            "workers": table.workers().len(),
            "classes": classes,
            "unsure": &table.labels()[table.classes()..],
            "log_likelihood": found.log_likelihood,
            "iterations": found.iterations,
            "converged": found.converged,
            "prevalence": found.prevalence.as_deref().map(|p| named(classes, p)),
            "labels": table.items().iter().zip(&found.labels)
                .map(|(item, label)| (item.clone(), json!(label.map(|class| &classes[class]))))
                .collect::<Map<_, _>>(),
            "posteriors": table.items().iter().zip(&found.posteriors)
                .map(|(item, posterior)| (item.clone(), named(classes, posterior)))
                .collect::<Map<_, _>>(),
            "error_rates": self.error_rates(),
            "agreement": self.agreement_json(),
            "accuracy": self.accuracy.as_ref().map(|accuracy| self.accuracy_json(accuracy)),
            "notices": self.notices,
        })
    }

    /// Worker, true class, answered label.
    fn error_rates(&self) -> Option<Value> {
        let (table, classes) = (self.table, self.table.class_names());
        let workers = table
            .workers()
            .iter()
            .zip(self.findings.error_rates.as_ref()?);
        let rates = workers.map(|(worker, rates)| {
            let labels = &table.labels()[..rates.labels()];
            let rows = classes.iter().zip(rates.rates().chunks(rates.labels()));
            let rows: Map<_, _> = rows
                .map(|(c, row)| (c.clone(), named(labels, row)))
                .collect();
            (worker.clone(), Value::Object(rows))
        });
        Some(Value::Object(rates.collect()))
    }

    fn agreement_json(&self) -> Value {
        let (table, agreement) = (self.table, &self.agreement);
        json!({
            "krippendorff_alpha": agreement.krippendorff_alpha,
            "fleiss_kappa": agreement.fleiss_kappa,
            "observed": agreement.observed,
            "by_label": named(table.labels(), &agreement.by_label),
            "by_item": named(table.items(), &agreement.by_item),
        })
    }

    fn accuracy_json(&self, accuracy: &Accuracy) -> Value {
        let mut columns = self.table.class_names().to_vec();
        columns.push("undecided".to_owned());
        let by_truth = accuracy.by_truth.iter();
        json!({
            "items": accuracy.items,
            "right": accuracy.right,
            "wrong": accuracy.wrong,
            "undecided": accuracy.undecided,
            "accuracy": accuracy.share(),
            "low": accuracy.interval().map(|Interval { low, .. }| low),
            "high": accuracy.interval().map(|Interval { high, .. }| high),
            "confidence": 0.95,
            "by_truth": by_truth
                .map(|(truth, row)| (truth.clone(), named(&columns, row)))
                .collect::<Map<_, _>>(),
        })
    }
}

/// Values under their names.
fn named<T: Copy + Into<Value>>(names: &[String], values: &[T]) -> Value {
    let pairs = names.iter().zip(values);
    Value::Object(
        pairs
            .map(|(name, &value)| (name.clone(), value.into()))
            .collect(),
    )
}

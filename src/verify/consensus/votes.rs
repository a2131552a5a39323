//! The table of votes that every method reads: who said what about which item.

use std::cmp::Ordering;
use std::collections::HashMap;

/// What one worker said about one item. Equal votes are one entry with their weights added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// Index into [`VoteTable::items`].
    pub item: usize,
    /// Index into [`VoteTable::workers`].
    pub worker: usize,
    /// Index into [`VoteTable::labels`].
    pub label: usize,
    /// How often it was said.
    pub times: u32,
    /// The same, each time as much as that vote counts; more than 0.
    pub weight: f64,
}

/// Votes of workers on items, in one canonical order: the order in which they came never matters.
///
/// The first [`Self::classes`] labels are the classes an item can have. Labels after them are answers that
/// name no class, such as "not sure".
#[derive(Debug, Clone, PartialEq)]
pub struct VoteTable {
    items: Vec<String>,
    workers: Vec<String>,
    labels: Vec<String>,
    classes: usize,
    votes: Vec<Vote>,
    /// Votes of item `i` are `votes[first[i]..first[i + 1]]`.
    first: Vec<usize>,
}

impl VoteTable {
    /// Names of the items: numbers by value, then text in byte order.
    pub fn items(&self) -> &[String] {
        &self.items
    }

    /// Names of the workers, in the same order.
    pub fn workers(&self) -> &[String] {
        &self.workers
    }

    /// Labels that may be answered: the classes, then what names no class.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// How many labels are classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Names of the classes.
    pub fn class_names(&self) -> &[String] {
        &self.labels[..self.classes]
    }

    /// All votes, by item, worker, label.
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// The votes on one item.
    pub fn votes_on(&self, item: usize) -> &[Vote] {
        &self.votes[self.first[item]..self.first[item + 1]]
    }

    /// How many votes were given.
    pub fn given(&self) -> usize {
        self.votes.iter().map(|vote| vote.times as usize).sum()
    }

    /// Weight of each label on an item, one number per label.
    pub fn counts(&self, item: usize) -> Vec<f64> {
        let mut counts = vec![0.0; self.labels.len()];
        for vote in self.votes_on(item) {
            counts[vote.label] += vote.weight;
        }
        counts
    }

    /// How often each label was given, item by item, one number per label.
    pub fn tallies(&self) -> Vec<Vec<u32>> {
        let mut tallies = vec![vec![0; self.labels.len()]; self.items.len()];
        for vote in &self.votes {
            tallies[vote.item][vote.label] += vote.times;
        }
        tallies
    }

    /// Weight of all votes of each worker.
    pub fn weight_by_worker(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.workers.len()];
        for vote in &self.votes {
            weights[vote.worker] += vote.weight;
        }
        weights
    }

    /// The same table in which the votes of some workers do not count.
    #[must_use]
    pub fn without_workers(&self, left_out: impl Fn(usize) -> bool) -> Self {
        let mut votes = self.votes.clone();
        votes.retain(|vote| !left_out(vote.worker));
        let first = starts(&votes, self.items.len());
        Self {
            votes,
            first,
            ..self.clone()
        }
    }

    /// Index of an item.
    pub fn item(&self, name: &str) -> Option<usize> {
        self.items
            .binary_search_by(|probe| natural_order(probe, name))
            .ok()
    }

    /// Index of a class.
    pub fn class(&self, name: &str) -> Option<usize> {
        self.class_names().iter().position(|class| class == name)
    }
}

/// Collects votes in any order.
#[derive(Debug, Default)]
pub struct VoteTableBuilder {
    items: Names,
    workers: Names,
    labels: Names,
    votes: Vec<Vote>,
}

impl VoteTableBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a vote. A vote whose weight is not a positive number adds its names and no evidence.
    pub fn add(&mut self, item: &str, worker: &str, label: &str, weight: f64) {
        let vote = Vote {
            item: self.items.index(item),
            worker: self.workers.index(worker),
            label: self.labels.index(label),
            times: 1,
            weight,
        };
        if weight > 0.0 && weight.is_finite() {
            self.votes.push(vote);
        }
    }

    /// Adds a label that may be answered although nobody may have done so.
    pub fn add_label(&mut self, label: &str) {
        self.labels.index(label);
    }

    /// Adds an item that may have no votes.
    pub fn add_item(&mut self, item: &str) {
        self.items.index(item);
    }

    /// The table. Labels for which `names_no_class` holds come after the classes.
    pub fn build(self, names_no_class: impl Fn(&str) -> bool) -> VoteTable {
        let (items, item_at) = self.items.sorted(|_| false);
        let (workers, worker_at) = self.workers.sorted(|_| false);
        let (labels, label_at) = self.labels.sorted(&names_no_class);
        let mut votes: Vec<Vote> = self
            .votes
            .into_iter()
            .map(|vote| Vote {
                item: item_at[vote.item],
                worker: worker_at[vote.worker],
                label: label_at[vote.label],
                ..vote
            })
            .collect();
        // Weights too, so that sums of them do not depend on the order of the votes.
        votes.sort_unstable_by(|a, b| {
            (a.item, a.worker, a.label)
                .cmp(&(b.item, b.worker, b.label))
                .then(a.weight.total_cmp(&b.weight))
        });
        votes.dedup_by(|next, kept| {
            let same = (next.item, next.worker, next.label) == (kept.item, kept.worker, kept.label);
            if same {
                kept.weight += next.weight;
                kept.times += next.times;
            }
            same
        });
        VoteTable {
            classes: labels.iter().filter(|label| !names_no_class(label)).count(),
            first: starts(&votes, items.len()),
            items,
            workers,
            labels,
            votes,
        }
    }
}

/// Names, and a number for each.
#[derive(Debug, Default)]
struct Names {
    index: HashMap<String, usize>,
}

impl Names {
    fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.index.get(name) {
            return index;
        }
        let index = self.index.len();
        self.index.insert(name.to_owned(), index);
        index
    }

    /// The names in order, those for which `last` holds at the end; and where each number went.
    fn sorted(self, last: impl Fn(&str) -> bool) -> (Vec<String>, Vec<usize>) {
        let mut names: Vec<(String, usize)> = self.index.into_iter().collect();
        names.sort_unstable_by(|(a, _), (b, _)| {
            last(a).cmp(&last(b)).then_with(|| natural_order(a, b))
        });
        let mut moved = vec![0; names.len()];
        for (now, (_, before)) in names.iter().enumerate() {
            moved[*before] = now;
        }
        (names.into_iter().map(|(name, _)| name).collect(), moved)
    }
}

/// Numbers by value, then text in byte order.
fn natural_order(a: &str, b: &str) -> Ordering {
    let number = |text: &str| -> Option<f64> {
        text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            .then(|| text.parse().ok())?
            .filter(|value: &f64| value.is_finite())
    };
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Where the votes of each item begin, and the end.
fn starts(votes: &[Vote], items: usize) -> Vec<usize> {
    let mut first = vec![0; items + 1];
    for vote in votes {
        first[vote.item + 1] += 1;
    }
    for item in 0..items {
        first[item + 1] += first[item];
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &str, &str)]) -> VoteTable {
        let mut builder = VoteTableBuilder::new();
        for (item, worker, label) in rows {
            builder.add(item, worker, label, 1.0);
        }
        builder.build(|label| label == "unsure")
    }

    #[test]
    fn numbers_are_in_order_of_value_and_answers_without_a_class_come_last() {
        let table = table(&[
            ("10", "b", "yes"),
            ("9", "a", "unsure"),
            ("kiln", "a", "no"),
            ("9", "b", "yes"),
        ]);
        assert_eq!(table.items(), ["9", "10", "kiln"]);
        assert_eq!(table.labels(), ["no", "yes", "unsure"]);
        assert_eq!(table.class_names(), ["no", "yes"]);
        assert_eq!(table.item("10"), Some(1));
        assert_eq!(table.item("11"), None);
        assert_eq!(table.class("unsure"), None);
        assert_eq!(table.votes_on(0).len(), 2);
        assert_eq!(table.counts(0), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn the_same_answer_given_twice_counts_twice() {
        let table = table(&[("1", "a", "x"), ("1", "a", "x"), ("1", "a", "y")]);
        assert_eq!(table.given(), 3);
        assert_eq!(table.counts(0), [2.0, 1.0]);
        assert_eq!(table.weight_by_worker(), [3.0]);
    }

    #[test]
    fn a_vote_without_weight_leaves_its_names_only() {
        let mut builder = VoteTableBuilder::new();
        builder.add("1", "a", "x", 0.0);
        builder.add("2", "b", "x", f64::NAN);
        let table = builder.build(|_| false);
        assert_eq!((table.items().len(), table.votes().len()), (2, 0));
        assert!(table.votes_on(1).is_empty());
    }
}

//! The report for people: a summary, the workers, and the items that are least certain.

use std::fmt;

use super::method::Method;
use super::report::Report;
use crate::verify::consensus::Confusion;

/// Workers and items that are listed; the JSON has them all.
const LISTED: usize = 20;
/// Items below are listed.
const CERTAIN: f64 = 0.99;
/// Characters for a name; longer ones are cut.
const NAME: usize = 16;
/// Characters of a number in a table.
const NUMBER: usize = 8;
/// Labels beside each other in a table.
const COLUMNS: usize = 8;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_summary(f)?;
        self.write_agreement(f)?;
        self.write_accuracy(f)?;
        self.write_workers(f)?;
        self.write_least_certain(f)?;
        for notice in &self.notices {
            writeln!(f, "\nNote: {notice}")?;
        }
        Ok(())
    }
}

impl Report<'_> {
    /// The report as text for people, lines ending in a line feed.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    fn write_summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, found) = (self.table, &self.findings);
        writeln!(
            f,
            "Votes       {} by {} on {}",
            table.given(),
            count(table.workers().len(), "worker"),
            count(table.items().len(), "item")
        )?;
        if self.bad_image > 0 {
            let bad = count(self.bad_image, "more vote");
            writeln!(f, "Bad image   {bad}, counted apart")?;
        }
        write!(f, "Method      {}", found.method.name())?;
        if let Some(steps) = found.iterations {
            write!(f, ", {}", count(steps, "step"))?;
        }
        if let Some(log_likelihood) = found.log_likelihood {
            write!(f, ", log-likelihood {log_likelihood:.6}")?;
        }
        writeln!(f)?;
        let undecided = found.labels.iter().filter(|label| label.is_none()).count();
        writeln!(
            f,
            "Decided     {} of {}",
            found.labels.len() - undecided,
            count(found.labels.len(), "item")
        )?;
        for (class, name) in table.class_names().iter().enumerate().take(LISTED) {
            let items = found.labels.iter().filter(|l| **l == Some(class)).count();
            write!(f, "  {} {items:>NUMBER$}", padded(name))?;
            match (found.prevalence.as_ref(), found.method) {
                (None, _) => writeln!(f)?,
                (Some(_), Method::OneCoin | Method::Swap) => writeln!(f, "  prevalence held even")?,
                (Some(shares), _) => writeln!(f, "  prevalence {:.4}", shares[class])?,
            }
        }
        Ok(())
    }

    fn write_agreement(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agreement = &self.agreement;
        writeln!(
            f,
            "\nAgreement   Krippendorff's alpha {}, Fleiss' kappa {}, pairs that agree {}",
            figure(agreement.krippendorff_alpha),
            figure(agreement.fleiss_kappa),
            figure(agreement.observed)
        )?;
        let labels = self.table.labels().iter().zip(&agreement.by_label);
        for (label, share) in labels.take(LISTED) {
            writeln!(f, "  on {} {:>NUMBER$}", padded(label), figure(*share))?;
        }
        Ok(())
    }

    fn write_accuracy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(accuracy) = &self.accuracy else {
            return Ok(());
        };
        write!(
            f,
            "\nAccuracy    {} of {} right",
            accuracy.right,
            count(accuracy.items, "item")
        )?;
        if let (Some(share), Some(interval)) = (accuracy.share(), accuracy.interval()) {
            let (low, high) = (interval.low, interval.high);
            write!(f, ": {share:.3} (95 % interval {low:.3}-{high:.3})")?;
        }
        writeln!(
            f,
            ", {} wrong, {} undecided",
            accuracy.wrong, accuracy.undecided
        )?;
        let classes = self.table.class_names();
        if classes.len() > COLUMNS {
            return Ok(());
        }
        let mut head: Vec<String> = classes.iter().map(|class| format!("as {class}")).collect();
        head.push("none".to_owned());
        write_row(f, "  true", &head)?;
        for (truth, row) in &accuracy.by_truth {
            let row: Vec<String> = row.iter().map(usize::to_string).collect();
            write_row(f, &format!("  {truth}"), &row)?;
        }
        Ok(())
    }

    /// Who voted most, first.
    fn write_workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(rates), table) = (&self.findings.error_rates, self.table) else {
            return Ok(());
        };
        let classes = table.classes();
        let mut votes = vec![0; table.workers().len()];
        for vote in table.votes() {
            votes[vote.worker] += vote.times;
        }
        let mut workers: Vec<usize> = (0..votes.len()).collect();
        workers.sort_by_key(|&worker| (std::cmp::Reverse(votes[worker]), worker));
        let answers = rates.first().map_or(0, Confusion::labels);
        if answers <= COLUMNS {
            writeln!(
                f,
                "\nError rates: how often a label is answered where each is true"
            )?;
            let mut head = vec!["votes".to_owned(), "true".to_owned()];
            head.extend(table.labels().iter().take(answers).cloned());
            write_row(f, "  worker", &head)?;
        } else {
            writeln!(
                f,
                "\nHow often the right class is answered, over all classes"
            )?;
            write_row(f, "  worker", &["votes", "right"].map(String::from))?;
        }
        for &worker in workers.iter().take(LISTED) {
            let name = format!("  {}", table.workers()[worker]);
            if answers > COLUMNS {
                let right = (0..classes).map(|c| rates[worker].rate(c, c)).sum::<f64>();
                let right = format!("{:.3}", right / classes as f64);
                write_row(f, &name, &[votes[worker].to_string(), right])?;
                continue;
            }
            for class in 0..classes {
                let (name, votes) = if class == 0 {
                    (name.as_str(), votes[worker].to_string())
                } else {
                    ("", String::new())
                };
                let mut row = vec![votes, table.labels()[class].clone()];
                row.extend((0..answers).map(|l| format!("{:.3}", rates[worker].rate(class, l))));
                write_row(f, name, &row)?;
            }
        }
        write_rest(f, workers.len(), "workers")
    }

    /// The items whose most probable class is not probable enough to be beyond a second look.
    fn write_least_certain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, found) = (self.table, &self.findings);
        let certainty: Vec<f64> = found
            .posteriors
            .iter()
            .map(|posterior| posterior.iter().copied().fold(0.0, f64::max))
            .collect();
        let mut items: Vec<usize> = (0..certainty.len())
            .filter(|&item| certainty[item] < CERTAIN)
            .collect();
        items.sort_by(|&a, &b| certainty[a].total_cmp(&certainty[b]).then(a.cmp(&b)));
        if items.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nLess than {CERTAIN} certain")?;
        write_row(
            f,
            "  item",
            &["label", "certain", "votes"].map(String::from),
        )?;
        for &item in items.iter().take(LISTED) {
            let label = found.labels[item].map_or("-", |class| &table.labels()[class]);
            let votes: u32 = table.votes_on(item).iter().map(|vote| vote.times).sum();
            let row = [
                label.to_owned(),
                format!("{:.4}", certainty[item]),
                votes.to_string(),
            ];
            write_row(f, &format!("  {}", table.items()[item]), &row)?;
        }
        write_rest(f, items.len(), "items")
    }
}

/// A name to the left, cells to the right of their columns.
fn write_row(f: &mut fmt::Formatter<'_>, name: &str, cells: &[String]) -> fmt::Result {
    write!(f, "{}", padded(name))?;
    for cell in cells {
        write!(f, " {:>NUMBER$}", cut(cell, NUMBER))?;
    }
    writeln!(f)
}

fn write_rest(f: &mut fmt::Formatter<'_>, all: usize, what: &str) -> fmt::Result {
    if all > LISTED {
        writeln!(f, "  and {} more {what}: see --json", all - LISTED)?;
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// A number, or a dash where it is undefined.
fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn padded(name: &str) -> String {
    format!("{:<NAME$}", cut(name, NAME))
}

/// The beginning of a name, on one line whatever it holds.
fn cut(text: &str, characters: usize) -> String {
    let on_one_line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    on_one_line.take(characters).collect()
}

//! The report for people: aligned columns of at most 100 characters, and what limits the numbers.

use std::fmt;

use super::matching::IouKind;
use super::report::{AtScore, CriterionResult, Group, Report};

/// Characters of a line.
const WIDTH: usize = 100;
/// Characters for a group's name and its counts; longer names are cut.
const LEFT: usize = 33;
/// Characters of a count.
const COUNT: usize = 7;
/// Characters of a measure with its interval, such as `0.712 (0.650-0.770)`.
const MEASURE: usize = 19;
/// Criteria side by side.
const ACROSS: usize = 3;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        for first in (0..self.overall.criteria.len()).step_by(ACROSS) {
            self.write_average_precision(f, first)?;
        }
        if let Some(main) = self.overall.criteria.first() {
            write_by_score(f, main)?;
            self.write_at_best(f)?;
        }
        self.write_notes(f)
    }
}

impl Report {
    /// The report as text for people, lines ending in a line feed.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.overall;
        writeln!(
            f,
            "Truth       {} in {}, {}",
            count(all.truth, "object"),
            count(all.scenes, "scene"),
            count(all.ignore_regions, "ignore region")
        )?;
        write!(f, "Detections  {}", all.detections)?;
        if let Some(lowest) = all.lowest_score {
            write!(f, ", lowest score {lowest:.3}")?;
        }
        match &self.class {
            Some(class) => writeln!(f, ", class `{}` only", cut(class, LEFT))?,
            None => writeln!(f, ", any class finds any object")?,
        }
        if all.criteria.iter().any(|c| c.min_iou.is_some()) {
            let kind = match (self.iou_kind, self.envelope_axes) {
                (IouKind::Envelope, "pixels") => "upright envelopes along the pixels",
                (IouKind::Envelope, "north_up") => "upright envelopes, north up",
                (IouKind::Envelope, _) => "upright envelopes",
                _ => "oriented boxes",
            };
            let why = match (self.iou_kind_is_auto, self.iou_kind) {
                (false, _) => "",
                (true, IouKind::Envelope) => " (not every label says its direction)",
                (true, _) => " (every label says its direction)",
            };
            writeln!(f, "IoU         of {kind}{why}")?;
        }
        match all.no_interval_because {
            Some(reason) => writeln!(f, "Intervals   none: {reason}"),
            None => writeln!(
                f,
                "Intervals   {:.0} %, bootstrap over scenes, {} replicates, seed {}",
                self.bootstrap.confidence * 100.0,
                self.bootstrap.replicates,
                self.bootstrap.seed
            ),
        }
    }

    /// AP of every group, for up to [`ACROSS`] criteria side by side.
    fn write_average_precision(&self, f: &mut fmt::Formatter<'_>, first: usize) -> fmt::Result {
        let columns = first..self.overall.criteria.len().min(first + ACROSS);
        let head = columns
            .clone()
            .map(|c| self.overall.criteria[c].label())
            .collect::<Vec<_>>();
        writeln!(f, "\nAverage precision")?;
        write_row(f, "", &["scenes", "truth"].map(String::from), &head)?;
        for group in self.groups() {
            let measures: Vec<String> = columns
                .clone()
                .map(|c| &group.criteria[c])
                .map(|c| measure(c.ap, c.ap_low, c.ap_high))
                .collect();
            let counts = [group.scenes, group.truth].map(|n| n.to_string());
            write_row(f, &group.name, &counts, &measures)?;
        }
        Ok(())
    }

    /// Precision and recall of every region at the score with the best F1.
    fn write_at_best(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(best) = &self.overall.criteria[0].at_best_f1 else {
            return Ok(());
        };
        writeln!(
            f,
            "\nAt the score with the best F1, {:.3}, {} (chosen on these labels: a little flattering)",
            best.min_score,
            self.overall.criteria[0].label()
        )?;
        write_row(
            f,
            "",
            &["found", "false", "missed"].map(String::from),
            &MEASURES.map(String::from),
        )?;
        let of_all = std::iter::once(&self.overall);
        for group in of_all.chain(&self.by_region) {
            if let Some(at) = &group.criteria[0].at_best_f1 {
                write_row(f, &group.name, &counts(at), &measures(at))?;
            }
        }
        Ok(())
    }

    fn write_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = &self.not_compared;
        let mut notes: Vec<String> = [
            (
                left.images_without_scene,
                "labelled images have no scene: their truth was not compared",
            ),
            (
                left.truth_in_images_without_scene,
                "true objects lie in those images",
            ),
            (
                left.scenes_without_image,
                "scenes have no labelled image: not compared",
            ),
            (
                left.truth_outside_scenes,
                "true objects lie outside what was looked at: not compared",
            ),
            (
                left.detections_outside_scenes,
                "detections lie in no labelled scene: not compared",
            ),
        ]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, text)| format!("{n} {text}"))
        .collect();
        notes.extend(self.notices.iter().cloned());
        if !notes.is_empty() {
            writeln!(f, "\nNote")?;
        }
        for note in notes {
            write_wrapped(f, &note)?;
        }
        Ok(())
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.overall)
            .chain(&self.by_region)
            .chain(&self.by_class)
    }
}

const MEASURES: [&str; 3] = ["precision", "recall", "F1"];

fn write_by_score(f: &mut fmt::Formatter<'_>, main: &CriterionResult) -> fmt::Result {
    if main.at_scores.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nBy score, {}", main.label())?;
    write_row(
        f,
        "min score",
        &["found", "false", "missed"].map(String::from),
        &MEASURES.map(String::from),
    )?;
    for at in &main.at_scores {
        write_row(
            f,
            &format!("{:.3}", at.min_score),
            &counts(at),
            &measures(at),
        )?;
    }
    Ok(())
}

fn counts(at: &AtScore) -> [String; 3] {
    [at.true_positives, at.false_positives, at.missed].map(|n| n.to_string())
}

fn measures(at: &AtScore) -> [String; 3] {
    [
        measure(at.precision, at.precision_low, at.precision_high),
        measure(at.recall, at.recall_low, at.recall_high),
        measure(at.f1, at.f1_low, at.f1_high),
    ]
}

/// A number with its interval, or a dash where it is undefined.
fn measure(value: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    match (value, low.zip(high)) {
        (None, _) => "-".to_owned(),
        (Some(value), None) => format!("{value:.3}"),
        (Some(value), Some((low, high))) => format!("{value:.3} ({low:.3}-{high:.3})"),
    }
}

/// A line: a name, counts to the right of their columns, measures to the left of theirs.
fn write_row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    counts: &[String],
    measures: &[String],
) -> fmt::Result {
    let name_width = LEFT.saturating_sub(COUNT * counts.len());
    let name = format!("  {:<name_width$}", cut(name, name_width));
    let counts = counts.iter().map(|count| format!("{count:>COUNT$}"));
    let measures = measures
        .iter()
        .map(|measure| format!("  {measure:<MEASURE$}"));
    let line: String = std::iter::once(name)
        .chain(counts)
        .chain(measures)
        .collect();
    writeln!(f, "{}", line.trim_end())
}

/// A note, broken between words.
fn write_wrapped(f: &mut fmt::Formatter<'_>, note: &str) -> fmt::Result {
    let mut line = String::from("  -");
    for word in note.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line = String::from("   ");
        }
        line.push(' ');
        line += word;
    }
    writeln!(f, "{line}")
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

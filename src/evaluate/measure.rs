//! From scenes to a report: match every scene once for each criterion, then pool and resample.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::bootstrap::{CONFIDENCE, Interval, Intervals};
use super::boxes::EvaluationScene;
use super::curve::{Counts, Pooled};
use super::envelope::Frame;
use super::matching::{Criterion, IouKind, SceneMatch, match_scene};
use super::options::Options;
use super::report::{AtScore, Bootstrap, CriterionResult, Group, Report};
use super::scenes::{NotCompared, Pairing};

/// Fewer true objects than this get a word of warning: at 50, a recall of one half is known to ±14 points.
const FEW_OBJECTS: usize = 50;
/// Intervals from fewer scenes than this get one too: drawing again from so few understates the spread.
const FEW_SCENES: usize = 10;

/// Compares the detections of scenes with their truth.
pub fn evaluate(scenes: &[EvaluationScene], options: &Options) -> Report {
    let kind = options.iou_kind.resolve(scenes);
    let points = scenes
        .iter()
        .flat_map(|s| &s.truth)
        .any(|t| t.extent.is_none());
    let criteria: Vec<Criterion> = options
        .criteria()
        .filter(|c| !(points && matches!(c, Criterion::Iou(_))))
        .collect();
    let run = Evaluation {
        scenes,
        options,
        kind,
        criteria,
    };
    let all = run.matches(options.class.as_deref());
    let everything: Vec<usize> = (0..scenes.len()).collect();
    let best = all.best_f1_scores();
    let overall = run.group("all", &everything, &all, &best);
    let by_region: Vec<Group> = run
        .regions()
        .into_iter()
        .map(|(name, members)| run.group(&name, &members, &all, &best))
        .collect();
    let by_class: Vec<Group> = run
        .classes()
        .into_iter()
        .map(|class| {
            let matches = run.matches(Some(&class));
            let best = matches.best_f1_scores();
            run.group(&class, &everything, &matches, &best)
        })
        .collect();
    Report {
        class: options.class.clone(),
        iou_kind: kind,
        iou_kind_is_auto: options.iou_kind == IouKind::Auto,
        envelope_axes: envelope_axes(scenes),
        bootstrap: Bootstrap {
            unit: "scenes",
            confidence: CONFIDENCE,
            replicates: options.resampling.replicates,
            seed: options.resampling.seed,
        },
        notices: run.notices(&overall, &by_region, points),
        overall,
        by_region,
        by_class,
        not_compared: NotCompared::default(),
    }
}

impl Pairing {
    /// Compares the scenes, and puts what was left over into the report as well.
    pub fn evaluate(&self, options: &Options) -> Report {
        let mut report = evaluate(&self.scenes, options);
        report.not_compared = self.not_compared;
        report.notices.splice(0..0, self.notices.iter().cloned());
        report
    }
}

struct Evaluation<'a> {
    scenes: &'a [EvaluationScene],
    options: &'a Options,
    kind: IouKind,
    criteria: Vec<Criterion>,
}

/// Every scene matched once for each criterion.
struct Matches<'a> {
    class: Option<&'a str>,
    /// By criterion, then by scene.
    by_criterion: Vec<Vec<SceneMatch>>,
}

impl Matches<'_> {
    fn best_f1_scores(&self) -> Vec<Option<f64>> {
        self.by_criterion
            .iter()
            .map(|scenes| Pooled::new(scenes).best_f1_score())
            .collect()
    }
}

impl Evaluation<'_> {
    fn matches<'c>(&self, class: Option<&'c str>) -> Matches<'c> {
        let by_criterion = self
            .criteria
            .iter()
            .map(|&criterion| {
                self.scenes
                    .par_iter()
                    .map(|scene| match_scene(scene, criterion, self.kind, class))
                    .collect()
            })
            .collect();
        Matches {
            class,
            by_criterion,
        }
    }

    /// Scenes of each region, by name; nothing unless there are two.
    fn regions(&self) -> Vec<(String, Vec<usize>)> {
        let mut regions: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (i, scene) in self.scenes.iter().enumerate() {
            regions.entry(scene.region.as_deref()).or_default().push(i);
        }
        if regions.len() < 2 {
            return Vec::new();
        }
        let name = |region: Option<&str>| region.unwrap_or("(no region)").to_owned();
        regions.into_iter().map(|(r, m)| (name(r), m)).collect()
    }

    /// Classes of the truth, by name; nothing unless asked for.
    fn classes(&self) -> BTreeSet<String> {
        let truth = self.scenes.iter().flat_map(|s| &s.truth);
        let classes = truth.filter_map(|t| t.class.clone());
        let wanted = |class: &String| self.options.class.as_ref().is_none_or(|c| c == class);
        if self.options.by_class {
            classes.filter(wanted).collect()
        } else {
            BTreeSet::new()
        }
    }

    fn group(
        &self,
        name: &str,
        members: &[usize],
        matches: &Matches<'_>,
        best: &[Option<f64>],
    ) -> Group {
        let is_class = |c: Option<&str>| matches.class.is_none_or(|wanted| c == Some(wanted));
        let scenes: Vec<&EvaluationScene> = members.iter().map(|&i| &self.scenes[i]).collect();
        let truth_of = |scene: &&EvaluationScene| {
            let truth = scene.truth.iter();
            truth.filter(|t| is_class(t.class.as_deref())).count()
        };
        let scores: Vec<f64> = scenes
            .iter()
            .flat_map(|s| &s.detections)
            .filter(|d| is_class(Some(&d.class)))
            .map(|d| d.score)
            .collect();
        Group {
            name: name.to_owned(),
            scenes: scenes.len(),
            scenes_without_truth: scenes.iter().filter(|s| truth_of(s) == 0).count(),
            truth: scenes.iter().map(truth_of).sum(),
            truth_points: scenes
                .iter()
                .flat_map(|s| &s.truth)
                .filter(|t| t.extent.is_none() && is_class(t.class.as_deref()))
                .count(),
            ignore_regions: scenes.iter().map(|s| s.ignore.len()).sum(),
            detections: scores.len(),
            lowest_score: scores.iter().copied().min_by(f64::total_cmp),
            no_interval_because: self.options.resampling.no_interval_because(scenes.len()),
            criteria: (0..self.criteria.len())
                .map(|c| {
                    let matched = members.iter().map(|&i| &matches.by_criterion[c][i]);
                    self.criterion(self.criteria[c], &matched.collect::<Vec<_>>(), best[c])
                })
                .collect(),
        }
    }

    fn criterion(
        &self,
        criterion: Criterion,
        matched: &[&SceneMatch],
        best: Option<f64>,
    ) -> CriterionResult {
        let pooled = Pooled::new(matched.iter().copied());
        let mut min_scores = self.options.min_scores.clone();
        min_scores.extend(best);
        let measured = pooled.measure(None, &min_scores);
        let intervals = self.options.resampling.intervals(&pooled, &min_scores);
        let mut at_scores: Vec<AtScore> = (0..min_scores.len())
            .map(|i| at_score(min_scores[i], measured.at[i], i, intervals.as_ref()))
            .collect();
        let at_best_f1 = best.and_then(|_| at_scores.pop());
        let (name, min_iou, max_distance_m) = match criterion {
            Criterion::Iou(threshold) => ("iou", Some(threshold), None),
            Criterion::CentreDistance(metres) => ("centre_distance", None, Some(metres)),
        };
        let [ap_low, ap_high] = ends(intervals.and_then(|i| i.ap));
        CriterionResult {
            criterion: name,
            min_iou,
            max_distance_m,
            ap: measured.ap,
            ap_low,
            ap_high,
            detections_counted: matched.iter().map(|m| m.records.len()).sum(),
            detections_ignored: matched.iter().map(|m| m.ignored).sum(),
            at_best_f1,
            at_scores,
        }
    }

    fn notices(&self, overall: &Group, by_region: &[Group], points: bool) -> Vec<String> {
        let mut notices = Vec::new();
        if points && !self.options.iou_thresholds.is_empty() {
            notices
                .push("IoU was left out: some true objects are points without extent".to_owned());
        }
        if overall.truth == 0 {
            let mut text = "there are no true objects: AP and recall are undefined".to_owned();
            if let Some(class) = &self.options.class {
                let truth = self.scenes.iter().flat_map(|s| &s.truth);
                let classes: BTreeSet<&str> = truth.filter_map(|t| t.class.as_deref()).collect();
                let classes: Vec<&str> = classes.into_iter().collect();
                text = format!(
                    "no true object has the class `{class}`; classes of the truth: {}",
                    classes.join(", ")
                );
            }
            notices.push(text);
        } else if overall.truth < FEW_OBJECTS {
            notices.push(format!(
                "only {} true objects: enough to see that it works, too few to compare models",
                overall.truth
            ));
        }
        if overall.scenes_without_truth > 0 {
            notices.push(format!(
                "{} of {} scenes hold no true object: every detection there counts as a false alarm",
                overall.scenes_without_truth, overall.scenes
            ));
        }
        let mut groups = std::iter::once(overall)
            .chain(by_region)
            .filter(|g| g.no_interval_because.is_none());
        if groups.clone().any(|g| g.scenes < FEW_SCENES) {
            notices.push(format!(
                "intervals from fewer than {FEW_SCENES} scenes are too narrow: take them as a hint"
            ));
        }
        let without_width = |c: &CriterionResult| c.ap_low.is_some() && c.ap_low == c.ap_high;
        if groups.any(|g| g.criteria.iter().any(without_width)) {
            notices.push(
                "An interval without width means that every set of scenes drawn gave the same \
                 number, and not that the number is certain"
                    .to_owned(),
            );
        }
        notices
    }
}

fn envelope_axes(scenes: &[EvaluationScene]) -> &'static str {
    let pixels = scenes.iter().filter(|s| s.frame == Frame::Pixels).count();
    match pixels {
        0 => "north_up",
        n if n == scenes.len() => "pixels",
        _ => "mixed",
    }
}

fn at_score(
    min_score: f64,
    counts: Counts,
    position: usize,
    intervals: Option<&Intervals>,
) -> AtScore {
    let [precision, recall, f1] = intervals.map_or([None; 3], |i| i.at[position]).map(ends);
    AtScore {
        min_score,
        true_positives: counts.true_positives,
        false_positives: counts.false_positives,
        missed: counts.truth - counts.true_positives,
        precision: counts.precision(),
        precision_low: precision[0],
        precision_high: precision[1],
        recall: counts.recall(),
        recall_low: recall[0],
        recall_high: recall[1],
        f1: counts.f1(),
        f1_low: f1[0],
        f1_high: f1[1],
    }
}

fn ends(interval: Option<Interval>) -> [Option<f64>; 2] {
    [interval.map(|i| i.low), interval.map(|i| i.high)]
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;

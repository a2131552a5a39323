//! Progress on standard error: bars, lines or JSON.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{Common, ProgressMode, terminal};
use crate::run::Progress;

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Steps shorter than this show nothing but their end.
const QUIET_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Json,
    Nothing,
}

#[derive(Debug)]
struct Step {
    name: String,
    total: u64,
    done: u64,
    /// Units that were finished before this execution: they say nothing about speed.
    before: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

/// Shows progress in the way that was asked for.
#[derive(Debug)]
pub(super) struct Reporter {
    style: Style,
    quiet: bool,
    step: Mutex<Option<Step>>,
}

impl Reporter {
    pub(super) fn new(common: &Common) -> Self {
        let style = match common.progress {
            _ if common.quiet => Style::Nothing,
            ProgressMode::Plain => Style::Lines,
            ProgressMode::Json => Style::Json,
            ProgressMode::Auto if std::io::stderr().is_terminal() => Style::Bars,
            ProgressMode::Auto if stderr_is_file() => Style::Lines,
            ProgressMode::Auto | ProgressMode::None => Style::Nothing,
        };
        Self {
            style,
            quiet: common.quiet,
            step: Mutex::new(None),
        }
    }

    fn with_step(&self, act: impl FnOnce(&mut Option<Step>)) {
        act(&mut self.step.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn line(&self, step: &Step, finished: bool) {
        let elapsed = step.started.elapsed();
        let left = (!finished).then(|| remaining(step, elapsed)).flatten();
        match self.style {
            Style::Lines => {
                let share = (step.done * 100).checked_div(step.total).unwrap_or(100);
                let rest = match (finished, left) {
                    (true, _) => format!(", done in {}", seconds(elapsed)),
                    (false, Some(left)) => format!(", about {} left", seconds(left)),
                    (false, None) => String::new(),
                };
                say(&format!(
                    "{}: {}/{} ({share} %){rest}",
                    step.name, step.done, step.total
                ));
            }
            Style::Json => say(&json!({
                "step": step.name, "done": step.done, "total": step.total, "finished": finished,
                "seconds": (elapsed.as_secs_f64() * 10.0).round() / 10.0,
                "seconds_left": left.map(|d| d.as_secs()),
            })
            .to_string()),
            Style::Bars | Style::Nothing => {}
        }
    }
}

impl Progress for Reporter {
    fn begin(&self, name: &str, total: u64, done: u64) {
        let bar = (self.style == Style::Bars).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let template =
                "{msg:16} {bar:32} {human_pos}/{human_len} {elapsed} elapsed, {eta} left";
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_message(name.to_owned());
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        self.with_step(|step| {
            *step = Some(Step {
                name: name.to_owned(),
                total,
                done,
                before: done,
                started: now,
                last_line: now,
                bar,
            });
        });
        if done > 0 {
            self.note(&format!(
                "{name}: going on after {done} of {total} that are finished"
            ));
        }
    }

    fn advance(&self, units: u64) {
        self.with_step(|step| {
            let Some(step) = step else { return };
            step.done += units;
            if let Some(bar) = &step.bar {
                bar.inc(units);
            } else if step.last_line.elapsed() >= LINE_EVERY {
                step.last_line = Instant::now();
                self.line(step, false);
            }
        });
    }

    fn end(&self) {
        self.with_step(|step| {
            let Some(step) = step.take() else { return };
            if let Some(bar) = &step.bar {
                bar.finish_and_clear();
            } else if step.started.elapsed() >= QUIET_FOR || self.style == Style::Json {
                self.line(&step, true);
            }
        });
    }

    fn note(&self, message: &str) {
        if self.quiet {
            return;
        }
        let message = &*terminal::plain(message);
        self.with_step(|step| match step.as_ref().and_then(|s| s.bar.as_ref()) {
            Some(bar) => bar.suspend(|| say(message)),
            None if self.style == Style::Json => say(&json!({ "note": message }).to_string()),
            None => say(message),
        });
    }
}

/// Time left at the speed so far.
fn remaining(step: &Step, elapsed: Duration) -> Option<Duration> {
    let done_now = step.done.saturating_sub(step.before);
    let left = step.total.saturating_sub(step.done);
    (done_now > 0).then(|| elapsed.mul_f64(left as f64 / done_now as f64))
}

fn seconds(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

fn say(line: &str) {
    // When standard error is closed there is nobody left to tell.
    drop(terminal::stderr().write_all(format!("{line}\n").as_bytes()));
}

/// Whether standard error goes to a file (a log) rather than to a pipe.
fn stderr_is_file() -> bool {
    std::fs::metadata("/dev/stderr").is_ok_and(|m| m.is_file())
}

//! What researchers do: watch, set gold, decide, void votes, back up.

#![expect(
    unused_qualifications,
    reason = "the description of parameters is written by a macro"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::app::App;
use super::super::problem::Problem;
use super::super::session::Researcher;
use super::wire::{AnswerName, PurposeName, StatusName, finite};
use super::{Body, Nothing};
use crate::run::SilentProgress;
use crate::verify::{
    Gold, Project, ProjectProgress, SiteFilter, Status, StreamProgress, VerifiedSite,
};

/// Sites of a page.
const USUAL_LIMIT: usize = 100;
/// Most sites of a page.
const LARGEST_LIMIT: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(progress))
        .routes(routes!(agreement))
        .routes(routes!(backup))
        .routes(routes!(sites))
        .routes(routes!(gold, set_gold))
        .routes(routes!(remove_gold))
        .routes(routes!(decide))
        .routes(routes!(void))
}

/// Tasks by what is decided.
#[derive(Debug, Serialize, ToSchema)]
struct Statuses {
    unverified: u64,
    confirmed: u64,
    rejected: u64,
    contested: u64,
    imagery_problem: u64,
}

/// How far a stream is.
#[derive(Debug, Serialize, ToSchema)]
struct StreamTold {
    tasks: u64,
    /// Tasks with a vote.
    started: u64,
    /// Tasks that volunteers are asked about no more.
    finished: u64,
    /// Votes still needed, at least.
    votes_needed: u64,
}

impl From<StreamProgress> for StreamTold {
    fn from(stream: StreamProgress) -> Self {
        Self {
            tasks: stream.tasks,
            started: stream.started,
            finished: stream.finished,
            votes_needed: stream.votes_needed,
        }
    }
}

/// How far the project is.
#[derive(Debug, Serialize, ToSchema)]
struct ProgressTold {
    tasks: u64,
    statuses: Statuses,
    /// Where an answer tells most.
    priority: StreamTold,
    /// The random sample, for counts.
    probability: StreamTold,
    /// Votes that count.
    votes: u64,
    /// Votes that were voided.
    votes_void: u64,
    /// Answers that came too fast to have been looked at: they weigh less.
    too_fast: u64,
    /// Volunteers who voted.
    volunteers: u64,
    /// Tasks that somebody holds.
    held: u64,
    /// Share of hidden controls answered right, once there are enough.
    #[schema(required)]
    control_accuracy: Option<f64>,
    /// Share of places that are what the detector said, as the crowd sees it.
    prevalence: f64,
}

impl From<ProjectProgress> for ProgressTold {
    fn from(p: ProjectProgress) -> Self {
        let of = |status| p.by_status.get(&status).copied().unwrap_or_default();
        Self {
            tasks: p.tasks,
            statuses: Statuses {
                unverified: of(Status::Unverified),
                confirmed: of(Status::Confirmed),
                rejected: of(Status::Rejected),
                contested: of(Status::Contested),
                imagery_problem: of(Status::ImageryProblem),
            },
            priority: p.priority.into(),
            probability: p.probability.into(),
            votes: p.votes,
            votes_void: p.votes_void,
            too_fast: p.votes_fast,
            volunteers: p.voters,
            held: p.held,
            control_accuracy: finite(p.controls.accuracy()),
            prevalence: p.prevalence,
        }
    }
}

/// How far the project is
#[utoipa::path(get, path = "/progress", tag = "researchers", responses((status = 200, body = ProgressTold)))]
async fn progress(
    State(app): State<Arc<App>>,
    _who: Researcher,
) -> Result<Json<ProgressTold>, Problem> {
    Ok(Json(app.project(Project::progress).await?.into()))
}

/// How far volunteers agree, over all votes that count.
#[derive(Debug, Serialize, ToSchema)]
struct AgreementTold {
    /// For any number of votes per task: from .8 on agreement is called reliable, from .667 on tentative.
    #[schema(required)]
    krippendorff_alpha: Option<f64>,
    /// Where all tasks have the same number of votes.
    #[schema(required)]
    fleiss_kappa: Option<f64>,
    /// Share of pairs of votes on one task that agree.
    #[schema(required)]
    observed: Option<f64>,
    /// Share of agreeing pairs among pairs with a yes.
    #[schema(required)]
    positive_agreement: Option<f64>,
    /// Share of agreeing pairs among pairs with a no.
    #[schema(required)]
    negative_agreement: Option<f64>,
}

/// How far volunteers agree
#[utoipa::path(get, path = "/agreement", tag = "researchers", responses((status = 200, body = AgreementTold)))]
async fn agreement(
    State(app): State<Arc<App>>,
    _who: Researcher,
) -> Result<Json<AgreementTold>, Problem> {
    let agreement = app.project(Project::agreement).await?;
    // Labels are no, yes, unsure.
    let of_label = |label: usize| finite(agreement.by_label.get(label).copied().flatten());
    Ok(Json(AgreementTold {
        krippendorff_alpha: finite(agreement.krippendorff_alpha),
        fleiss_kappa: finite(agreement.fleiss_kappa),
        observed: finite(agreement.observed),
        positive_agreement: of_label(1),
        negative_agreement: of_label(0),
    }))
}

/// A copy of the project.
#[derive(Debug, Serialize, ToSchema)]
struct BackupTold {
    /// The file, in the project's folder.
    file: String,
    bytes: u64,
}

/// Copy the project into a file beside it
///
/// Votes go on meanwhile. The copy is in the folder `backups` of the project: carry it to another disk.
#[utoipa::path(post, path = "/backup", tag = "researchers", request_body = Nothing, responses((status = 201, body = BackupTold)))]
async fn backup(
    State(app): State<Arc<App>>,
    who: Researcher,
    _: Body<Nothing>,
) -> Result<(StatusCode, Json<BackupTold>), Problem> {
    who.admin()?;
    let _one_at_a_time = (app.backing_up.try_lock())
        .map_err(|_held| Problem::conflict("busy", "a backup is being made"))?;
    let moment = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let file = format!("backups/{moment}.sqlite");
    let name = file.clone();
    let bytes = app
        .project(move |p| p.backup(&p.folder().join(name), &SilentProgress))
        .await?;
    Ok((StatusCode::CREATED, Json(BackupTold { file, bytes })))
}

/// Which sites.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SitesQuery {
    /// Only those of this status.
    #[param(inline)]
    status: Option<StatusName>,
    /// Also detections below the score of sites, and empty ground.
    #[serde(default)]
    everything: bool,
    /// Where the page before ended.
    after: Option<i64>,
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
}

/// A place and what is decided about it.
#[derive(Debug, Serialize, ToSchema)]
struct SiteRow {
    /// Where the page ends, if this is the last of it.
    number: i64,
    task: String,
    site_id: String,
    class: String,
    lon: f64,
    lat: f64,
    status: StatusName,
    /// From the votes alone.
    #[schema(required)]
    p_votes: Option<f64>,
    /// From votes and detector: never to be compared with the detector.
    #[schema(required)]
    p_combined: Option<f64>,
    detector_score: f64,
    n_yes: u32,
    n_no: u32,
    n_unsure: u32,
    n_bad: u32,
    #[schema(required)]
    decided_at: Option<String>,
}

impl From<VerifiedSite> for SiteRow {
    fn from(site: VerifiedSite) -> Self {
        Self {
            number: site.number,
            task: site.task,
            site_id: site.site_id,
            class: site.class,
            lon: site.lon,
            lat: site.lat,
            status: site.status.into(),
            p_votes: finite(site.p_votes),
            p_combined: finite(site.p_combined),
            detector_score: site.detector_score,
            n_yes: site.n_yes,
            n_no: site.n_no,
            n_unsure: site.n_unsure,
            n_bad: site.n_bad,
            decided_at: site.decided_at,
        }
    }
}

/// A page of sites.
#[derive(Debug, Serialize, ToSchema)]
struct SitePage {
    /// How many there are on all pages.
    matched: u64,
    sites: Vec<SiteRow>,
    /// `after` of the next page, if there is one.
    #[schema(required)]
    next: Option<i64>,
}

/// Places and what is decided about them
#[utoipa::path(get, path = "/sites", tag = "researchers", params(SitesQuery), responses((status = 200, body = SitePage)))]
async fn sites(
    State(app): State<Arc<App>>,
    _who: Researcher,
    query: Result<Query<SitesQuery>, QueryRejection>,
) -> Result<Json<SitePage>, Problem> {
    let Query(query) = query.map_err(|e| Problem::bad_request(e.body_text()))?;
    let limit = query.limit.unwrap_or(USUAL_LIMIT).clamp(1, LARGEST_LIMIT);
    let filter = SiteFilter {
        status: query.status.map(Into::into),
        everything: query.everything,
        after: query.after.unwrap_or_default(),
        limit: Some(limit),
        ..SiteFilter::default()
    };
    let (sites, matched) = app
        .project(move |p| Ok((p.sites(&filter)?, p.count_sites(&filter)?)))
        .await?;
    let next = sites
        .last()
        .map(|site| site.number)
        .filter(|_| sites.len() == limit);
    Ok(Json(SitePage {
        matched,
        sites: sites.into_iter().map(SiteRow::from).collect(),
        next,
    }))
}

/// A task of which the right answer is known.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GoldTold {
    task: String,
    /// `yes` or `no`.
    answer: AnswerName,
    purpose: PurposeName,
    /// What volunteers in practice are told after answering.
    #[serde(default)]
    #[schema(max_length = 500)]
    note: String,
}

impl From<Gold> for GoldTold {
    fn from(gold: Gold) -> Self {
        Self {
            task: gold.task,
            answer: gold.answer.into(),
            purpose: gold.purpose.into(),
            note: gold.note,
        }
    }
}

/// All gold.
#[derive(Debug, Serialize, ToSchema)]
struct GoldList {
    gold: Vec<GoldTold>,
}

/// Tasks of which the right answer is known
#[utoipa::path(get, path = "/gold", tag = "researchers", responses((status = 200, body = GoldList)))]
async fn gold(State(app): State<Arc<App>>, _who: Researcher) -> Result<Json<GoldList>, Problem> {
    let gold = app.project(Project::gold).await?;
    Ok(Json(GoldList {
        gold: gold.into_iter().map(GoldTold::from).collect(),
    }))
}

/// Make a task gold, or change it
///
/// Whoever says what the right answer is decides the place by that, too.
#[utoipa::path(post, path = "/gold", tag = "researchers", request_body = GoldTold, responses((status = 200, body = Nothing)))]
async fn set_gold(
    State(app): State<Arc<App>>,
    who: Researcher,
    Body(given): Body<GoldTold>,
) -> Result<Json<Nothing>, Problem> {
    let gold = Gold {
        task: given.task,
        answer: given.answer.into(),
        purpose: given.purpose.into(),
        note: given.note,
    };
    app.project(move |p| p.set_gold(&gold, &who.member.id))
        .await?;
    Ok(Json(Nothing {}))
}

/// Make a task gold no more
///
/// What was decided about it stays.
#[utoipa::path(delete, path = "/gold/{task}", tag = "researchers", params(("task" = String, Path)), responses((status = 200, body = Nothing)))]
async fn remove_gold(
    State(app): State<Arc<App>>,
    who: Researcher,
    Path(task): Path<String>,
) -> Result<Json<Nothing>, Problem> {
    app.project(move |p| p.remove_gold(&task, &who.member.id))
        .await?;
    Ok(Json(Nothing {}))
}

/// What an expert says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// `confirmed`, `rejected`, `imagery_problem`, or `unverified` to leave it to the votes.
    status: StatusName,
    /// For the log.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: String,
}

/// Decide about a place
#[utoipa::path(post, path = "/tasks/{task}/decision", tag = "researchers", params(("task" = String, Path)), request_body = Decision, responses((status = 200, body = Nothing)))]
async fn decide(
    State(app): State<Arc<App>>,
    who: Researcher,
    Path(task): Path<String>,
    Body(given): Body<Decision>,
) -> Result<Json<Nothing>, Problem> {
    app.project(move |p| p.decide(&task, given.status.into(), &given.reason, &who.member.id))
        .await?;
    Ok(Json(Nothing {}))
}

/// Votes that are not to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Void {
    /// The vote on this task only; without: all votes up to now.
    #[serde(default)]
    #[schema(nullable = false)]
    task: Option<String>,
    /// Let them count again.
    #[serde(default)]
    restore: bool,
    /// For the log.
    #[schema(max_length = 500)]
    reason: String,
}

/// How many votes.
#[derive(Debug, Serialize, ToSchema)]
struct Voided {
    votes: u64,
}

/// Let votes of a member count no more, or again
///
/// Nothing is deleted: it is an event in the log, and verdicts are worked out anew.
#[utoipa::path(post, path = "/members/{member}/void", tag = "researchers", params(("member" = String, Path)), request_body = Void, responses((status = 200, body = Voided)))]
async fn void(
    State(app): State<Arc<App>>,
    who: Researcher,
    Path(member): Path<String>,
    Body(given): Body<Void>,
) -> Result<Json<Voided>, Problem> {
    who.admin()?;
    let by = who.member.id;
    let votes = app
        .project(move |p| {
            p.void(
                &member,
                given.task.as_deref(),
                given.restore,
                &given.reason,
                &by,
            )
        })
        .await?;
    Ok(Json(Voided { votes }))
}

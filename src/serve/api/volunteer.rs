//! What volunteers do: join, get packs and pictures, answer, change an answer, leave.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::app::App;
use super::super::door::{self, kind};
use super::super::guard::Peer;
use super::super::problem::Problem;
use super::super::secret::Secret;
use super::super::session::{CookieKind, Volunteer};
use super::wire::{AnswerName, Outcome, PackTold};
use super::{Body, Nothing};
use crate::verify::{NewVote, OwnWork};

/// Most votes, or corrections, in one request.
const MOST_AT_ONCE: usize = 50;
/// A chip never changes. Only the browser keeps it: proxies between do not.
const CHIP_CACHE: &str = "private, max-age=31536000, immutable";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(join))
        .routes(routes!(recovery_code))
        .routes(routes!(recover))
        .routes(routes!(me))
        .routes(routes!(tutorial))
        .routes(routes!(pack))
        .routes(routes!(chip))
        .routes(routes!(votes))
        .routes(routes!(corrections))
        .routes(routes!(undo))
        .routes(routes!(forget_me))
}

/// Somebody who wants to help.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Join {
    /// The invitation code: case, dashes and spaces do not matter.
    #[schema(max_length = 80)]
    invite: String,
    /// Any name; it need not be a real one, nor unique.
    #[schema(min_length = 1, max_length = 40)]
    nickname: String,
    /// Is 16 or older, and agrees that nickname, answers and their durations are kept.
    consent: bool,
}

/// The volunteer, as far as it is their own business.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    nickname: String,
    /// Answers given and not taken back.
    votes: u64,
    /// Practice pictures still to come before the real ones.
    training_left: u64,
    /// Tasks held and not answered yet.
    held: u64,
    /// Send it as X-CSRF-Token with every change.
    csrf: String,
}

fn me_of(work: OwnWork, secret: &Secret) -> Me {
    Me {
        nickname: work.member.name,
        votes: work.votes,
        training_left: work.training_left,
        held: work.held,
        csrf: secret.csrf_token(),
    }
}

/// Makes the browser a volunteer's device.
fn known_device(app: &App, secret: &Secret, work: OwnWork) -> Result<Response, Problem> {
    let cookie = app.cookies.set(CookieKind::Device, Some(secret))?;
    Ok((
        StatusCode::CREATED,
        [(SET_COOKIE, cookie)],
        Json(me_of(work, secret)),
    )
        .into_response())
}

/// Join with an invitation code
#[utoipa::path(post, path = "/join", tag = "volunteers", request_body = Join, responses((status = 201, body = Me)))]
async fn join(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    Body(given): Body<Join>,
) -> Result<Response, Problem> {
    if !given.consent {
        return Err(Problem::unprocessable(
            "nothing can be kept without your consent",
        ));
    }
    let invite = given.invite;
    if !app.project(move |p| door::is_invited(p, &invite)).await? {
        app.limits.guess(peer)?;
        return Err(Problem::forbidden(
            "invite",
            "this invitation code is not good: ask whoever gave it to you",
        ));
    }
    app.limits.join(peer)?;
    let secret = Secret::new()?;
    let hash = secret.hash();
    let work = app
        .project(move |p| {
            let member = p.join(&given.nickname, hash)?;
            p.me(&member.id)
        })
        .await?;
    known_device(&app, &secret, work)
}

/// A code for another device, told once.
#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCode {
    code: String,
}

/// A code with which the volunteer goes on from another device
///
/// It works once. An earlier code is good no more.
#[utoipa::path(post, path = "/recovery-code", tag = "volunteers", request_body = Nothing, responses((status = 201, body = RecoveryCode)))]
async fn recovery_code(
    State(app): State<Arc<App>>,
    who: Volunteer,
    _: Body<Nothing>,
) -> Result<(StatusCode, Json<RecoveryCode>), Problem> {
    let secret = Secret::new()?;
    let hash = secret.hash();
    app.project(move |p| {
        p.end_tokens(kind::RECOVERY, Some(&who.member.id))?;
        p.put_token(hash, kind::RECOVERY, Some(&who.member.id), "", None)
    })
    .await?;
    Ok((
        StatusCode::CREATED,
        Json(RecoveryCode {
            code: secret.text().to_owned(),
        }),
    ))
}

/// Where the code comes from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Recover {
    code: String,
}

/// Go on as the volunteer whom a recovery code belongs to
#[utoipa::path(post, path = "/recover", tag = "volunteers", request_body = Recover, responses((status = 201, body = Me)))]
async fn recover(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    Body(given): Body<Recover>,
) -> Result<Response, Problem> {
    let wrong = || Problem::forbidden("token", "this code is not good: it works once");
    let code = Secret::from_text(given.code.trim())
        .ok_or_else(wrong)?
        .hash();
    let secret = Secret::new()?;
    let hash = secret.hash();
    let work = app
        .project(move |p| {
            let Some(member) = p.member_of_token(code, kind::RECOVERY)? else {
                return Ok(None);
            };
            if !p.end_token(code, kind::RECOVERY)? {
                return Ok(None);
            }
            p.put_token(hash, kind::DEVICE, Some(&member.id), "", None)?;
            p.me(&member.id).map(Some)
        })
        .await?;
    let Some(work) = work else {
        app.limits.guess(peer)?;
        return Err(wrong());
    };
    known_device(&app, &secret, work)
}

/// Who the volunteer is, and how far
#[utoipa::path(get, path = "/me", tag = "volunteers", responses((status = 200, body = Me)))]
async fn me(State(app): State<Arc<App>>, who: Volunteer) -> Result<Json<Me>, Problem> {
    let work = app.project(move |p| p.me(&who.member.id)).await?;
    Ok(Json(me_of(work, &who.secret)))
}

/// What is asked, and what to look for.
#[derive(Debug, Serialize, ToSchema)]
struct Tutorial {
    /// Version of the questions.
    question_version: u32,
    /// For each class: the question, and what the researchers say about it.
    questions: Vec<QuestionTold>,
    /// Practice pictures still to come: they are the first of the packs, each with its right answer.
    training_left: u64,
}

/// A question.
#[derive(Debug, Serialize, ToSchema)]
struct QuestionTold {
    class: String,
    text: String,
    /// What to look for; may be empty.
    help: String,
}

/// What is asked, and what to look for
#[utoipa::path(get, path = "/tutorial", tag = "volunteers", responses((status = 200, body = Tutorial)))]
async fn tutorial(State(app): State<Arc<App>>, who: Volunteer) -> Result<Json<Tutorial>, Problem> {
    let (set, work) = app
        .project(move |p| Ok((p.questions()?, p.me(&who.member.id)?)))
        .await?;
    let text = |question: &serde_json::Value, key: &str| {
        question[key].as_str().unwrap_or_default().to_owned()
    };
    let questions = set.questions.iter().map(|(class, question)| QuestionTold {
        class: class.clone(),
        text: text(question, "text"),
        help: text(question, "help"),
    });
    Ok(Json(Tutorial {
        question_version: set.version,
        questions: questions.collect(),
        training_left: work.training_left,
    }))
}

/// How many tasks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PackWanted {
    /// 10 to 25; other numbers are brought into that range.
    #[schema(nullable = false, maximum = 50)]
    size: Option<usize>,
    /// Tasks that are held already come first: for a device that lost its pack.
    resume: bool,
}

/// A pack of tasks
///
/// Tasks are held for the volunteer for a while; answers that come later count all the same. Where there are none
/// the pack is empty and says why.
#[utoipa::path(post, path = "/packs", tag = "volunteers", request_body = PackWanted, responses((status = 200, body = PackTold)))]
async fn pack(
    State(app): State<Arc<App>>,
    who: Volunteer,
    Body(wanted): Body<PackWanted>,
) -> Result<Json<PackTold>, Problem> {
    if wanted.size.is_some_and(|size| size > MOST_AT_ONCE) {
        return Err(Problem::unprocessable(format!(
            "a pack has at most {MOST_AT_ONCE} tasks"
        )));
    }
    let (next, questions) = app
        .project(move |p| {
            Ok((
                p.next_pack(&who.member.id, wanted.size, wanted.resume)?,
                p.questions()?,
            ))
        })
        .await?;
    Ok(Json(PackTold::new(next, &questions)))
}

/// A picture
#[utoipa::path(get, path = "/chips/{chip}", tag = "volunteers", params(("chip" = String, Path)), responses((status = 200, description = "The picture", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp")))))]
async fn chip(
    State(app): State<Arc<App>>,
    _who: Volunteer,
    Path(chip): Path<String>,
) -> Result<Response, Problem> {
    let found = app
        .project(move |p| p.chip(&chip))
        .await?
        .ok_or_else(Problem::not_found)?;
    let headers = [
        (CONTENT_TYPE, found.media_type),
        (ETAG, format!("\"{}\"", found.hash)),
        (CACHE_CONTROL, CHIP_CACHE.to_owned()),
    ];
    Ok((headers, found.bytes).into_response())
}

/// An answer to a task.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Vote {
    /// Made by the client, once per vote: 8 to 64 letters, digits, `-` or `_`. Sending it again does no harm.
    #[schema(min_length = 8, max_length = 64)]
    id: String,
    /// The task.
    task: String,
    answer: AnswerName,
    /// Version of the questions it was given to, from the pack.
    question_version: u32,
    /// `hash` of the picture that was looked at.
    #[serde(default)]
    #[schema(nullable = false)]
    hash: Option<String>,
    /// From the picture's appearing to the answer.
    #[serde(default)]
    #[schema(nullable = false)]
    milliseconds: Option<u64>,
}

/// Answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Votes {
    #[schema(min_items = 1, max_items = 50)]
    votes: Vec<Vote>,
}

/// What became of each.
#[derive(Debug, Serialize, ToSchema)]
struct Results {
    /// In the order they were sent.
    results: Vec<ResultTold>,
}

/// What became of an answer. None of it is worth sending again for.
#[derive(Debug, Serialize, ToSchema)]
struct ResultTold {
    /// The client's id.
    id: String,
    outcome: Outcome,
    /// Whether it is kept: then the client may forget it.
    kept: bool,
}

impl ResultTold {
    fn new(id: String, outcome: crate::verify::VoteOutcome) -> Self {
        Self {
            id,
            outcome: outcome.into(),
            kept: outcome.is_kept(),
        }
    }
}

fn some_and_not_too_many(number: usize) -> Result<(), Problem> {
    if (1..=MOST_AT_ONCE).contains(&number) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!(
        "1 to {MOST_AT_ONCE} at once: send the rest in another request"
    )))
}

/// Send answers
///
/// When this returns, what was accepted is on the disk.
#[utoipa::path(post, path = "/votes", tag = "volunteers", request_body = Votes, responses((status = 200, body = Results)))]
async fn votes(
    State(app): State<Arc<App>>,
    who: Volunteer,
    Body(given): Body<Votes>,
) -> Result<Json<Results>, Problem> {
    some_and_not_too_many(given.votes.len())?;
    app.limits.votes(&who.secret.hash(), given.votes.len())?;
    let votes: Vec<NewVote> = given
        .votes
        .into_iter()
        .map(|vote| NewVote {
            id: vote.id,
            task: vote.task,
            answer: vote.answer.into(),
            question_version: vote.question_version,
            chip_hash: vote.hash,
            milliseconds: vote.milliseconds,
        })
        .collect();
    let submitted = app
        .project(move |p| p.submit(&who.member.id, &votes))
        .await?;
    if submitted.batch_due {
        app.estimate_soon();
    }
    let results = submitted
        .receipts
        .into_iter()
        .map(|r| ResultTold::new(r.id, r.outcome))
        .collect();
    Ok(Json(Results { results }))
}

/// Another answer in place of one that was sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Correction {
    /// The client's id of the correction.
    #[schema(min_length = 8, max_length = 64)]
    id: String,
    /// The client's id of the vote.
    vote: String,
    answer: AnswerName,
}

/// Corrections, in their order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Corrections {
    #[schema(min_items = 1, max_items = 50)]
    corrections: Vec<Correction>,
}

/// Change answers that were sent
#[utoipa::path(post, path = "/corrections", tag = "volunteers", request_body = Corrections, responses((status = 200, body = Results)))]
async fn corrections(
    State(app): State<Arc<App>>,
    who: Volunteer,
    Body(given): Body<Corrections>,
) -> Result<Json<Results>, Problem> {
    some_and_not_too_many(given.corrections.len())?;
    app.limits
        .votes(&who.secret.hash(), given.corrections.len())?;
    let results = app
        .project(move |p| {
            let one = |c: Correction| {
                let outcome = p.correct(&who.member.id, &c.id, &c.vote, c.answer.into())?;
                Ok(ResultTold::new(c.id, outcome))
            };
            given.corrections.into_iter().map(one).collect()
        })
        .await?;
    Ok(Json(Results { results }))
}

/// A vote to take back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Undo {
    /// The client's id of the taking back.
    #[schema(min_length = 8, max_length = 64)]
    id: String,
    /// The client's id of the vote.
    vote: String,
}

/// Take an answer back
///
/// The task is held for the volunteer again, and may be answered under another id.
#[utoipa::path(post, path = "/undo", tag = "volunteers", request_body = Undo, responses((status = 200, body = Results)))]
async fn undo(
    State(app): State<Arc<App>>,
    who: Volunteer,
    Body(given): Body<Undo>,
) -> Result<Json<Results>, Problem> {
    app.limits.votes(&who.secret.hash(), 1)?;
    let result = app
        .project(move |p| {
            let outcome = p.undo(&who.member.id, &given.id, &given.vote)?;
            Ok(ResultTold::new(given.id, outcome))
        })
        .await?;
    Ok(Json(Results {
        results: vec![result],
    }))
}

/// Be forgotten
///
/// Nickname, device tokens and the tie between person and answers go. The answers stay, and nothing tells whose
/// they were.
#[utoipa::path(post, path = "/forget-me", tag = "volunteers", request_body = Nothing, responses((status = 200, body = Nothing)))]
async fn forget_me(
    State(app): State<Arc<App>>,
    who: Volunteer,
    _: Body<Nothing>,
) -> Result<Response, Problem> {
    app.project(move |p| p.forget(&who.member.id)).await?;
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, app.cookies.set(CookieKind::Device, None)?);
    headers.append(SET_COOKIE, app.cookies.set(CookieKind::Session, None)?);
    Ok((headers, Json(Nothing {})).into_response())
}

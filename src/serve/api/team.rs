//! Accounts: setting up, logging in, who is who and what they may do.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::SET_COOKIE;
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
use super::super::secret::{Secret, spoken_code};
use super::super::session::{CookieKind, Researcher};
use super::{Body, Nothing};
use crate::verify::{Member, MemberWork, Role};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(set_up))
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(session))
        .routes(routes!(invite, renew_invite))
        .routes(routes!(members))
        .routes(routes!(new_account))
        .routes(routes!(set_role))
        .routes(routes!(block))
        .routes(routes!(new_reader, revoke_readers))
}

/// A log-in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogIn {
    name: String,
    password: String,
}

/// A first log-in, with a token that works once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetUp {
    /// What the server said when it started, or an admin handed out.
    token: String,
    /// The name to log in with from now on. A volunteer who becomes an expert keeps the nickname.
    name: String,
    #[schema(min_length = 10, max_length = 128)]
    password: String,
}

/// Somebody who is logged in.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    name: String,
    role: RoleName,
    /// Send it as X-CSRF-Token with every change.
    csrf: String,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Volunteer,
    Expert,
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Volunteer => Self::Volunteer,
            Role::Expert => Self::Expert,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Volunteer => Self::Volunteer,
            RoleName::Expert => Self::Expert,
            RoleName::Admin => Self::Admin,
        }
    }
}

fn session_of(member: &Member, secret: &Secret) -> Session {
    Session {
        name: member.name.clone(),
        role: member.role.into(),
        csrf: secret.csrf_token(),
    }
}

/// Logs a member in: always with a fresh secret, whatever the browser had before.
async fn welcome(
    app: &Arc<App>,
    member: Member,
    headers: &HeaderMap,
    status: StatusCode,
) -> Result<Response, Problem> {
    let secret = Secret::new()?;
    let before = app
        .cookies
        .get(CookieKind::Session, headers)
        .map(|before| before.hash());
    let (id, hash) = (member.id.clone(), secret.hash());
    app.project(move |p| door::start_session(p, &id, hash, before))
        .await?;
    let cookie = app.cookies.set(CookieKind::Session, Some(&secret))?;
    Ok((
        status,
        [(SET_COOKIE, cookie)],
        Json(session_of(&member, &secret)),
    )
        .into_response())
}

/// Make an account
///
/// With the token that the server told at its first start, or that an admin handed out.
#[utoipa::path(post, path = "/setup", tag = "researchers", request_body = SetUp, responses((status = 201, body = Session)))]
async fn set_up(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Body(given): Body<SetUp>,
) -> Result<Response, Problem> {
    let wrong = || {
        Problem::forbidden(
            "token",
            "this token is not good: it works once, and for a week",
        )
    };
    let hash = Secret::from_text(given.token.trim())
        .ok_or_else(wrong)?
        .hash();
    let known = app
        .project(move |p| {
            Ok(p.token(hash, kind::SETUP)?.is_some() || p.token(hash, kind::CLAIM)?.is_some())
        })
        .await?;
    if !known {
        app.limits.guess(peer)?;
        return Err(wrong());
    }
    let password = app.passwords.hash(given.password).await?;
    let member = app
        .project(move |p| door::use_claim(p, hash, &given.name, &password))
        .await?;
    welcome(&app, member, &headers, StatusCode::CREATED).await
}

/// Log in
#[utoipa::path(post, path = "/login", tag = "researchers", request_body = LogIn, responses((status = 200, body = Session)))]
async fn log_in(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(given): Body<LogIn>,
) -> Result<Response, Problem> {
    app.limits.may_log_in(&given.name)?;
    let name = given.name.clone();
    let found = app.project(move |p| p.member_by_login(&name)).await?;
    // Somebody who was an expert once has a password still, and no right to come in.
    let (member, hash) = found
        .filter(|(member, _)| member.role >= Role::Expert)
        .unzip();
    let right = app.passwords.check(given.password, hash).await?;
    app.limits.logged_in(&given.name, right);
    match member {
        Some(member) if right => welcome(&app, member, &headers, StatusCode::OK).await,
        _ => Err(Problem::unauthorized("name or password is wrong")),
    }
}

/// Log out
#[utoipa::path(post, path = "/logout", tag = "researchers", request_body = Nothing, responses((status = 200, body = Nothing)))]
async fn log_out(
    State(app): State<Arc<App>>,
    who: Researcher,
    _: Body<Nothing>,
) -> Result<Response, Problem> {
    app.project(move |p| p.end_token(who.secret.hash(), kind::SESSION))
        .await?;
    let cookie = app.cookies.set(CookieKind::Session, None)?;
    Ok(([(SET_COOKIE, cookie)], Json(Nothing {})).into_response())
}

/// Who is logged in
#[utoipa::path(get, path = "/session", tag = "researchers", responses((status = 200, body = Session)))]
async fn session(who: Researcher) -> Json<Session> {
    Json(session_of(&who.member, &who.secret))
}

/// The code that volunteers join with.
#[derive(Debug, Serialize, ToSchema)]
struct Invite {
    invite: String,
}

/// The code that volunteers join with
#[utoipa::path(get, path = "/invite", tag = "researchers", responses((status = 200, body = Invite)))]
async fn invite(State(app): State<Arc<App>>, who: Researcher) -> Result<Json<Invite>, Problem> {
    who.admin()?;
    let invite = app
        .project(|p| p.setting("invite"))
        .await?
        .unwrap_or_default();
    Ok(Json(Invite { invite }))
}

/// Another code for volunteers; the old one is good no more
#[utoipa::path(post, path = "/invite", tag = "researchers", request_body = Nothing, responses((status = 200, body = Invite)))]
async fn renew_invite(
    State(app): State<Arc<App>>,
    who: Researcher,
    _: Body<Nothing>,
) -> Result<Json<Invite>, Problem> {
    who.admin()?;
    let invite = spoken_code()?;
    let code = invite.clone();
    app.project(move |p| door::set_invite(p, &code)).await?;
    Ok(Json(Invite { invite }))
}

/// A member and their work. Quality is for those who run the project, and never public.
#[derive(Debug, Serialize, ToSchema)]
struct MemberRow {
    member: String,
    nickname: String,
    role: RoleName,
    joined_at: String,
    /// Gets no more tasks.
    blocked: bool,
    votes: u64,
    /// Hidden controls answered.
    controls: u64,
    /// … and answered right.
    controls_right: u64,
    /// Answers faster than anybody can look.
    too_fast: u64,
}

impl From<MemberWork> for MemberRow {
    fn from(row: MemberWork) -> Self {
        Self {
            member: row.member.id,
            nickname: row.member.name,
            role: row.member.role.into(),
            joined_at: row.member.joined_at,
            blocked: row.member.blocked,
            votes: row.votes,
            controls: row.controls,
            controls_right: row.controls_right,
            too_fast: row.fast,
        }
    }
}

/// All members.
#[derive(Debug, Serialize, ToSchema)]
struct Members {
    members: Vec<MemberRow>,
}

/// Who takes part
#[utoipa::path(get, path = "/members", tag = "researchers", responses((status = 200, body = Members)))]
async fn members(State(app): State<Arc<App>>, who: Researcher) -> Result<Json<Members>, Problem> {
    who.admin()?;
    let rows = app
        .project(crate::verify::Project::members_and_work)
        .await?;
    Ok(Json(Members {
        members: rows.into_iter().map(MemberRow::from).collect(),
    }))
}

/// Whose account, and what they may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    /// `expert` or `admin`.
    role: RoleName,
    /// A volunteer who is to have it; without: somebody new.
    #[serde(default)]
    #[schema(nullable = false)]
    member: Option<String>,
}

/// A token, told once.
#[derive(Debug, Serialize, ToSchema)]
struct TokenTold {
    token: String,
}

/// A token with which an expert or an admin makes an account
#[utoipa::path(post, path = "/accounts", tag = "researchers", request_body = NewAccount, responses((status = 201, body = TokenTold)))]
async fn new_account(
    State(app): State<Arc<App>>,
    who: Researcher,
    Body(given): Body<NewAccount>,
) -> Result<(StatusCode, Json<TokenTold>), Problem> {
    who.admin()?;
    let role = Role::from(given.role);
    if role == Role::Volunteer {
        return Err(Problem::unprocessable(
            "volunteers join with the invitation code: they need no account",
        ));
    }
    let secret = Secret::new()?;
    let hash = secret.hash();
    app.project(move |p| {
        if let Some(member) = &given.member {
            p.member(member)?;
        }
        door::put_claim(p, hash, given.member.as_deref(), role)
    })
    .await?;
    Ok((
        StatusCode::CREATED,
        Json(TokenTold {
            token: secret.text().to_owned(),
        }),
    ))
}

/// A role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: RoleName,
}

/// Give a member another role
///
/// The member's sessions end. Somebody who has no password yet needs a token for an account besides.
#[utoipa::path(post, path = "/members/{member}/role", tag = "researchers", params(("member" = String, Path)), request_body = NewRole, responses((status = 200, body = Nothing)))]
async fn set_role(
    State(app): State<Arc<App>>,
    who: Researcher,
    Path(member): Path<String>,
    Body(given): Body<NewRole>,
) -> Result<Json<Nothing>, Problem> {
    who.admin()?;
    app.project(move |p| p.set_role(&member, given.role.into()))
        .await?;
    Ok(Json(Nothing {}))
}

/// Whether somebody gets tasks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Blocked {
    blocked: bool,
}

/// Give a member no more tasks, or tasks again
///
/// The votes stay as they are: voiding them is another matter.
#[utoipa::path(post, path = "/members/{member}/block", tag = "researchers", params(("member" = String, Path)), request_body = Blocked, responses((status = 200, body = Nothing)))]
async fn block(
    State(app): State<Arc<App>>,
    who: Researcher,
    Path(member): Path<String>,
    Body(given): Body<Blocked>,
) -> Result<Json<Nothing>, Problem> {
    who.admin()?;
    app.project(move |p| p.set_blocked(&member, given.blocked))
        .await?;
    Ok(Json(Nothing {}))
}

/// Who reads.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReader {
    /// What the token is for, such as a program or a person.
    #[schema(max_length = 80)]
    label: String,
}

/// A token that reads the verified layer (`/ogc/`), told once
#[utoipa::path(post, path = "/readers", tag = "researchers", request_body = NewReader, responses((status = 201, body = TokenTold)))]
async fn new_reader(
    State(app): State<Arc<App>>,
    who: Researcher,
    Body(given): Body<NewReader>,
) -> Result<(StatusCode, Json<TokenTold>), Problem> {
    who.admin()?;
    if given.label.chars().count() > 80 {
        return Err(Problem::unprocessable("a label has at most 80 characters"));
    }
    let secret = Secret::new()?;
    let hash = secret.hash();
    app.project(move |p| p.put_token(hash, kind::READ, None, &given.label, None))
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(TokenTold {
            token: secret.text().to_owned(),
        }),
    ))
}

/// How many there were.
#[derive(Debug, Serialize, ToSchema)]
struct Ended {
    ended: u64,
}

/// Take all read tokens back
#[utoipa::path(delete, path = "/readers", tag = "researchers", responses((status = 200, body = Ended)))]
async fn revoke_readers(
    State(app): State<Arc<App>>,
    who: Researcher,
) -> Result<Json<Ended>, Problem> {
    who.admin()?;
    let ended = app.project(|p| p.end_tokens(kind::READ, None)).await?;
    Ok(Json(Ended { ended }))
}

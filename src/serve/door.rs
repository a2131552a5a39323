//! Who may come in, as the project's database keeps it: codes, tokens, log-ins.

use super::listen::ServeError;
use super::secret::{Secret, nonce, normal_code, same, spoken_code};
use crate::verify::{Member, Project, Role, SecretHash, VerifyError};

/// Kinds of tokens in the project's database.
pub(crate) mod kind {
    /// A volunteer's device.
    pub(crate) const DEVICE: &str = "device";
    /// Somebody logged in with a password.
    pub(crate) const SESSION: &str = "session";
    /// Makes the first account.
    pub(crate) const SETUP: &str = "setup";
    /// Makes an account for an expert or a further admin.
    pub(crate) const CLAIM: &str = "claim";
    /// Lets a volunteer in on another device.
    pub(crate) const RECOVERY: &str = "recovery";
    /// Reads the verified layer.
    pub(crate) const READ: &str = "read";
}

const HOUR: i64 = 3_600;
/// A session ends when it has not been used for so long …
const IDLE_SECONDS: i64 = 2 * HOUR;
/// … or is this old.
const SESSION_SECONDS: i64 = 12 * HOUR;
/// The use of a session is noted no more often than this.
const NOTE_SECONDS: i64 = 60;
/// How long a token for an account is good.
const CLAIM_SECONDS: i64 = 7 * 24 * HOUR;

/// A short random name of this project's server: cookies carry it, so that two servers on one machine do not log
/// each other's people out.
pub(crate) fn instance(project: &Project) -> Result<String, ServeError> {
    setting(project, "server", nonce)
}

/// The code that volunteers join with.
pub(crate) fn invite(project: &Project) -> Result<String, ServeError> {
    setting(project, "invite", spoken_code)
}

fn setting(
    project: &Project,
    key: &str,
    make: fn() -> Result<String, getrandom::Error>,
) -> Result<String, ServeError> {
    if let Some(value) = project.setting(key)? {
        return Ok(value);
    }
    let value = make()?;
    project.set_setting(key, &value)?;
    Ok(value)
}

/// Keeps another code; the old one is good no more.
pub(crate) fn set_invite(project: &Project, code: &str) -> Result<(), VerifyError> {
    project.set_setting("invite", code)
}

/// Whether a code lets volunteers in.
pub(crate) fn is_invited(project: &Project, code: &str) -> Result<bool, VerifyError> {
    let right = project.setting("invite")?;
    Ok(right.is_some_and(|right| same(&normal_code(&right), &normal_code(code))))
}

/// Where nobody runs the project yet: a token to make the first account with. Tokens told at earlier starts are
/// good no more.
pub(crate) fn first_token(project: &Project) -> Result<Option<Secret>, ServeError> {
    let ran = project
        .members()?
        .iter()
        .any(|member| member.role == Role::Admin);
    project.end_tokens(kind::SETUP, None)?;
    if ran {
        return Ok(None);
    }
    let secret = Secret::new()?;
    project.put_token(
        secret.hash(),
        kind::SETUP,
        None,
        Role::Admin.as_str(),
        Some(CLAIM_SECONDS),
    )?;
    Ok(Some(secret))
}

/// Keeps a token with which somebody makes an account: a member who answers already, or somebody new.
pub(crate) fn put_claim(
    project: &Project,
    hash: SecretHash,
    member: Option<&str>,
    role: Role,
) -> Result<(), VerifyError> {
    if let Some(member) = member {
        project.end_tokens(kind::CLAIM, Some(member))?;
    }
    project.put_token(
        hash,
        kind::CLAIM,
        member,
        role.as_str(),
        Some(CLAIM_SECONDS),
    )
}

/// Makes the account that a token is for. The token works once, and stays good where the name is taken.
pub(crate) fn use_claim(
    project: &Project,
    token: SecretHash,
    name: &str,
    password_hash: &str,
) -> Result<Member, VerifyError> {
    let found = [kind::SETUP, kind::CLAIM]
        .iter()
        .find_map(|kind| project.token(token, kind).transpose())
        .transpose()?
        .ok_or(VerifyError::Unknown("token"))?;
    let role: Role = found.note.parse().map_err(VerifyError::Damaged)?;
    // A volunteer who becomes an expert keeps the nickname, and logs in with it.
    let known = found
        .member
        .as_deref()
        .map(|id| project.member(id))
        .transpose()?;
    let name = known.as_ref().map_or(name, |member| &member.name);
    if project.member_by_login(name)?.is_some() {
        return Err(VerifyError::Refused(
            "the name is taken: choose another".to_owned(),
        ));
    }
    if !project.end_token(token, &found.kind)? {
        return Err(VerifyError::Unknown("token"));
    }
    let made = match &found.member {
        None => project.create_member(name, role, password_hash),
        Some(id) => {
            (project.set_password(id, password_hash)).and_then(|()| project.set_role(id, role))
        }
    };
    if made.is_err() {
        project.put_token(
            token,
            &found.kind,
            found.member.as_deref(),
            &found.note,
            Some(CLAIM_SECONDS),
        )?;
    }
    made
}

/// Starts a session. The one that the same browser had before ends: nobody can prepare one for somebody else.
pub(crate) fn start_session(
    project: &Project,
    member: &str,
    session: SecretHash,
    before: Option<SecretHash>,
) -> Result<(), VerifyError> {
    if let Some(before) = before {
        project.end_token(before, kind::SESSION)?;
    }
    project.put_token(session, kind::SESSION, Some(member), "", Some(IDLE_SECONDS))
}

/// Whose session it is, if it still is one. `now` in seconds since 1970.
pub(crate) fn session(
    project: &Project,
    hash: SecretHash,
    now: i64,
) -> Result<Option<Member>, VerifyError> {
    let Some(token) = project.token(hash, kind::SESSION)? else {
        return Ok(None);
    };
    if now - token.created_at > SESSION_SECONDS {
        project.end_token(hash, kind::SESSION)?;
        return Ok(None);
    }
    if now - token.used_at.unwrap_or(token.created_at) >= NOTE_SECONDS {
        project.touch_token(hash, Some(IDLE_SECONDS))?;
    }
    project.member_of_token(hash, kind::SESSION)
}

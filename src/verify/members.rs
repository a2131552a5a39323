//! Who takes part: volunteers who joined, experts, admins; and the hashes of the secrets that let them in.
//!
//! A volunteer is a random id and a nickname; no address, no e-mail, no IP is kept. The log knows them by another
//! random code (`voter`), which only the row of the member ties to the person. Forgetting deletes that row: the votes
//! stay, and nothing tells whose they were.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::answer::Role;
use super::error::VerifyError;
use super::event::Event;
use super::holds;
use super::id::{SecretHash, random_id};
use super::project::Project;

/// Longest name, in characters.
pub const NAME_LENGTH: usize = 40;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Random id. Not the code that the log knows them by.
    pub id: String,
    /// Nickname of a volunteer, log-in name of the others. Text from outside: escape it where it is shown.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub joined_at: String,
    /// Whether they get no tasks any more.
    pub blocked: bool,
    #[serde(skip)]
    pub(super) voter: String,
}

/// A secret that lets somebody in, by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is for: `device`, `session`, `invite`, `setup`, `read`, as the server likes.
    pub kind: String,
    /// Whose it is; `None`: nobody's (an invite code, a read token).
    pub member: Option<String>,
    /// Anything the server wants to keep with it.
    pub note: String,
    /// When it was made, in seconds since 1970.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
    /// When it was last used, as told by [`Project::touch_token`].
    pub used_at: Option<i64>,
}

/// What a member may know of their own work. Controls stay unannounced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnWork {
    /// The member.
    #[serde(flatten)]
    pub member: Member,
    /// Votes given and not taken back.
    pub votes: u64,
    /// Training tasks done.
    pub training_done: u64,
    /// Training tasks to do before the real ones.
    pub training_left: u64,
    /// Tasks held and not answered yet.
    pub held: u64,
}

const COLUMNS: &str = "id, name, role, joined_at, blocked, voter";

fn member_of(row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        joined_at: row.get(3)?,
        blocked: row.get(4)?,
        voter: row.get(5)?,
    })
}

pub(super) fn member(c: &Connection, id: &str) -> Result<Member, VerifyError> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM member WHERE id = ?1"))?
        .query_row([id], member_of)
        .optional()?
        .ok_or(VerifyError::Unknown("member"))
}

/// A name without what could be taken for something else: trimmed, without control or direction characters.
fn clean_name(name: &str) -> Result<String, VerifyError> {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = name.chars().filter(|c| !invisible(*c)).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() || name.chars().count() > NAME_LENGTH {
        return Err(VerifyError::Refused(format!(
            "a name has 1 to {NAME_LENGTH} characters"
        )));
    }
    Ok(name)
}

impl Project {
    /// A volunteer joins, with the hash of the token that their device keeps.
    pub fn join(&self, nickname: &str, device: SecretHash) -> Result<Member, VerifyError> {
        let member = self.new_member(nickname, Role::Volunteer)?;
        let (now, _) = self.now();
        self.store.write(|tx| {
            insert_member(tx, &member, None)?;
            insert_token(tx, device, "device", Some(&member.id), "", now, None)
        })?;
        Ok(member)
    }

    /// A member who logs in with a password, of which `password_hash` is a slow hash.
    pub fn create_member(
        &self,
        name: &str,
        role: Role,
        password_hash: &str,
    ) -> Result<Member, VerifyError> {
        let member = self.new_member(name, role)?;
        self.store.write(|tx| {
            if by_login(tx, &member.name)?.is_some() {
                return Err(VerifyError::Refused("the name is taken".to_owned()));
            }
            insert_member(tx, &member, Some(password_hash))
        })?;
        Ok(member)
    }

    fn new_member(&self, name: &str, role: Role) -> Result<Member, VerifyError> {
        Ok(Member {
            id: random_id()?,
            name: clean_name(name)?,
            role,
            joined_at: self.now().1,
            blocked: false,
            voter: random_id()?,
        })
    }

    /// The member of an id.
    pub fn member(&self, id: &str) -> Result<Member, VerifyError> {
        self.store.read(|c| member(c, id))
    }

    /// The member who logs in under a name, with the hash of the password.
    pub fn member_by_login(&self, name: &str) -> Result<Option<(Member, String)>, VerifyError> {
        self.store.read(|c| by_login(c, name))
    }

    /// All members, by name.
    pub fn members(&self) -> Result<Vec<Member>, VerifyError> {
        self.store.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM member ORDER BY role, name, id");
            Ok(c.prepare(&sql)?
                .query_map([], member_of)?
                .collect::<Result<_, _>>()?)
        })
    }

    /// Gives a member another role. The last admin stays one. Sessions end, so that rights are asked for anew.
    pub fn set_role(&self, id: &str, role: Role) -> Result<Member, VerifyError> {
        self.store.write(|tx| {
            let before = member(tx, id)?;
            let admins: i64 = tx.query_row(
                "SELECT count(*) FROM member WHERE role = 'admin'",
                [],
                |row| row.get(0),
            )?;
            if before.role == Role::Admin && role != Role::Admin && admins == 1 {
                return Err(VerifyError::Refused(
                    "a project needs an admin: make somebody else one first".to_owned(),
                ));
            }
            tx.execute(
                "UPDATE member SET role = ?2 WHERE id = ?1",
                params![id, role],
            )?;
            tx.execute(
                "DELETE FROM token WHERE member = ?1 AND kind = 'session'",
                [id],
            )?;
            member(tx, id)
        })
    }

    /// Sets the hash of a member's password. Sessions end.
    pub fn set_password(&self, id: &str, password_hash: &str) -> Result<(), VerifyError> {
        self.store.write(|tx| {
            member(tx, id)?;
            tx.execute(
                "UPDATE member SET password_hash = ?2 WHERE id = ?1",
                [id, password_hash],
            )?;
            tx.execute(
                "DELETE FROM token WHERE member = ?1 AND kind = 'session'",
                [id],
            )?;
            Ok(())
        })
    }

    /// Gives a member no more tasks, or gives them again. Votes are another matter: [`Project::void`].
    pub fn set_blocked(&self, id: &str, blocked: bool) -> Result<(), VerifyError> {
        self.store.write(|tx| {
            member(tx, id)?;
            tx.execute(
                "UPDATE member SET blocked = ?2 WHERE id = ?1",
                params![id, blocked],
            )?;
            Ok(())
        })
    }

    /// What a member has done.
    pub fn me(&self, id: &str) -> Result<OwnWork, VerifyError> {
        let (now, _) = self.now();
        self.store.read(|c| {
            let member = member(c, id)?;
            let (votes, training_done): (i64, i64) = c
                .prepare_cached("SELECT votes, training FROM voter WHERE voter = ?1")?
                .query_row([&member.voter], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .unwrap_or((0, 0));
            let training: i64 = c
                .prepare_cached("SELECT count(*) FROM gold WHERE purpose = 'training'")?
                .query_row([], |row| row.get(0))?;
            let held: i64 = c
                .prepare_cached("SELECT count(*) FROM lease WHERE voter = ?1 AND answered = 0 AND expires_at > ?2")?
                .query_row(params![member.voter, now], |row| row.get(0))?;
            let to_do = training.min(self.rules().training_tasks as i64);
            Ok(OwnWork {
                member,
                votes: votes as u64,
                training_done: training_done as u64,
                training_left: (to_do - training_done).max(0) as u64,
                held: held as u64,
            })
        })
    }

    /// Forgets who a member is: name, tokens, password and the tie to their votes. The votes stay. What the member
    /// holds goes back to the queue.
    pub fn forget(&self, id: &str) -> Result<(), VerifyError> {
        self.store.write(|tx| {
            let gone = member(tx, id)?;
            if gone.role == Role::Admin {
                let admins: i64 = tx.query_row(
                    "SELECT count(*) FROM member WHERE role = 'admin'",
                    [],
                    |row| row.get(0),
                )?;
                if admins == 1 {
                    return Err(VerifyError::Refused(
                        "a project needs an admin: make somebody else one first".to_owned(),
                    ));
                }
            }
            holds::give_back(tx, &gone.voter)?;
            tx.execute("DELETE FROM token WHERE member = ?1", [id])?;
            tx.execute("DELETE FROM member WHERE id = ?1", [id])?;
            Ok(())
        })
    }

    /// Voids (or restores) the votes of a member: all of them up to now, or that on one task.
    pub fn void(
        &self,
        member_id: &str,
        task: Option<&str>,
        restored: bool,
        reason: &str,
        by: &str,
    ) -> Result<u64, VerifyError> {
        self.happen(|h| {
            let voter = member(h.tx, member_id)?.voter;
            let by = member(h.tx, by)?.voter;
            let tasks: Vec<String> = h
                .tx
                .prepare_cached("SELECT task FROM vote WHERE voter = ?1 AND state = ?2 AND (?3 IS NULL OR task = ?3) ORDER BY task")?
                .query_map(params![voter, if restored { "void" } else { "counted" }, task], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if tasks.is_empty() {
                return Err(VerifyError::Unknown("vote"));
            }
            h.record(Event::Void {
                voter,
                task: task.map(str::to_owned),
                restored,
                reason: reason.to_owned(),
                by,
            })?;
            for task in &tasks {
                h.judge(task, true)?;
            }
            Ok(tasks.len() as u64)
        })
    }

    /// Keeps the hash of a secret.
    pub fn put_token(
        &self,
        hash: SecretHash,
        kind: &str,
        member: Option<&str>,
        note: &str,
        lifetime_seconds: Option<i64>,
    ) -> Result<(), VerifyError> {
        let (now, _) = self.now();
        self.store.write(|tx| {
            let expires = lifetime_seconds.map(|s| now + s);
            insert_token(tx, hash, kind, member, note, now, expires)
        })
    }

    /// The live token of a kind that a secret's hash belongs to.
    pub fn token(&self, hash: SecretHash, kind: &str) -> Result<Option<Token>, VerifyError> {
        let (now, _) = self.now();
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT kind, member, note, created_at, expires_at, used_at FROM token
                 WHERE hash = ?1 AND kind = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
            )?
            .query_row(params![hash.0, kind, now], |row| {
                Ok(Token {
                    kind: row.get(0)?,
                    member: row.get(1)?,
                    note: row.get(2)?,
                    created_at: row.get(3)?,
                    expires_at: row.get(4)?,
                    used_at: row.get(5)?,
                })
            })
            .optional()?)
        })
    }

    /// The member that a secret lets in, if it does.
    pub fn member_of_token(
        &self,
        hash: SecretHash,
        kind: &str,
    ) -> Result<Option<Member>, VerifyError> {
        let (now, _) = self.now();
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT m.id, m.name, m.role, m.joined_at, m.blocked, m.voter
                 FROM token t JOIN member m ON m.id = t.member
                 WHERE t.hash = ?1 AND t.kind = ?2 AND (t.expires_at IS NULL OR t.expires_at > ?3)",
            )?
            .query_row(params![hash.0, kind, now], member_of)
            .optional()?)
        })
    }

    /// Notes that a token was used, and moves its end. Call it now and then, not with every request.
    pub fn touch_token(
        &self,
        hash: SecretHash,
        lifetime_seconds: Option<i64>,
    ) -> Result<(), VerifyError> {
        let (now, _) = self.now();
        self.store.write(|tx| {
            tx.execute(
                "UPDATE token SET used_at = ?2, expires_at = coalesce(?3, expires_at) WHERE hash = ?1",
                params![hash.0, now, lifetime_seconds.map(|s| now + s)],
            )?;
            Ok(())
        })
    }

    /// Ends a token. Returns whether there was one: of two who use a one-time token at once, one is told `true`.
    pub fn end_token(&self, hash: SecretHash, kind: &str) -> Result<bool, VerifyError> {
        self.store.write(|tx| {
            let ended = tx.execute(
                "DELETE FROM token WHERE hash = ?1 AND kind = ?2",
                params![hash.0, kind],
            )?;
            Ok(ended > 0)
        })
    }

    /// Ends all tokens of a kind, of one member or of nobody in particular. Returns how many.
    pub fn end_tokens(&self, kind: &str, member: Option<&str>) -> Result<u64, VerifyError> {
        self.store.write(|tx| {
            let ended = tx.execute(
                "DELETE FROM token WHERE kind = ?1 AND (?2 IS NULL OR member = ?2)",
                params![kind, member],
            )?;
            Ok(ended as u64)
        })
    }
}

fn by_login(c: &Connection, name: &str) -> Result<Option<(Member, String)>, VerifyError> {
    let sql = format!(
        "SELECT {COLUMNS}, password_hash FROM member WHERE name = ?1 AND password_hash IS NOT NULL"
    );
    Ok(c.prepare_cached(&sql)?
        .query_row([name], |row| Ok((member_of(row)?, row.get(6)?)))
        .optional()?)
}

fn insert_member(
    c: &Connection,
    member: &Member,
    password_hash: Option<&str>,
) -> Result<(), VerifyError> {
    c.prepare_cached("INSERT INTO member (id, voter, name, role, password_hash, joined_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            member.id,
            member.voter,
            member.name,
            member.role,
            password_hash,
            member.joined_at
        ])?;
    Ok(())
}

fn insert_token(
    c: &Connection,
    hash: SecretHash,
    kind: &str,
    member: Option<&str>,
    note: &str,
    now: i64,
    expires: Option<i64>,
) -> Result<(), VerifyError> {
    c.prepare_cached("INSERT INTO token (hash, kind, member, note, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![hash.0, kind, member, note, now, expires])?;
    Ok(())
}

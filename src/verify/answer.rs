//! The words of the queue: answers, streams, statuses, roles.

use std::fmt;
use std::str::FromStr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

use super::consensus::Answer;

/// Text, JSON and database columns of an enum that has `ALL` and `as_str`.
macro_rules! database_names {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|v| v.as_str() == text)
                    .ok_or_else(|| {
                        let names: Vec<&str> = Self::ALL.iter().map(|v| v.as_str()).collect();
                        format!("`{text}` is none of {}", names.join(", "))
                    })
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value
                    .as_str()?
                    .parse()
                    .map_err(|e: String| FromSqlError::Other(e.into()))
            }
        }
    };
}

/// An enum whose variants have one name each, in JSON, in the database and on the command line.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        database_names!($name);
    };
}

/// The names of [`Answer`], which belongs to the consensus.
impl Answer {
    /// All of them, in order.
    pub const ALL: &'static [Self] = &[Self::Yes, Self::No, Self::Unsure, Self::BadImage];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.label().unwrap_or("bad_image")
    }

    /// Whether it says yes; `None` where it says neither yes nor no.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::Unsure | Self::BadImage => None,
        }
    }
}

database_names!(Answer);

named! {
    /// Why a task was offered.
    Stream {
        /// Gold with feedback, before anything else.
        Training = "training",
        /// Gold without feedback, unannounced.
        Control = "control",
        /// Where an answer tells most.
        Priority = "priority",
        /// The random sample that counts rest on.
        Probability = "probability",
        /// Contested, for experts.
        Expert = "expert",
        /// Answered elsewhere.
        Import = "import",
    }
}

named! {
    /// What is decided about a place.
    Status {
        /// Nothing yet.
        Unverified = "unverified",
        /// It is what the detector said.
        Confirmed = "confirmed",
        /// It is not.
        Rejected = "rejected",
        /// The votes do not agree: for an expert.
        Contested = "contested",
        /// No picture shows the place well enough.
        ImageryProblem = "imagery_problem",
    }
}

named! {
    /// Who decided.
    DecidedBy {
        /// The votes of volunteers.
        Consensus = "consensus",
        /// An expert.
        Expert = "expert",
    }
}

named! {
    /// What a member may do. Each may do all that the one before may.
    Role {
        /// Answers.
        Volunteer = "volunteer",
        /// Decides contested places, sets gold.
        Expert = "expert",
        /// Manages members, voids votes, makes backups.
        Admin = "admin",
    }
}

named! {
    /// What a task asks about.
    TaskKind {
        /// A site of a run.
        Site = "site",
        /// A detection below the score that makes a site.
        Below = "below",
        /// Ground on which nothing was detected.
        Empty = "empty",
    }
}

named! {
    /// How much of the surroundings a chip shows.
    View {
        /// The place.
        Close = "close",
        /// The place and its surroundings.
        Context = "context",
    }
}

named! {
    /// What gold is used for.
    GoldPurpose {
        /// Shown first, with the right answer.
        Training = "training",
        /// Mixed in unannounced.
        Control = "control",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        assert_eq!(
            serde_json::to_string(&Answer::BadImage).unwrap(),
            "\"bad_image\""
        );
        assert_eq!("bad_image".parse(), Ok(Answer::BadImage));
        assert_eq!(Status::ImageryProblem.to_string(), "imagery_problem");
        assert!(Role::Admin > Role::Expert && Role::Expert > Role::Volunteer);
        assert_eq!(
            "maybe".parse::<Answer>().unwrap_err(),
            "`maybe` is none of yes, no, unsure, bad_image"
        );
    }
}

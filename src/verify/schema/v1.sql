-- A verification project, version 1.
-- Four kinds of tables: what was asked (from runs), who takes part, the log of all that happened, and what follows
-- from the log. The last can be dropped and built again at any time (`kilnsight verify replay`).

-- What was asked -----------------------------------------------------------------------------------------------

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE question_set (
    version    INTEGER PRIMARY KEY,
    body       TEXT NOT NULL, -- JSON
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE wave ( -- the tasks that one run brought
    number   INTEGER PRIMARY KEY,
    run      TEXT NOT NULL,
    model    TEXT NOT NULL,
    added_at TEXT NOT NULL
) STRICT;

CREATE TABLE stratum ( -- the population that the probability sample of a wave was drawn from
    wave       INTEGER NOT NULL REFERENCES wave (number),
    name       TEXT NOT NULL,
    low        REAL NOT NULL,
    high       REAL NOT NULL,
    population INTEGER NOT NULL,
    sampled    INTEGER NOT NULL,
    PRIMARY KEY (wave, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    id            TEXT PRIMARY KEY, -- 128 random bits
    number        INTEGER NOT NULL UNIQUE,
    wave          INTEGER NOT NULL REFERENCES wave (number),
    kind          TEXT NOT NULL CHECK (kind IN ('site', 'below', 'empty')),
    site_id       TEXT NOT NULL UNIQUE,
    class         TEXT NOT NULL,
    type          TEXT,
    score         REAL NOT NULL,
    lon           REAL NOT NULL,
    lat           REAL NOT NULL,
    outline       TEXT NOT NULL, -- JSON: [lon, lat] round it
    cluster_id    TEXT,
    first_seen    TEXT,
    last_seen     TEXT,
    stratum       TEXT NOT NULL,
    inclusion     REAL,    -- probability of being in the sample; NULL: not in it
    sample_order  INTEGER, -- random order within the sample
    area_priority REAL NOT NULL,
    jitter        REAL NOT NULL -- breaks ties by chance, 0 to 1
) STRICT, WITHOUT ROWID;
CREATE INDEX task_cluster ON task (cluster_id) WHERE cluster_id IS NOT NULL;

CREATE TABLE known_as ( -- ids that later runs gave to sites that have a task already
    site_id TEXT PRIMARY KEY,
    task    TEXT NOT NULL REFERENCES task (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE source ( -- scenes that chips come from; never shown to volunteers
    number  INTEGER PRIMARY KEY,
    scene   TEXT NOT NULL,
    path    TEXT NOT NULL,
    content TEXT NOT NULL,
    date    TEXT,
    UNIQUE (path, content)
) STRICT;

CREATE TABLE chip (
    id         TEXT PRIMARY KEY, -- 128 random bits
    task       TEXT NOT NULL REFERENCES task (id),
    source     INTEGER NOT NULL REFERENCES source (number),
    rank       INTEGER NOT NULL, -- which look at the place: 0 is what the detector saw
    view       TEXT NOT NULL CHECK (view IN ('close', 'context')),
    media_type TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    gsd_m      REAL NOT NULL,
    outline    TEXT NOT NULL, -- JSON: [x, y] in pixels of the chip
    sha256     TEXT NOT NULL,
    bytes      BLOB NOT NULL,
    UNIQUE (task, source, view)
) STRICT;
CREATE INDEX chip_task ON chip (task, rank, view);

-- Who takes part -----------------------------------------------------------------------------------------------

CREATE TABLE member (
    id            TEXT PRIMARY KEY, -- 128 random bits
    voter         TEXT NOT NULL UNIQUE, -- what the log knows them by; goes with this row when they leave
    name          TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('volunteer', 'expert', 'admin')),
    password_hash TEXT,
    joined_at     TEXT NOT NULL,
    blocked       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX member_login ON member (name) WHERE password_hash IS NOT NULL;

CREATE TABLE token ( -- SHA-256 of secrets; the secrets are nowhere
    hash       BLOB PRIMARY KEY,
    kind       TEXT NOT NULL,
    member     TEXT REFERENCES member (id) ON DELETE CASCADE,
    note       TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_member ON token (member, kind);

CREATE TABLE lease ( -- a task given to a volunteer; held until answered or expired
    task       TEXT NOT NULL REFERENCES task (id),
    voter      TEXT NOT NULL,
    pack       TEXT NOT NULL,
    position   INTEGER NOT NULL,
    stream     TEXT NOT NULL CHECK (stream IN ('training', 'control', 'priority', 'probability', 'expert')),
    offered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    answered   INTEGER NOT NULL DEFAULT 0,
    held       INTEGER NOT NULL DEFAULT 1, -- neither answered nor, as far as was looked, expired
    PRIMARY KEY (task, voter)
) STRICT, WITHOUT ROWID;
CREATE INDEX lease_voter ON lease (voter, answered, expires_at);
CREATE INDEX lease_held ON lease (expires_at) WHERE held = 1;

CREATE TABLE offer ( -- tasks that may be given to somebody now: fewer hold them than votes are needed
    task    TEXT PRIMARY KEY REFERENCES task (id),
    sampled INTEGER NOT NULL,
    started INTEGER NOT NULL,
    place   REAL NOT NULL -- the smallest comes first: order within the sample, or less than nothing by priority
) STRICT, WITHOUT ROWID;
CREATE INDEX offer_order ON offer (sampled, started DESC, place);

-- What happened ------------------------------------------------------------------------------------------------

CREATE TABLE event (
    seq  INTEGER PRIMARY KEY,
    at   TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL, -- canonical JSON
    hash TEXT NOT NULL  -- SHA-256 of the previous hash and this row
) STRICT;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event BEGIN SELECT raise(ABORT, 'the log is append-only'); END;
CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event BEGIN SELECT raise(ABORT, 'the log is append-only'); END;

-- What follows from the log ------------------------------------------------------------------------------------

CREATE TABLE receipt ( -- every id a client ever sent: sending it again changes nothing
    voter TEXT NOT NULL,
    id    TEXT NOT NULL,
    seq   INTEGER NOT NULL,
    task  TEXT NOT NULL,
    PRIMARY KEY (voter, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE vote ( -- one per task and volunteer
    task             TEXT NOT NULL REFERENCES task (id),
    voter            TEXT NOT NULL,
    id               TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    at               TEXT NOT NULL,
    answer           TEXT NOT NULL CHECK (answer IN ('yes', 'no', 'unsure', 'bad_image')),
    rank             INTEGER NOT NULL, -- which look at the place it was given on
    stream           TEXT NOT NULL,
    question_version INTEGER NOT NULL,
    milliseconds     INTEGER,
    weight           REAL NOT NULL,    -- less where the answer came too fast
    verified         INTEGER NOT NULL, -- whether the volunteer had finished the training
    state            TEXT NOT NULL CHECK (state IN ('counted', 'withdrawn', 'void')),
    PRIMARY KEY (task, voter)
) STRICT, WITHOUT ROWID;
CREATE INDEX vote_voter ON vote (voter);

CREATE TABLE voter ( -- what the votes of a volunteer tell about their answers
    voter           TEXT PRIMARY KEY,
    votes           INTEGER NOT NULL DEFAULT 0,
    training        INTEGER NOT NULL DEFAULT 0,
    fast            INTEGER NOT NULL DEFAULT 0,
    controls        INTEGER NOT NULL DEFAULT 0,
    controls_right  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE gold (
    task    TEXT PRIMARY KEY REFERENCES task (id),
    answer  TEXT NOT NULL CHECK (answer IN ('yes', 'no')),
    purpose TEXT NOT NULL CHECK (purpose IN ('training', 'control')),
    note    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX gold_purpose ON gold (purpose);

CREATE TABLE batch ( -- the last estimate of all confusion matrices
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    seq     INTEGER NOT NULL,
    through INTEGER NOT NULL, -- votes up to this event
    pending INTEGER,          -- verdicts from this number of a task on do not rest on it yet; NULL: all do
    body    TEXT NOT NULL     -- JSON: the crowd, and the rule that follows from the controls
) STRICT;

CREATE TABLE cluster_tally ( -- how far a cluster is
    cluster_id TEXT PRIMARY KEY,
    members    INTEGER NOT NULL,
    decided    INTEGER NOT NULL DEFAULT 0, -- confirmed or rejected
    contested  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict ( -- one per task
    task              TEXT PRIMARY KEY REFERENCES task (id),
    sampled           INTEGER NOT NULL,
    yes               INTEGER NOT NULL DEFAULT 0,
    no                INTEGER NOT NULL DEFAULT 0,
    unsure            INTEGER NOT NULL DEFAULT 0,
    bad               INTEGER NOT NULL DEFAULT 0,
    p_votes           REAL,
    p_combined        REAL,
    status            TEXT NOT NULL DEFAULT 'unverified'
                      CHECK (status IN ('unverified', 'confirmed', 'rejected', 'contested', 'imagery_problem')),
    decided_by        TEXT CHECK (decided_by IN ('consensus', 'expert')),
    decided_at        TEXT,
    consensus_version TEXT,
    rank              INTEGER NOT NULL DEFAULT 0, -- which look at the place is asked about
    needed            INTEGER NOT NULL, -- votes still to collect
    started           INTEGER NOT NULL DEFAULT 0,
    priority          REAL NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX verdict_open ON verdict (sampled) WHERE needed > 0;
CREATE INDEX verdict_contested ON verdict (priority DESC) WHERE status = 'contested';
CREATE INDEX verdict_status ON verdict (status);

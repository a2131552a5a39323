-- The ledger of a scan, version 3. Positions are in model pixels of the chip they were found in.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scene (
    number      INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL -- JSON: path, size, georeference, bands, radiometry
) STRICT;

CREATE TABLE chip (
    scene  INTEGER NOT NULL REFERENCES scene (number),
    chip   INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('scanned', 'screened', 'nodata', 'cloud', 'failed')), -- screened: dropped by the screen
    screen_score REAL, -- what the screen gave it; NULL: it did not see it
    cells  BLOB, -- cells of the core, row by row: 0 not measured, 1 seen, 2 under cloud; NULL: all as the status says
    reason TEXT, -- why it failed
    PRIMARY KEY (scene, chip)
) STRICT, WITHOUT ROWID;

CREATE TABLE detection (
    scene        INTEGER NOT NULL,
    chip         INTEGER NOT NULL,
    n            INTEGER NOT NULL, -- order within the chip, best first
    class        INTEGER NOT NULL,
    score        REAL NOT NULL,
    x            REAL NOT NULL,
    y            REAL NOT NULL,
    length       REAL NOT NULL,
    width        REAL NOT NULL,
    angle        REAL NOT NULL, -- radians from +x towards +y
    class_scores TEXT NOT NULL, -- JSON array
    type_scores  TEXT NOT NULL, -- JSON array, empty where the model tells no types
    border       INTEGER NOT NULL,
    cloud        REAL, -- share of the box under cloud; NULL: no cloud mask
    cloud_class  TEXT, -- of most of that: 'cloud', 'thin' or 'shadow'
    outline      TEXT, -- JSON: rings of [x, y], the outer one first; NULL: the box says it all
    PRIMARY KEY (scene, chip, n)
) STRICT, WITHOUT ROWID;

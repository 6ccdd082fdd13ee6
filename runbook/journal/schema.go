package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// schemaVersion is the number of the last element of schema.
const schemaVersion = 5

// schema holds the statements that lead from one version to the next. BLOB,
// TIME and JSON stand for the engine's own types. On SQLite times are text in
// UTC with six decimals, so that they sort.
//
// runs.body is the whole run as JSON; the columns beside it are copies for
// queries, except version, shown, channel and ts, which are the truth. A plan
// that lists many entries has its lists in plans, once for each generation, and
// none in the body.
var schema = [schemaVersion]string{`
CREATE TABLE runs (
	id         TEXT PRIMARY KEY,
	target     TEXT NOT NULL,
	resource   TEXT NOT NULL,
	state      TEXT NOT NULL,
	generation INTEGER NOT NULL,
	version    BIGINT NOT NULL,
	shown      BIGINT NOT NULL,
	requester  TEXT NOT NULL,
	ticket     TEXT NOT NULL,
	reason     TEXT NOT NULL,
	verdict    TEXT NOT NULL,
	digest     TEXT NOT NULL,
	created_at TIME,
	expires_at TIME,
	next_at    TIME,
	ended_at   TIME,
	channel    TEXT NOT NULL,
	ts         TEXT NOT NULL,
	reminder   TEXT NOT NULL DEFAULT '', -- messages in the thread
	evidence   TEXT NOT NULL DEFAULT '',
	holds      INTEGER NOT NULL,
	body       JSON NOT NULL
);
CREATE UNIQUE INDEX runs_one_holder ON runs (resource) WHERE holds = 1;
CREATE INDEX runs_newest ON runs (created_at);
CREATE INDEX runs_due ON runs (next_at) WHERE next_at IS NOT NULL;
CREATE TABLE decisions (
	run_id     TEXT NOT NULL REFERENCES runs (id),
	generation INTEGER NOT NULL,
	actor      TEXT NOT NULL,
	name       TEXT NOT NULL,
	kind       TEXT NOT NULL,
	reason     TEXT NOT NULL,
	via        TEXT NOT NULL,
	at         TIME,
	UNIQUE (run_id, generation, actor, kind)
);
CREATE TABLE audit (
	seq    BIGINT PRIMARY KEY,
	at     TEXT NOT NULL,
	actor  TEXT NOT NULL,
	kind   TEXT NOT NULL,
	run    TEXT NOT NULL,
	target TEXT NOT NULL,
	ticket TEXT NOT NULL,
	reason TEXT NOT NULL,
	digest TEXT NOT NULL,
	detail TEXT NOT NULL,
	keyed  INTEGER NOT NULL,
	prev   TEXT NOT NULL,
	hash   TEXT NOT NULL
);
CREATE INDEX audit_run ON audit (run);
CREATE TABLE audit_head (id INTEGER PRIMARY KEY, seq BIGINT NOT NULL, hash TEXT NOT NULL);
INSERT INTO audit_head VALUES (1, 0, '');
CREATE TABLE snapshots (
	run_id   TEXT NOT NULL REFERENCES runs (id),
	seq      INTEGER NOT NULL,
	name     TEXT NOT NULL,
	shard    TEXT NOT NULL,
	type     TEXT NOT NULL,
	bytes    BIGINT NOT NULL,
	ttl_ms   BIGINT NOT NULL,
	taken_at TIME,
	sealed   INTEGER NOT NULL,
	payload  BLOB NOT NULL,
	sha      TEXT NOT NULL,
	fate     TEXT NOT NULL,
	PRIMARY KEY (run_id, seq)
);
CREATE INDEX snapshots_name ON snapshots (run_id, name, shard);
CREATE TABLE sightings (
	target     TEXT NOT NULL,
	thumbprint TEXT NOT NULL,
	kid        TEXT NOT NULL,
	first_seen TIME,
	last_seen  TIME,
	settled    INTEGER NOT NULL DEFAULT 0, -- 1: the rotation watcher has nothing to say about it
	PRIMARY KEY (target, thumbprint, kid)
);
CREATE TABLE holder (id INTEGER PRIMARY KEY, epoch BIGINT NOT NULL, name TEXT NOT NULL, since TIME);
INSERT INTO holder VALUES (1, 0, '', NULL);
`, `
CREATE TABLE locks (
	resource TEXT PRIMARY KEY, -- one run has it to itself
	run_id   TEXT NOT NULL REFERENCES runs (id)
);
CREATE INDEX locks_run ON locks (run_id);
INSERT INTO locks SELECT resource, id FROM runs WHERE holds = 1;
DROP INDEX runs_one_holder;
CREATE TABLE audit_stream (id INTEGER PRIMARY KEY, seq BIGINT NOT NULL); -- up to where the trail was copied to the log
INSERT INTO audit_stream VALUES (1, 0);
CREATE TABLE petitions (
	id          TEXT PRIMARY KEY,
	body        JSON NOT NULL,
	proof       TEXT NOT NULL, -- of who asks; '' once it was looked at
	asked_at    TIME,
	taken_at    TIME,
	answered_at TIME,
	answer      JSON
);
CREATE INDEX petitions_open ON petitions (asked_at) WHERE taken_at IS NULL;
`, `
ALTER TABLE petitions ADD COLUMN taken_epoch BIGINT; -- of the executor that has it
ALTER TABLE petitions ADD COLUMN takes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE petitions ADD COLUMN run TEXT; -- what was created or changed for it
DROP INDEX petitions_open;
CREATE INDEX petitions_open ON petitions (asked_at) WHERE answer IS NULL;
CREATE TABLE arrivals (state TEXT PRIMARY KEY, runs BIGINT NOT NULL); -- how many runs have come to a state, ever
INSERT INTO arrivals SELECT state, count(*) FROM runs GROUP BY state;
`, `
CREATE TABLE directory (
	subject TEXT PRIMARY KEY, -- id of a person or a user group
	answer  JSON NOT NULL, -- what the workspace said of it last
	said_at TIME
);
CREATE TABLE refusals (
	fold    TEXT PRIMARY KEY, -- what is the same: who, what, where, why
	entry   JSON NOT NULL, -- the row of the trail that stands for all
	since   TIME,
	last_at TIME,
	more    BIGINT NOT NULL -- that have no row
);
`, `
CREATE TABLE plans (
	run_id     TEXT NOT NULL REFERENCES runs (id),
	generation INTEGER NOT NULL,
	body       JSON NOT NULL, -- the lists of a plan of many entries
	PRIMARY KEY (run_id, generation)
);
`}

// migrate brings the tables to schemaVersion. It begins a writing transaction
// in any case, so that a journal that cannot be written is noticed at once.
func (j *Journal) migrate(ctx context.Context, db *sql.DB) error {
	err := j.writeTo(ctx, db, "open", func(t *tx) error {
		if j.pool != nil { // two replicas may start on an empty database together
			if _, err := t.exec(ctx, `SELECT pg_advisory_xact_lock(?)`, lockKey+1); err != nil {
				return err
			}
		}
		version, err := t.version(ctx)
		if err != nil {
			return err
		}
		if version > schemaVersion {
			return fmt.Errorf("it was written by a newer jwksbot (schema %d; this one knows %d); use that version or another journal", version, schemaVersion)
		}
		if version == schemaVersion {
			return errUnchanged
		}
		switch {
		case j.lookOnly && version == 0:
			return ErrNotYet
		case j.lookOnly:
			return ErrOlder
		}
		return t.upgrade(ctx, version)
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// version reads the schema's version; 0 for an empty database.
func (t *tx) version(ctx context.Context) (int, error) {
	find := `SELECT count(*) FROM sqlite_master WHERE name = 'journal_schema'`
	if t.j.pool != nil {
		find = `SELECT count(to_regclass('journal_schema'))`
	}
	var known int
	if err := t.row(ctx, find).Scan(&known); err != nil {
		return 0, err
	}
	if known == 0 && t.j.pool == nil {
		return 0, t.empty(ctx)
	}
	if known == 0 {
		return 0, nil
	}
	var version int
	err := t.row(ctx, `SELECT version FROM journal_schema`).Scan(&version)
	return version, err
}

// empty refuses an SQLite file that holds something else.
func (t *tx) empty(ctx context.Context) error {
	var table string
	err := t.row(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 1`).Scan(&table)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("it is the database of another program (table %q); name another path", table)
}

func (t *tx) upgrade(ctx context.Context, from int) error {
	types := strings.NewReplacer(" TIME", " TEXT")
	if t.j.pool != nil {
		types = strings.NewReplacer(" TIME", " TIMESTAMPTZ", " BLOB", " BYTEA")
	}
	statements := []string{`CREATE TABLE IF NOT EXISTS journal_schema (version INTEGER NOT NULL)`}
	for _, step := range schema[from:] {
		statements = append(statements, strings.Split(types.Replace(step), ";\n")...)
	}
	statements = append(statements, `DELETE FROM journal_schema`,
		fmt.Sprintf(`INSERT INTO journal_schema VALUES (%d)`, schemaVersion))
	for _, s := range statements {
		if strings.TrimSpace(s) == "" {
			continue
		}
		if _, err := t.exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

-- The whole D1 schema. Every statement can be run again: the local server and `npm run deploy` apply it as it is.
-- Instants are INTEGER milliseconds UTC unless the column says otherwise; `project` is projects.number everywhere.

-- One row: who pays.
CREATE TABLE IF NOT EXISTS accounts (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  plan       TEXT NOT NULL CHECK (plan IN ('free', 'pro', 'business')),
  status     TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: one app or site whose events are counted. `number` keys the event tables, `id` is what callers see.
CREATE TABLE IF NOT EXISTS projects (
  number          INTEGER PRIMARY KEY,
  id              TEXT NOT NULL UNIQUE,
  account_id      TEXT NOT NULL REFERENCES accounts (id),
  slug            TEXT NOT NULL CHECK (length(slug) BETWEEN 1 AND 64),
  name            TEXT NOT NULL,
  status          TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deleted')),
  allowed_origins TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(allowed_origins)),
  created_at      INTEGER NOT NULL,
  UNIQUE (account_id, slug)
) STRICT;

-- One row: one credential, and the truth about it; KV holds a copy to authenticate from. Never the secret itself.
CREATE TABLE IF NOT EXISTS api_keys (
  id             TEXT PRIMARY KEY,
  kind           TEXT NOT NULL CHECK (kind IN ('pk', 'sk', 'rk', 'ak')),
  env            TEXT NOT NULL CHECK (env IN ('live', 'test')),
  prefix         TEXT NOT NULL UNIQUE CHECK (length(prefix) = 8),
  last4          TEXT NOT NULL CHECK (length(last4) = 4),
  digest         TEXT NOT NULL CHECK (length(digest) = 64),
  pepper_version INTEGER NOT NULL,
  account_id     TEXT NOT NULL REFERENCES accounts (id),
  project        INTEGER REFERENCES projects (number),
  label          TEXT NOT NULL DEFAULT '',
  status         TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'revoked')),
  expires_at     INTEGER,                       -- milliseconds; NULL = never
  rotated_to     TEXT REFERENCES api_keys (id),
  version        INTEGER NOT NULL DEFAULT 1,    -- rises with every change, so that a stale KV copy can be told
  created_at     INTEGER NOT NULL,
  revoked_at     INTEGER,
  last_used_at   INTEGER,
  CHECK ((kind = 'ak') = (project IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS api_keys_of_account ON api_keys (account_id);

-- One row: one record of KV whose original here has changed and that is still to be written there (src/storage/kv_copies.py);
-- `change` is another one with every change.
CREATE TABLE IF NOT EXISTS kv_pending (
  name   TEXT PRIMARY KEY,
  change TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: a person was erased from a project, up to an instant, and this database has done it. `person` is a keyed hash; KV holds
-- the same as a tombstone that no restore of this database takes back, and one that has no row here is carried out again
-- (src/storage/erasures.py). `pending`: the tombstone is still to be written.
CREATE TABLE IF NOT EXISTS erasures (
  project   INTEGER NOT NULL,
  person    TEXT NOT NULL,
  anonymous INTEGER NOT NULL CHECK (anonymous IN (0, 1)),
  at        INTEGER NOT NULL,
  pending   INTEGER NOT NULL CHECK (pending IN (0, 1)),
  PRIMARY KEY (project, person, anonymous)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS erasures_by_time ON erasures (at);
CREATE INDEX IF NOT EXISTS erasures_pending ON erasures (pending, at) WHERE pending = 1;

-- One row: an operator asked that every erasure be carried out again, because this database was restored.
CREATE TABLE IF NOT EXISTS replays_asked (
  asked_at INTEGER PRIMARY KEY
) STRICT;

-- One row: one text that events of a project repeat (an event name, a source, a path …). kinds: src/storage/dictionary.py
CREATE TABLE IF NOT EXISTS dictionary (
  id      INTEGER PRIMARY KEY,
  project INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  value   TEXT NOT NULL,
  UNIQUE (project, kind, value)
) STRICT;

-- One row: the events of one ingest request, acknowledged and not yet folded (src/storage/fold.py). `grouped` is 0 for
-- a single event, whose `identity` then makes a resend collide, and 1 for several; `body` is a JSON array of so many `events`,
-- of which so many are `untimed` (see arrivals). `texts` and `people` hold once what the events repeat (src/storage/inbox.py).
CREATE TABLE IF NOT EXISTS inbox (
  project   INTEGER NOT NULL,
  grouped   INTEGER NOT NULL,
  identity  TEXT NOT NULL,
  events    INTEGER NOT NULL,
  untimed   INTEGER NOT NULL,
  latest_ts INTEGER NOT NULL,
  texts     TEXT NOT NULL,
  people    TEXT NOT NULL,
  body      TEXT NOT NULL,
  PRIMARY KEY (project, grouped, identity)
) STRICT, WITHOUT ROWID;

-- One row: how often a project was folded (events carry the number of the fold that stored them), and the latest `ts`
-- ever folded: a window that ends after it holds all of its last day.
CREATE TABLE IF NOT EXISTS folds (
  project   INTEGER PRIMARY KEY,
  fold      INTEGER NOT NULL,
  latest_ts INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row: the first UTC day of a project that retention has left. Earlier days are gone, or about to go; events that
-- arrive for them are acknowledged and not stored, and tier 1 counts nobody's gap across it (src/storage/purge.py).
CREATE TABLE IF NOT EXISTS retention (
  project   INTEGER PRIMARY KEY,
  first_day INTEGER NOT NULL
) STRICT;

-- Tier 3. One row: one event. The key is the de-duplication: same project, name, visitor, time and event_id = same event.
-- `day` is the UTC day of `ts`. `visitor` and `event` are the 63-bit keys of anonymous_id and event_id, and these two columns
-- what brings the texts back (src/storage/ids.py). `name` to `site` are dictionary ids, NULL where absent. The URL is site,
-- path and `tail`; it and the referrer are shortened (src/storage/addresses.py). NULL for a default: `session_id` of the
-- visitor's half hour, `properties` `{}`. `ip_high` and `ip_low` are the two halves of ip_hash; `origin` is a number of
-- src/storage/inbox.py; `delay_ms` is how long after `ts` the event arrived.
CREATE TABLE IF NOT EXISTS events (
  project      INTEGER NOT NULL,
  day          INTEGER NOT NULL,
  name         INTEGER NOT NULL,
  visitor      INTEGER NOT NULL,
  ts           INTEGER NOT NULL,
  event        INTEGER NOT NULL,
  source       INTEGER NOT NULL,
  medium       INTEGER NOT NULL,
  campaign     INTEGER,
  country      INTEGER NOT NULL,
  device_type  INTEGER NOT NULL,
  browser      INTEGER NOT NULL,
  os           INTEGER NOT NULL,
  path         INTEGER,
  rule         INTEGER NOT NULL,
  site         INTEGER,
  fold         INTEGER NOT NULL,
  anonymous_id ANY NOT NULL,
  event_id     ANY NOT NULL,
  user_id      TEXT,
  session_id   TEXT,
  tail         TEXT,
  referrer     TEXT,
  properties   TEXT,
  ip_high      INTEGER,
  ip_low       INTEGER,
  origin       INTEGER NOT NULL,
  delay_ms     INTEGER NOT NULL,
  PRIMARY KEY (project, day, name, visitor, ts, event)
) STRICT, WITHOUT ROWID;

-- Tier 2. One row: one visitor on one day with one combination of these columns, and how many events. 0 = no campaign.
CREATE TABLE IF NOT EXISTS visitor_days (
  project     INTEGER NOT NULL,
  visitor     INTEGER NOT NULL,
  day         INTEGER NOT NULL,
  source      INTEGER NOT NULL,
  medium      INTEGER NOT NULL,
  campaign    INTEGER NOT NULL,
  country     INTEGER NOT NULL,
  device_type INTEGER NOT NULL,
  browser     INTEGER NOT NULL,
  os          INTEGER NOT NULL,
  events      INTEGER NOT NULL,
  PRIMARY KEY (project, visitor, day, source, medium, campaign, country, device_type, browser, os)
) STRICT, WITHOUT ROWID;

-- Tier 1. One row: one day of one value of one column (`kind`; `a`, and `b` for pairs, are dictionary ids, 0 = none).
-- t<k> = visitors of that day and value who had not been seen with it in the k days before: uniques over days a to b are
-- the sum of t<day - a> over the days. docs/decisions/0010-exact-uniques.md proves it.
CREATE TABLE IF NOT EXISTS daily (
  project INTEGER NOT NULL, kind INTEGER NOT NULL, day INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
  events INTEGER NOT NULL,
  t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, t2 INTEGER NOT NULL, t3 INTEGER NOT NULL,
  t4 INTEGER NOT NULL, t5 INTEGER NOT NULL, t6 INTEGER NOT NULL, t7 INTEGER NOT NULL,
  t8 INTEGER NOT NULL, t9 INTEGER NOT NULL, t10 INTEGER NOT NULL, t11 INTEGER NOT NULL,
  t12 INTEGER NOT NULL, t13 INTEGER NOT NULL, t14 INTEGER NOT NULL, t15 INTEGER NOT NULL,
  t16 INTEGER NOT NULL, t17 INTEGER NOT NULL, t18 INTEGER NOT NULL, t19 INTEGER NOT NULL,
  t20 INTEGER NOT NULL, t21 INTEGER NOT NULL, t22 INTEGER NOT NULL, t23 INTEGER NOT NULL,
  t24 INTEGER NOT NULL, t25 INTEGER NOT NULL, t26 INTEGER NOT NULL, t27 INTEGER NOT NULL,
  t28 INTEGER NOT NULL, t29 INTEGER NOT NULL, t30 INTEGER NOT NULL, t31 INTEGER NOT NULL,
  t32 INTEGER NOT NULL, t33 INTEGER NOT NULL, t34 INTEGER NOT NULL, t35 INTEGER NOT NULL,
  t36 INTEGER NOT NULL, t37 INTEGER NOT NULL, t38 INTEGER NOT NULL, t39 INTEGER NOT NULL,
  t40 INTEGER NOT NULL, t41 INTEGER NOT NULL, t42 INTEGER NOT NULL, t43 INTEGER NOT NULL,
  t44 INTEGER NOT NULL, t45 INTEGER NOT NULL, t46 INTEGER NOT NULL, t47 INTEGER NOT NULL,
  t48 INTEGER NOT NULL, t49 INTEGER NOT NULL, t50 INTEGER NOT NULL, t51 INTEGER NOT NULL,
  t52 INTEGER NOT NULL, t53 INTEGER NOT NULL, t54 INTEGER NOT NULL, t55 INTEGER NOT NULL,
  t56 INTEGER NOT NULL, t57 INTEGER NOT NULL, t58 INTEGER NOT NULL, t59 INTEGER NOT NULL,
  t60 INTEGER NOT NULL, t61 INTEGER NOT NULL, t62 INTEGER NOT NULL, t63 INTEGER NOT NULL,
  t64 INTEGER NOT NULL, t65 INTEGER NOT NULL, t66 INTEGER NOT NULL, t67 INTEGER NOT NULL,
  t68 INTEGER NOT NULL, t69 INTEGER NOT NULL, t70 INTEGER NOT NULL, t71 INTEGER NOT NULL,
  t72 INTEGER NOT NULL, t73 INTEGER NOT NULL, t74 INTEGER NOT NULL, t75 INTEGER NOT NULL,
  t76 INTEGER NOT NULL, t77 INTEGER NOT NULL, t78 INTEGER NOT NULL, t79 INTEGER NOT NULL,
  t80 INTEGER NOT NULL, t81 INTEGER NOT NULL, t82 INTEGER NOT NULL, t83 INTEGER NOT NULL,
  t84 INTEGER NOT NULL, t85 INTEGER NOT NULL, t86 INTEGER NOT NULL, t87 INTEGER NOT NULL,
  t88 INTEGER NOT NULL, t89 INTEGER NOT NULL, t90 INTEGER NOT NULL, t91 INTEGER NOT NULL,
  PRIMARY KEY (project, kind, day, a, b)
) STRICT, WITHOUT ROWID;

-- Tier 1, eight days in one row: what the rows of days 8 * octet to 8 * octet + 7 of `daily` add up to (src/storage/octets.py).
-- t<k> = visitors of those days and that value who had not been seen with it in the k days before the first of them.
-- An octet counts while its row of kind 0 is here.
CREATE TABLE IF NOT EXISTS eight_days (
  project INTEGER NOT NULL, kind INTEGER NOT NULL, octet INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
  events INTEGER NOT NULL,
  t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, t2 INTEGER NOT NULL, t3 INTEGER NOT NULL,
  t4 INTEGER NOT NULL, t5 INTEGER NOT NULL, t6 INTEGER NOT NULL, t7 INTEGER NOT NULL,
  t8 INTEGER NOT NULL, t9 INTEGER NOT NULL, t10 INTEGER NOT NULL, t11 INTEGER NOT NULL,
  t12 INTEGER NOT NULL, t13 INTEGER NOT NULL, t14 INTEGER NOT NULL, t15 INTEGER NOT NULL,
  t16 INTEGER NOT NULL, t17 INTEGER NOT NULL, t18 INTEGER NOT NULL, t19 INTEGER NOT NULL,
  t20 INTEGER NOT NULL, t21 INTEGER NOT NULL, t22 INTEGER NOT NULL, t23 INTEGER NOT NULL,
  t24 INTEGER NOT NULL, t25 INTEGER NOT NULL, t26 INTEGER NOT NULL, t27 INTEGER NOT NULL,
  t28 INTEGER NOT NULL, t29 INTEGER NOT NULL, t30 INTEGER NOT NULL, t31 INTEGER NOT NULL,
  t32 INTEGER NOT NULL, t33 INTEGER NOT NULL, t34 INTEGER NOT NULL, t35 INTEGER NOT NULL,
  t36 INTEGER NOT NULL, t37 INTEGER NOT NULL, t38 INTEGER NOT NULL, t39 INTEGER NOT NULL,
  t40 INTEGER NOT NULL, t41 INTEGER NOT NULL, t42 INTEGER NOT NULL, t43 INTEGER NOT NULL,
  t44 INTEGER NOT NULL, t45 INTEGER NOT NULL, t46 INTEGER NOT NULL, t47 INTEGER NOT NULL,
  t48 INTEGER NOT NULL, t49 INTEGER NOT NULL, t50 INTEGER NOT NULL, t51 INTEGER NOT NULL,
  t52 INTEGER NOT NULL, t53 INTEGER NOT NULL, t54 INTEGER NOT NULL, t55 INTEGER NOT NULL,
  t56 INTEGER NOT NULL, t57 INTEGER NOT NULL, t58 INTEGER NOT NULL, t59 INTEGER NOT NULL,
  t60 INTEGER NOT NULL, t61 INTEGER NOT NULL, t62 INTEGER NOT NULL, t63 INTEGER NOT NULL,
  t64 INTEGER NOT NULL, t65 INTEGER NOT NULL, t66 INTEGER NOT NULL, t67 INTEGER NOT NULL,
  t68 INTEGER NOT NULL, t69 INTEGER NOT NULL, t70 INTEGER NOT NULL, t71 INTEGER NOT NULL,
  t72 INTEGER NOT NULL, t73 INTEGER NOT NULL, t74 INTEGER NOT NULL, t75 INTEGER NOT NULL,
  t76 INTEGER NOT NULL, t77 INTEGER NOT NULL, t78 INTEGER NOT NULL, t79 INTEGER NOT NULL,
  t80 INTEGER NOT NULL, t81 INTEGER NOT NULL, t82 INTEGER NOT NULL, t83 INTEGER NOT NULL,
  t84 INTEGER NOT NULL,
  PRIMARY KEY (project, kind, octet, a, b)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS daily_rows_come AFTER INSERT ON daily
BEGIN
  DELETE FROM eight_days WHERE project = new.project AND kind = 0 AND octet = new.day / 8;
END;
CREATE TRIGGER IF NOT EXISTS daily_rows_change AFTER UPDATE ON daily
BEGIN
  DELETE FROM eight_days WHERE project = new.project AND kind = 0 AND octet = new.day / 8;
END;

-- Tier 1 for paths, which are too many to carry uniques. One row: eight paths of one site on eight days; `octet` is day / 8,
-- `paths` path / 8, and e<8p + d> how many events path 8 * paths + p had on day 8 * octet + d. 0 = events without.
CREATE TABLE IF NOT EXISTS path_counts (
  project INTEGER NOT NULL, octet INTEGER NOT NULL, paths INTEGER NOT NULL, site INTEGER NOT NULL,
  e0 INTEGER NOT NULL, e1 INTEGER NOT NULL, e2 INTEGER NOT NULL, e3 INTEGER NOT NULL,
  e4 INTEGER NOT NULL, e5 INTEGER NOT NULL, e6 INTEGER NOT NULL, e7 INTEGER NOT NULL,
  e8 INTEGER NOT NULL, e9 INTEGER NOT NULL, e10 INTEGER NOT NULL, e11 INTEGER NOT NULL,
  e12 INTEGER NOT NULL, e13 INTEGER NOT NULL, e14 INTEGER NOT NULL, e15 INTEGER NOT NULL,
  e16 INTEGER NOT NULL, e17 INTEGER NOT NULL, e18 INTEGER NOT NULL, e19 INTEGER NOT NULL,
  e20 INTEGER NOT NULL, e21 INTEGER NOT NULL, e22 INTEGER NOT NULL, e23 INTEGER NOT NULL,
  e24 INTEGER NOT NULL, e25 INTEGER NOT NULL, e26 INTEGER NOT NULL, e27 INTEGER NOT NULL,
  e28 INTEGER NOT NULL, e29 INTEGER NOT NULL, e30 INTEGER NOT NULL, e31 INTEGER NOT NULL,
  e32 INTEGER NOT NULL, e33 INTEGER NOT NULL, e34 INTEGER NOT NULL, e35 INTEGER NOT NULL,
  e36 INTEGER NOT NULL, e37 INTEGER NOT NULL, e38 INTEGER NOT NULL, e39 INTEGER NOT NULL,
  e40 INTEGER NOT NULL, e41 INTEGER NOT NULL, e42 INTEGER NOT NULL, e43 INTEGER NOT NULL,
  e44 INTEGER NOT NULL, e45 INTEGER NOT NULL, e46 INTEGER NOT NULL, e47 INTEGER NOT NULL,
  e48 INTEGER NOT NULL, e49 INTEGER NOT NULL, e50 INTEGER NOT NULL, e51 INTEGER NOT NULL,
  e52 INTEGER NOT NULL, e53 INTEGER NOT NULL, e54 INTEGER NOT NULL, e55 INTEGER NOT NULL,
  e56 INTEGER NOT NULL, e57 INTEGER NOT NULL, e58 INTEGER NOT NULL, e59 INTEGER NOT NULL,
  e60 INTEGER NOT NULL, e61 INTEGER NOT NULL, e62 INTEGER NOT NULL, e63 INTEGER NOT NULL,
  PRIMARY KEY (project, octet, paths, site)
) STRICT, WITHOUT ROWID;

-- One row: the newest events of a project by their keys, a JSON list of [ts, event, name, visitor]: all those from `since` on, and
-- perhaps others (src/storage/latest.py).
CREATE TABLE IF NOT EXISTS latest_events (
  project INTEGER PRIMARY KEY,
  since   INTEGER NOT NULL,
  keys    TEXT NOT NULL
) STRICT;

-- One row: a person (63-bit hash of user_id) was seen on a device. Finds the events of a person without reading all.
CREATE TABLE IF NOT EXISTS people (
  project INTEGER NOT NULL,
  person  INTEGER NOT NULL,
  visitor INTEGER NOT NULL,
  PRIMARY KEY (project, person, visitor)
) STRICT, WITHOUT ROWID;

-- One row: an event whose client named it but left out the time: when it first arrived, and in which request (`claim`);
-- the same event_id within 7 days is a resend.
CREATE TABLE IF NOT EXISTS arrivals (
  project INTEGER NOT NULL,
  event   INTEGER NOT NULL,
  ts      INTEGER NOT NULL,
  claim   TEXT NOT NULL,
  PRIMARY KEY (project, event)
) STRICT, WITHOUT ROWID;

-- One row: one thing that was done to keys, accounts or people's data, or refused: who, what, of what (src/access/audit.py).
-- Rows are added and never changed; they may go after 400 days. `entry` is drawn by the writer: the same entry is one row.
CREATE TABLE IF NOT EXISTS audit_entries (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  entry      TEXT NOT NULL UNIQUE,
  at         INTEGER NOT NULL,
  actor      TEXT NOT NULL,                     -- the id of a key, 'operator' or 'nobody'
  account_id TEXT NOT NULL,
  action     TEXT NOT NULL,
  target     TEXT NOT NULL,
  outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
  times      INTEGER NOT NULL,                  -- of what is refused again and again, the 1st, 10th, 100th … time
  request_id TEXT NOT NULL,
  address    TEXT NOT NULL                      -- a network (/24, /48), never an address
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_entries_are_not_changed BEFORE UPDATE ON audit_entries
BEGIN
  SELECT RAISE(ABORT, 'the audit log is insert-only');
END;
CREATE TRIGGER IF NOT EXISTS audit_entries_are_kept BEFORE DELETE ON audit_entries
WHEN old.at > (unixepoch() - 400 * 86400) * 1000
BEGIN
  SELECT RAISE(ABORT, 'the audit log is insert-only');
END;

-- One row: a SHA-256 over the entries up to `upto` that no earlier row covers, and over the row before, so that an entry
-- changed behind the triggers is noticed.
CREATE TABLE IF NOT EXISTS audit_seals (
  upto         INTEGER PRIMARY KEY,
  newest_at    INTEGER NOT NULL,
  entries_hash TEXT NOT NULL,
  prev_hash    TEXT NOT NULL UNIQUE,
  hash         TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_seals_are_not_changed BEFORE UPDATE ON audit_seals
BEGIN
  SELECT RAISE(ABORT, 'the audit log is insert-only');
END;
CREATE TRIGGER IF NOT EXISTS audit_seals_are_kept BEFORE DELETE ON audit_seals
BEGIN
  SELECT RAISE(ABORT, 'the audit log is insert-only');
END;

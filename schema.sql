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

-- One row: one text that events of a project repeat (an event name, a source, a path …). kinds: src/storage/dictionary.py
CREATE TABLE IF NOT EXISTS dictionary (
  id      INTEGER PRIMARY KEY,
  project INTEGER NOT NULL,
  kind    INTEGER NOT NULL,
  value   TEXT NOT NULL,
  UNIQUE (project, kind, value)
) STRICT;

-- One row: one event. The key is the de-duplication: same project, name, visitor, time and event_id = same event.
-- `day` is the UTC day of `ts`; `visitor` and `event` are 63-bit hashes of anonymous_id and event_id; `name` to `rule`
-- are dictionary ids, NULL where absent; `payload` is a JSON array whose places src/storage/event_rows.py names.
CREATE TABLE IF NOT EXISTS events (
  project     INTEGER NOT NULL,
  day         INTEGER NOT NULL,
  name        INTEGER NOT NULL,
  visitor     INTEGER NOT NULL,
  ts          INTEGER NOT NULL,
  event       INTEGER NOT NULL,
  source      INTEGER NOT NULL,
  medium      INTEGER NOT NULL,
  campaign    INTEGER,
  country     INTEGER NOT NULL,
  device_type INTEGER NOT NULL,
  browser     INTEGER NOT NULL,
  os          INTEGER NOT NULL,
  path        INTEGER,
  rule        INTEGER NOT NULL,
  payload     TEXT NOT NULL,
  PRIMARY KEY (project, day, name, visitor, ts, event)
) STRICT, WITHOUT ROWID;

-- One row: when an event whose client named it but left out the time first arrived, and in which request (`claim`):
-- the same event_id within 7 days is a resend.
CREATE TABLE IF NOT EXISTS arrivals (
  project INTEGER NOT NULL,
  event   INTEGER NOT NULL,
  ts      INTEGER NOT NULL,
  claim   TEXT NOT NULL,
  PRIMARY KEY (project, event)
) STRICT, WITHOUT ROWID;

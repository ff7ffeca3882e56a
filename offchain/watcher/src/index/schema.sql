-- The explorer's index. Amounts are nanotons, times Unix seconds of blocks, addresses raw text, hashes and keys hexadecimal.
-- Everything follows from the blocks, so an index can be thrown away and made again, to the same rows.

CREATE TABLE IF NOT EXISTS cursor (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    format     INTEGER NOT NULL,
    network    INTEGER NOT NULL,
    registry   TEXT NOT NULL,
    governor   TEXT,               -- as the registry names it, once it is there
    seqno      INTEGER NOT NULL,   -- the last masterchain block that is in here whole
    utime      INTEGER NOT NULL
) STRICT;

-- The system's contracts, with the cells of their newest states.
CREATE TABLE IF NOT EXISTS contracts (
    address    TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    parent     TEXT,               -- the governor of a stake or a proposal, the registry of a record
    since      INTEGER NOT NULL,   -- masterchain block that deployed it
    balance    INTEGER NOT NULL,
    state      BLOB NOT NULL       -- BoC of the account
) STRICT;

CREATE TABLE IF NOT EXISTS transactions (
    account    TEXT NOT NULL,
    lt         INTEGER NOT NULL,
    hash       TEXT NOT NULL,
    seqno      INTEGER NOT NULL,
    utime      INTEGER NOT NULL,
    source     TEXT,               -- who sent the message, if it was internal
    value      INTEGER NOT NULL,
    operation  TEXT,               -- name of the message's type, or its first word
    exit_code  INTEGER,
    aborted    INTEGER NOT NULL,
    fees       INTEGER NOT NULL,
    PRIMARY KEY (account, lt)
) STRICT, WITHOUT ROWID;

-- What happened, in the order of blocks, accounts and logical times. `id` never has gaps.
CREATE TABLE IF NOT EXISTS events (
    id         INTEGER PRIMARY KEY,
    seqno      INTEGER NOT NULL,
    utime      INTEGER NOT NULL,
    account    TEXT NOT NULL,
    lt         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    data       TEXT NOT NULL       -- JSON object
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_account ON events (account, id);

CREATE TABLE IF NOT EXISTS channels (
    address    TEXT PRIMARY KEY,
    payer      TEXT NOT NULL,
    payee      TEXT NOT NULL,
    payer_key  TEXT NOT NULL,
    payee_key  TEXT NOT NULL,
    salt       TEXT NOT NULL,
    challenge  INTEGER NOT NULL,
    fee_bps    INTEGER NOT NULL,
    deposit    INTEGER NOT NULL,
    claimed    INTEGER NOT NULL,
    close_at   INTEGER NOT NULL,
    epoch      INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS channels_by_payer ON channels (payer);
CREATE INDEX IF NOT EXISTS channels_by_payee ON channels (payee);

CREATE TABLE IF NOT EXISTS claims (
    channel    TEXT NOT NULL,
    lt         INTEGER NOT NULL,
    utime      INTEGER NOT NULL,
    payee      TEXT NOT NULL,
    amount     INTEGER NOT NULL,
    fee        INTEGER NOT NULL,
    claimed    INTEGER NOT NULL,   -- in sum, with this one
    PRIMARY KEY (channel, lt)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS stakes (
    address    TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,
    held       INTEGER NOT NULL,
    staying    INTEGER NOT NULL,
    bonded     INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS lots (
    stake      TEXT NOT NULL,
    lot        INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    active_from INTEGER NOT NULL,
    exit_from  INTEGER NOT NULL,
    release_at INTEGER NOT NULL,
    PRIMARY KEY (stake, lot)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS nodes (
    stake      TEXT NOT NULL,
    key        TEXT NOT NULL,
    bond       INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    retired_at INTEGER NOT NULL,
    PRIMARY KEY (stake, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS proposals (
    address    TEXT PRIMARY KEY,
    id         TEXT NOT NULL,
    proposer   TEXT NOT NULL,
    snapshot   INTEGER NOT NULL,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    executable_from INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    total_stake INTEGER NOT NULL,
    quorum     INTEGER NOT NULL,
    yes        INTEGER NOT NULL,
    no         INTEGER NOT NULL,
    abstain    INTEGER NOT NULL,
    bond       INTEGER NOT NULL,
    status     INTEGER NOT NULL    -- as of the block that last touched it
) STRICT;

CREATE TABLE IF NOT EXISTS entries (
    kind       TEXT NOT NULL,      -- image or model
    id         TEXT NOT NULL,
    role       INTEGER,
    name       TEXT,
    source_commit TEXT NOT NULL,
    status     INTEGER NOT NULL,
    active_from INTEGER NOT NULL,
    sunset     INTEGER NOT NULL,
    suspended_until INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS proxies (
    owner      TEXT PRIMARY KEY,
    node_key   TEXT NOT NULL,
    endpoint   TEXT NOT NULL,
    bond       INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    unbonding_at INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS reputation (
    address    TEXT PRIMARY KEY,
    node       TEXT NOT NULL,
    good       TEXT NOT NULL,      -- 128 bits, decimal
    bad        TEXT NOT NULL,
    step       INTEGER NOT NULL
) STRICT;

-- The log: one head row that gives out positions, and one row a group commit.
-- This folder is append-only: a migration that has been released is never edited.

-- The one row of the head. Only its primary key is indexed and that never changes, so every append is a HOT
-- update within one page; the low fill factor makes Postgres prune the dead versions early and keep the chain short.
CREATE TABLE chancery.log_head (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    size           bigint  NOT NULL CHECK (size >= 0),
    version        bigint  NOT NULL CHECK (version >= 0),
    last_lifecycle uuid    NOT NULL,
    CHECK (version <= size)
) WITH (fillfactor = 20);

INSERT INTO chancery.log_head (size, version, last_lifecycle)
VALUES (0, 0, '00000000-0000-0000-0000-000000000000');

-- Fixed-width columns first, so that no byte is lost to alignment.
CREATE TABLE chancery.commits (
    first        bigint      NOT NULL,
    version      bigint      NOT NULL,
    committed_at timestamptz NOT NULL,
    count        integer     NOT NULL,
    lifecycle    integer     NOT NULL,
    id           uuid        NOT NULL,
    lines        text        NOT NULL,
    CONSTRAINT commits_pkey PRIMARY KEY (first),
    CONSTRAINT commits_id_key UNIQUE (id),
    CONSTRAINT commits_first_check CHECK (first >= 0),
    CONSTRAINT commits_count_check CHECK (count > 0),
    CONSTRAINT commits_version_check CHECK (version >= 0 AND version <= first),
    CONSTRAINT commits_lifecycle_check CHECK (lifecycle >= 0 AND lifecycle <= count),
    CONSTRAINT commits_lines_check CHECK (lines <> '')
) WITH (toast_tuple_target = 128);

-- Small commits are compressed too (the target) and stay in their row (MAIN): a TOAST chunk would cost a second
-- heap, a second index entry and a second look-up for every commit.
ALTER TABLE chancery.commits ALTER COLUMN lines SET STORAGE MAIN;

-- lz4 is several times faster than pglz, but a server may be built without it.
DO $$
BEGIN
    ALTER TABLE chancery.commits ALTER COLUMN lines SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    RAISE NOTICE 'this server has no lz4: lines are compressed with pglz';
END
$$;

-- Folding the lifecycle state reads these commits and never the rest. Unique, because no two commits can hold
-- the same lifecycle event.
CREATE UNIQUE INDEX commits_lifecycle_key ON chancery.commits (version) WHERE lifecycle > 0;

-- Appending is all that anyone may do, the owner included.
CREATE FUNCTION chancery.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the log is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'Erase a person by deleting the row of chancery.personal; nothing else is ever removed.';
END
$$;

-- The statement's trigger also refuses a change that would meet no row; the row's trigger is the one that fires
-- when a subscription applies changes. ALWAYS: session_replication_role does not switch them off.
CREATE TRIGGER commits_refuse_statement BEFORE UPDATE OR DELETE OR TRUNCATE ON chancery.commits
    FOR EACH STATEMENT EXECUTE FUNCTION chancery.refuse_change();
CREATE TRIGGER commits_refuse_row BEFORE UPDATE OR DELETE ON chancery.commits
    FOR EACH ROW EXECUTE FUNCTION chancery.refuse_change();
ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_statement;
ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_row;

-- The head must be updated by every append, but it must never be lost.
CREATE TRIGGER log_head_refuse BEFORE DELETE OR TRUNCATE ON chancery.log_head
    FOR EACH STATEMENT EXECUTE FUNCTION chancery.refuse_change();
ALTER TABLE chancery.log_head ENABLE ALWAYS TRIGGER log_head_refuse;

-- Personal values by their commitment, SHA-256(salt, kind, 0x00, value). Deleting a row erases the value. A row says
-- which organization's lines refer to it (none: the instance's) and, where the value is that of a person who acted in a
-- session or accepted an invitation, whose it is.
CREATE TABLE chancery.personal (
    organization uuid,
    person       uuid,
    commitment   bytea PRIMARY KEY CHECK (octet_length(commitment) = 32),
    salt         bytea NOT NULL CHECK (octet_length(salt) = 16),
    kind         text  NOT NULL,
    value        text  NOT NULL
);

-- An erasure finds a person's values, and those that are the person's mail address.
CREATE INDEX personal_person ON chancery.personal (person) WHERE person IS NOT NULL;
CREATE INDEX personal_address_of_mail ON chancery.personal (lower(value)) WHERE kind IN ('email', 'name');
-- Events are looked for by the network address that they came from: of one organization, or of all.
CREATE INDEX personal_address ON chancery.personal (value, organization) WHERE kind = 'address';

-- Answers that may have to be handed out again, sealed under keys that the server does not have.
CREATE TABLE chancery.sealed (
    key   bytea       PRIMARY KEY,
    box   bytea       NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX sealed_until ON chancery.sealed (until);

-- One row a line, to look around with psql. `line` is the exact text that is exported and hashed.
CREATE VIEW chancery.events AS
SELECT entry.first + split.ordinal - 1           AS position,
       parsed.line ->> 'type'                    AS type,
       (parsed.line ->> 'at')::timestamptz       AS at,
       (parsed.line ->> 'org')::uuid             AS org,
       (parsed.line ->> 'token')::uuid           AS token,
       parsed.line #>> '{actor,by}'              AS actor,
       split.line                                AS line
FROM chancery.commits AS entry
CROSS JOIN LATERAL unnest(string_to_array(entry.lines, E'\n')) WITH ORDINALITY AS split (line, ordinal)
CROSS JOIN LATERAL (SELECT split.line::jsonb AS line OFFSET 0) AS parsed;

-- The audit views: where lifecycle events and single uses stand in the log, by what auditors ask for. All rows belong
-- to a generation: another one is built beside the one that is read, and takes its place in one statement.

-- Which generation is read, which one is being built, and which node keeps them: the one that claimed them last, until
-- the time that it said.
CREATE TABLE chancery_views.audit (
    only_row   boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    live       integer     NOT NULL,
    building   integer,
    keeper     uuid,
    kept_until timestamptz NOT NULL DEFAULT 'epoch'
);

-- How far each generation has come: the size of the log that it stands for, and the commit that ends there. Moved in
-- the statement that inserts the rows, on the condition that nobody else has moved it meanwhile.
CREATE TABLE chancery_views.audit_generations (
    size       bigint  NOT NULL DEFAULT 0,
    commit     uuid    NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    generation integer PRIMARY KEY
) WITH (fillfactor = 20);

INSERT INTO chancery_views.audit (live) VALUES (1);
INSERT INTO chancery_views.audit_generations (generation) VALUES (1);

-- Lifecycle events and uses of the break-glass token, a row each. `first` is where the commit begins that holds the
-- line; `address` is the commitment to the actor's.
CREATE TABLE chancery_views.audit_events (
    position     bigint      NOT NULL,
    first        bigint      NOT NULL,
    at           timestamptz NOT NULL,
    organization uuid,
    project      uuid,
    token        uuid,
    actor_token  uuid,
    generation   integer     NOT NULL,
    type         text        NOT NULL,
    actor        text        NOT NULL,
    address      bytea,
    PRIMARY KEY (generation, position)
);
CREATE INDEX audit_events_organization ON chancery_views.audit_events (generation, organization, position);
CREATE INDEX audit_events_token ON chancery_views.audit_events (generation, token, position);
CREATE INDEX audit_events_actor ON chancery_views.audit_events (generation, actor_token, position);
CREATE INDEX audit_events_by ON chancery_views.audit_events (generation, actor, position);
CREATE INDEX audit_events_type ON chancery_views.audit_events (generation, type, position);
CREATE INDEX audit_events_at ON chancery_views.audit_events (generation, at);
CREATE INDEX audit_events_address ON chancery_views.audit_events (generation, address) WHERE address IS NOT NULL;

-- Where a token's uses are: a row for a stretch of one hour. It begins in the commit at `first`; `commits` is how far
-- each next one of the token's commits is from the one before, as LEB128. `hour` counts from the Unix epoch.
CREATE TABLE chancery_views.audit_uses (
    first      bigint  NOT NULL,
    last       bigint  NOT NULL,
    token      uuid    NOT NULL,
    generation integer NOT NULL,
    hour       integer NOT NULL,
    valid      integer NOT NULL,
    refused    integer NOT NULL,
    asked      integer NOT NULL,
    outcomes   integer NOT NULL,
    commits    bytea   NOT NULL,
    PRIMARY KEY (generation, token, first)
) WITH (fillfactor = 80);

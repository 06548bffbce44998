-- What a token was last used for and from where, how it was last refused, and how often on which day (UTC).
--
-- Addresses and agents are commitments, as lines carry them: the values stand in chancery.personal while they are there.
ALTER TABLE chancery_views.usage
    ALTER COLUMN last_used_at DROP NOT NULL,
    ADD COLUMN used_permission    text,
    ADD COLUMN used_address       text,
    ADD COLUMN used_agent         text,
    ADD COLUMN last_refused_at    timestamptz,
    ADD COLUMN refused_code       text,
    ADD COLUMN refused_permission text,
    ADD COLUMN refused_address    text,
    ADD COLUMN refused_agent      text;

-- `through` is the size of the log that a row counts.
CREATE TABLE chancery_views.usage_days (
    token   uuid   NOT NULL,
    day     date   NOT NULL,
    used    bigint NOT NULL,
    refused bigint NOT NULL,
    through bigint NOT NULL,
    PRIMARY KEY (token, day)
) WITH (fillfactor = 70);

-- Sums, unlike maxima, must not be written twice. `term` counts the nodes that have kept the view: what one of an
-- earlier term writes has no effect. `writing` is how far rows may stand for the log while they are written.
ALTER TABLE chancery_views.progress
    ADD COLUMN term    bigint NOT NULL DEFAULT 0,
    ADD COLUMN writing bigint NOT NULL DEFAULT 0;

-- What the view did not keep so far is read off the log again.
UPDATE chancery_views.progress SET size = 0, commit = '00000000-0000-0000-0000-000000000000' WHERE view = 'usage';

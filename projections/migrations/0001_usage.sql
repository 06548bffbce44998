-- Views of the log. They hold nothing that the log does not: drop the schema, start a node, and they are there again.
-- This folder is append-only: a migration that has been released is never edited.

-- How far each view has come: the size of the log that it stands for, and the commit that ends there.
CREATE TABLE chancery_views.progress (
    view   text   PRIMARY KEY,
    size   bigint NOT NULL,
    commit uuid   NOT NULL
);

INSERT INTO chancery_views.progress (view, size, commit) VALUES ('usage', 0, '00000000-0000-0000-0000-000000000000');

-- When each token was last used: presented and answered valid, or naming itself as the actor of anything. The low
-- fill factor leaves room for updates in place.
CREATE TABLE chancery_views.usage (
    token        uuid        PRIMARY KEY,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 70);

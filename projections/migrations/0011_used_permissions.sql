-- Which permissions each token ever used, and when last, to within an hour: for reviews of what it holds and never used.
CREATE TABLE chancery_views.usage_permissions (
    token        uuid        NOT NULL,
    permission   text        NOT NULL,
    last_used_at timestamptz NOT NULL,
    PRIMARY KEY (token, permission)
) WITH (fillfactor = 70);

-- What the view did not keep so far is read off the log again. Days that are counted already are not counted twice: each
-- row says how much of the log it counts.
UPDATE chancery_views.progress SET size = 0, commit = '00000000-0000-0000-0000-000000000000' WHERE view = 'usage';

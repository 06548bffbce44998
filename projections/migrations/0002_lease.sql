-- Which node keeps a view: the one that claimed it last, until the time that it said, which it moves on with all that it
-- stores. A node that finds the time passed claims it.
ALTER TABLE chancery_views.progress
    ADD COLUMN keeper     uuid,
    ADD COLUMN kept_until timestamptz NOT NULL DEFAULT 'epoch';

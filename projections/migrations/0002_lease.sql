-- Which node keeps a view is nobody's state but time's: whoever stored progress last goes on until then, and writes it
-- again before. A node that finds the time passed takes over.
ALTER TABLE chancery_views.progress ADD COLUMN kept_until timestamptz NOT NULL DEFAULT 'epoch';

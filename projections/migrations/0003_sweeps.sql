-- When each organization's forgotten tokens are looked for next, by the authority's clock in microseconds since the Unix
-- epoch. The nil id is the instance. Whoever moves the time on does the sweep that it stood for.
CREATE TABLE chancery_views.sweeps (
    organization uuid   PRIMARY KEY,
    next_at      bigint NOT NULL
);

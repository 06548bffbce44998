-- The Merkle tree over the lines, as tiles of 256 hashes (C2SP tlog-tiles). It follows from the log: all of it may be
-- thrown away and is made again. What may not is the last checkpoint, which keeps a signer from contradicting itself.
CREATE TABLE chancery.tree (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    size        bigint  NOT NULL CHECK (size >= 0),
    last_commit uuid    NOT NULL,
    -- The node that lets it grow, until then, so that the others need not read the log for it as well.
    keeper      uuid,
    kept_until  timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 20);

INSERT INTO chancery.tree (size, last_commit) VALUES (0, '00000000-0000-0000-0000-000000000000');

CREATE TABLE chancery.tiles (
    index  bigint   NOT NULL CHECK (index >= 0),
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 63),
    hashes bytea    NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, index)
);
-- Hashes are not compressible.
ALTER TABLE chancery.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- The last checkpoint of each origin, as it was published. A size never goes back.
CREATE TABLE chancery.checkpoints (
    origin text   PRIMARY KEY,
    size   bigint NOT NULL CHECK (size >= 0),
    note   text   NOT NULL
);

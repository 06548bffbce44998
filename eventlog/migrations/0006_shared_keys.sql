-- Secret keys that all nodes share, and that no export of the log holds. Whoever has a key and an export can try
-- guesses at the keys that were imported; a key that is lost makes them unknown for ever. So one is never changed.
CREATE TABLE chancery.shared_keys (
    name text  PRIMARY KEY,
    key  bytea NOT NULL CHECK (octet_length(key) = 32)
);
CREATE TRIGGER shared_keys_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON chancery.shared_keys
    FOR EACH STATEMENT EXECUTE FUNCTION chancery.refuse_change();
ALTER TABLE chancery.shared_keys ENABLE ALWAYS TRIGGER shared_keys_refuse;

//! How much of a suite is run.

/// `quick` on every build; `long` where the environment asks for it with `CHANCERY_TESTS=long`.
pub fn pick<T>(quick: T, long: T) -> T {
    if std::env::var_os("CHANCERY_TESTS").is_some_and(|form| form == "long") { long } else { quick }
}

//! What a comparison of the views with the log comes to.

use super::{LISTED, READING};
use eventlog::Error;
use sqlx::FromRow;
use sqlx::postgres::PgRow;

/// A table that was held against the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The size of the log that it was held against.
    pub position: u64,
    /// How many of its rows were looked at.
    pub rows: u64,
    /// How many differ, those that are missing and those too many included.
    pub differing: u64,
}

/// A row that is not what the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDifference {
    /// Its table.
    pub table: &'static str,
    /// Which row.
    pub key: String,
    /// What the log says: the columns that differ; none when there should be no such row.
    pub expected: Option<String>,
    /// What stands there; none when there is no such row.
    pub found: Option<String>,
}

/// What was found in the views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Each table of them.
    pub tables: Vec<Table>,
    /// The first differences of each.
    pub differences: Vec<RowDifference>,
}

impl Compared {
    /// How many rows differ.
    pub fn differing(&self) -> u64 {
        self.tables.iter().map(|table| table.differing).sum()
    }

    pub(super) fn take(&mut self, found: Findings) {
        self.tables.push(found.table);
        self.differences.extend(found.differences);
    }
}

/// A table while it is looked at.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) table: Table,
    differences: Vec<RowDifference>,
}

impl Findings {
    pub(super) fn new(name: &'static str) -> Self {
        Self { table: Table { name, ..Table::default() }, differences: Vec::new() }
    }

    /// The log says that there is a row, and there is none.
    pub(super) fn missing(&mut self, key: impl FnOnce() -> String, expected: impl FnOnce() -> String) {
        self.differ(|table| RowDifference { table, key: key(), expected: Some(expected()), found: None });
    }

    /// There is a row of which the log says nothing.
    pub(super) fn too_many(&mut self, key: impl FnOnce() -> String, found: impl FnOnce() -> String) {
        self.differ(|table| RowDifference { table, key: key(), expected: None, found: Some(found()) });
    }

    /// Holds the columns of a row against what the log says: their names, what is expected, what stands there.
    pub(super) fn hold<const N: usize>(
        &mut self,
        key: impl FnOnce() -> String,
        columns: [(&'static str, Option<String>, Option<String>); N],
    ) {
        let wrong = columns.into_iter().filter(|(_, expected, found)| expected != found);
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for (name, wanted, stands) in wrong {
            let text = |value: Option<String>| format!("{name} {}", value.as_deref().unwrap_or("null"));
            expected.push(text(wanted));
            found.push(text(stands));
        }
        if !expected.is_empty() {
            let (expected, found) = (Some(expected.join(", ")), Some(found.join(", ")));
            self.differ(|table| RowDifference { table, key: key(), expected, found });
        }
    }

    fn differ(&mut self, difference: impl FnOnce(&'static str) -> RowDifference) {
        self.table.differing += 1;
        if self.differences.len() < LISTED {
            self.differences.push(difference(self.table.name));
        }
    }
}

/// A value of a column, as it is compared and shown.
#[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "other columns may be null")]
pub(super) fn shown(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// The rows of a statement as the tuple that it says.
pub(super) fn typed<'r, T: FromRow<'r, PgRow>>(
    rows: impl IntoIterator<Item = &'r PgRow>,
) -> Result<Vec<T>, Error> {
    let read = |row| T::from_row(row).map_err(|error| Error::from_sqlx(READING, &error));
    rows.into_iter().map(read).collect()
}

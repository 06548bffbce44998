//! Holding the views against the log: the audit views and the usage view of a database, row by row.
//!
//! Nodes go on meanwhile, so that each page of rows is read in one statement with the size of the log that its table
//! stands for, and the log is read on up to there before they are compared. No snapshot lasts longer than a page. Of
//! the log nothing but the lines is used. Of the code that keeps the views it shares how a lifecycle line is summarised
//! and the bits of outcomes, so that a mistake elsewhere in it is found as well.

mod events;
mod found;
mod stretch;
mod usage;
mod usage_rows;
mod uses;

pub use found::{Compared, RowDifference, Table};

use super::page::{Item, Page};
use super::{COMMITS, Failure};
use domain::state::State;
use eventlog::{Commit, Error, Log};
use events::Events;
use found::typed;
use usage::Usage;
use usage_rows::{Rows, UsageFindings, Which};
use uses::Uses;
use uuid::Uuid;

const READING: &str = "reading the views";
/// Differences of a table that are listed; the rest is counted.
const LISTED: usize = 20;
/// Tokens whose usage is read at once.
const TOKENS: usize = 200;

/// The views of a database while the log is read.
pub(super) struct Views {
    log: Log,
    generation: i32,
    events: Events,
    uses: Uses,
    usage: Usage,
    /// How far the log was read, and the commit that ends there.
    reached: (u64, Uuid),
}

impl Views {
    /// Looks how far the views stand; none where a database has none.
    pub(super) async fn begin(log: &Log) -> Result<Option<Self>, Error> {
        let looking = sqlx::query("SELECT to_regclass('chancery_views.audit_uses') IS NOT NULL");
        let found: Vec<(bool,)> = typed(&log.run(READING, looking).await?)?;
        if !found.iter().any(|(is_there,)| *is_there) {
            return Ok(None);
        }
        let (generation, size) = live(log).await?;
        let mut usage = Usage::new();
        usage.stands(usage_size(log).await?);
        Ok(Some(Self {
            log: log.clone(),
            generation,
            events: Events::new(generation, size),
            uses: Uses::new(generation),
            usage,
            reached: (0, Uuid::nil()),
        }))
    }

    /// Takes note of commits that follow, and compares what is complete. `state` is the fold of them all.
    pub(super) async fn take(
        &mut self,
        page: &Page<'_>,
        commits: &[Commit],
        state: &State,
    ) -> Result<(), Error> {
        let from = self.reached.0;
        self.note(page, commits, Some(state));
        self.events.compare(&self.log, from, self.reached.0).await?;
        if let Some(hour) = self.uses.full_hour() {
            for batch in self.uses.batches(hour) {
                let rows = self.uses.read(&self.log, &batch).await?;
                self.uses.compare(&batch, &rows, self.reached.0);
            }
        }
        Ok(())
    }

    fn note(&mut self, page: &Page<'_>, commits: &[Commit], state: Option<&State>) {
        for (position, commit, item) in page.placed(commits) {
            let (first, end) = (commit.first, commit.end());
            match (item.used(), item) {
                (Some((used, _)), _) => {
                    self.uses.take(first, &used);
                    self.usage.take_use(position, end, &used);
                }
                (None, Item::Line(line, _)) => self.usage.take_line(position, end, line),
                (None, Item::Use(..)) => {}
            }
            if let Some(state) = state {
                self.events.take(position, first, item, state);
            }
        }
        if let Some(last) = commits.last() {
            self.reached = (last.end(), last.id);
        }
    }

    /// Compares the rest, and what only the whole tells.
    pub(super) async fn finish(mut self) -> Result<Compared, Failure> {
        let (_, began_at) = live(&self.log).await?;
        let stood = usage_size(&self.log).await?;
        // Whatever is in a row that began by now is known before rows are read: those that begin later are left out.
        self.read_to(stood.max(began_at)).await?;
        self.usage.stands(stood);
        for hour in self.uses.all_hours() {
            for batch in self.uses.batches(hour) {
                let rows = self.uses.read(&self.log, &batch).await?;
                self.read_to(rows.size).await?;
                self.uses.compare(&batch, &rows, self.reached.0);
            }
        }
        self.uses.finish(&self.log, began_at).await?;
        self.events.finish(&self.log).await?;
        let mut found = UsageFindings::new();
        for which in [Which::Last, Which::Days, Which::Permissions] {
            self.usage_rows(which, &mut found).await?;
        }
        if live(&self.log).await?.0 != self.generation {
            return Err(Failure::Rebuilt);
        }
        let mut compared = Compared::default();
        compared.take(self.events.found);
        compared.take(self.uses.found);
        found.into(&mut compared);
        Ok(compared)
    }

    /// Holds one table of the usage view against the log, stretch by stretch of its tokens.
    async fn usage_rows(&mut self, which: Which, found: &mut UsageFindings) -> Result<(), Failure> {
        let tokens = self.usage.tokens();
        let mut parts = tokens.chunks(TOKENS).peekable();
        let mut from = Uuid::nil();
        loop {
            let part = parts.next().unwrap_or_default();
            let before = parts.peek().and_then(|next| next.first()).map(|token| token.0);
            let rows = Rows::read(&self.log, which, from, before).await?;
            self.read_to(rows.needs()).await?;
            found.compare(&self.usage, part, &rows);
            match before {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Reads the log on, up to a size that a view stands for.
    async fn read_to(&mut self, size: u64) -> Result<(), Failure> {
        while self.reached.0 < size {
            let commits = self.log.commits_after(self.reached.0, self.reached.1, COMMITS).await?;
            if commits.is_empty() {
                return Err(Failure::Ahead { stands: size, log: self.reached.0 });
            }
            let texts: Vec<&str> = commits.iter().map(|commit| commit.lines.as_str()).collect();
            let lines = texts.join("\n");
            self.note(&Page::read(self.reached.0, &lines, 1)?, &commits, None);
        }
        Ok(())
    }
}

/// The generation that is read, and the size of the log that it stands for.
async fn live(log: &Log) -> Result<(i32, u64), Error> {
    let looking = sqlx::query(
        "SELECT view.live, of.size FROM chancery_views.audit AS view
         JOIN chancery_views.audit_generations AS of ON of.generation = view.live",
    );
    let found: Vec<(i32, i64)> = typed(&log.run(READING, looking).await?)?;
    let (generation, size) = found.first().copied().ok_or(Error::Refused {
        doing: READING,
        reason: "the row of chancery_views.audit is missing, or that of the generation that it names"
            .to_owned(),
    })?;
    Ok((generation, size.cast_unsigned()))
}

/// The size of the log that the usage view stands for.
async fn usage_size(log: &Log) -> Result<u64, Error> {
    let looking = sqlx::query("SELECT size FROM chancery_views.progress WHERE view = 'usage'");
    let found: Vec<(i64,)> = typed(&log.run(READING, looking).await?)?;
    let (size,) = found.first().copied().ok_or(Error::Refused {
        doing: READING,
        reason: "the row of the usage view is missing from chancery_views.progress".to_owned(),
    })?;
    Ok(size.cast_unsigned())
}

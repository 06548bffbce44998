//! A page of lines, read on several threads.

use domain::line::Line;
use domain::replay::{Clock, UseLine};
use domain::time::Timestamp;
use eventlog::Commit;
use eventlog::tree::{Hash, leaf_hash};
use std::thread;
use thiserror::Error;

/// So few bytes are not worth another thread.
const FEW: usize = 64 * 1024;

/// A line at which a replay cannot go on.
#[derive(Debug, Error)]
#[error("position {position}: {why}")]
pub struct Stopped {
    /// Where it stands.
    pub position: u64,
    /// What is wrong with it.
    pub why: String,
}

/// One line.
#[expect(clippy::large_enum_variant, reason = "nearly all lines of a log are uses")]
pub(super) enum Item<'t> {
    /// A use, read the fast way.
    Use(UseLine<'t>, &'t str),
    /// Any other line.
    Line(Box<Line>, &'t str),
}

impl<'t> Item<'t> {
    pub(super) fn read(text: &'t str, clock: &mut Clock) -> Result<Self, String> {
        if let Some(used) = UseLine::read(text, clock) {
            return Ok(Self::Use(used, text));
        }
        let line = Line::read(text).map_err(|error| error.to_string())?;
        Ok(Self::Line(Box::new(line), text))
    }

    /// A lifecycle line.
    pub(super) fn lifecycle(&self) -> Option<&Line> {
        match self {
            Self::Line(line, _) if line.event.is_lifecycle() => Some(line),
            _ => None,
        }
    }

    /// When it was decided.
    pub(super) fn at(&self) -> Timestamp {
        match self {
            Self::Use(used, _) => used.at,
            Self::Line(line, _) => line.at,
        }
    }

    /// A use of a token, and its line.
    pub(super) fn used(&self) -> Option<(UseLine<'_>, &'t str)> {
        match self {
            Self::Use(used, text) => Some((*used, text)),
            Self::Line(line, text) => Some((UseLine::of(line)?, text)),
        }
    }
}

/// Lines that were read and not folded yet.
pub struct Page<'t>(Vec<Part<'t>>);

struct Part<'t> {
    items: Vec<Item<'t>>,
    leaves: Vec<Hash>,
}

impl<'t> Page<'t> {
    pub(super) fn read(first: u64, lines: &'t str, threads: usize) -> Result<Self, Stopped> {
        let texts = cut(lines, lines.len().div_ceil(threads).max(FEW));
        let parts = match &texts[..] {
            [only] => vec![read(only)],
            _ => thread::scope(|scope| {
                let running: Vec<_> = texts.into_iter().map(|text| scope.spawn(move || read(text))).collect();
                running.into_iter().map(|part| part.join().expect("reading does not panic")).collect()
            }),
        };
        let mut page = Self(Vec::with_capacity(parts.len()));
        let mut position = first;
        for part in parts {
            let part = part.map_err(|(index, why)| Stopped { position: position + index, why })?;
            position += part.items.len() as u64;
            page.0.push(part);
        }
        Ok(page)
    }

    pub(super) fn leaves(&self) -> impl Iterator<Item = &Hash> {
        self.0.iter().flat_map(|part| &part.leaves)
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &[Item<'t>]> {
        self.0.iter().map(|part| part.items.as_slice())
    }

    /// Its lines, each with its position and the commit that it stands in: those of the page, in their order.
    pub(super) fn placed<'p>(
        &'p self,
        commits: &'p [Commit],
    ) -> impl Iterator<Item = (u64, &'p Commit, &'p Item<'t>)> {
        let of_commit = |commit: &'p Commit| (commit.first..commit.end()).map(move |place| (place, commit));
        let places = commits.iter().flat_map(of_commit);
        places.zip(self.chunks().flatten()).map(|((position, commit), item)| (position, commit, item))
    }

    /// Holds what a commit's row says of it against its lines: how many are lifecycle lines, and that they have one time.
    pub(super) fn check(&self, commits: &[Commit]) -> Result<(), Stopped> {
        let (mut at, mut lifecycle) = (None, 0);
        for (position, commit, item) in self.placed(commits) {
            if position == commit.first {
                (at, lifecycle) = (Some(item.at()), 0);
            }
            let stopped = |why: String| Err(Stopped { position, why });
            if let Some(at) = at.filter(|at| *at != item.at()) {
                return stopped(format!("its time is {}, and that of its commit {at}", item.at()));
            }
            lifecycle += u32::from(item.lifecycle().is_some());
            if position + 1 == commit.end() && lifecycle != commit.lifecycle {
                let says = commit.lifecycle;
                return stopped(format!(
                    "its commit has {lifecycle} lifecycle lines and says that it has {says}"
                ));
            }
        }
        Ok(())
    }

    /// The commitments to addresses that answers may rest on.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &str> {
        let used = self.0.iter().flat_map(|part| &part.items).filter_map(Item::used);
        used.filter_map(
            |(used, _)| if used.operation.is_some() { used.actor_address } else { used.client_address },
        )
    }
}

/// Parts of about `size` bytes, of whole lines.
fn cut(lines: &str, size: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = lines;
    while let Some(end) = rest.bytes().skip(size).position(|byte| byte == b'\n').map(|end| end + size) {
        parts.push(&rest[..end]);
        rest = &rest[end + 1..];
    }
    parts.push(rest);
    parts
}

fn read(lines: &str) -> Result<Part<'_>, (u64, String)> {
    let mut clock = Clock::default();
    let mut part = Part { items: Vec::new(), leaves: Vec::new() };
    for (index, text) in (0..).zip(lines.split('\n')) {
        part.leaves.push(leaf_hash(text.as_bytes()));
        part.items.push(Item::read(text, &mut clock).map_err(|why| (index, why))?);
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const EARLY: &str = "2026-11-22T10:15:00.000000Z";
    const LATE: &str = "2026-11-22T10:15:00.000001Z";

    fn used(at: &str) -> String {
        let actor = r#"{"by":"admin-token"}"#;
        format!(r#"{{"v":1,"type":"AdminTokenUsed","at":"{at}","actor":{actor},"asked":{{}}}}"#)
    }

    fn restored(at: &str) -> String {
        let actor = r#"{"by":"admin-token"}"#;
        format!(r#"{{"v":1,"type":"OrganizationRestored","at":"{at}","n":1,"actor":{actor}}}"#)
    }

    /// What is said of commits of these lines, with so many lifecycle lines in each.
    fn said(commits: &[(&[String], u32)]) -> Option<String> {
        let mut first = 0;
        let commits: Vec<Commit> = commits
            .iter()
            .map(|(lines, lifecycle)| {
                let count = u32::try_from(lines.len()).unwrap();
                let (at, lifecycle) = (first, *lifecycle);
                first += u64::from(count);
                let (id, lines) = (Uuid::nil(), lines.join("\n"));
                Commit { id, first: at, count, version: 0, lifecycle, committed_at: 0, lines }
            })
            .collect();
        let lines: Vec<&str> = commits.iter().map(|commit| commit.lines.as_str()).collect();
        let lines = lines.join("\n");
        Page::read(0, &lines, 1).unwrap().check(&commits).err().map(|stopped| stopped.to_string())
    }

    #[test]
    fn a_commit_has_one_time_and_as_many_lifecycle_lines_as_it_says() {
        let (early, late) = (used(EARLY), used(LATE));
        let both = [restored(LATE), late.clone()];
        assert_eq!(
            said(&[(&[early.clone(), early.clone()], 0), (&both, 1), (std::slice::from_ref(&early), 0)]),
            None
        );
        let several = said(&[(&both, 1), (&[early.clone(), late, early], 0)]).unwrap();
        assert!(several.starts_with("position 3: its time is 2026-11-22T10:15:00.000001Z"), "{several}");
        for lifecycle in [0, 2] {
            let wrong = said(&[(&both, lifecycle)]).unwrap();
            assert!(wrong.starts_with("position 1: its commit has 1 lifecycle lines"), "{wrong}");
        }
    }
}

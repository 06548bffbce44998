//! Sweeps: the end of tokens that went unused for longer than their policy allows.
//!
//! What is looked for is found step by step, on the usage view and on every line after what the view stands for. What is
//! found goes to the scribe in steps as well, which reads the uses that came in since and appends on the condition that
//! there is none after them: so a token that was used a moment ago, on any node, stays.

use crate::catch_up::Fatal;
use crate::live::Live;
use crate::scribe::Scribe;
use crate::usage::{LastUses, Reach, Usage, last_uses, used};
use crate::work::{Call, Client, Failure, Presented, Work};
use domain::census::{Suspect, suspects};
use domain::decide::{Command, Request, RevokeInactive};
use domain::event::Reason;
use domain::id::{OrganizationId, TokenId};
use domain::line::LineError;
use domain::policy::is_inactive;
use domain::scope::Scope;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::{Commit, Log, Random};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The job's name, as lines give it.
const JOB: &str = "inactivity";
/// How often a node looks whether a sweep is due.
const LOOK: Duration = Duration::from_secs(30);
/// How often each organization is swept, give or take [`JITTER`].
const PERIOD: Duration = Duration::from_hours(1);
/// How far the next sweep is moved at most, so that those of many organizations spread.
const JITTER: Duration = Duration::from_mins(5);
/// How long sweeps wait at most once the authority comes back after it was away.
const LONGEST_GRACE: Duration = Duration::from_hours(24);
/// Tokens that one commit revokes at most: for so long the state is locked at a time.
const STEP: usize = 500;
/// Commits on a page.
const PAGE: u32 = 1_000;
/// How many lines the usage view may be behind. Past it a sweep waits for the view.
const MOST_BEHIND: u64 = 10_000_000;

/// Tokens to be revoked, if they are still unused where the decision is appended.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Whose tokens; none is the instance's own.
    organization: Option<OrganizationId>,
    tokens: Vec<TokenId>,
    pub(crate) known: LastKnown,
}

impl Sweep {
    /// The command that decides it on what is known now.
    pub(crate) fn request(&self) -> Request {
        let command = Command::RevokeInactive(RevokeInactive {
            organization: self.organization,
            tokens: self.tokens.clone(),
            last_uses: self.known.last.clone(),
        });
        Request { command, expected_revision: None, repeat: None }
    }
}

/// When certain tokens were last used, up to a size of the log.
#[derive(Clone, Debug)]
pub(crate) struct LastKnown {
    last: HashMap<TokenId, Option<Timestamp>>,
    pub(crate) reach: Reach,
}

impl LastKnown {
    /// Takes in the uses of the next commit.
    pub(crate) fn take_in(&mut self, commit: &Commit) -> Result<(), Fatal> {
        for (token, at) in uses_of(commit)? {
            if let Some(known) = self.last.get_mut(&token) {
                *known = Some(known.map_or(at, |known| known.max(at)));
            }
        }
        self.reach = (commit.end(), commit.id);
        Ok(())
    }
}

fn uses_of(commit: &Commit) -> Result<LastUses, Fatal> {
    let mut uses = LastUses::new();
    match last_uses(commit, &mut uses) {
        Ok(()) => Ok(uses),
        Err((position, error)) => Err(Fatal::Line { position, error: LineError::Malformed(error) }),
    }
}

/// A token that has been inactive for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inactive {
    /// The token.
    pub token: TokenId,
    /// Since when: when it was last used or, if it never was, when it began.
    pub since: Timestamp,
}

/// What follows the log since the usage view was written.
struct Fresh {
    last: LastUses,
    reach: Reach,
}

/// Looks for forgotten tokens, and has them revoked.
pub(crate) struct Sweeper {
    log: Log,
    live: Arc<Live>,
    scribe: Scribe,
    usage: Arc<Usage>,
    random: Random,
}

impl Sweeper {
    pub(crate) fn new(
        log: &Log,
        live: &Arc<Live>,
        scribe: &Scribe,
        usage: &Arc<Usage>,
        random: &Random,
    ) -> Self {
        let (live, usage) = (Arc::clone(live), Arc::clone(usage));
        Self { log: log.clone(), live, scribe: scribe.clone(), usage, random: random.clone() }
    }

    /// Sweeps what is due, every now and then, until it is told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                swept = self.sweep_due() => if let Err(failure) = swept {
                    tracing::warn!(%failure, "forgotten tokens could not be looked for; it is tried again");
                }
            }
        }
    }

    /// The tokens of a scope that have been unused for more than `days`, in the order of their minting.
    pub(crate) async fn inactive(&self, scope: Scope, days: u32) -> Result<Vec<Inactive>, Failure> {
        let mut fresh = self.fresh().await?;
        self.catch_up(&mut fresh).await?;
        let (mut found, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let page;
            (page, from) = self.look(scope, days, next, &fresh).await?;
            found.extend(page.into_iter().map(|(inactive, _)| inactive));
        }
        Ok(found)
    }

    /// Revokes the tokens of a scope that its policy calls inactive, as whoever calls.
    pub(crate) async fn sweep(&self, scope: Scope, call: &Call) -> Result<Vec<Inactive>, Failure> {
        let days = self.live.read(|state| state.max_inactive_days(scope));
        let mut fresh = self.fresh().await?;
        let (mut revoked, mut from) = (Vec::new(), Some(0).filter(|_| days > 0));
        while let Some(next) = from {
            self.catch_up(&mut fresh).await?;
            let page;
            (page, from) = self.look(scope, days, next, &fresh).await?;
            for step in page.chunks(STEP) {
                revoked.extend(self.revoke(scope, call, step, &mut fresh).await?);
            }
        }
        Ok(revoked)
    }

    /// Hands some tokens to the scribe; says which of them have been revoked.
    async fn revoke(
        &self,
        scope: Scope,
        call: &Call,
        step: &[(Inactive, HashMap<TokenId, Option<Timestamp>>)],
        fresh: &mut Fresh,
    ) -> Result<Vec<Inactive>, Failure> {
        // The scribe reads what came in since, and everybody waits for it: it should not be much.
        let mut last: HashMap<_, _> = step.iter().flat_map(|(_, last)| last.clone()).collect();
        self.catch_up(fresh).await?;
        for (token, known) in &mut last {
            *known = fresh.last.get(token).copied().max(*known);
        }
        let sweep = Sweep {
            organization: scope.organization(),
            tokens: step.iter().map(|(inactive, _)| inactive.token).collect(),
            known: LastKnown { last, reach: fresh.reach },
        };
        self.scribe.submit(call.clone(), Work::Sweep(Box::new(sweep))).await?;
        let is_revoked = |state: &State, id: TokenId| {
            let revocation = state.tokens().get(id).and_then(|token| state.own_revocation(token));
            revocation.is_some_and(|revocation| revocation.reason == Reason::Inactive)
        };
        Ok(self.live.read(|state| {
            step.iter()
                .map(|(inactive, _)| *inactive)
                .filter(|inactive| is_revoked(state, inactive.token))
                .collect()
        }))
    }

    /// Of some more tokens, those that have been unused for too long, each with when it and those narrowed from it were
    /// last used.
    async fn look(
        &self,
        scope: Scope,
        days: u32,
        from: usize,
        fresh: &Fresh,
    ) -> Result<(Vec<(Inactive, HashMap<TokenId, Option<Timestamp>>)>, Option<usize>), Failure> {
        let at = self.now();
        let (page, next) = self.live.read(|state| suspects(state, scope, days, from, at));
        let family: Vec<TokenId> = page.iter().flat_map(|suspect| suspect.family.iter().copied()).collect();
        let mut last = if family.is_empty() {
            LastUses::new()
        } else {
            self.usage.last_used(&family).await.map_err(|_| Failure::Unavailable)?
        };
        for token in &family {
            if let Some(at) = fresh.last.get(token) {
                used(&mut last, *token, *at);
            }
        }
        let judge = |state: &State, suspect: &Suspect| {
            let token = state.tokens().get(suspect.token)?;
            let own: HashMap<_, _> = suspect.family.iter().map(|id| (*id, last.get(id).copied())).collect();
            let since = state.inactive_since(token, |id| own.get(&id).copied())?;
            is_inactive(since, days, at).then_some((Inactive { token: token.id, since }, own))
        };
        let found = self.live.read(|state| page.iter().filter_map(|suspect| judge(state, suspect)).collect());
        tokio::task::yield_now().await;
        Ok((found, next))
    }

    /// What the usage view stands for, before anything is read from it.
    async fn fresh(&self) -> Result<Fresh, Failure> {
        let reach = self.usage.reach().await.map_err(|_| Failure::Unavailable)?;
        let behind = self.live.position().saturating_sub(reach.0);
        if behind > MOST_BEHIND {
            return Err(Failure::UsageBehind(behind));
        }
        Ok(Fresh { last: LastUses::new(), reach })
    }

    /// Reads the lines up to the end of the log.
    async fn catch_up(&self, fresh: &mut Fresh) -> Result<(), Failure> {
        loop {
            let commits = self.log.commits_after(fresh.reach.0, fresh.reach.1, PAGE).await;
            let commits = commits.map_err(|error| unavailable(&error))?;
            let is_last = commits.len() < PAGE as usize;
            for commit in &commits {
                let uses = uses_of(commit).map_err(|fatal| unavailable(&fatal))?;
                for (token, at) in uses {
                    used(&mut fresh.last, token, at);
                }
                fresh.reach = (commit.end(), commit.id);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.live.clock().now()).max(self.live.read(State::last_at))
    }

    /// Sweeps every scope whose time has come and that no other node took; says how many tokens were revoked.
    pub(crate) async fn sweep_due(&self) -> Result<usize, Failure> {
        let mut revoked = 0;
        for scope in self.claim().await.map_err(|error| unavailable(&error))? {
            let call = Call {
                presented: Presented::Job(JOB),
                client: Client::default(),
                request: JOB.into(),
                operation: JOB,
                object: None,
                personal: Vec::new(),
            };
            let found = self.sweep(scope, &call).await?.len();
            if found > 0 {
                tracing::info!(tokens = found, scope = %self.live.read(|state| state.describe(scope)), "revoked what was forgotten");
            }
            revoked += found;
        }
        Ok(revoked)
    }

    /// The scopes that this node sweeps now. Each has a time in the table, and whoever moves it on has the sweep.
    async fn claim(&self) -> Result<Vec<Scope>, sqlx::Error> {
        let scopes = self.live.read(swept);
        let ids: Vec<Uuid> = scopes.iter().map(|scope| id_of(*scope)).collect();
        let now = self.now().micros();
        let firsts: Vec<i64> = ids.iter().map(|_| now + self.within(PERIOD)).collect();
        // One that is switched off loses its time, so that it is not overdue when it is switched on again.
        sqlx::query("DELETE FROM chancery_views.sweeps WHERE organization <> ALL ($1)")
            .bind(&ids)
            .execute(self.log.pool())
            .await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query(
            "INSERT INTO chancery_views.sweeps (organization, next_at)
             SELECT organization, first FROM unnest($1::uuid[], $2::int8[]) AS due (organization, first)
             ON CONFLICT (organization) DO NOTHING",
        )
        .bind(&ids)
        .bind(&firsts)
        .execute(self.log.pool())
        .await?;
        let due: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT organization, next_at FROM chancery_views.sweeps WHERE next_at <= $1")
                .bind(now)
                .fetch_all(self.log.pool())
                .await?;
        let mut claimed = Vec::new();
        for (id, was) in due {
            let (next, is_swept) = next_sweep(was, now, self.within(JITTER * 2) - micros(JITTER));
            let moved = sqlx::query(
                "UPDATE chancery_views.sweeps SET next_at = $1 WHERE organization = $2 AND next_at = $3",
            )
            .bind(next)
            .bind(id)
            .bind(was)
            .execute(self.log.pool())
            .await?;
            let scope = scopes.iter().find(|scope| id_of(**scope) == id);
            claimed.extend(scope.filter(|_| is_swept && moved.rows_affected() == 1));
        }
        Ok(claimed)
    }

    /// A random number of microseconds up to `most`.
    fn within(&self, most: Duration) -> i64 {
        let random = u64::from(u32::from_le_bytes(self.random.bytes()));
        let most = u64::try_from(micros(most)).unwrap_or_default();
        i64::try_from((u128::from(most) * u128::from(random)) >> 32).unwrap_or_default()
    }
}

/// When the sweep after the one of `was` comes, and whether that one is done at `now`. If it comes late by more than a
/// period, nobody could use a token meanwhile, or the clock has jumped: then there is as long again, a day at most, to
/// use the tokens that are still needed.
fn next_sweep(was: i64, now: i64, jitter: i64) -> (i64, bool) {
    let late = now - was;
    if late > micros(PERIOD) {
        return (now + late.min(micros(LONGEST_GRACE)), false);
    }
    (now + micros(PERIOD) + jitter, true)
}

/// The scopes whose policy limits inactivity.
fn swept(state: &State) -> Vec<Scope> {
    let organizations = state.organizations_after(None).map(|found| Scope::Organization(found.id));
    let all = std::iter::once(Scope::Instance).chain(organizations);
    all.filter(|scope| state.max_inactive_days(*scope) > 0).collect()
}

fn id_of(scope: Scope) -> Uuid {
    scope.organization().map_or(Uuid::nil(), |id| id.0)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn unavailable(error: &dyn std::error::Error) -> Failure {
    tracing::warn!(%error, "when tokens were last used could not be read");
    Failure::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_late_sweep_gives_time_to_use_what_is_needed() {
        assert_eq!(next_sweep(0, 0, 7), (HOUR + 7, true));
        assert_eq!(next_sweep(0, HOUR, -7), (2 * HOUR - 7, true));
        assert_eq!(next_sweep(0, HOUR + 1, 0), (2 * (HOUR + 1), false));
        assert_eq!(next_sweep(0, 90 * HOUR, 0), (114 * HOUR, false));
    }
}

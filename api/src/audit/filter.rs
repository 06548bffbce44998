//! Filters of events, as requests write them.

use crate::app::App;
use crate::edge::Problem;
use crate::error::invalid;
use crate::tokens::read_time;
use domain::decide::ScopeText;
use domain::id::{TokenId, is_uuid_shaped};
use domain::line::TYPES;
use domain::scope::Scope;
use domain::time::Timestamp;
use projections::audit::{EventFilter, Kind, kind_of};
use std::net::IpAddr;

/// The longest text of an actor: a partner's name takes the most room.
const ACTOR: usize = 256;
/// The most commitments to one address that a filter takes: one for each day, writer and person.
const MOST_ADDRESSES: u32 = 100_000;
/// Why an address is refused that has more.
const TOO_MANY: &str = "an address with at most 100,000 records there; name an `organization`, or leave it out and give \
                        `actor`, `from` and `to`";

/// The parameters that events and their stream have in common.
pub(crate) struct Texts<'q> {
    pub(crate) actor: Option<&'q str>,
    pub(crate) organization: Option<&'q str>,
    pub(crate) project: Option<&'q str>,
    pub(crate) token: Option<&'q str>,
    pub(crate) types: Option<&'q str>,
    pub(crate) from: Option<&'q str>,
    pub(crate) to: Option<&'q str>,
    pub(crate) address: Option<&'q str>,
}

/// What they ask for, before it is known which place is meant.
pub(crate) struct Asked {
    pub(crate) scope: Option<ScopeText>,
    pub(crate) address: Option<IpAddr>,
    filter: EventFilter,
}

impl Texts<'_> {
    /// Reads them. Uses of tokens are only asked for where they can be had.
    pub(crate) fn read(&self, has_uses: bool) -> Result<Asked, Problem> {
        let (actor, actor_token) = self.actor.map(read_actor).transpose()?.unwrap_or_default();
        let time = |field, text: Option<&str>| text.map(|text| read_time(field, text)).transpose();
        let (from, to) = (time("from", self.from)?, time("to", self.to)?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(invalid("to", self.to.unwrap_or_default(), "a time after `from`"));
        }
        let filter = EventFilter {
            place: Scope::Instance,
            token: self.token.map(|text| read_token("token", text)).transpose()?,
            actor,
            actor_token,
            types: self.types.map(|text| read_types(text, has_uses)).transpose()?,
            from,
            to,
            addresses: None,
        };
        let address = self.address.map(|text| {
            text.parse::<IpAddr>()
                .map_err(|_| invalid("address", text, "an address such as 192.0.2.7 or 2001:db8::1"))
        });
        Ok(Asked { scope: self.scope()?, address: address.transpose()?, filter })
    }

    fn scope(&self) -> Result<Option<ScopeText>, Problem> {
        match (self.organization, self.project) {
            (None, None) => Ok(None),
            (Some(organization), None) => Ok(Some(ScopeText::Organization(organization.to_owned()))),
            (Some(organization), Some(project)) => {
                Ok(Some(ScopeText::Project(organization.to_owned(), project.to_owned())))
            }
            (None, Some(project)) => Err(invalid("project", project, "given together with its organization")),
        }
    }
}

impl Asked {
    /// The filter at a place, with the commitments that stand for the address there. Those of other places are not looked
    /// at: neither the answer nor its time tells whether anybody else knows the address.
    pub(crate) async fn at(&self, app: &App, place: Scope) -> Result<EventFilter, Problem> {
        let Some(address) = self.address else { return Ok(self.filter_at(place)) };
        let value = address.to_canonical().to_string();
        let organization = place.organization().map(|id| id.0);
        let found = app
            .node()
            .audit_log()
            .commitments_to_address(value.clone(), organization, MOST_ADDRESSES + 1)
            .await;
        let found = found.map_err(|error| super::failed(&error))?;
        if found.len() > MOST_ADDRESSES as usize {
            return Err(invalid("address", &value, TOO_MANY));
        }
        Ok(EventFilter { addresses: Some(found), ..self.filter_at(place) })
    }

    /// The filter at a place, without the address.
    pub(crate) fn filter_at(&self, place: Scope) -> EventFilter {
        EventFilter { place, ..self.filter.clone() }
    }
}

/// An id, or an actor as lines write it.
fn read_actor(text: &str) -> Result<(Option<String>, Option<TokenId>), Problem> {
    if is_uuid_shaped(text) {
        return read_token("actor", text).map(|id| (None, Some(id)));
    }
    let is_actor =
        !text.is_empty() && text.len() <= ACTOR && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_actor {
        return Ok((Some(text.to_owned()), None));
    }
    Err(invalid(
        "actor",
        text,
        "an actor such as org-token:chyo_4fT9aQ1 or admin-token, or the id of a token",
    ))
}

fn read_token(field: &'static str, text: &str) -> Result<TokenId, Problem> {
    text.parse().map_err(|_| invalid(field, text, "the id of a token"))
}

/// Types with commas between them.
fn read_types(text: &str, has_uses: bool) -> Result<Vec<String>, Problem> {
    let read = |kind: &str| match TYPES.contains(&kind) {
        true if has_uses || kind_of(kind) != Kind::Use => Ok(kind.to_owned()),
        true => {
            Err(invalid("type", kind, "a type of lifecycle events; uses are under `/v1/tokens/{id}/uses`"))
        }
        false => Err(invalid("type", kind, "types of events such as TokenMinted, with commas between them")),
    };
    text.split(',').map(read).collect()
}

/// A time after which nothing is asked for has passed.
pub(crate) fn is_over(to: Option<Timestamp>, now: Timestamp) -> bool {
    to.is_some_and(|to| to <= now)
}

//! Verdicts as JSON, written from the state without a copy in between: [`wire::Verdict`](crate::wire::Verdict) says
//! what they are.

use crate::edge::codes;
use crate::respond::POSITION;
use axum::body::Body;
use axum::response::Response;
use domain::authority::permissions_at;
use domain::scope::{Grant, Scope};
use domain::state::State;
use domain::verify::{Code, Verdict};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use std::fmt::Display;

/// What one verdict is expected to take: one about a token with a grant or two.
pub(super) const USUAL: usize = 640;

/// An answer whose body is written already.
pub(super) fn respond(body: Vec<u8>, position: u64) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(POSITION, position.into());
    response
}

/// One verdict with the position of its line.
pub(super) struct Rendered<'a> {
    pub(super) state: &'a State,
    pub(super) verdict: &'a Verdict,
    pub(super) position: Option<u64>,
}

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let code = self.verdict.code;
        let mut fields = serializer.serialize_struct("Verdict", 4)?;
        fields.serialize_field("valid", &(code == Code::Valid))?;
        fields.serialize_field("code", code.as_str())?;
        if self.verdict.token.is_some() {
            fields.serialize_field("token", &OfToken(self))?;
        }
        if let Some(position) = self.position {
            fields.serialize_field("position", &position)?;
        }
        fields.end()
    }
}

/// What stands in the place of an answer that is withheld.
pub(super) struct Withheld;

impl Serialize for Withheld {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Verdict", 2)?;
        fields.serialize_field("valid", &false)?;
        fields.serialize_field("code", codes::RATE_LIMITED.code)?;
        fields.end()
    }
}

struct OfToken<'a>(&'a Rendered<'a>);

impl Serialize for OfToken<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Rendered { state, verdict, .. } = self.0;
        let (token, _) = verdict.token.as_ref().expect("asked for where there is one");
        let mut fields = serializer.serialize_struct("VerifiedToken", 9)?;
        fields.serialize_field("id", &token.id)?;
        fields.serialize_field("name", &token.name)?;
        fields.serialize_field("prefix", token.prefix.as_str())?;
        fields.serialize_field("scope", &OfScope(state, token.scope))?;
        fields.serialize_field("grants", &Grants(state, &token.grants))?;
        fields.serialize_field("permissions", permissions_at(state, token, verdict.place).patterns())?;
        if let Some(end) = state.expiry(token) {
            fields.serialize_field("expires_at", &end)?;
        }
        fields.serialize_field("created_by", &Shown(&token.created_by))?;
        match &token.metadata {
            Some(metadata) => fields.serialize_field("metadata", metadata.json())?,
            None => fields.serialize_field("metadata", &Empty)?,
        }
        fields.end()
    }
}

struct OfScope<'a>(&'a State, Scope);

impl Serialize for OfScope<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(state, scope) = *self;
        let mut fields = serializer.serialize_struct("Scope", 3)?;
        if scope == Scope::Instance {
            fields.serialize_field("instance", &true)?;
        }
        if let Some(id) = scope.organization() {
            match state.organization(id) {
                Some(found) => fields.serialize_field("organization", found.naming.name.as_str())?,
                None => fields.serialize_field("organization", &id)?,
            }
        }
        if let Some(id) = scope.project() {
            match state.project(id) {
                Some(found) => fields.serialize_field("project", found.naming.name.as_str())?,
                None => fields.serialize_field("project", &id)?,
            }
        }
        fields.end()
    }
}

struct Grants<'a>(&'a State, &'a [Grant]);

impl Serialize for Grants<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(state, grants) = *self;
        let in_force = grants.iter().filter(|grant| !state.has_ended(grant));
        serializer.collect_seq(in_force.map(|grant| InNames(state, grant)))
    }
}

struct InNames<'a>(&'a State, &'a Grant);

impl Serialize for InNames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(state, grant) = *self;
        match grant.project {
            None => serializer.serialize_str(grant.role.as_str()),
            Some(_) => serializer.serialize_str(&crate::tokens::view_grant(state, grant)),
        }
    }
}

struct Shown<'a, T>(&'a T);

impl<T: Display> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

struct Empty;

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

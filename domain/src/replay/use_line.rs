//! Lines of uses, read without making anything of their own: nearly all lines of a log are uses.
//!
//! The fast way takes a line only if it is, byte for byte, what this build writes for it; whatever it does not take,
//! [`Line::read`](crate::line::Line::read) has to judge.

use crate::event::{By, Event, Use};
use crate::id::{OrganizationId, TokenId};
use crate::line::Line;
use crate::time::Timestamp;
use crate::verify::Code;
use uuid::Uuid;

/// What a line says about a use, as far as deciding it again needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseLine<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// The token's organization.
    pub org: Option<OrganizationId>,
    /// The token that acted.
    pub actor_token: Option<TokenId>,
    /// The commitment to the caller's address.
    pub actor_address: Option<&'a str>,
    /// The commitment to the caller's agent.
    pub actor_agent: Option<&'a str>,
    /// The token.
    pub token: TokenId,
    /// The ordinal of the secret that was shown.
    pub secret: u32,
    /// Why it was refused; none when it was valid.
    pub code: Option<Code>,
    /// The operation of Chancery's own API, where one was called.
    pub operation: Option<&'a str>,
    /// The permission in question.
    pub permission: Option<&'a str>,
    /// The organization in question, where it is not the token's own.
    pub organization: Option<&'a str>,
    /// The project in question.
    pub project: Option<&'a str>,
    /// The commitment to the address of who presented it.
    pub client_address: Option<&'a str>,
    /// The commitment to the agent of who presented it.
    pub client_agent: Option<&'a str>,
    /// The version that a bounded answer was decided on.
    pub seen: Option<u64>,
    /// How many it stands for.
    pub count: u32,
}

impl<'a> UseLine<'a> {
    /// Reads the line of a use as this build writes it. None where it is another line, or has an escaped text, or is
    /// at fault.
    pub fn read(text: &'a str, clock: &mut Clock) -> Option<Self> {
        let mut rest = Rest(text);
        rest.take(r#"{"v":1,"type":"Token"#)?;
        let refused = rest.take(r#"Refused","at":""#).is_some();
        if !refused {
            rest.take(r#"Used","at":""#)?;
        }
        let at = clock.read(rest.text()?)?;
        let org = rest.key(r#","org":""#, Rest::uuid)?.map(OrganizationId);
        rest.take(r#","actor":{"by":""#)?;
        By::parse(rest.text()?)?;
        let actor_token = rest.key(r#","token":""#, Rest::uuid)?.map(TokenId);
        rest.key(r#","request":""#, Rest::text)?;
        let actor_address = rest.key(r#","address":""#, Rest::text)?;
        let actor_agent = rest.key(r#","agent":""#, Rest::text)?;
        rest.take(r#"},"token":""#)?;
        let token = TokenId(rest.uuid()?);
        rest.take(r#","secret":"#)?;
        let secret = u32::try_from(rest.number()?).ok()?;
        let code = rest.key(r#","code":""#, Rest::code)?;
        if code.is_some() != refused {
            return None;
        }
        rest.take(r#","asked":{"#)?;
        let mut asked = Members { rest: &mut rest, is_first: true };
        let operation = asked.member(r#""operation":""#)?;
        let permission = asked.member(r#""permission":""#)?;
        let organization = asked.member(r#""organization":""#)?;
        let project = asked.member(r#""project":""#)?;
        asked.member(r#""resource":""#)?;
        rest.take("}")?;
        let (mut client_address, mut client_agent) = (None, None);
        if rest.take(r#","client":{"#).is_some() {
            let mut client = Members { rest: &mut rest, is_first: true };
            client_address = client.member(r#""address":""#)?;
            client_agent = client.member(r#""agent":""#)?;
            rest.take("}")?;
        }
        let seen = rest.key(r#","seen":"#, Rest::number)?;
        let count = rest.key(r#","count":"#, Rest::number)?;
        (rest.0 == "}").then_some(())?;
        Some(Self {
            at,
            org,
            actor_token,
            actor_address,
            actor_agent,
            token,
            secret,
            code,
            operation,
            permission,
            organization,
            project,
            client_address,
            client_agent,
            seen,
            count: count.map_or(Some(1), |count| u32::try_from(count).ok())?,
        })
    }

    /// The same of a line that was read the slow way; none when it is no use of a token.
    pub fn of(line: &'a Line) -> Option<Self> {
        let (Event::TokenUsed(used) | Event::TokenRefused(used)) = &line.event else { return None };
        let Use { token, secret, code, asked, client, seen, count } = used;
        Some(Self {
            at: line.at,
            org: line.org,
            actor_token: line.actor.token,
            actor_address: line.actor.address.as_deref(),
            actor_agent: line.actor.agent.as_deref(),
            token: *token,
            secret: *secret,
            code: *code,
            operation: asked.operation.as_deref(),
            permission: asked.permission.as_deref(),
            organization: asked.organization.as_deref(),
            project: asked.project.as_deref(),
            client_address: client.as_ref().and_then(|client| client.address.as_deref()),
            client_agent: client.as_ref().and_then(|client| client.agent.as_deref()),
            seen: *seen,
            count: count.unwrap_or(1),
        })
    }
}

/// Reads times. All lines of a commit have the same one, so that a time is mostly the one before.
#[derive(Default)]
pub struct Clock {
    text: String,
    at: Timestamp,
}

impl Clock {
    fn read(&mut self, text: &str) -> Option<Timestamp> {
        if self.text != text {
            let at = Timestamp::parse(text)?;
            let written = at.to_string();
            if written != text {
                return None;
            }
            (self.at, self.text) = (at, written);
        }
        Some(self.at)
    }
}

/// What of a line is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// A value whose key need not be there. The outer option is none where the value is at fault.
    fn key<T>(&mut self, key: &str, read: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.take(key).is_none() {
            return Some(None);
        }
        read(self).map(Some)
    }

    /// The rest of a text whose opening quote was taken, with its closing one.
    fn text(&mut self) -> Option<&'a str> {
        let (text, rest) = self.0.split_at(memchr::memchr(b'"', self.0.as_bytes())?);
        self.0 = rest.strip_prefix('"')?;
        // Counted rather than looked for, so that many bytes are looked at at once.
        let escaped = text.bytes().filter(|byte| *byte == b'\\' || *byte < b' ').count();
        (escaped == 0).then_some(text)
    }

    fn uuid(&mut self) -> Option<Uuid> {
        let text = self.text()?;
        let capitals = text.bytes().filter(u8::is_ascii_uppercase).count();
        let is_written_so = text.len() == 36 && capitals == 0;
        Uuid::try_parse_ascii(text.as_bytes()).ok().filter(|_| is_written_so)
    }

    fn code(&mut self) -> Option<Code> {
        let text = self.text()?;
        Code::ALL.iter().find(|code| code.as_str() == text).copied()
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.0.bytes().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at(end);
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }
}

/// The members of an object that may all be absent.
struct Members<'r, 'a> {
    rest: &'r mut Rest<'a>,
    is_first: bool,
}

impl<'a> Members<'_, 'a> {
    fn member(&mut self, key: &str) -> Option<Option<&'a str>> {
        let before = self.rest.0;
        let after = if self.is_first { before } else { before.strip_prefix(',').unwrap_or_default() };
        let Some(value) = after.strip_prefix(key) else { return Some(None) };
        self.rest.0 = value;
        self.is_first = false;
        self.rest.text().map(Some)
    }
}

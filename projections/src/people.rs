//! Personal values on their way to the log: commitments stand in for client addresses and user agents.
//!
//! The same value gets the same commitment within one organization and day, so that lines stay small and compress;
//! another day, or another organization, cannot be linked through it.

use domain::id::OrganizationId;
use domain::time::Timestamp;
use eventlog::Random;
use eventlog::personal::{Kind, Personal, decode_commitment};
use std::collections::HashMap as StdHashMap;
use std::net::IpAddr;

type HashMap<K, V> = StdHashMap<K, V, foldhash::quality::RandomState>;

/// The most commitments that are remembered; past it all are forgotten, which costs rows and nothing else.
const MOST: usize = 200_000;

/// A commitment as a line writes it: base64url of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commitment([u8; 43]);

impl Commitment {
    /// From a line; none where that holds another text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        decode_commitment(text)?;
        text.as_bytes().try_into().ok().map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("base64url is ASCII")
    }
}

/// The commitments of one day.
#[derive(Default)]
pub(crate) struct People {
    day: i64,
    addresses: HashMap<(Option<OrganizationId>, IpAddr), Commitment>,
    agents: HashMap<Option<OrganizationId>, HashMap<Box<str>, Commitment>>,
    size: usize,
    /// Made since the last commit and not stored yet.
    fresh: Vec<(Option<OrganizationId>, Personal)>,
}

impl People {
    /// Begins a batch of a day.
    pub(crate) fn begin(&mut self, at: Timestamp) {
        if self.day != at.day() || self.size > MOST {
            *self = Self { day: at.day(), ..Self::default() };
        }
    }

    pub(crate) fn address(
        &mut self,
        org: Option<OrganizationId>,
        address: IpAddr,
        random: &Random,
    ) -> Commitment {
        if let Some(known) = self.addresses.get(&(org, address)) {
            return *known;
        }
        let made = self.make(org, Kind::Address, address.to_string(), random);
        self.addresses.insert((org, address), made);
        made
    }

    pub(crate) fn agent(&mut self, org: Option<OrganizationId>, agent: &str, random: &Random) -> Commitment {
        if let Some(known) = self.agents.get(&org).and_then(|agents| agents.get(agent)) {
            return *known;
        }
        let made = self.make(org, Kind::Agent, agent.to_owned(), random);
        self.agents.entry(org).or_default().insert(agent.into(), made);
        made
    }

    fn make(
        &mut self,
        org: Option<OrganizationId>,
        kind: Kind,
        value: String,
        random: &Random,
    ) -> Commitment {
        let personal = Personal::new(kind, value, random.bytes());
        let encoded = personal.encoded();
        self.fresh.push((org, personal));
        self.size += 1;
        Commitment(encoded.as_bytes().try_into().expect("32 bytes are 43 characters of base64url"))
    }

    /// What the batch has to store.
    pub(crate) fn to_store(&self) -> Vec<Personal> {
        self.fresh.iter().map(|(_, personal)| personal.clone()).collect()
    }

    /// The batch is on the log.
    pub(crate) fn stored(&mut self) {
        self.fresh.clear();
    }

    /// The batch is not on the log: what was made for it must not be relied on.
    pub(crate) fn dropped(&mut self) {
        for (org, personal) in self.fresh.drain(..) {
            if let Ok(address) = personal.value.parse::<IpAddr>()
                && personal.kind == Kind::Address
            {
                self.addresses.remove(&(org, address));
            } else if let Some(agents) = self.agents.get_mut(&org) {
                agents.remove(personal.value.as_str());
            }
            self.size -= 1;
        }
    }
}

//! Personal values on their way to the log: commitments stand in for client addresses, user agents and names.
//!
//! The same value gets the same commitment within one organization and day, so that lines stay small and compress;
//! another day, or another organization, cannot be linked through it.

use domain::id::OrganizationId;
use domain::time::Timestamp;
use eventlog::personal::{Kind, Personal, decode_commitment, encode_commitment};
use eventlog::{Error, Log, Random};
use sqlx::FromRow as _;
use std::collections::HashMap as StdHashMap;
use std::net::IpAddr;

type HashMap<K, V> = StdHashMap<K, V, foldhash::quality::RandomState>;

/// The values behind commitments as lines write them. One that was erased, and one that is no commitment, is left out.
pub(crate) async fn open(
    log: &Log,
    commitments: impl IntoIterator<Item = &str>,
) -> Result<StdHashMap<String, String>, Error> {
    let keys = commitments.into_iter().filter_map(decode_commitment).map(Vec::from);
    let mut keys: Vec<Vec<u8>> = keys.collect();
    if keys.is_empty() {
        return Ok(StdHashMap::new());
    }
    keys.sort_unstable();
    keys.dedup();
    let reading =
        sqlx::query("SELECT commitment, value FROM chancery.personal WHERE commitment = ANY($1)").bind(keys);
    let rows = log.run("reading personal values", reading).await?;
    let opened = rows.iter().filter_map(|row| {
        let (key, value) = <(Vec<u8>, String)>::from_row(row).ok()?;
        Some((encode_commitment(&key.try_into().ok()?), value))
    });
    Ok(opened.collect())
}

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
    names: HashMap<Option<OrganizationId>, HashMap<Box<str>, Commitment>>,
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

    pub(crate) fn name(&mut self, org: Option<OrganizationId>, name: &str, random: &Random) -> Commitment {
        if let Some(known) = self.names.get(&org).and_then(|names| names.get(name)) {
            return *known;
        }
        let made = self.make(org, Kind::Name, name.to_owned(), random);
        self.names.entry(org).or_default().insert(name.into(), made);
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
            let texts = match personal.kind {
                Kind::Address => {
                    let address = personal.value.parse().ok();
                    address.and_then(|address: IpAddr| self.addresses.remove(&(org, address)));
                    None
                }
                Kind::Name => self.names.get_mut(&org),
                Kind::Agent | Kind::Email => self.agents.get_mut(&org),
            };
            if let Some(texts) = texts {
                texts.remove(personal.value.as_str());
            }
            self.size -= 1;
        }
    }
}

//! Personal values on their way to the log: commitments stand in for client addresses, user agents and names.
//!
//! The same value gets the same commitment within one organization, day and person, so that lines stay small and
//! compress; another day, another organization or another person cannot be linked through it.

use crate::live::Live;
use domain::decide::Erasing;
use domain::id::{OrganizationId, UserId};
use domain::state::User;
use domain::time::Timestamp;
use eventlog::personal::{Kind, Opened, Personal, decode_commitment, encode_commitment};
use eventlog::{Erasure, Error, Log, Random};
use std::collections::HashMap as StdHashMap;
use std::net::IpAddr;
use std::sync::Arc;
use uuid::Uuid;

type HashMap<K, V> = StdHashMap<K, V, foldhash::quality::RandomState>;

/// What stands behind commitments as lines write them. One that was erased, and one that is no commitment, is left out.
pub(crate) async fn open(
    log: &Log,
    commitments: impl IntoIterator<Item = &str>,
) -> Result<StdHashMap<String, Opened>, Error> {
    let mut keys: Vec<[u8; 32]> = commitments.into_iter().filter_map(decode_commitment).collect();
    if keys.is_empty() {
        return Ok(StdHashMap::new());
    }
    keys.sort_unstable();
    keys.dedup();
    let opened = log.personal_values(&keys).await?;
    Ok(opened.into_iter().map(|(key, opened)| (encode_commitment(&key), opened)).collect())
}

/// Deletes, in steps that hold up nobody, what the events of erasures have left, and what has come to be kept about
/// those persons since: of a use that was answered before this node knew of the erasure and recorded after it, or that
/// was refused because the session is over.
pub(crate) async fn erase_again(log: &Log, live: &Live) -> Result<u64, Error> {
    /// Of so many persons at a time.
    const AT_ONCE: usize = 1_000;
    let is_erased = |user: &&Arc<User>| user.erased_at.is_some();
    let erased: Vec<Uuid> =
        live.read(|state| state.people().users_after(None).filter(is_erased).map(|user| user.id.0).collect());
    let mut count = 0;
    for some in erased.chunks(AT_ONCE) {
        loop {
            let step = log.erase_some(some).await?;
            count += step.deleted;
            if !step.more {
                break;
            }
        }
    }
    Ok(count)
}

/// What an erasure deletes, by the commitments of the lines.
pub fn erasure(erasing: &Erasing) -> Erasure {
    Erasure {
        persons: erasing.users.iter().map(|user| user.0).collect(),
        values: erasing.values.iter().filter_map(|text| decode_commitment(text)).collect(),
    }
}

/// Whose lines a commitment stands in, and whose value it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    /// The organization; none is the instance.
    pub(crate) org: Option<OrganizationId>,
    /// The person, where somebody acts as one: then an erasure of that person takes nothing of anybody else's.
    pub(crate) person: Option<UserId>,
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
    /// How many erasures were folded when it began.
    erasures: u64,
    addresses: HashMap<(Whose, IpAddr), Commitment>,
    agents: HashMap<Whose, HashMap<Box<str>, Commitment>>,
    names: HashMap<Whose, HashMap<Box<str>, Commitment>>,
    size: usize,
    /// Made since the last commit and not stored yet.
    fresh: Vec<(Whose, Personal)>,
}

impl People {
    /// Forgets everything when somebody was erased since: a line must not refer to a row that is gone.
    pub(crate) fn keep_up(&mut self, erasures: u64) {
        if self.erasures != erasures {
            *self = Self { day: self.day, erasures, ..Self::default() };
        }
    }

    /// Begins a batch of a day.
    pub(crate) fn begin(&mut self, at: Timestamp) {
        if self.day != at.day() || self.size > MOST {
            *self = Self { day: at.day(), erasures: self.erasures, ..Self::default() };
        }
    }

    pub(crate) fn address(&mut self, whose: Whose, address: IpAddr, random: &Random) -> Commitment {
        if let Some(known) = self.addresses.get(&(whose, address)) {
            return *known;
        }
        let made = self.make(whose, Kind::Address, address.to_string(), random);
        self.addresses.insert((whose, address), made);
        made
    }

    pub(crate) fn agent(&mut self, whose: Whose, agent: &str, random: &Random) -> Commitment {
        if let Some(known) = self.agents.get(&whose).and_then(|agents| agents.get(agent)) {
            return *known;
        }
        let made = self.make(whose, Kind::Agent, agent.to_owned(), random);
        self.agents.entry(whose).or_default().insert(agent.into(), made);
        made
    }

    pub(crate) fn name(&mut self, whose: Whose, name: &str, random: &Random) -> Commitment {
        if let Some(known) = self.names.get(&whose).and_then(|names| names.get(name)) {
            return *known;
        }
        let made = self.make(whose, Kind::Name, name.to_owned(), random);
        self.names.entry(whose).or_default().insert(name.into(), made);
        made
    }

    fn make(&mut self, whose: Whose, kind: Kind, value: String, random: &Random) -> Commitment {
        let (organization, person) = (whose.org.map(|id| id.0), whose.person.map(|id| id.0));
        let personal = Personal::new(kind, value, random.bytes()).of(organization, person);
        let encoded = personal.encoded();
        self.fresh.push((whose, personal));
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
        for (whose, personal) in self.fresh.drain(..) {
            let texts = match personal.kind {
                Kind::Address => {
                    let address = personal.value.parse().ok();
                    address.and_then(|address: IpAddr| self.addresses.remove(&(whose, address)));
                    None
                }
                Kind::Name => self.names.get_mut(&whose),
                Kind::Agent | Kind::Email => self.agents.get_mut(&whose),
            };
            if let Some(texts) = texts {
                texts.remove(personal.value.as_str());
            }
            self.size -= 1;
        }
    }
}

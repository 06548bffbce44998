//! The networks that a token may be used from.

use crate::rejection::Rejection;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::net::IpAddr;
use std::sync::Arc;

/// Most networks one token may name.
pub const MOST: usize = 64;

/// Allowed networks in CIDR notation, sorted, each without host bits. None means anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Networks(Option<Arc<[IpNet]>>);

impl<'de> Deserialize<'de> for Networks {
    /// Reads only what [`Networks::parse`] makes, in its own order and notation.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let networks = Self::parse(&texts).map_err(D::Error::custom)?;
        let is_own = networks.list().len() == texts.len()
            && networks.list().iter().zip(&texts).all(|(network, text)| network.to_string() == *text);
        if is_own && !texts.is_empty() {
            return Ok(networks);
        }
        Err(D::Error::custom("networks are not sorted, each once, without host bits"))
    }
}

impl Networks {
    /// From anywhere.
    pub const ANYWHERE: Self = Self(None);

    /// Reads networks and single addresses as people write them. An empty list means anywhere.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, Rejection> {
        if texts.len() > MOST {
            return Err(Rejection::invalid(
                "allowed_networks",
                &texts.len().to_string(),
                format!("at most {MOST} networks"),
            ));
        }
        let mut networks =
            texts.iter().map(|text| parse_one(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        networks.sort_unstable();
        networks.dedup();
        Ok(Self((!networks.is_empty()).then(|| networks.into())))
    }

    /// Networks that were read before, in their order; none where they are not.
    pub(crate) fn of(networks: Vec<IpNet>) -> Option<Self> {
        let is_own = networks.is_sorted_by(|one, next| one < next) && networks.len() <= MOST;
        is_own.then(|| Self((!networks.is_empty()).then(|| networks.into())))
    }

    /// Whether nothing is restricted.
    pub fn is_anywhere(&self) -> bool {
        self.0.is_none()
    }

    /// The networks; empty means anywhere.
    pub fn list(&self) -> &[IpNet] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether a call from `address` is allowed. No known address is allowed only from anywhere.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        match (&self.0, address) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(networks), Some(address)) => {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
        }
    }

    /// Whether some address is allowed by both.
    pub fn overlap(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, _) | (_, None) => true,
            (Some(mine), Some(theirs)) => {
                mine.iter().any(|n| theirs.iter().any(|other| n.contains(other) || other.contains(n)))
            }
        }
    }

    /// Whether every address that these networks allow, `wider` allows as well.
    pub fn within(&self, wider: &Self) -> bool {
        match (&self.0, &wider.0) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.iter().all(|n| theirs.iter().any(|wide| wide.contains(n))),
        }
    }
}

fn parse_one(text: &str) -> Result<IpNet, Rejection> {
    let network = text.trim().parse::<IpNet>().or_else(|_| text.trim().parse::<IpAddr>().map(IpNet::from));
    match network {
        // An IPv4-mapped IPv6 network would never match: addresses are compared in their canonical form.
        Ok(IpNet::V6(v6)) if v6.addr().to_ipv4_mapped().is_some() => Err(Rejection::invalid(
            "allowed_networks",
            text,
            "an IPv4 network in its own notation".to_owned(),
        )),
        Ok(network) => Ok(network.trunc()),
        Err(_) => Err(Rejection::invalid(
            "allowed_networks",
            text,
            "networks such as 10.0.0.0/8 or 2001:db8::/32, or single addresses".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(texts).unwrap()
    }

    #[test]
    fn membership() {
        let office = networks(&["10.1.2.3/8", "2001:db8::/32", "192.0.2.7"]);
        let allowed = |text: &str| office.allow(Some(text.parse().unwrap()));
        assert!(
            allowed("10.255.0.1")
                && allowed("::ffff:10.0.0.1")
                && allowed("2001:db8::1")
                && allowed("192.0.2.7")
        );
        assert!(!allowed("192.0.2.8") && !allowed("2001:db9::1") && !office.allow(None));
        assert!(Networks::ANYWHERE.allow(None));
    }

    #[test]
    fn containment() {
        let wide = networks(&["10.0.0.0/8"]);
        assert!(networks(&["10.1.0.0/16"]).within(&wide));
        assert!(wide.within(&Networks::ANYWHERE) && wide.within(&wide));
        assert!(!Networks::ANYWHERE.within(&wide) && !networks(&["0.0.0.0/0"]).within(&wide));
    }

    #[test]
    fn bad_networks_are_refused() {
        for bad in ["", "10.0.0.0/33", "localhost", "::ffff:10.0.0.0/104", "10.0.0.0/-1"] {
            assert!(Networks::parse(&[bad]).is_err(), "{bad}");
        }
        assert!(Networks::parse(&vec!["10.0.0.0/8"; MOST + 1]).is_err());
    }
}

//! Values in few bytes, quickly written and read: what snapshots of the state consist of.
//!
//! There are no names and no versions in it: what is packed is read by the build that packed it and by no other
//! ([`crate::state::FOLD`]). Every struct and enum is listed with all that it has, so a field that is added and not
//! packed does not compile. What is unpacked is checked as far as its type needs it; damage is found by the hash that
//! whoever stores it keeps beside it.

use crate::event::{Answers, By, Evidence, InstancePolicy, LogPlace, Metadata, Naming, Reason, Subject};
use crate::id::{InvitationId, OrganizationId, ProjectId, TokenId, UserId};
use crate::import::Algorithm;
use crate::name::Name;
use crate::network::Networks;
use crate::people::Issue;
use crate::permission::{Pattern, PermissionSet};
use crate::policy::{LeakResponse, OrganizationPolicy};
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::secret::{Prefix, SecretHash};
use crate::time::Timestamp;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use uuid::Uuid;

/// What can be packed.
pub(crate) trait Pack: Sized {
    /// Writes the value behind what is there.
    fn pack(&self, to: &mut Vec<u8>);

    /// Reads a value and moves on; none where the bytes are not one.
    fn unpack(from: &mut &[u8]) -> Option<Self>;
}

/// Packs a struct, field by field.
macro_rules! packed_struct {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::pack::Pack::pack($field, to);)*
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::pack::Pack::unpack(from)?;)*
                Some(Self { $($field),* })
            }
        }
    };
}

/// Packs an enum: the variant's number, and what it holds.
macro_rules! packed_enum {
    ($type:ty { $($number:literal => $variant:ident $(($($part:ident),*))?),* $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($part),*))? => {
                        to.push($number);
                        $($($crate::pack::Pack::pack($part, to);)*)?
                    })*
                }
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                match <u8 as $crate::pack::Pack>::unpack(from)? {
                    $($number => {
                        $($(let $part = $crate::pack::Pack::unpack(from)?;)*)?
                        Some(Self::$variant $(($($part),*))?)
                    })*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {packed_enum, packed_struct};

/// The next so many bytes.
fn take<'b>(from: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    take(from, N)?.try_into().ok()
}

fn text<'b>(from: &mut &'b [u8]) -> Option<&'b str> {
    let length = usize::unpack(from)?;
    std::str::from_utf8(take(from, length)?).ok()
}

impl Pack for u8 {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(*self);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        array(from).map(|[byte]| byte)
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        match u8::unpack(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
impl Pack for u64 {
    fn pack(&self, to: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            to.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        to.push(rest as u8);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let mut number = 0;
        for shift in (0..Self::BITS).step_by(7) {
            let byte = u8::unpack(from)?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                u64::try_from(*self).expect("no machine has longer numbers").pack(to);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Self::try_from(u64::unpack(from)?).ok()
            }
        }
    )*};
}

numbers!(u32, usize);

impl Pack for Timestamp {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend(self.micros().to_le_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let micros = i64::from_le_bytes(array(from)?);
        Some(Self::from_micros(micros)).filter(|at| at.micros() == micros)
    }
}

impl Pack for Uuid {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend(self.as_bytes());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        array(from).map(Self::from_bytes)
    }
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl Pack for $id {
            fn pack(&self, to: &mut Vec<u8>) {
                self.0.pack(to);
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                Uuid::unpack(from).map(Self)
            }
        }
    )*};
}

ids!(OrganizationId, ProjectId, TokenId, UserId, InvitationId);

impl Pack for SecretHash {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend(self.0);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        array(from).map(Self)
    }
}

/// Types that are written as text and read from it.
macro_rules! texts {
    ($($type:ty: $read:expr;)*) => {$(
        impl Pack for $type {
            fn pack(&self, to: &mut Vec<u8>) {
                let text: &str = AsText::text(self);
                text.len().pack(to);
                to.extend(text.as_bytes());
            }

            fn unpack(from: &mut &[u8]) -> Option<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text(from)?)
            }
        }
    )*};
}

/// A value's text, whatever the type calls it.
trait AsText {
    fn text(&self) -> &str;
}

macro_rules! as_text {
    ($($type:ty: |$value:ident| $text:expr;)*) => {$(
        impl AsText for $type {
            fn text(&self) -> &str {
                let $value = self;
                $text
            }
        }
    )*};
}

as_text! {
    Box<str>: |value| value;
    Cow<'static, str>: |value| value;
    Name: |name| name.as_str();
    Pattern: |pattern| pattern.as_str();
    Prefix: |prefix| prefix.as_str();
    Metadata: |metadata| metadata.json().get();
}

texts! {
    Box<str>: |text| Some(text.into());
    Cow<'static, str>: |text| Some(Cow::Owned(text.to_owned()));
    Name: Name::label;
    Pattern: Pattern::parse;
    Prefix: Prefix::of;
    Metadata: |text| RawValue::from_string(text.to_owned()).ok().map(Metadata);
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Some(None) }
    }
}

impl<T: Pack> Pack for Arc<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        (**self).pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        T::unpack(from).map(Self::new)
    }
}

/// A sequence: how many, then each.
fn pack_all<'a, T: Pack + 'a>(items: impl ExactSizeIterator<Item = &'a T>, to: &mut Vec<u8>) {
    items.len().pack(to);
    items.for_each(|item| item.pack(to));
}

fn pack_pairs<'a, K: Pack + 'a, V: Pack + 'a>(
    pairs: impl ExactSizeIterator<Item = (&'a K, &'a V)>,
    to: &mut Vec<u8>,
) {
    pairs.len().pack(to);
    for (key, value) in pairs {
        key.pack(to);
        value.pack(to);
    }
}

fn unpack_all<T: Pack, C: FromIterator<T>>(from: &mut &[u8]) -> Option<C> {
    let length = usize::unpack(from)?;
    (0..length).map(|_| T::unpack(from)).collect()
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all(from)
    }
}

impl<T: Pack> Pack for Arc<[T]> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all::<T, Vec<T>>(from).map(Into::into)
    }
}

impl<T: Pack + Ord> Pack for BTreeSet<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all(from)
    }
}

impl<K: Pack + Ord, V: Pack> Pack for BTreeMap<K, V> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_pairs(self.iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all::<(K, V), Self>(from)
    }
}

impl<K: Pack + Hash + Eq, V: Pack, S: BuildHasher + Default> Pack for HashMap<K, V, S> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_pairs(self.iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all::<(K, V), Self>(from)
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<A: Pack, B: Pack, C: Pack> Pack for (A, B, C) {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
        self.1.pack(to);
        self.2.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Some((A::unpack(from)?, B::unpack(from)?, C::unpack(from)?))
    }
}

impl Pack for IpNet {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(u8::from(matches!(self, Self::V6(_))));
        to.push(self.prefix_len());
        match self {
            Self::V4(network) => to.extend(network.addr().octets()),
            Self::V6(network) => to.extend(network.addr().octets()),
        }
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let [is_v6, length] = array(from)?;
        match is_v6 {
            0 => Ipv4Net::new(array::<4>(from)?.into(), length).ok().map(Self::V4),
            1 => Ipv6Net::new(array::<16>(from)?.into(), length).ok().map(Self::V6),
            _ => None,
        }
    }
}

impl Pack for Networks {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.list().iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Self::of(unpack_all(from)?)
    }
}

impl Pack for PermissionSet {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.patterns().iter(), to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        unpack_all::<Pattern, Vec<Pattern>>(from).map(Self::new)
    }
}

packed_enum!(Level { 0 => Instance, 1 => Organization, 2 => Project });
packed_enum!(Scope { 0 => Instance, 1 => Organization(of), 2 => Project(of, project) });
packed_enum!(Answers { 0 => Committed, 1 => Bounded });
packed_enum!(LeakResponse { 0 => Cascade, 1 => Revoke, 2 => Flag });
packed_enum!(Evidence { 0 => Hash, 1 => Secret, 2 => Signature });
packed_enum!(Algorithm { 0 => Blake3, 1 => Sha256 });
packed_enum!(Reason {
    0 => Requested,
    1 => Inactive,
    2 => Leaked,
    3 => MemberRemoved,
    4 => ProjectDeleted,
    5 => OrganizationDeleted,
});
packed_enum!(By {
    0 => AdminToken,
    1 => System(job),
    2 => Token(level, prefix),
    3 => Partner(name),
    4 => Anonymous,
    5 => Session(user),
});
packed_enum!(Subject {
    0 => Instance,
    1 => Organization(id),
    2 => Project(id),
    3 => Token(id),
    4 => Roles(owner),
    5 => Invitation(of, id),
    6 => Member(of, id),
    7 => User(id),
    8 => Tokens(scope, count),
});
packed_struct!(Grant { role, project });
packed_struct!(Naming { name, display_name });
packed_struct!(LogPlace { size, commit });
packed_struct!(Issue { hash, mailed, expires_at });
packed_struct!(InstancePolicy { answers, max_staleness_ms, record_within_ms, max_inactive_days });
packed_struct!(OrganizationPolicy {
    max_lifetime_s,
    default_lifetime_s,
    expiry_required,
    max_inactive_days,
    allowed_networks,
    max_mints_per_hour,
    max_live_tokens,
    rotation_due_days,
    rotation_enforced,
    allowed_roles,
    leak_response,
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(value: &impl Pack) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.pack(&mut bytes);
        bytes
    }

    fn unpacked<T: Pack>(mut bytes: &[u8]) -> Option<T> {
        let value = T::unpack(&mut bytes)?;
        bytes.is_empty().then_some(value)
    }

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(number: u64, text: Box<str>, maybe: Option<u32>) {
            let value = (number, text, maybe);
            prop_assert_eq!(unpacked(&packed(&value)), Some(value));
        }

        #[test]
        fn networks_come_back(addresses: Vec<(std::net::IpAddr, u8)>) {
            let texts: Vec<String> = addresses.iter().map(|(address, length)| format!("{address}/{length}")).collect();
            let fitting: Vec<&String> = texts.iter().filter(|text| Networks::parse(&[text]).is_ok()).take(64).collect();
            let networks = Networks::parse(&fitting).unwrap();
            prop_assert_eq!(unpacked(&packed(&networks)), Some(networks));
        }

        #[test]
        fn bytes_that_are_none_panic_nowhere(bytes: Vec<u8>) {
            let _ = unpacked::<Vec<(Scope, By, Option<Metadata>)>>(&bytes);
            let _ = unpacked::<(OrganizationPolicy, Subject, PermissionSet)>(&bytes);
        }
    }

    #[test]
    fn the_longest_numbers_and_what_is_longer() {
        for number in [0, 0x7f, 0x80, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(unpacked(&packed(&number)), Some(number));
        }
        assert_eq!(unpacked::<u64>(&[0x80; 10]), None);
        assert_eq!(unpacked::<u32>(&packed(&u64::MAX)), None);
    }
}

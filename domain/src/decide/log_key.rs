//! The key that signs checkpoints: another one in its place.

use super::{Decision, require_system};
use crate::authority::Caller;
use crate::event::{Event, Subject};
use crate::rejection::Rejection;
use crate::state::State;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// The longest time for which two keys sign.
const LONGEST_OVERLAP: Duration = Duration::from_hours(24 * 366);

/// Let another key sign checkpoints.
#[derive(Clone, Debug)]
pub struct RotateLogKey {
    /// The new public key: Ed25519, base64.
    pub key: Box<str>,
    /// How long the old key signs beside it, so that whoever knows only that one can follow.
    pub overlap: Duration,
}

/// Does nothing where the key signs already, so that a rotation that was cut off can be asked for again.
pub(super) fn rotate(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    rotate: &RotateLogKey,
) -> Result<Decision, Rejection> {
    require_system(caller)?;
    let instance = state.instance().ok_or_else(|| Rejection::not_found("instance", ""))?;
    let is_key = STANDARD.decode(rotate.key.as_bytes()).is_ok_and(|key| key.len() == 32);
    if !is_key {
        let expected = "the base64 of a public Ed25519 key, 32 bytes".to_owned();
        return Err(Rejection::invalid("log_key", &rotate.key, expected));
    }
    if rotate.overlap > LONGEST_OVERLAP {
        let days = format!("{} days", rotate.overlap.as_secs() / 86_400);
        return Err(Rejection::invalid("overlap", &days, "at most 366 days".to_owned()));
    }
    let rotated = Event::LogKeyRotated {
        before: instance.log_key.clone(),
        after: rotate.key.clone(),
        both_until: at.after(rotate.overlap),
    };
    let events = if instance.log_key == rotate.key { Vec::new() } else { vec![rotated] };
    Ok(Decision::new(None, events, Subject::Instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Command;
    use crate::testing::{World, absent, admin, forbidden, invalid, types};

    fn to(key: &str, days: u64) -> RotateLogKey {
        RotateLogKey { key: key.into(), overlap: Duration::from_hours(24 * days) }
    }

    #[test]
    fn a_key_takes_the_place_of_another_which_signs_on_for_a_while() {
        let (mut world, system) = (World::new(), Caller::system("rotate-log-key"));
        let (one, other) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let begun = world.state.instance().unwrap().log_key.clone();
        let rotated = world.run(&system, Command::RotateLogKey(to(&one, 30))).unwrap();
        assert_eq!(types(&rotated), ["LogKeyRotated"]);
        let instance = world.state.instance().unwrap().clone();
        let until = world.at.after(Duration::from_hours(24 * 30));
        assert_eq!((&*instance.log_key, &instance.log_key_before), (&*one, &Some((begun, until))));
        assert!(world.run(&system, Command::RotateLogKey(to(&one, 30))).unwrap().events.is_empty());
        // A second rotation ends the overlap of the first.
        world.run(&system, Command::RotateLogKey(to(&other, 0))).unwrap();
        let before = world.state.instance().unwrap().log_key_before.clone().unwrap();
        assert_eq!((&*before.0, before.1), (&*one, world.at));
    }

    #[test]
    fn only_an_operator_rotates_and_only_to_a_key() {
        let mut world = World::new();
        let (key, system) = (STANDARD.encode([1; 32]), Caller::system("rotate-log-key"));
        let root = world.mint("instance", &["instance-admin"]);
        for caller in [admin(), world.caller(root)] {
            let refused = world.run(&caller, Command::RotateLogKey(to(&key, 1)));
            assert_eq!(forbidden(refused), "* at the authority's own jobs");
        }
        for bad in ["", "b64", &STANDARD.encode([1; 31]), &key[1..]] {
            assert_eq!(invalid(world.run(&system, Command::RotateLogKey(to(bad, 1)))), "log_key");
        }
        assert_eq!(invalid(world.run(&system, Command::RotateLogKey(to(&key, 367)))), "overlap");
        assert!(absent(rotate(&State::default(), &system, world.at, &to(&key, 1))));
    }
}

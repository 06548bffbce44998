//! Which token minted which, as one caller may see it.
//!
//! Up, the first token that the caller may not read ends the way: its id is shown, because it is the `parent` of the one
//! below, and nothing else. Down, what the caller may not read is left out with all below it, as in every list.

use crate::authority::Caller;
use crate::id::TokenId;
use crate::query;
use crate::rejection::Rejection;
use crate::state::{State, Token};
use std::sync::Arc;

/// A token among those that it descends from and those that descend from it.
#[derive(Debug)]
pub struct Lineage {
    /// The token itself.
    pub token: Arc<Token>,
    /// Who minted it, who minted that, and so on.
    pub ancestors: Vec<Ancestor>,
    /// What it minted, then what that minted, and so on; each with how far below it is, from 1 on.
    pub descendants: Vec<(Arc<Token>, u32)>,
    /// Whether more descends from it than is here, or it from more.
    pub is_cut: bool,
}

/// A token above.
#[derive(Debug)]
pub enum Ancestor {
    /// One that the caller may read.
    Known(Arc<Token>),
    /// One that it may not read; the last.
    Hidden(TokenId),
}

/// How much of a lineage is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How far down.
    pub depth: u32,
    /// Tokens above, and tokens below.
    pub limit: usize,
}

/// The lineage of a token that the caller may read.
pub fn lineage(state: &State, caller: &Caller, id: TokenId, extent: Extent) -> Result<Lineage, Rejection> {
    let token = Arc::clone(query::token(state, caller, id)?);
    let (ancestors, is_cut_above) = ancestors(state, caller, &token, extent.limit);
    let (descendants, is_cut_below) = descendants(state, caller, &token, extent);
    Ok(Lineage { token, ancestors, descendants, is_cut: is_cut_above || is_cut_below })
}

/// So many are looked at to count those that a caller may read of what one token minted.
const COUNTED: usize = 10_000;

/// How many of the tokens that a token minted the caller may read.
pub fn minted(state: &State, caller: &Caller, token: &Token) -> usize {
    // What a token mints acts inside its scope.
    if caller.may(state, "tokens:read", token.scope) {
        return state.tokens().minted_by(token.id);
    }
    let seen = |child: &&Arc<Token>| query::token(state, caller, child.id).is_ok();
    state.tokens().children(token.id).take(COUNTED).filter(seen).count()
}

fn ancestors(state: &State, caller: &Caller, token: &Token, limit: usize) -> (Vec<Ancestor>, bool) {
    let mut found = Vec::new();
    let mut next = token.parent;
    while let Some(id) = next {
        if found.len() == limit {
            return (found, true);
        }
        let Ok(parent) = query::token(state, caller, id) else {
            found.push(Ancestor::Hidden(id));
            break;
        };
        next = parent.parent;
        found.push(Ancestor::Known(Arc::clone(parent)));
    }
    (found, false)
}

/// Level by level, so that the nearest are there when not all can be.
fn descendants(
    state: &State,
    caller: &Caller,
    token: &Arc<Token>,
    extent: Extent,
) -> (Vec<(Arc<Token>, u32)>, bool) {
    let mut found: Vec<(Arc<Token>, u32)> = Vec::new();
    // What may not be read costs a look as well, and a look has to be short.
    let mut looks = extent.limit.saturating_mul(4);
    let (mut above, mut next) = ((token.id, 0), 0);
    loop {
        let (id, depth) = above;
        if depth == extent.depth {
            let mut last = std::iter::once(id).chain(found[next..].iter().map(|(token, _)| token.id));
            let is_cut =
                last.any(|id| state.tokens().get(id).is_some_and(|one| minted(state, caller, one) > 0));
            return (found, is_cut);
        }
        for child in state.tokens().children(id) {
            if found.len() == extent.limit || looks == 0 {
                return (found, true);
            }
            looks -= 1;
            if query::token(state, caller, child.id).is_ok() {
                found.push((Arc::clone(child), depth + 1));
            }
        }
        let Some((token, depth)) = found.get(next) else { return (found, false) };
        above = (token.id, *depth);
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, absent, admin};

    const WHOLE: Extent = Extent { depth: 100, limit: 1_000 };

    fn shape(found: &Lineage) -> (Vec<Option<TokenId>>, Vec<(TokenId, u32)>, bool) {
        let up = found.ancestors.iter().map(|ancestor| match ancestor {
            Ancestor::Known(token) => Some(token.id),
            Ancestor::Hidden(_) => None,
        });
        let down = found.descendants.iter().map(|(token, depth)| (token.id, *depth));
        (up.collect(), down.collect(), found.is_cut)
    }

    #[test]
    fn a_lineage_goes_up_and_down_level_by_level() {
        let mut world = World::with_tenants();
        let top = world.mint("instance", &["instance-admin"]);
        let by = |world: &mut World, of: TokenId, scope: &str, grant: &str| {
            let caller = world.caller(of);
            world.mint_by(&caller, scope, &[grant], |_| ()).unwrap()
        };
        let owner = by(&mut world, top, "acme", "owner");
        let first = by(&mut world, owner, "acme", "admin");
        let second = by(&mut world, owner, "acme/web", "project-admin");
        let third = by(&mut world, first, "acme/web", "project-reader");
        let fourth = by(&mut world, second, "acme/web", "project-reader");
        let look = |caller: &Caller, id, extent| lineage(&world.state, caller, id, extent).map(|f| shape(&f));
        let all = vec![(first, 1), (second, 1), (third, 2), (fourth, 2)];
        assert_eq!(look(&admin(), owner, WHOLE).unwrap(), (vec![Some(top)], all.clone(), false));
        assert_eq!(
            look(&admin(), fourth, WHOLE).unwrap(),
            (vec![Some(second), Some(owner), Some(top)], vec![], false)
        );
        // The owner of acme sees that something minted it, and no more.
        let of_acme = world.caller(owner);
        assert_eq!(look(&of_acme, owner, WHOLE).unwrap(), (vec![None], all.clone(), false));
        assert!(absent(look(&of_acme, top, WHOLE)));
        // Who reads one project only, sees nothing of the organization's own tokens.
        let of_web = world.caller(second);
        assert_eq!(look(&of_web, second, WHOLE).unwrap(), (vec![None], vec![(fourth, 1)], false));
        assert!(absent(look(&of_web, owner, WHOLE)));
        for (depth, limit, count, is_cut) in
            [(1, 9, 2, true), (2, 9, 4, false), (9, 4, 4, false), (9, 3, 3, true), (9, 1, 1, true)]
        {
            let cut = look(&admin(), owner, Extent { depth, limit }).unwrap();
            assert_eq!((cut.1, cut.2), (all[..count].to_vec(), is_cut), "{depth} {limit}");
        }
        let short = look(&admin(), fourth, Extent { depth: 1, limit: 2 }).unwrap();
        assert_eq!(short, (vec![Some(second), Some(owner)], vec![], true));
    }

    #[test]
    fn a_token_that_may_read_nothing_reads_its_own_lineage() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["verifier"]);
        let caller = world.caller(id);
        world.narrow(&caller, None, |_| ()).unwrap();
        let found = lineage(&world.state, &caller, id, WHOLE).unwrap();
        assert_eq!(shape(&found), (vec![], vec![], false));
    }

    #[test]
    fn what_may_not_be_read_is_not_counted() {
        let mut world = World::with_tenants();
        let lone = world.mint("acme", &["verifier"]);
        let caller = world.caller(lone);
        world.narrow(&caller, None, |_| ()).unwrap();
        let none = Extent { depth: 0, limit: 9 };
        for (caller, count) in [(&caller, 0), (&admin(), 1)] {
            assert_eq!(minted(&world.state, caller, world.token(lone)), count);
            assert_eq!(lineage(&world.state, caller, lone, none).unwrap().is_cut, count > 0);
        }
    }
}

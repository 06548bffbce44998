//! Members of organizations and projects.

pub(crate) mod list;
pub(crate) mod remove;
pub(crate) mod show;
pub(crate) mod update;

use crate::people;
use crate::wire;
use domain::id::UserId;
use domain::state::{Member, State};

/// A membership, with commitments where the personal values belong.
pub(crate) fn view(state: &State, member: &Member) -> wire::Member {
    let (organization, project) = people::names(state, member.place);
    let user = state.people().user(member.user);
    wire::Member {
        user: member.user.0,
        email: user.map(|user| user.email.to_string()),
        email_verified: user.is_some_and(|user| user.email_verified),
        name: user.and_then(|user| user.name.as_deref()).map(str::to_owned),
        erased: Vec::new(),
        altered: Vec::new(),
        organization,
        project,
        role: member.role.to_string(),
        since: member.since.to_string(),
        revision: member.revision,
    }
}

fn read_user(text: &str) -> Result<UserId, crate::edge::Problem> {
    people::read_id("member", text)
}

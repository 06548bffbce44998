//! Which permission its actor needed for what a line says.

/// The permission behind a lifecycle event of this type; none where holding a token, or less, was enough. A use says
/// itself what was asked for.
pub fn permission_behind(kind: &str, is_narrowed: bool) -> Option<&'static str> {
    Some(match kind {
        "InstancePolicyChanged" => "instance:update",
        "OrganizationCreated" => "organizations:create",
        "OrganizationRenamed" => "organizations:update",
        "OrganizationSuspended" | "OrganizationRestored" => "organizations:suspend",
        "OrganizationDeleted" => "organizations:delete",
        "OrganizationPolicyChanged" => "policies:update",
        "ProjectCreated" => "projects:create",
        "ProjectRenamed" => "projects:update",
        "ProjectDeleted" => "projects:delete",
        "RoleDefined" => "roles:create",
        "RoleChanged" => "roles:update",
        "RoleRetired" => "roles:retire",
        "MemberInvited" | "InvitationReissued" | "InvitationWithdrawn" => "members:invite",
        "MemberRoleChanged" => "members:update",
        "MemberRemoved" | "UserOffboarded" => "members:remove",
        "PersonErased" => "people:erase",
        "TokenMinted" if !is_narrowed => "tokens:mint",
        "TokenImported" => "tokens:import",
        "TokenDescribed" | "TokenGrantsChanged" | "TokenExpiryChanged" => "tokens:update",
        "TokenRotated" => "tokens:rotate",
        "TokenRevoked" | "TokensRevoked" => "tokens:revoke",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::TYPES;

    #[test]
    fn what_needs_no_permission_is_known_by_name() {
        let free: Vec<_> =
            TYPES.iter().filter(|kind| permission_behind(kind, false).is_none()).copied().collect();
        assert_eq!(
            free,
            [
                "AuthorityStarted",
                "LogResumed",
                "LogKeyRotated",
                "AdminTokenUsed",
                "InvitationAccepted",
                "LeakReported",
                "TokenUsed",
                "TokenRefused"
            ]
        );
        assert_eq!(permission_behind("TokenMinted", true), None);
    }
}

//! What is known of imported tokens beside what every token has.

use super::{Corrupt, State, Undo};
use crate::event::{TokenImported, TokenMinted};
use crate::id::TokenId;
use crate::import::Algorithm;
use crate::line::Line;
use crate::pack::{Pack, packed_struct};
use crate::secret::Prefix;
use crate::time::Timestamp;
use std::collections::HashMap;

/// Where a token comes from that was issued elsewhere, as whoever imported it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// By what its key was hashed.
    pub algorithm: Algorithm,
    /// Commitment to who owned it.
    pub owner: Option<Box<str>>,
    /// When it was issued.
    pub created_at: Option<Timestamp>,
}

/// Imported tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imports(HashMap<TokenId, Imported>);

packed_struct!(Imported { algorithm, owner, created_at });

impl Pack for Imports {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Pack::unpack(from).map(Self)
    }
}

impl Imports {
    /// Whether no token was ever imported: then no text needs to be looked for among them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where an imported token comes from.
    pub fn of(&self, token: TokenId) -> Option<&Imported> {
        self.0.get(&token)
    }

    pub(super) fn remove(&mut self, token: TokenId) {
        self.0.remove(&token);
    }
}

impl State {
    pub(super) fn import(&mut self, line: &Line, imported: &TokenImported) -> Result<(), Corrupt> {
        let begun = TokenMinted {
            token: imported.token,
            project: imported.project,
            name: imported.name.clone(),
            description: imported.description.clone(),
            metadata: imported.metadata.clone(),
            grants: imported.grants.clone(),
            hash: imported.hash,
            prefix: Prefix::of_imported(&imported.hash),
            parent: imported.parent,
            narrowed: imported.narrowed,
            not_before: imported.not_before,
            expires_at: imported.expires_at,
            allowed_networks: imported.allowed_networks.clone(),
        };
        self.mint(line, &begun)?;
        let claims = Imported {
            algorithm: imported.algorithm,
            owner: imported.owner.clone(),
            created_at: imported.created_at,
        };
        self.imports.0.insert(imported.token, claims);
        self.keep(|| Undo::Import(imported.token));
        Ok(())
    }
}

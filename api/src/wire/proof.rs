use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// That a line is in the log (RFC 6962, section 2.1.1). Hashes are SHA-256, base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// The line's position.
    pub position: u64,
    /// The size of the tree.
    pub size: u64,
    /// The hash of the line as a leaf.
    pub leaf: String,
    /// The root of the tree: what a checkpoint of this size has signed.
    pub root: String,
    /// The proof, from the leaf's sibling up.
    pub proof: Vec<String>,
}

/// That one tree is the beginning of another (RFC 6962, section 2.1.2). Hashes are SHA-256, base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsistencyProof {
    /// The size of the earlier tree.
    pub from: u64,
    /// Its root.
    pub from_root: String,
    /// The size of the later one.
    pub to: u64,
    /// Its root.
    pub to_root: String,
    /// The proof.
    pub proof: Vec<String>,
}

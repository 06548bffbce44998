//! Secret keys that all nodes of an authority share. They stand in a table of their own, which no export holds.

use crate::error::Error;
use crate::{Log, Random};

const DOING: &str = "reading a shared key";

impl Log {
    /// The key of this name: 32 random bytes, made by whichever node asks first, and never another.
    pub async fn shared_key(&self, name: &str, random: &Random) -> Result<[u8; 32], Error> {
        let made: [u8; 32] = random.bytes();
        sqlx::query(
            "INSERT INTO chancery.shared_keys (name, key) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(&made[..])
        .execute(self.pool())
        .await
        .map_err(|error| Error::from_sqlx(DOING, &error))?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT key FROM chancery.shared_keys WHERE name = $1")
            .bind(name)
            .fetch_one(self.pool())
            .await
            .map_err(|error| Error::from_sqlx(DOING, &error))?;
        key.try_into().map_err(|_| Error::Unsupported {
            found: format!("the key `{name}` in chancery.shared_keys has not 32 bytes"),
            needed: "restore the table as it was: what was hashed under the key is found under no other"
                .into(),
        })
    }
}

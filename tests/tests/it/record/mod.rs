//! What the log says of each call, and what it never says.

mod attribution;
mod lines;
mod personal;

use chancery_tests::Entry;

/// A line in short: its type, who caused it, the operation and permission, the code, and the count.
fn brief(entry: &Entry) -> String {
    let by = entry.text_at("/actor/by").split(':').next().unwrap_or_default();
    let mut parts = vec![entry.kind.clone(), by.to_owned()];
    for pointer in ["/asked/operation", "/asked/permission", "/code"] {
        let text = entry.text_at(pointer);
        parts.extend((!text.is_empty()).then(|| text.to_owned()));
    }
    parts.extend(entry.at("/count").as_u64().map(|count| format!("×{count}")));
    parts.join(" ")
}

fn briefs(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(brief).collect()
}

//! What a line is as a row of CSV and Parquet: the columns that are documented in docs/exports.md, and the exact line.

use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The columns: name, what they hold, and whether each row has it.
pub(super) const COLUMNS: [(&str, Holds, bool); 17] = [
    ("position", Holds::Number, true),
    ("at", Holds::Time, true),
    ("type", Holds::Text, true),
    ("organization", Holds::Text, false),
    ("ordinal", Holds::Number, false),
    ("actor", Holds::Text, true),
    ("actor_token", Holds::Text, false),
    ("request", Holds::Text, false),
    ("address", Holds::Text, false),
    ("agent", Holds::Text, false),
    ("token", Holds::Text, false),
    ("operation", Holds::Text, false),
    ("permission", Holds::Text, false),
    ("resource", Holds::Text, false),
    ("code", Holds::Text, false),
    ("count", Holds::Number, false),
    ("line", Holds::Text, true),
];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Number,
    Time,
    Text,
}

/// What a row has in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Absent,
    Number(u64),
    Time(Timestamp),
    Text(Cow<'a, str>),
}

/// A row, by [`COLUMNS`].
pub(super) type Row<'a> = [Value<'a>; COLUMNS.len()];

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    at: Timestamp,
    #[serde(borrow)]
    org: Option<Cow<'a, str>>,
    n: Option<u64>,
    #[serde(borrow)]
    actor: Actor<'a>,
    // Which types of line have these, and as what, is theirs to say: only what fits its column is shown there.
    #[serde(borrow)]
    token: Option<&'a RawValue>,
    #[serde(borrow)]
    asked: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    count: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow)]
    by: Cow<'a, str>,
    #[serde(borrow)]
    token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request: Option<Cow<'a, str>>,
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow)]
    permission: Option<Cow<'a, str>>,
    #[serde(borrow)]
    resource: Option<Cow<'a, str>>,
}

/// Reads a line as a row.
pub(super) fn read(position: u64, line: &str) -> Result<Row<'_>, serde_json::Error> {
    let read: Line<'_> = serde_json::from_str(line)?;
    let asked: Asked<'_> = fitting(read.asked).unwrap_or_default();
    Ok([
        Value::Number(position),
        Value::Time(read.at),
        Value::Text(read.kind),
        text(read.org),
        number(read.n),
        Value::Text(read.actor.by),
        text(read.actor.token),
        text(read.actor.request),
        text(read.actor.address),
        text(read.actor.agent),
        text(fitting(read.token)),
        text(asked.operation),
        text(asked.permission),
        text(asked.resource),
        text(fitting(read.code)),
        number(fitting(read.count)),
        Value::Text(Cow::Borrowed(line)),
    ])
}

fn text(text: Option<Cow<'_, str>>) -> Value<'_> {
    text.map_or(Value::Absent, Value::Text)
}

fn number<'a>(number: Option<u64>) -> Value<'a> {
    number.map_or(Value::Absent, Value::Number)
}

/// The organization that a line belongs to; none is the instance.
pub(super) fn organization(line: &str) -> Result<Option<uuid::Uuid>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Owned {
        org: Option<uuid::Uuid>,
    }
    serde_json::from_str::<Owned>(line).map(|line| line.org)
}

fn fitting<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    value.and_then(|value| serde_json::from_str(value.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_fills_its_columns() {
        let line = r#"{"v":1,"type":"TokenRefused","at":"2026-11-22T10:00:00.000000Z","org":"o","actor":{"by":"admin-token","request":"r"},"token":"t","secret":0,"code":"forbidden","asked":{"permission":"a:b","resource":"x\"y"},"count":3}"#;
        let row = read(7, line).unwrap();
        let shown: Vec<_> = COLUMNS
            .iter()
            .zip(&row)
            .filter_map(|((name, ..), value)| match value {
                Value::Text(text) if *name != "line" => Some(format!("{name}={text}")),
                Value::Number(number) => Some(format!("{name}={number}")),
                _ => None,
            })
            .collect();
        assert_eq!(
            shown.join(" "),
            "position=7 type=TokenRefused organization=o actor=admin-token request=r token=t permission=a:b \
             resource=x\"y code=forbidden count=3"
        );
        assert_eq!(row[16], Value::Text(line.into()));
    }

    #[test]
    fn a_line_of_a_type_to_come_is_a_row_as_well() {
        let line = r#"{"v":1,"type":"New","at":"2026-11-22T10:00:00.000000Z","actor":{"by":"x"},"token":{"a":1},"code":7}"#;
        let row = read(0, line).unwrap();
        assert_eq!((&row[10], &row[14]), (&Value::Absent, &Value::Absent));
    }
}

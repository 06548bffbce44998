//! The file, line by line: CSV with a header (RFC 4180), or one JSON object a line.

use crate::failure::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// The most bytes of one record. What is longer is no key, and is read past without being kept.
const MOST: usize = 64 * 1024;

/// One key as the file has it.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Row {
    pub(super) name: Option<String>,
    pub(super) hash: Option<String>,
    pub(super) algorithm: Option<String>,
    pub(super) instance: bool,
    pub(super) organization: Option<String>,
    pub(super) project: Option<String>,
    pub(super) grants: Vec<String>,
    pub(super) expires_at: Option<String>,
    pub(super) not_before: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) description: Option<String>,
    pub(super) networks: Vec<String>,
    pub(super) metadata: Option<Map<String, Value>>,
}

/// The records of a file with the numbers of their first lines.
pub(super) struct Rows {
    reader: BufReader<File>,
    length: u64,
    position: u64,
    line: u64,
    /// The columns of a CSV file; none for NDJSON.
    columns: Option<Vec<String>>,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let fail = |error: std::io::Error| Failure::Other(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut rows = Self { reader: BufReader::new(file), length, position: 0, line: 0, columns: None };
        let is_json = path
            .extension()
            .is_some_and(|end| ["ndjson", "jsonl", "json"].iter().any(|json| end.eq_ignore_ascii_case(json)));
        if !is_json {
            rows.columns = Some(rows.header(path)?);
        }
        Ok(rows)
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    fn header(&mut self, path: &Path) -> Result<Vec<String>, Failure> {
        let record =
            self.record(true).and_then(|(_, record)| record.ok()).and_then(|text| fields(&text).ok());
        let mut columns = record.unwrap_or_default();
        if let Some(first) = columns.first_mut() {
            *first = first.trim_start_matches('\u{feff}').to_owned();
        }
        for column in &mut columns {
            *column = column.trim().to_ascii_lowercase();
        }
        if ["name", "hash"].iter().all(|needed| columns.iter().any(|column| column == needed)) {
            return Ok(columns);
        }
        let text = "its first line has to name its columns, name and hash among them";
        Err(Failure::Usage(format!("{} is no CSV with a header: {text}", path.display())))
    }

    /// The next record, or what is wrong with it.
    pub(super) fn next(&mut self) -> Option<(u64, Result<Row, String>)> {
        loop {
            let (line, text) = self.record(self.columns.is_some())?;
            let text = match text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => text,
                Err(reason) => return Some((line, Err(reason))),
            };
            let row = match &self.columns {
                Some(columns) => fields(&text).and_then(|fields| of_columns(columns, fields)),
                None => {
                    serde_json::from_str(&text).map_err(|error| format!("no key as JSON: {}", kind(&error)))
                }
            };
            return Some((line, row));
        }
    }

    /// The text of the next record; of CSV it may go over several lines.
    fn record(&mut self, is_csv: bool) -> Option<(u64, Result<String, String>)> {
        let first = self.line + 1;
        let (mut bytes, mut is_long, mut is_any) = (Vec::new(), false, false);
        loop {
            let mut part = Vec::new();
            let read = self.reader.by_ref().take(MOST as u64 + 1).read_until(b'\n', &mut part).unwrap_or(0);
            if read == 0 {
                break;
            }
            let ends = part.last() == Some(&b'\n');
            is_any = true;
            is_long |= bytes.len() + part.len() > MOST;
            self.position += read as u64;
            self.line += u64::from(ends);
            if is_long {
                bytes.clear();
            } else {
                bytes.append(&mut part);
            }
            // A long record ends with its line: its quotes are nobody's to trust.
            if ends && (is_long || !(is_csv && is_open(&bytes))) {
                break;
            }
        }
        if !is_any {
            return None;
        }
        if is_long {
            return Some((first, Err(format!("longer than {MOST} bytes, which no key is"))));
        }
        Some((first, String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())))
    }
}

/// Whether a quoted field of CSV goes on.
fn is_open(bytes: &[u8]) -> bool {
    bytes.split(|byte| *byte == b'"').count().is_multiple_of(2)
}

/// Where JSON is wrong, without its values: one of them may be a key.
fn kind(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field is unknown or of the wrong type",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is not JSON",
    };
    format!("{what}, at column {}", error.column())
}

/// The fields of one record of CSV.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let (mut fields, mut field) = (Vec::new(), String::new());
    let mut characters = text.chars().peekable();
    loop {
        if characters.next_if_eq(&'"').is_some() {
            loop {
                match characters.next() {
                    Some('"') if characters.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(other) => field.push(other),
                    None => return Err("a quote is not closed".to_owned()),
                }
            }
        } else {
            while let Some(other) = characters.next_if(|c| *c != ',') {
                if other == '"' {
                    return Err("a quote stands inside a field that is not quoted".to_owned());
                }
                field.push(other);
            }
        }
        fields.push(std::mem::take(&mut field));
        match characters.next() {
            Some(',') => {}
            None => return Ok(fields),
            Some(_) => return Err("something follows the end of a quoted field".to_owned()),
        }
    }
}

fn of_columns(columns: &[String], fields: Vec<String>) -> Result<Row, String> {
    if fields.len() != columns.len() {
        return Err(format!("{} fields under {} columns", fields.len(), columns.len()));
    }
    let list = |text: &str| {
        text.split([';', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut row = Row::default();
    for (column, field) in columns.iter().zip(fields) {
        match &**column {
            "name" => row.name = Some(field),
            "hash" => row.hash = Some(field),
            "algorithm" => row.algorithm = Some(field),
            "instance" => row.instance = field == "true",
            "organization" | "org" => row.organization = Some(field),
            "project" => row.project = Some(field),
            "grants" | "roles" | "role" => row.grants = list(&field),
            "expires_at" | "expires" => row.expires_at = Some(field),
            "not_before" => row.not_before = Some(field),
            "created_at" | "created" => row.created_at = Some(field),
            "owner" => row.owner = Some(field),
            "description" => row.description = Some(field),
            "networks" => row.networks = list(&field),
            "metadata" if field.is_empty() => {}
            "metadata" => {
                let object = serde_json::from_str(&field);
                row.metadata = Some(object.map_err(|_| "metadata is not a JSON object".to_owned())?);
            }
            unknown => return Err(format!("the column `{unknown}` is unknown")),
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, text: &[u8]) -> Vec<(u64, Result<Row, String>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(&path).unwrap();
        std::iter::from_fn(|| rows.next()).collect()
    }

    fn names(rows: &[(u64, Result<Row, String>)]) -> Vec<(u64, &str)> {
        rows.iter()
            .map(|(line, row)| {
                (*line, row.as_ref().map_or_else(String::as_str, |row| row.name.as_deref().unwrap()))
            })
            .collect()
    }

    #[test]
    fn csv_is_read_with_quotes_line_feeds_and_numbers() {
        let text = "\u{feff}Name,hash,grants\r\nci,aa,member;verifier\n\n\"two, \"\"words\"\"\nhere\",bb,member\nlast,cc,";
        let rows = rows("keys.csv", text.as_bytes());
        assert_eq!(names(&rows), [(2, "ci"), (4, "two, \"words\"\nhere"), (6, "last")]);
        assert_eq!(rows[0].1.as_ref().unwrap().grants, ["member", "verifier"]);
    }

    #[test]
    fn a_bad_line_is_said_and_the_next_is_read() {
        let long = "x".repeat(1_000_000);
        let text = format!("name,hash\na\nb,1,2\nc\"d,1\n{long},1\n\"e\"f,1\ngood,1\n");
        let rows = rows("keys.csv", text.as_bytes());
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines[lines.len() - 1], 7);
        assert!(rows[rows.len() - 1].1.is_ok());
        assert_eq!(rows.iter().filter(|(_, row)| row.is_err()).count(), rows.len() - 1);
        assert!(rows.iter().all(|(_, row)| row.as_ref().map_or_else(|e| e.len() < 200, |_| true)));
    }

    #[test]
    fn ndjson_is_read_line_by_line() {
        let long = "x".repeat(1_000_000);
        let text = format!(
            "{{\"name\":\"a\",\"hash\":\"1\"}}\nnot json\n{{\"name\":\"b\",\"hsah\":\"sk_live\"}}\n{{\"name\":\"{long}\"}}\n\n{{\"name\":\"c\"}}"
        );
        let rows = rows("keys.ndjson", text.as_bytes());
        assert_eq!(
            rows.iter().map(|(line, row)| (*line, row.is_ok())).collect::<Vec<_>>(),
            [(1, true), (2, false), (3, false), (4, false), (6, true)]
        );
        assert!(!format!("{rows:?}").contains("sk_live"));
    }

    #[test]
    fn a_file_without_a_header_is_refused() {
        for text in ["", "a,b\n", "sk_live_1,member\n"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.csv");
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Rows::open(&path), Err(Failure::Usage(_))));
        }
        assert!(Rows::open(Path::new("/nonexistent/keys.csv")).is_err());
    }
}

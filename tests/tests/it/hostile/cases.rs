//! Every way in which a request of an operation can be wrong, as requests in the making.

use super::document::{Field, Operation};
use super::values::{Is, Kind, example, kind, values};
use serde_json::{Value, json};

/// One request, and what has to become of it.
pub(super) struct Case {
    /// The sort of fault.
    pub(super) sort: &'static str,
    pub(super) about: String,
    pub(super) method: String,
    /// Path and query; `<NAME>` stands for what the ground has.
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) expect: Expect,
}

/// What has to become of a case, whoever sends it: whoever may not is refused in any case.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expect {
    /// Who may is answered.
    Right,
    /// Refused, and who may is told which field or value is at fault, if there is one.
    Wrong(Option<String>),
    /// Refused before anybody looks at who asks, with one of these.
    Status(&'static [u16]),
    Open,
}

/// The request that everything is a variation of.
pub(super) fn plain(operation: &Operation) -> Case {
    let body = operation.body.as_ref().map(|_| full(operation).to_string().into_bytes());
    Case {
        sort: "plain",
        about: String::new(),
        method: operation.method.clone(),
        target: path(operation).into_bytes(),
        headers: typed(body.as_ref().map(|_| "application/json")),
        body,
        expect: Expect::Right,
    }
}

fn typed(kind: Option<&str>) -> Vec<(String, Vec<u8>)> {
    kind.map(|kind| ("content-type".to_owned(), kind.into())).into_iter().collect()
}

fn path(operation: &Operation) -> String {
    let path = operation.template.replace("{organization}", own(operation, "organization"));
    let path = path.replace("{project}", own(operation, "project"));
    let path = path.replace("{id}", "<TARGET>");
    let shared = if path.starts_with("/v1/roles/") { "<SHARED>" } else { "<ROLE>" };
    let path = path.replace("{role}", shared);
    let path = path.replace("{user}", own(operation, "user"));
    let path = path.replace("{invitation}", own(operation, "invitation"));
    let path = path.replace("{level}", own(operation, "level")).replace("{index}", own(operation, "index"));
    let query = match &*operation.template {
        "/v1/authorize" | "/v1/audit/as-of" => "?organization=<ACME>",
        "/log/proof/inclusion" => "?position=0&size=1",
        "/log/proof/consistency" => "?from=0&to=1",
        "/log/proof/receipt" => "?position=0",
        // The log grows with every request.
        "/v1/audit/export" | "/v1/audit/export/manifest" => "?until_position=1",
        // It would go on.
        "/v1/audit/stream" => "?until_position=0",
        "/v1/audit/who-could" => "?organization=<ACME>&permission=tokens:read",
        "/v1/audit/diff" => "?organization=<ACME>&from=version:1",
        _ => "",
    };
    path + query
}

/// What a parameter of the path stands for. What a deletion ends is there for nothing else.
fn own(operation: &Operation, parameter: &str) -> &'static str {
    match (parameter, &*operation.method, operation.path.len()) {
        ("organization", "DELETE", 1) => "<DOOMED>",
        ("organization", ..) => "<ACME>",
        ("project", "DELETE", _) => "<DOOMEDWEB>",
        ("project", ..) => "<WEB>",
        ("role", ..) if operation.template.starts_with("/v1/roles/") => "<SHARED>",
        ("role", ..) => "<ROLE>",
        ("user", ..) => "<MEMBER>",
        ("invitation", ..) => "<INVITED>",
        ("level", ..) => "0",
        ("index", ..) => "000.p/1",
        _ => "<TARGET>",
    }
}

/// A body with every field that can stand beside the others.
pub(super) fn full(operation: &Operation) -> Value {
    let mut body = json!({});
    for field in operation.body.iter().flat_map(|body| &body.fields) {
        let kind = kind(&field.owner, &field.name, field.is_item());
        let value = example(&field.owner, &field.name, kind);
        if let Some(value) = value.filter(|_| !field.is_item()) {
            put(&mut body, &field.path, Some(value));
        }
    }
    body
}

/// Sets or removes what stands at a path.
fn put(body: &mut Value, path: &[String], value: Option<Value>) {
    let (first, rest) = path.split_first().unwrap();
    if first == "0" {
        if body.as_array().is_none_or(Vec::is_empty) {
            *body = json!([{}]);
        }
        if rest.is_empty() {
            body[0] = value.unwrap_or_default();
        } else {
            put(&mut body[0], rest, value);
        }
        return;
    }
    if !body.is_object() {
        *body = json!({});
    }
    let object = body.as_object_mut().unwrap();
    match value {
        value if !rest.is_empty() => put(object.entry(first.as_str()).or_insert(Value::Null), rest, value),
        Some(value) => drop(object.insert(first.clone(), value)),
        None => drop(object.remove(first)),
    }
}

impl Case {
    fn because(self, sort: &'static str, about: impl Into<String>, expect: Expect) -> Case {
        Case { sort, about: about.into(), expect, ..self }
    }

    fn body(self, body: impl Into<Vec<u8>>) -> Case {
        Case { body: Some(body.into()), ..self }
    }

    fn header(mut self, name: &str, value: &[u8]) -> Case {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// All cases of an operation, without the random ones.
pub(super) fn cases(operation: &Operation) -> Vec<Case> {
    let mut all = vec![plain(operation)];
    if operation.body.is_some() {
        unreadable(operation, &mut all);
        shapes(operation, &mut all);
        texts(operation, &mut all);
    }
    heads(operation, &mut all);
    queries(operation, &mut all);
    paths(operation, &mut all);
    methods(operation, &mut all);
    all
}

/// Bodies that are no JSON, or not of the declared type or size.
fn unreadable(operation: &Operation, all: &mut Vec<Case>) {
    let good = plain(operation).body.unwrap();
    let is_required = operation.body.as_ref().unwrap().is_required;
    let mut bad = |about: &str, body: Vec<u8>| {
        all.push(plain(operation).body(body).because("unreadable", about, Expect::Status(&[400, 422])));
    };
    let with = |front: &[u8], back: &[u8]| [front, &good, back].concat();
    for length in [1, good.len() / 2, good.len() - 1] {
        bad("truncated", good[..length].to_vec());
    }
    bad("trailing text", with(b"", b" x"));
    bad("two documents", with(b"", b"{}"));
    bad("a byte order mark", with(b"\xef\xbb\xbf", b""));
    bad("a comment", with(b"/* */", b""));
    bad("a NUL", with(b"", b"\0"));
    bad("not UTF-8", [&good[..good.len() - 1], b",\"name\":\"\xff\xfe\"}"].concat());
    bad("an overlong encoding", [&good[..good.len() - 1], b",\"name\":\"\xc0\x80\"}"].concat());
    bad("UTF-16", good.iter().flat_map(|byte| [*byte, 0]).collect());
    bad("deep", [vec![b'['; 20_000], vec![b']'; 20_000]].concat());
    for text in
        ["{", "nul", "'a'", "{a:1}", "{\"a\":1,}", "[1,]", "\"\u{1}\"", "01", "+1", "1.", "--1", "\u{feff}{}"]
    {
        bad(text, text.into());
    }
    bad("a form", b"name=a&scope=b".to_vec());
    let wrong = || Expect::Wrong(None);
    for text in ["NaN", "Infinity", "1e999", "\"\\ud800\"", "-"] {
        let body = format!(
            "{{\"name\":{text},\"token\":{text},\"policy\":{text},\"overlap\":{text},\"items\":{text}}}"
        );
        all.push(plain(operation).body(body).because("unreadable", text, wrong()));
    }
    for text in ["null", "[]", "\"{}\"", "7", "true", "[[]]", "[null]"] {
        all.push(plain(operation).body(text).because("another shape", text, wrong()));
    }
    let body = full(operation);
    let values: Vec<&Value> = body.as_object().unwrap().values().collect();
    all.push(plain(operation).body(json!(values).to_string()).because(
        "another shape",
        "a list of its values",
        wrong(),
    ));
    let empty = if is_required { Expect::Status(&[400]) } else { Expect::Right };
    all.push(plain(operation).body("").because("unreadable", "empty", empty));
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "json", "application/jsonx", "", "*/*", "\u{e9}"]
    {
        let case = Case { headers: typed(Some(kind)), ..plain(operation) };
        all.push(case.because("media type", kind, Expect::Status(&[415])));
    }
    let case = Case { headers: Vec::new(), ..plain(operation) };
    all.push(case.because("media type", "none", Expect::Status(&[415])));
    let limit = operation.body_limit();
    let padded = [&good[..], &vec![b' '; limit + 256 - good.len()]].concat();
    all.push(plain(operation).body(padded).because("size", "too much", Expect::Status(&[413])));
    let padded = [&good[..], &vec![b' '; limit - good.len() - 512]].concat();
    all.push(plain(operation).body(padded).because("size", "just enough", Expect::Right));
}

/// Fields of every wrong type, missing, twice, unknown.
fn shapes(operation: &Operation, all: &mut Vec<Case>) {
    let types = [
        ("string", json!("text")),
        ("integer", json!(7)),
        ("number", json!(1.5)),
        ("boolean", json!(true)),
        ("object", json!({})),
        ("array", json!([])),
        ("null", Value::Null),
    ];
    let body = operation.body.as_ref().unwrap();
    for field in &body.fields {
        for (name, value) in &types {
            if !field.may_be(name) {
                let expect = Expect::Wrong(Some(field.name.clone()));
                all.push(with(operation, field, Some(value.clone())).because(
                    "type",
                    said(field, name),
                    expect,
                ));
            }
        }
        if field.is_required {
            let expect = Expect::Wrong(Some(field.name.clone()));
            all.push(with(operation, field, None).because("missing", said(field, ""), expect));
        }
        if field.may_be("string") && !field.is_item() {
            let many = json!(["a", "b"]);
            let expect = Expect::Wrong(Some(field.name.clone()));
            all.push(with(operation, field, Some(many)).because(
                "type",
                said(field, "list of texts"),
                expect,
            ));
        }
    }
    let mut holders: Vec<Vec<String>> =
        body.fields.iter().map(|field| field.path[..field.path.len() - 1].to_vec()).collect();
    holders.sort();
    holders.dedup();
    for holder in holders.into_iter().filter(|holder| holder.last().is_none_or(|last| last != "grants")) {
        let listed = body.fields.iter().any(|field| field.path == holder && field.may_be("array"));
        for unknown in ["unknown", "Name", "na\u{0}me", "__proto__", "$ref", ""] {
            if listed {
                continue;
            }
            let mut changed = full(operation);
            put(&mut changed, &[&holder[..], &[unknown.to_owned()]].concat(), Some(json!("x")));
            let case = plain(operation).body(changed.to_string());
            all.push(case.because("unknown field", format!("{holder:?} {unknown:?}"), Expect::Wrong(None)));
        }
    }
    for (name, value) in full(operation).as_object().unwrap() {
        let good = plain(operation).body.unwrap();
        let again = format!("{{{}:{value},", json!(name));
        let twice = [again.as_bytes(), &good[1..]].concat();
        all.push(plain(operation).body(twice).because(
            "twice",
            name.clone(),
            Expect::Wrong(Some(name.clone())),
        ));
    }
}

fn said(field: &Field, what: &str) -> String {
    format!("{}: {what}", field.path.join("."))
}

/// The plain request with one field changed, and without what it could not stand beside.
fn with(operation: &Operation, field: &Field, value: Option<Value>) -> Case {
    let mut body = full(operation);
    let excluded = match &*field.name {
        "expires_at" => "expires_in",
        "prefix" => "token",
        "permissions" if field.owner == "RoleChange" => "add",
        "id" => "draft",
        _ => "",
    };
    if let Some(object) = body.as_object_mut() {
        object.remove(excluded);
    }
    put(&mut body, &field.path, value);
    plain(operation).body(body.to_string())
}

/// Every value of each field's kind.
fn texts(operation: &Operation, all: &mut Vec<Case>) {
    for field in &operation.body.as_ref().unwrap().fields {
        let kind = kind(&field.owner, &field.name, field.is_item());
        for (value, is) in values(kind) {
            let expect = match is {
                Is::Wrong => Expect::Wrong(Some(field.name.clone())),
                // Which grants, networks and times somebody may hand on is another suite's.
                Is::Right => Expect::Right,
                Is::Open => Expect::Open,
            };
            // Whoever narrows has roles of its own level.
            let own_level =
                field.owner == "NarrowToken" && (value == "instance-admin" || value == "project-reader");
            let expect = if own_level { Expect::Open } else { expect };
            // A reference that names nothing is not found, which names the value rather than the field.
            let names_something = matches!(kind, Kind::Reference | Kind::Token | Kind::Invitation);
            let expect = if names_something && is == Is::Wrong { Expect::Wrong(None) } else { expect };
            // Each key of an import is decided by itself, and the answer says what came of it.
            let expect = if field.owner == "ImportKey"
                || field.path[0] == "items" && operation.template.ends_with("/import")
            {
                Expect::Open
            } else {
                expect
            };
            let about = value.to_string().chars().take(60).collect::<String>();
            all.push(with(operation, field, Some(value)).because("value", said(field, &about), expect));
        }
    }
}

/// Headers that are no condition, no key and no credential.
fn heads(operation: &Operation, all: &mut Vec<Case>) {
    let long = "x".repeat(256);
    for (name, values) in [
        (
            "If-Match",
            &[
                "",
                "1",
                "W/\"1\"",
                "\"",
                "\"\"",
                "\"x\"",
                "\"-1\"",
                "\"+1\"",
                "\"01\"",
                "\"1\", \"2\"",
                "\"1.0\"",
                "\"99999999999999999999\"",
                "* *",
                "\"1\"\"",
                "\u{e9}",
            ][..],
        ),
        ("Idempotency-Key", &["", " ", &long, "a\tb", "\u{e9}", "\u{202e}"]),
        ("Last-Event-ID", &["", "x", "-1", "+1", "1.5", "1 2", "99999999999999999999", "\u{e9}"]),
    ] {
        for value in values {
            let is_read = operation.headers.iter().any(|own| own == name);
            let expect = if is_read { Expect::Wrong(Some(name.to_owned())) } else { Expect::Open };
            all.push(plain(operation).header(name, value.as_bytes()).because(
                "header",
                format!("{name}: {value}"),
                expect,
            ));
        }
        if operation.headers.iter().any(|own| own == name) {
            let twice = plain(operation).header(name, b"\"1\"").header(name, b"\"2\"");
            all.push(twice.because("header", format!("{name} twice"), Expect::Wrong(Some(name.to_owned()))));
        }
    }
    let stale = plain(operation).header("If-Match", b"\"987654321\"");
    let is_read = operation.headers.iter().any(|own| own == "If-Match");
    let expect = if is_read { Expect::Wrong(None) } else { Expect::Open };
    all.push(stale.because("header", "If-Match: a stale one", expect));
    for (name, value) in [
        ("Authorization", &b"Bearer x"[..]),
        ("Authorization", b"\xff\xfe"),
        ("X-Forwarded-For", b"203.0.113.7, \xff"),
        ("Forwarded", b"for=\"[::1]\";;;"),
        ("Accept", b"application/xml"),
        ("User-Agent", b"\xf0\x9f\x92\xa9 chyo_0123456789abcdef"),
        ("X-Request-Id", b"../../etc/passwd"),
        ("Expect", b"100-continue-or-so"),
        ("Content-Encoding", b"gzip"),
        ("X-HTTP-Method-Override", b"DELETE"),
    ] {
        let about = format!("{name}: {}", String::from_utf8_lossy(value));
        let expect =
            if name == "Authorization" && !operation.is_open { Expect::Wrong(None) } else { Expect::Open };
        all.push(plain(operation).header(name, value).because("header", about, expect));
    }
}

/// What is no number of lines.
const NO_NUMBERS: &[&str] = &["", "-1", "x", "1.5", "99999999999999999999", "%00", "18446744073709551615"];

/// Values that a parameter of the query never takes.
const WRONG: &[(&str, &[&str])] = &[
    ("at_least", &["", "-1", "x", "1.5", "99999999999999999999", "+-1", "0x1", "%00", "1%2000", "٣"]),
    ("position", NO_NUMBERS),
    ("size", NO_NUMBERS),
    ("from", NO_NUMBERS),
    ("to", NO_NUMBERS),
    ("limit", &["", "0", "-1", "1001", "x", "1e3", "99999999999999999999", "1.0"]),
    ("depth", &["", "0", "-1", "1001", "x", "99999999999999999999"]),
    ("cursor", &["", "!", "%00", "bnVsbA", "e30", "W10", "eyJzb3J0IjoiLWNyZWF0ZWQifQ", "=", "..%2f"]),
    ("scope", &["", "everything", "Instance", "instance%00"]),
    ("status", &["", "dead", "LIVE", "live,revoked"]),
    ("sort", &["", "-", "--name", "name;drop", "created%20"]),
    ("expiring_before", &["", "soon", "2031-13-01T00:00:00Z", "1"]),
    ("unused_since", &["", "soon", "2031-13-01T00:00:00Z", "1"]),
    ("time", &["", "soon", "2031-13-01T00:00:00Z", "1"]),
    ("from", &["", "soon", "version:", "position:-1", "version:99999999", "1"]),
    ("to", &["", "soon", "version:", "position:-1", "version:99999999", "1"]),
    ("position", &["", "-1", "x", "99999999", "99999999999999999999"]),
    ("version", &["", "-1", "x", "99999999", "99999999999999999999"]),
    ("list", &["", "secrets", "Tokens", "tokens%00"]),
    ("ended", &["", "1", "yes"]),
    ("role", &["", "%00", "a_b", "-"]),
    ("organization", &["", "never-was", "%00", "%e2%80%ae", "..", "a%2fb"]),
    ("project", &["never-was-either"]),
    ("permission", &["", "a", "*", "a:*", "a:b%00"]),
    ("resource", &["", "%0a", "%e2%80%ae"]),
    ("actor", &["", "%00", "a%20b", "%e2%80%ae", "019ab7a4-0000-7000-8000-00000000000g%00"]),
    ("token", &["", "x", "%00", "acme", "<ACME>x"]),
    ("type", &["", ",", "Nonsense", "TokenMinted,", "tokenminted", "TokenMinted%00", "%e2%80%ae"]),
    ("from", &["", "yesterday", "2031-13-01T00:00:00Z", "1", "%00"]),
    ("to", &["", "tomorrow", "2031-02-30T00:00:00Z", "1", "%00"]),
    ("address", &["", "nowhere", "1.2.3.4/8", "256.1.1.1", "1.2.3.4%00", "fe80::1%25eth0"]),
    ("order", &["", "best", "Newest", "newest%00"]),
    ("outcome", &["", "unknown", "malformed", "VALID", "valid%00"]),
    ("uses", &["", "yes", "1", "TRUE"]),
    ("from_position", &["", "-1", "x", "1.5", "99999999999999999999", "%00"]),
    ("until_position", &["", "-1", "x", "1.5", "99999999999999999999", "%00"]),
    ("format", &["", "xml", "NDJSON", "csv%00"]),
    ("replacement", &["", "never-was", "instance-admin", "verifier%00", "<ACME>", "a%2fb"]),
];

/// Query parameters that are unknown, repeated or of values that cannot be.
fn queries(operation: &Operation, all: &mut Vec<Case>) {
    let mut ask = |query: &str, expect: Expect| {
        let mut case = plain(operation);
        let joint = if case.target.contains(&b'?') { "&" } else { "?" };
        case.target.extend_from_slice(format!("{joint}{query}").as_bytes());
        all.push(case.because("query", query.chars().take(60).collect::<String>(), expect));
    };
    let is_read = !operation.query.is_empty() || operation.is_change() || operation.body.is_some();
    let unknown = || if is_read { Expect::Wrong(None) } else { Expect::Open };
    for query in
        ["unknown=1", "at_leest=1", "cascade=true", "%00=1", "%ff", "chyo_0123456789abcdef=1", "=", "a[]=1"]
    {
        ask(query, unknown());
    }
    let long = format!("cursor={}", "A".repeat(9_000));
    for (name, values) in WRONG {
        if !operation.query.iter().any(|own| own == name) {
            continue;
        }
        for value in *values {
            let mut query = format!("{name}={value}");
            if *name == "project" && operation.template == "/v1/tokens" {
                query = format!("organization=<ACME>&{query}");
            }
            // A proxy's question about a place that is none is forbidden or refused like any other.
            ask(&query, Expect::Wrong(None));
        }
        ask(&format!("{name}=1&{name}=2"), Expect::Wrong(None));
    }
    if operation.query.iter().any(|own| own == "cursor") {
        ask(&long, Expect::Wrong(None));
        ask("limit=1&limit=1", Expect::Wrong(None));
    }
    for (name, value) in [("name", "%00"), ("prefix", "%e2%80%ae"), ("created_by", "nobody"), ("prefix", "")]
    {
        if operation.query.iter().any(|own| own == name) {
            ask(&format!("{name}={value}"), Expect::Open);
        }
    }
}

/// Paths that name nothing, or something of another kind or another's.
fn paths(operation: &Operation, all: &mut Vec<Case>) {
    let long = "x".repeat(5_000);
    let never = "019ab7a4-0000-7000-8000-0000000000ff";
    for parameter in &operation.path {
        let own = own(operation, parameter);
        let foreign = match &**parameter {
            "role" if operation.template.starts_with("/v1/roles/") => ["<ROLE>", "<WEB>", "<ACME>"],
            "organization" | "role" => ["<WEB>", "<TARGET>", "<HIDDEN>"],
            "project" => ["<ACME>", "<OTHERWEB>", "<TARGET>"],
            "user" => ["<ACME>", "<INVITED>", "<OTHER>"],
            "invitation" => ["<MEMBER>", "<WEB>", "<OTHER>"],
            _ => ["<ACME>", "<WEB>", "<OTHER>"],
        };
        let texts = [
            "%00",
            "a%00",
            "%2F",
            "..",
            ".",
            "%2e%2e",
            "%ff",
            "%e2%80%ae",
            "%",
            "%zz",
            "*",
            "%20",
            "-",
            &long,
            never,
        ];
        for text in texts.iter().chain(&foreign) {
            all.push(moved(operation, own, text).because(
                "path",
                format!("{parameter} is {text:.40}"),
                Expect::Wrong(None),
            ));
        }
        let spaced = moved(operation, own, &format!("%20{own}"));
        all.push(spaced.because("path", format!("{parameter} after a space"), Expect::Wrong(None)));
        for text in ["<OTHER>", "<HIDDEN>", "other", "api"] {
            all.push(moved(operation, own, text).because(
                "path",
                format!("{parameter} is {text}"),
                Expect::Open,
            ));
        }
    }
    let plain_path = path(operation);
    let (bare, query) = plain_path.split_once('?').unwrap_or((&plain_path, ""));
    for more in ["/", "/..", "/x", "%2f", "%00", ";a=b", "//", "/%2e", ".json"] {
        // Behind a parameter this is another value of it, which names nothing.
        let case = Case { target: format!("{bare}{more}?{query}").into_bytes(), ..plain(operation) };
        all.push(case.because(
            "path",
            format!("and {more}"),
            Expect::Status(&[401, 403, 404, 405, 400, 415, 422]),
        ));
    }
    let case = Case { target: format!("/{plain_path}").into_bytes(), ..plain(operation) };
    all.push(case.because("path", "two slashes in front", Expect::Status(&[404])));
    let case = Case { target: plain_path.to_uppercase().into_bytes(), ..plain(operation) };
    all.push(case.because("path", "in capitals", Expect::Status(&[404])));
}

fn moved(operation: &Operation, own: &str, to: &str) -> Case {
    let target = path(operation).replacen(own, to, 1);
    Case { target: target.into_bytes(), ..plain(operation) }
}

/// Methods that the path does not take. Those that it does are filtered out where the whole document is known.
fn methods(operation: &Operation, all: &mut Vec<Case>) {
    for method in ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE", "BREW", "get", "PROPFIND"] {
        if method != operation.method {
            let case = Case { method: method.to_owned(), ..plain(operation) };
            all.push(case.because("method", method, Expect::Status(&[405])));
        }
    }
}

/// Fields in a random mix, for bodies that nobody thought of.
pub(super) fn scrambled(operation: &Operation, choices: &chancery_tests::Choices) -> Case {
    let Some(body) = &operation.body else { return plain(operation) };
    let mut scrambled = full(operation);
    for _ in 0..=choices.below(3) {
        let field = choices.of(&body.fields);
        let donor = choices.of(&body.fields);
        let pool = values(kind(&donor.owner, &donor.name, donor.is_item()));
        let mut value = if pool.is_empty() { json!({}) } else { choices.of(&pool).0.clone() };
        // Another's id may be asked for; kept as a text of one's own, it would be shown with right.
        let names_another =
            ["<OTHER>", "<OTHERWEB>", "<HIDDEN>"].iter().any(|id| value.to_string().contains(id));
        if names_another
            && !matches!(
                kind(&field.owner, &field.name, field.is_item()),
                Kind::Reference | Kind::Token | Kind::Grant
            )
        {
            value = Value::Null;
        }
        put(&mut scrambled, &field.path, (!choices.once_in(8)).then_some(value));
    }
    let mut bytes = scrambled.to_string().into_bytes();
    if choices.once_in(2) {
        for _ in 0..=choices.below(4) {
            damage(&mut bytes, choices);
        }
    }
    let mut case = plain(operation).body(bytes);
    if choices.once_in(4) {
        damage(&mut case.target, choices);
        case.target.retain(|byte| !matches!(byte, b' ' | b'\r' | b'\n'));
    }
    case.because("random", "", Expect::Open)
}

fn damage(bytes: &mut Vec<u8>, choices: &chancery_tests::Choices) {
    const TOKENS: [&[u8]; 12] =
        [b"\"", b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e9", b"\\u0000", b"\xff", b"\xe2\x80\xae"];
    if bytes.len() < 2 {
        return;
    }
    let at = 1 + choices.index(bytes.len() - 1);
    match choices.below(4) {
        0 => drop(bytes.remove(at)),
        1 => bytes[at] = choices.index(256) as u8,
        2 => drop(bytes.splice(at..at, choices.of(&TOKENS).iter().copied())),
        _ => {
            let end = (at + choices.index(20)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, part));
        }
    }
}

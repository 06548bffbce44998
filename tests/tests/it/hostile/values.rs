//! What the texts and numbers of the API mean, and values of each kind that have to be refused, may be taken, or are
//! nobody's promise.

use serde_json::{Value, json};

/// What a field holds, beyond its JSON type. Every field of the document has one, so that a new field is a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// The name of an organization or a project.
    Label,
    /// One line of text of at most so many bytes.
    Text(usize),
    /// The same, or empty for none.
    Removable(usize),
    /// What names an organization, a project or a token.
    Reference,
    /// What is asked about, for the record.
    Asked(usize),
    Grant,
    Duration,
    /// A time that has to lie ahead.
    End,
    Beginning,
    Network,
    Address,
    Permission,
    /// A time that may be any.
    Time,
    /// Who minted a token: an actor, or a token's id.
    Creator,
    Role,
    /// One of a few words.
    Word,
    Prefix,
    /// Whatever was presented.
    Anything,
    Metadata,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    /// How many there are said to be: any whole number.
    Count,
    Object,
    List {
        most: usize,
    },
}

/// What a field holds.
pub(super) fn kind(owner: &str, name: &str, is_item: bool) -> Kind {
    match (owner, name) {
        ("NewOrganization" | "NewProject" | "Rename", "name") => Kind::Label,
        ("Rename", "display_name") => Kind::Removable(128),
        ("NewOrganization" | "NewProject", "display_name")
        | ("NewToken" | "NarrowToken" | "UpdateToken", "name") => Kind::Text(128),

        ("NewToken" | "NarrowToken" | "UpdateToken", "description") | ("Revoke" | "RevokeTokens", "note") => {
            Kind::Removable(1_024)
        }

        ("NewToken" | "NarrowToken" | "UpdateToken", "grants") if is_item => Kind::Grant,
        ("NewToken" | "NarrowToken", "allowed_networks") if is_item => Kind::Network,
        (_, "grants" | "allowed_networks") => Kind::List { most: 64 },
        ("VerifyBatch", "items") if is_item => Kind::Object,
        ("VerifyBatch", "items") => Kind::List { most: 1_000 },
        ("NewToken" | "NarrowToken" | "UpdateToken", "expires_in") | ("Rotate", "overlap") => Kind::Duration,
        ("NewToken" | "NarrowToken" | "UpdateToken", "expires_at") => Kind::End,
        ("NewToken" | "NarrowToken", "not_before") => Kind::Beginning,
        ("NewToken" | "NarrowToken" | "UpdateToken", "metadata") => Kind::Metadata,
        ("Scope", "organization" | "project") => Kind::Reference,
        ("Verify", "organization" | "project") => Kind::Asked(128),
        ("Verify", "resource") => Kind::Asked(256),
        ("Verify", "permission") => Kind::Permission,
        ("Client", "address") => Kind::Address,
        ("Client", "agent") | ("Verify" | "Identify", "token") => Kind::Anything,
        ("Identify", "prefix") => Kind::Prefix,
        ("Revoke" | "RevokeTokens", "reason") | ("PolicyChange", "answers") => Kind::Word,
        ("Revoke", "cascade") | ("Scope", "instance") | ("RevokeTokens", "dry_run") => Kind::Flag,
        ("PolicyChange", "max_staleness_ms") => Kind::Number { least: 500, most: 60_000 },
        ("PolicyChange", "record_within_ms") => Kind::Number { least: 1, most: 10_000 },
        ("NewToken" | "TokenFilter", "scope")
        | ("Verify", "client")
        | ("InstanceChange", "policy")
        | ("RevokeTokens", "filter") => Kind::Object,
        ("RevokeTokens", "expected_count") => Kind::Count,
        ("TokenFilter", "created_by") => Kind::Creator,
        ("TokenFilter", "created_from" | "created_before") => Kind::Time,
        ("TokenFilter", "role") => Kind::Role,
        other => panic!("say in `values::kind` what {other:?} holds"),
    }
}

/// Whether a value has to be refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Is {
    Wrong,
    Right,
    /// Depends on who asks, or is left open.
    Open,
}

/// Characters that could forge or hide text: none of them may be kept or echoed.
pub(super) const FORGING: [&str; 16] = [
    "\u{0}",
    "\n",
    "\r",
    "\t",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{200b}",
    "\u{200e}",
    "\u{200f}",
    "\u{061c}",
    "\u{2028}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{e0041}",
];

/// Values of one verdict, with `¦` between them.
fn all(texts: &str, is: Is) -> Vec<(Value, Is)> {
    texts.split('¦').map(|text| (json!(text), is)).collect()
}

fn wrong(texts: &str) -> Vec<(Value, Is)> {
    all(texts, Is::Wrong)
}

fn right(texts: &str) -> Vec<(Value, Is)> {
    all(texts, Is::Right)
}

fn open(texts: &str) -> Vec<(Value, Is)> {
    all(texts, Is::Open)
}

/// One value that is too long, or that goes on and on.
fn long(text: &str, times: usize, is: Is) -> Vec<(Value, Is)> {
    vec![(json!(text.repeat(times)), is)]
}

fn line_of_text(most: usize) -> Vec<(Value, Is)> {
    let mut all: Vec<_> = FORGING.iter().map(|bad| (json!(format!("a{bad}b")), Is::Wrong)).collect();
    all.push((json!("x".repeat(most + 1)), Is::Wrong));
    all.push((json!("é".repeat(most / 2 + 1)), Is::Wrong));
    all.push((json!("x".repeat(40_000)), Is::Wrong));
    // White space of every sort at the ends is cut off, and stays inside.
    all.extend(right("a\u{a0}b <FRESH>¦\u{2003}<FRESH>\u{3000}¦日本 <FRESH>¦👩\u{200d}🚀 <FRESH>"));
    all
}

const BLANK: &str = "\u{20}¦\u{3000}¦\u{a0}¦\u{200b}¦\u{200d}\u{200c}¦\u{2800}¦\u{3164} \u{ffa0}";

/// Values of a kind.
pub(super) fn values(kind: Kind) -> Vec<(Value, Is)> {
    match kind {
        Kind::Label => labels(),
        Kind::Text(most) => [line_of_text(most), wrong(""), wrong(BLANK)].concat(),
        Kind::Removable(most) => [line_of_text(most), right("")].concat(),
        Kind::Asked(most) => {
            let refused = FORGING.iter().map(|bad| (json!(format!("a{bad}b")), Is::Wrong));
            let large = [long("x", most + 1, Is::Wrong), long("é", most, Is::Wrong)].concat();
            [refused.collect(), wrong("¦ "), large].concat()
        }
        Kind::Reference => references(),
        Kind::Grant => grants(),
        Kind::Duration => durations(),
        Kind::End => [times(), wrong("1970-01-01T00:00:00Z¦2026-01-01T00:00:00Z")].concat(),
        Kind::Beginning => [times(), open("1970-01-01T00:00:00Z")].concat(),
        Kind::Network => networks(),
        Kind::Address => addresses(),
        Kind::Permission => permissions(),
        Kind::Time => times(),
        Kind::Creator => [
            wrong("¦ ¦nobody¦org-token:¦org-token¦Admin-token¦admin-token\u{0}¦org-token:chyo_\u{202e}"),
            long("x", 9_000, Is::Wrong),
            right("admin-token¦system:inactivity¦<TARGET>¦<HIDDEN>¦019ab7a4-0000-7000-8000-0000000000ff"),
        ]
        .concat(),
        Kind::Role => [wrong("¦ ¦No Role¦a_b¦MEMBER¦member\u{0}"), right("member¦never-defined")].concat(),
        Kind::Word => wrong("¦BOUNDED¦Committed¦because¦ bounded¦requested\u{0}¦\u{202e}leaked"),
        Kind::Prefix => {
            [wrong("¦chyo¦chyo_12345678"), open("ch\u{202e}yo_¦chyo_¦chyo_1234567¦%%%%%%")].concat()
        }
        Kind::Anything => {
            [right("¦ ¦a\u{0}b¦\u{202e}¦ключ¦chyo_short"), long("x", 20_000, Is::Right)].concat()
        }
        Kind::Metadata => metadata(),
        Kind::Flag | Kind::Count | Kind::Object => Vec::new(),
        Kind::Number { least, most } => {
            let outside =
                [json!(least - 1), json!(most + 1), json!(0), json!(u32::MAX), json!(u64::MAX), json!(-1)];
            let inside = [json!(least), json!(most)].map(|value| (value, Is::Right));
            outside.into_iter().map(|value| (value, Is::Wrong)).chain(inside).collect()
        }
        Kind::List { most } => vec![(json!([]), Is::Open), (json!(vec!["verifier"; most + 1]), Is::Wrong)],
    }
}

fn labels() -> Vec<(Value, Is)> {
    let refused = "¦-a¦a-¦Acme¦a_b¦a.b¦ä¦a b¦ acme¦a\u{0}b¦a\n¦\u{202e}a¦a\u{200b}¦ａcme¦аcme¦a/b¦a%2fb¦..¦owner\
                   ¦instance-admin¦<ACME>¦019AB7A4-0000-7000-8000-000000000001";
    let large = [long("x", 64, Is::Wrong), long("x", 40_000, Is::Wrong)].concat();
    [wrong(refused), large, right("a<FRESH>¦7-<FRESH>")].concat()
}

fn references() -> Vec<(Value, Is)> {
    let refused = "¦ ¦never-was¦acme ¦ACME¦acme\u{0}¦..¦*¦<TARGET>¦%¦acme/web¦a\u{202e}¦\u{feff}acme\
                   ¦019ab7a4-0000-7000-8000-0000000000ff";
    [wrong(refused), long("x", 9_000, Is::Wrong), open("other¦<OTHER>¦<HIDDEN>")].concat()
}

fn grants() -> Vec<(Value, Is)> {
    let refused = "¦@¦never-defined¦member@¦@web¦member@web¦instance-admin¦project-reader¦member\u{0}\
                   ¦member\u{202e}¦MEMBER¦ member¦project-reader@never¦project-reader@<OTHERWEB>\
                   ¦project-reader@web@web¦*¦tokens:*";
    [wrong(refused), long("x", 9_000, Is::Wrong), open("member¦project-reader@web")].concat()
}

fn durations() -> Vec<(Value, Is)> {
    let refused = "¦30¦-1d¦1 fortnight¦99999999999999999999d¦1e3d¦NaN¦∞d¦١d¦1d;¦d¦0¦1.5.5h¦0x10s¦1d\u{0}\
                   ¦1d\u{202e}¦18446744073709551615y";
    [wrong(refused), long("1h", 9_000, Is::Open), open("1h¦0s¦1ns¦365000d¦1h 1h")].concat()
}

fn networks() -> Vec<(Value, Is)> {
    let refused = "¦10.0.0.0/33¦localhost¦::ffff:10.0.0.0/104¦10.0.0.0/-1¦10.0.0.0/ 8¦0/0¦1/2/3¦10.0.0\
                   ¦010.0.0.1.1¦10.0.0.1\u{0}¦::g¦fe80::1%eth0¦10.0.0.0/8/8¦*¦::/129";
    [wrong(refused), open("10.0.0.0/8¦10.1.2.3/8¦::/0¦2001:db8::1¦ 127.0.0.0/8")].concat()
}

fn addresses() -> Vec<(Value, Is)> {
    let refused = "¦localhost¦256.1.1.1¦1.2.3.4/8¦::g¦1.2.3.4:80¦fe80::1%eth0¦1.2.3¦0x7f.1¦1.2.3.4\u{0}\
                   ¦1.2.3.4, 5.6.7.8¦[::1]¦०.0.0.0";
    [wrong(refused), long("1", 9_000, Is::Wrong), right("203.0.113.7¦::1¦::ffff:10.0.0.1")].concat()
}

fn permissions() -> Vec<(Value, Is)> {
    let refused = "¦a¦:¦a:¦:b¦a:*¦*¦A:b¦a:b:c¦a :b¦a:b\n¦-a:b¦a:b-¦ä:b¦a:b\u{0}";
    let large = vec![(json!(format!("a:{}", "b".repeat(64))), Is::Wrong)];
    [wrong(refused), large, long("x", 9_000, Is::Wrong), right("deployments:create¦a:b¦7:7")].concat()
}

fn times() -> Vec<(Value, Is)> {
    let refused = "¦yesterday¦2031-13-01T00:00:00Z¦2031-02-30T00:00:00Z¦2031-12-01¦1969-12-31T23:59:59Z\
                   ¦10000-01-01T00:00:00Z¦+2031-12-01T00:00:00Z¦-0001-01-01T00:00:00Z¦1930367167\
                   ¦2031-12-01T00:00:00¦2031-12-01T25:00:00Z¦2031-12-01T00:00:00+99:00\
                   ¦2031-12-01T00:00:00Z\u{0}¦２031-12-01T00:00:00Z¦0000-00-00T00:00:00Z";
    let taken = "9999-12-31T23:59:59.999999999Z¦2031-12-01T00:00:00Z¦2040-01-01T00:00:00.5+14:00";
    [wrong(refused), long("9", 9_000, Is::Wrong), open(taken)].concat()
}

fn metadata() -> Vec<(Value, Is)> {
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let wide: serde_json::Map<String, Value> = (0..2_000).map(|n| (format!("k{n}"), json!(n))).collect();
    let refused = [
        json!({"a": 1.5}),
        json!({"a": [{"b": 1e300}]}),
        json!({"a": "x".repeat(4_096)}),
        json!({"a\u{0}": 1}),
        json!({"a": "b\u{202e}"}),
        json!({"a": "b\u{1b}[2J"}),
        json!({"\u{feff}": {}}),
        Value::Object(wide),
    ];
    let taken =
        [json!({}), json!({"a": null}), json!({"least": i64::MIN, "most": u64::MAX}), json!({"deep": deep})];
    let refused = refused.into_iter().map(|value| (value, Is::Wrong));
    refused.chain(taken.into_iter().map(|value| (value, Is::Right))).collect()
}

/// A value of a field that is taken, where the field is not better left out.
pub(super) fn example(owner: &str, field: &str, kind: Kind) -> Option<Value> {
    Some(match (owner, field, kind) {
        // One of two that exclude each other.
        // And what suits one caller does not suit another.
        (_, "expires_at" | "prefix" | "instance", _)
        | ("Scope", "project", _)
        | ("NarrowToken", "grants", _) => {
            return None;
        }
        ("Verify", "project", _) => json!("<WEB>"),
        ("Scope" | "Verify", "organization", _) => json!("<ACME>"),
        ("RevokeTokens", "dry_run", _) => json!(true),
        (_, "answers", _) => json!("committed"),
        (_, "reason", _) => json!("leaked"),
        (_, "grants", _) => json!(["verifier"]),
        (_, "allowed_networks", _) => json!(["127.0.0.0/8", "::1"]),
        (_, _, Kind::Label) => json!("n<FRESH>"),
        (_, _, Kind::Text(_) | Kind::Removable(_) | Kind::Asked(_)) => json!("text <FRESH>"),
        (_, _, Kind::Duration) => json!("1h"),
        (_, _, Kind::Beginning) => json!("2026-01-01T00:00:00Z"),
        (_, _, Kind::Address) => json!("203.0.113.7"),
        (_, _, Kind::Permission) => json!("deployments:read"),
        (_, _, Kind::Anything) => json!("a key"),
        (_, _, Kind::Metadata) => json!({"a": [1, "b"]}),
        (_, _, Kind::Flag) => json!(false),
        (_, _, Kind::Count) => json!(17),
        (_, _, Kind::Number { most, .. }) => json!(most),
        (_, _, _) => return None,
    })
}

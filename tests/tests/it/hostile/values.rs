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
    /// The id of a token.
    Token,
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
    /// The name of a role that there need not be.
    RoleName,
    /// The id of a person that there need not be.
    Person,
    /// What a role may contain.
    Pattern,
    /// One of a few words.
    Word,
    Prefix,
    /// 64 hexadecimal digits.
    Hash,
    /// Whatever was presented.
    Anything,
    Email,
    /// The text of an invitation.
    Invitation,
    /// A role of the organization.
    OwnRole,
    Metadata,
    Flag,
    Number {
        least: u64,
        most: u64,
    },
    /// A duration, or empty for none.
    Lifetime,
    /// A whole number from 0 to so many.
    Count {
        most: u64,
    },
    /// How many there are said to be: any whole number.
    Expected,
    /// The name of a role of an organization or a project.
    Role,
    Object,
    List {
        most: usize,
    },
    /// All that a role may do, or what is added and removed.
    Permissions,
}

/// What a field holds.
pub(super) fn kind(owner: &str, name: &str, is_item: bool) -> Kind {
    match (owner, name) {
        ("NewOrganization" | "NewProject" | "NewRole" | "Rename", "name") => Kind::Label,
        ("Rename", "display_name") | ("LeakReport", "source") => Kind::Removable(128),
        ("NewOrganization" | "NewProject", "display_name")
        | ("NewToken" | "NarrowToken" | "UpdateToken" | "ImportKey" | "AcceptInvitation", "name") => {
            Kind::Text(128)
        }
        ("NewToken" | "NarrowToken" | "UpdateToken" | "ImportKey", "description")
        | ("Revoke" | "RevokeTokens" | "Suspend" | "Delete", "note")
        | ("ImportKey", "owner") => Kind::Removable(1_024),

        ("NewToken" | "NarrowToken" | "UpdateToken" | "Draft" | "ImportKey", "grants") if is_item => {
            Kind::Grant
        }
        ("NewToken" | "NarrowToken" | "ImportKey" | "OrganizationPolicyChange", "allowed_networks")
            if is_item =>
        {
            Kind::Network
        }
        ("NewRole" | "RoleChange", "permissions" | "add" | "remove") if is_item => Kind::Pattern,
        ("NewRole" | "RoleChange", "permissions" | "add" | "remove") => Kind::Permissions,
        ("Explain", "id") => Kind::Token,
        (_, "grants" | "allowed_networks" | "allowed_roles") => Kind::List { most: 64 },
        ("VerifyBatch" | "Import", "items") if is_item => Kind::Object,
        ("VerifyBatch" | "Import", "items") => Kind::List { most: 1_000 },
        (
            "NewToken" | "NarrowToken" | "UpdateToken" | "NewInvitation" | "ReissueInvitation",
            "expires_in",
        )
        | ("Rotate", "overlap") => Kind::Duration,
        ("NewToken" | "NarrowToken" | "UpdateToken" | "ImportKey", "expires_at") => Kind::End,
        ("NewToken" | "NarrowToken" | "ImportKey", "not_before") | ("ImportKey", "created_at") => {
            Kind::Beginning
        }
        ("NewToken" | "NarrowToken" | "UpdateToken" | "ImportKey", "metadata") => Kind::Metadata,
        ("Scope" | "Explain", "organization" | "project")
        | ("NewInvitation" | "SetMemberRole" | "RemoveMember", "project")
        | ("RemoveMember" | "Offboard", "to") => Kind::Reference,
        ("Verify", "organization" | "project") => Kind::Asked(128),
        ("Verify", "resource") => Kind::Asked(256),
        ("Verify" | "Explain", "permission") => Kind::Permission,
        ("Client" | "Explain", "address") => Kind::Address,
        ("Client", "agent") | ("Verify" | "Identify" | "LeakReport", "token") => Kind::Anything,
        ("Identify", "prefix") => Kind::Prefix,
        ("LeakReport" | "ImportKey", "hash") => Kind::Hash,
        ("LeakReport", "url") => Kind::Removable(2_048),
        ("Revoke" | "RevokeTokens", "reason")
        | ("PolicyChange", "answers")
        | ("RemoveMember" | "Offboard", "tokens")
        | ("Delete", "confirm")
        | ("NewRole", "level")
        | ("Erase", "user")
        | ("ImportKey", "algorithm") => Kind::Word,
        ("Revoke", "cascade")
        | ("Scope", "instance")
        | ("OrganizationPolicyChange", "expiry_required" | "rotation_enforced")
        | (_, "dry_run") => Kind::Flag,
        ("AcceptInvitation", "invitation") => Kind::Invitation,
        ("NewInvitation" | "Erase", "email") => Kind::Email,
        ("NewInvitation" | "SetMemberRole", "role") => Kind::OwnRole,
        ("NewToken" | "Draft" | "ImportKey" | "TokenFilter", "scope")
        | ("RevokeTokens", "filter")
        | ("Verify", "client")
        | ("Explain", "draft")
        | ("InstanceChange", "policy") => Kind::Object,
        ("RevokeTokens", "expected_count") => Kind::Expected,
        ("TokenFilter", name) => filter_kind(name),
        (_, name) if owner.ends_with("PolicyChange") => policy_kind(name, is_item),
        other => panic!("say in `values::kind` what {other:?} holds"),
    }
}

/// What a part of a filter of tokens holds.
fn filter_kind(name: &str) -> Kind {
    match name {
        "created_by" => Kind::Creator,
        "created_from" | "created_before" => Kind::Time,
        "role" => Kind::RoleName,
        "person" => Kind::Person,
        other => panic!("say in `values::filter_kind` what `{other}` holds"),
    }
}

/// What a setting of a policy holds.
fn policy_kind(name: &str, is_item: bool) -> Kind {
    match name {
        "max_lifetime" | "default_lifetime" => Kind::Lifetime,
        "leak_response" => Kind::Word,
        "allowed_roles" if is_item => Kind::Role,
        "max_inactive_days" => Kind::Count { most: 365 },
        "rotation_due_days" => Kind::Count { most: 3_650 },
        "max_mints_per_hour" | "max_live_tokens" => Kind::Count { most: u32::MAX.into() },
        "max_staleness_ms" => Kind::Number { least: 500, most: 60_000 },
        "record_within_ms" => Kind::Number { least: 1, most: 10_000 },
        other => panic!("say in `values::policy_kind` what `{other}` holds"),
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
        Kind::Token => {
            let refused = "¦ ¦never-was¦<ACME>¦verifier¦*¦<TARGET>\u{0}¦019ab7a4-0000-7000-8000-0000000000ff";
            [wrong(refused), long("x", 9_000, Is::Wrong), right("<TARGET>"), open("<HIDDEN>")].concat()
        }
        Kind::Email => emails(),
        Kind::Invitation => {
            [wrong("¦ ¦chyn_¦chyn_never¦a\u{0}b¦\u{202e}¦<ACME>"), long("x", 20_000, Is::Wrong)].concat()
        }
        Kind::OwnRole => own_roles(),
        Kind::Grant => grants(),
        Kind::Duration => durations(),
        Kind::Lifetime => {
            let refused = durations().into_iter().filter(|(value, _)| value != "");
            refused.chain(right("¦90d¦12h")).collect()
        }
        Kind::Count { most } => {
            let outside = [json!(most + 1), json!(u64::MAX), json!(-1)].map(|value| (value, Is::Wrong));
            outside.into_iter().chain([json!(0), json!(most)].map(|value| (value, Is::Right))).collect()
        }
        Kind::Role => {
            let refused = "¦@¦never-defined¦member@¦member@web¦instance-admin¦member\u{0}¦MEMBER¦ member¦*";
            [wrong(refused), long("x", 9_000, Is::Wrong), right("member¦project-reader")].concat()
        }
        Kind::End => [times(), wrong("1970-01-01T00:00:00Z¦2026-01-01T00:00:00Z")].concat(),
        Kind::Beginning => [times(), open("1970-01-01T00:00:00Z")].concat(),
        Kind::Network => networks(),
        Kind::Address => addresses(),
        Kind::Permission => permissions(),
        Kind::Time => times(),
        Kind::Creator => creators(),
        Kind::Person => [wrong("¦ ¦never-was¦<TARGET>\u{0}"), right("<MEMBER>¦<TARGET>")].concat(),
        Kind::RoleName => {
            [wrong("¦ ¦No Role¦a_b¦MEMBER¦member\u{0}"), right("member¦never-defined")].concat()
        }
        Kind::Word => wrong("¦BOUNDED¦Committed¦because¦ bounded¦requested\u{0}¦\u{202e}leaked"),
        Kind::Prefix => {
            [wrong("¦chyo¦chyo_12345678"), open("ch\u{202e}yo_¦chyo_¦chyo_1234567¦%%%%%%")].concat()
        }
        Kind::Hash => {
            [wrong("¦a¦\u{202e}¦0x00"), long("a", 63, Is::Wrong), long("g", 64, Is::Wrong)].concat()
        }
        Kind::Anything => {
            [right("¦ ¦a\u{0}b¦\u{202e}¦ключ¦chyo_short"), long("x", 20_000, Is::Right)].concat()
        }
        Kind::Metadata => metadata(),
        Kind::Flag | Kind::Expected | Kind::Object => Vec::new(),
        Kind::Pattern => patterns(),
        Kind::Permissions => {
            let many: Vec<String> = (0..=200).map(|n| format!("a:v{n}")).collect();
            vec![(json!([]), Is::Open), (json!(many), Is::Open)]
        }
        Kind::Number { least, most } => {
            let outside =
                [json!(least - 1), json!(most + 1), json!(0), json!(u32::MAX), json!(u64::MAX), json!(-1)];
            let inside = [json!(least), json!(most)].map(|value| (value, Is::Right));
            outside.into_iter().map(|value| (value, Is::Wrong)).chain(inside).collect()
        }
        Kind::List { most } => vec![(json!([]), Is::Open), (json!(vec!["verifier"; most + 1]), Is::Wrong)],
    }
}

fn creators() -> Vec<(Value, Is)> {
    [
        wrong("¦ ¦nobody¦org-token:¦org-token¦Admin-token¦admin-token\u{0}¦org-token:chyo_\u{202e}"),
        long("x", 9_000, Is::Wrong),
        right("admin-token¦system:inactivity¦<TARGET>¦<HIDDEN>¦019ab7a4-0000-7000-8000-0000000000ff"),
    ]
    .concat()
}

fn own_roles() -> Vec<(Value, Is)> {
    [wrong("¦never-defined¦project-reader¦instance-admin¦MEMBER¦member@web¦member\u{202e}¦*"), open("owner")]
        .concat()
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

fn emails() -> Vec<(Value, Is)> {
    let refused = "¦ ¦ada¦@¦@example.org¦ada@¦a da@example.org¦<ada@example.org>¦ada@example.org,eve@example.org\
                   ¦ada@exa\nmple.org¦ada@exam\u{202e}ple.org¦ada@example.org\u{0}¦ada@@example.org";
    let large = long("x", 9_000, Is::Wrong);
    [wrong(refused), large, right("ada@example.org¦Ada.Lovelace+x@EXAMPLE.org¦ада@пример.рф")].concat()
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

fn patterns() -> Vec<(Value, Is)> {
    let refused = "¦a¦:¦a:¦:b¦**¦*:*¦*:a¦a:b*¦A:b¦a:b:c¦a :b¦a:b\n¦-a:b¦a:b-¦ä:b¦a:b\u{0}¦a:b\u{202e}";
    let large = vec![(json!(format!("a:{}", "b".repeat(64))), Is::Wrong)];
    [wrong(refused), large, long("x", 9_000, Is::Wrong), open("*¦a:*¦deployments:create")].concat()
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
        ("ImportKey", "hash", _) => json!("ab".repeat(32)),
        (_, "algorithm", _) => json!("sha256"),
        // One of two that exclude each other.
        // And what suits one caller does not suit another.
        (_, "expires_at" | "prefix" | "hash" | "instance", _)
        | ("Scope", "project", _)
        | ("Explain", "id" | "address", _)
        | ("RoleChange", "permissions" | "remove", _)
        | ("NarrowToken", "grants", _) => {
            return None;
        }
        ("Verify" | "Explain", "project", _) => json!("<WEB>"),
        ("Scope" | "Verify" | "Explain", "organization", _) => json!("<ACME>"),
        (_, "level", _) => json!("project"),
        (_, "permissions" | "add", _) => json!(["deployments:read", "projects:*"]),
        // What a policy forbids would be forbidden to every case after it.
        (_, "dry_run", _) => json!(true),
        (_, "allowed_roles", _) => json!(["verifier"]),
        (_, _, Kind::Count { most }) => json!(most),
        (_, "tokens", _) => json!("keep"),
        (_, _, Kind::Email) => json!("ada@example.org"),
        (_, _, Kind::Invitation) => json!("<INVITATION>"),
        (_, _, Kind::OwnRole) => json!("member"),
        (_, "answers", _) => json!("committed"),
        (_, "reason", _) => json!("leaked"),
        (_, "confirm", _) => json!("<DOOM>"),
        (_, "grants", _) => json!(["verifier"]),
        (_, "allowed_networks", _) => json!(["127.0.0.0/8", "::1"]),
        (_, _, Kind::Label) => json!("n<FRESH>"),
        (_, _, Kind::Text(_) | Kind::Removable(_) | Kind::Asked(_)) => json!("text <FRESH>"),
        (_, _, Kind::Duration | Kind::Lifetime) => json!("1h"),
        (_, _, Kind::Beginning) => json!("2026-01-01T00:00:00Z"),
        (_, _, Kind::Address) => json!("203.0.113.7"),
        (_, _, Kind::Permission) => json!("deployments:read"),
        (_, _, Kind::Anything) => json!("a key"),
        (_, _, Kind::Metadata) => json!({"a": [1, "b"]}),
        (_, _, Kind::Flag) => json!(false),
        (_, _, Kind::Expected) => json!(17),
        (_, _, Kind::Number { most, .. }) => json!(most),
        (_, _, _) => return None,
    })
}

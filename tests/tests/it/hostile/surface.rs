//! That the document is the whole surface: what the router serves beside it is known, and named here.

use super::document::operations;
use crate::hex;
use chancery_tests::World;
use std::collections::BTreeSet;
use std::path::Path;

/// Routes that are no operations: pages, the document itself, metrics.
const PAGES: [&str; 9] = [
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/",
    "/docs/{*rest}",
    "/docs/index.css",
    "/docs/errors",
    "/docs/errors/",
    "/docs/errors/{code}",
];
const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "TRACE", "BREW"];

/// Whether a route, as the metrics name it, is in the document or a known page.
pub(super) fn is_known(route: &str) -> bool {
    let document = api::document();
    let route = &*route.replace("{*", "{");
    route == "unmatched" || PAGES.contains(&route) || document["paths"].get(route).is_some()
}

/// The routes that a node has answered on.
pub(super) fn routes_in(metrics: &str) -> Vec<String> {
    let routes = metrics.lines().filter_map(|line| line.split_once("route=\"")?.1.split('"').next());
    let routes: BTreeSet<&str> = routes.collect();
    routes.into_iter().map(str::to_owned).collect()
}

/// Words that a path of such a server might have.
const WORDS: [&str; 30] = [
    "admin",
    "audit",
    "authorize",
    "batch",
    "checkpoint",
    "config",
    "debug",
    "events",
    "export",
    "health",
    "history",
    "identify",
    "instance",
    "introspect",
    "invitations",
    "keys",
    "lineage",
    "log",
    "members",
    "metrics",
    "narrow",
    "organizations",
    "policies",
    "projects",
    "roles",
    "rotate",
    "tokens",
    "uses",
    "verify",
    "whoami",
];

#[tokio::test]
async fn what_the_document_lacks_is_not_served() {
    let world = World::new().await;
    let operations = operations(&api::document());
    let documented: BTreeSet<(&str, &str)> =
        operations.iter().map(|operation| (&*operation.method, &*operation.template)).collect();
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for operation in &operations {
        let mut prefix = String::new();
        for part in operation.template.split('/').skip(1) {
            prefix = format!("{prefix}/{part}");
            paths.insert(prefix.clone());
            paths.extend(WORDS.iter().map(|word| format!("{prefix}/{word}")));
        }
    }
    paths.extend(
        WORDS.iter().flat_map(|word| [format!("/{word}"), format!("/v2/{word}"), format!("/oauth2/{word}")]),
    );
    let admin = world.node.admin();
    let mut probed = 0;
    for path in paths {
        let fill = hex(path.as_bytes());
        let target = path
            .replace("{role}", &fill)
            .replace("{organization}", &fill)
            .replace("{project}", &fill)
            .replace("{id}", &fill)
            .replace("{level}", &fill)
            .replace("{index}", &fill);
        for method in METHODS {
            // A stream would go on.
            let query = if target == "/v1/audit/stream" { "?until_position=0" } else { "" };
            let answer = admin.call(method, &format!("{target}{query}")).send().await;
            probed += 1;
            // A word behind a prefix may be the parameter of another template.
            let own = methods_of(&documented, &target);
            let is_documented = own.contains(method);
            let is_served = !matches!(answer.code(), "no_such_route" | "method_not_allowed");
            let is_page = PAGES.contains(&&*target) && method == "GET";
            assert_eq!(is_served, is_documented || is_page, "{method} {target}: {}", answer.text);
            let is_own_fault = answer.status >= 500 && answer.code() != "caller_refused";
            assert!(!is_own_fault, "{method} {target}: {}", answer.text);
            if answer.status == 405 {
                let allowed: BTreeSet<&str> = answer.header("allow").split(',').map(str::trim).collect();

                let pages = if PAGES.contains(&&*target) { BTreeSet::from(["GET"]) } else { BTreeSet::new() };
                let expected: BTreeSet<&str> = own.union(&pages).copied().collect();
                let without_head: BTreeSet<&str> =
                    allowed.into_iter().filter(|name| *name != "HEAD").collect();
                assert_eq!(without_head, expected, "{target}");
            }
        }
    }
    println!("surface: {probed} probes beside the document");
}

/// The methods that the document has for a path. A template that is the path itself goes before one with parameters.
fn methods_of<'d>(documented: &BTreeSet<(&'d str, &'d str)>, path: &str) -> BTreeSet<&'d str> {
    let is_literal = documented.iter().any(|(_, template)| *template == path);
    let own = documented.iter().filter(
        |(_, template)| {
            if is_literal { *template == path } else { fits(template, path) }
        },
    );
    own.map(|(method, _)| *method).collect()
}

/// Whether a path is one of a template.
fn fits(template: &str, path: &str) -> bool {
    let is_whole = path
        .strip_prefix("/log/tile/")
        .is_some_and(|rest| rest.split('/').nth(1).is_some_and(|n| !n.is_empty()));
    if template == "/log/tile/{level}/{index}" {
        // An index goes over as many parts as it has groups of digits.
        return is_whole;
    }
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(own, part)| own.starts_with('{') || own == part)
}

/// A route that is added beside the document is added in one of few places: this looks whether there is another.
#[test]
fn routes_are_added_through_the_document() {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/src");
    let mut waiting = vec![api.clone()];
    let mut found = BTreeSet::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let served = text.split("#[cfg(test)]").next().unwrap();
            if [".route(", ".route_service(", ".nest(", ".nest_service("]
                .iter()
                .any(|way| served.contains(way))
            {
                found.insert(path.strip_prefix(&api).unwrap().display().to_string());
            }
        }
    }
    let known = ["app.rs", "edge/docs.rs", "edge/error_pages.rs"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(known));
}

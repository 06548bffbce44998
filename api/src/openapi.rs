//! The routes and the OpenAPI document, from the same annotations.

use crate::app::App;
use crate::{
    audit, explain, exports, history, instance, invitations, leaks, log, members, organizations, policies,
    projects, reviews, roles, sweeps, system, tokens, users, verify,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Largest body of a batch: 1,000 questions, matches of a partner or keys, of about a kilobyte.
const BATCH_LIMIT: usize = 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chancery",
        description = "An event-sourced token authority. Every error is a problem (RFC 9457) with a stable `code` and \
                       a page of its own under `/docs/errors`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    security(("token" = [])),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of this authority, or its break-glass token."))
            .build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// All routes that the document describes, and the document.
pub(crate) fn routes() -> (Router<App>, serde_json::Value) {
    let batch =
        OpenApiRouter::new().routes(routes!(verify::batch::batch)).layer(DefaultBodyLimit::max(BATCH_LIMIT));
    let large = OpenApiRouter::new()
        .routes(routes!(leaks::report::report, leaks::list::list))
        .routes(routes!(tokens::import::import))
        .layer(DefaultBodyLimit::max(BATCH_LIMIT));
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(verify::verify::verify))
        .merge(batch)
        .routes(routes!(verify::authorize::authorize))
        .routes(routes!(tokens::whoami::whoami))
        .routes(routes!(instance::show::show, instance::update::update))
        .routes(routes!(organizations::create::create, organizations::list::list))
        .routes(routes!(
            organizations::show::show,
            organizations::rename::rename,
            organizations::delete::delete
        ))
        .routes(routes!(organizations::suspend::suspend))
        .routes(routes!(organizations::restore::restore))
        .routes(routes!(organizations::contents::contents))
        .routes(routes!(policies::show::show, policies::update::update))
        .routes(routes!(sweeps::organization::sweep))
        .routes(routes!(sweeps::instance::sweep))
        .routes(routes!(projects::create::create, projects::list::list))
        .routes(routes!(projects::show::show, projects::rename::rename, projects::delete::delete))
        .routes(routes!(projects::contents::contents))
        .routes(routes!(roles::define::define, roles::list::list))
        .routes(routes!(roles::show::show, roles::change::change, roles::retire::retire))
        .routes(routes!(roles::define::define_shared, roles::list::list_shared))
        .routes(routes!(roles::show::show_shared, roles::change::change_shared, roles::retire::retire_shared))
        .routes(routes!(explain::explain))
        .routes(routes!(invitations::create::create, invitations::list::list))
        .routes(routes!(invitations::show::show, invitations::withdraw::withdraw))
        .routes(routes!(invitations::reissue::reissue))
        .routes(routes!(invitations::accept::accept))
        .routes(routes!(members::list::list))
        .routes(routes!(members::show::show, members::update::update))
        .routes(routes!(members::remove::remove))
        .routes(routes!(users::list::list))
        .routes(routes!(users::show::show))
        .routes(routes!(users::offboard::offboard))
        .routes(routes!(users::erase::erase))
        .routes(routes!(tokens::mint::mint, tokens::list::list))
        .routes(routes!(tokens::narrow::narrow))
        .routes(routes!(tokens::identify::identify))
        .routes(routes!(tokens::show::show, tokens::update::update, tokens::revoke::delete))
        .routes(routes!(tokens::rotate::rotate))
        .routes(routes!(tokens::revoke::revoke))
        .merge(large)
        .merge(record())
        .routes(routes!(tokens::revoke_tokens::revoke_tokens))
        .routes(routes!(tokens::lineage::show))
        .routes(routes!(system::health::healthz))
        .routes(routes!(system::health::readyz))
        .split_for_parts();
    (router, serde_json::to_value(plain_paths(document)).expect("the document is plain data"))
}

/// Those of auditors: the record, the past, and what proves them.
fn record() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(history::as_of::as_of))
        .routes(routes!(history::who_could::who_could))
        .routes(routes!(history::diff::diff))
        .routes(routes!(history::state::state))
        .routes(routes!(exports::export::export))
        .routes(routes!(exports::manifest::manifest))
        .routes(routes!(exports::personal::personal))
        .routes(routes!(reviews::access::review))
        .routes(routes!(tokens::history::history))
        .routes(routes!(tokens::uses::uses))
        .routes(routes!(audit::events::list))
        .routes(routes!(audit::stream::stream))
        .routes(routes!(audit::views::show))
        .routes(routes!(audit::views::rebuild))
        .routes(routes!(log::checkpoint::checkpoint))
        .routes(routes!(log::tile::tile))
        .routes(routes!(log::entries::entries))
        .routes(routes!(log::inclusion::inclusion))
        .routes(routes!(log::consistency::consistency))
        .routes(routes!(log::receipt::receipt))
}

/// The document has no word for a parameter that goes over several parts of the path: it names it like any other.
fn plain_paths(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    document
}

/// The OpenAPI document.
pub fn document() -> serde_json::Value {
    routes().1
}

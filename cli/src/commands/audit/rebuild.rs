use crate::commands::Context;
use crate::failure::Failure;
use api::wire::AuditViews;
use reqwest::Method;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let path = ["v1", "audit", "rebuild"];
    let views = client.change::<AuditViews>(Method::POST, &path, &serde_json::json!({}), None).await?;
    context.output.hint("They take the place of those that are read when they have come as far.");
    context.output.details(&views)
}

use crate::commands::Context;
use crate::failure::Failure;
use api::wire::AuditViews;

pub(super) async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    context.output.details(&client.get::<AuditViews>(&["v1", "audit", "views"], &[]).await?)
}

use super::Context;
use crate::failure::{Exit, Failure};
use crate::output::rows::Row as _;
use crate::output::{self, Format, table, times};
use api::wire::Whoami;

pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let output = &context.output;
    output.without_secret()?;
    let answer = context.client()?.get::<Whoami>(&["v1", "whoami"], &[]).await?;
    match output.format() {
        Format::Table | Format::Secret => {
            let mut lines = vec![
                ("ACTOR", answer.value.actor.clone()),
                ("PERMISSIONS", answer.value.permissions.join(", ")),
            ];
            lines.extend(answer.value.token.iter().flat_map(|token| token.details(times::now())));
            output::print(&table::pairs(&lines))?;
        }
        Format::Json => output.json(answer.json.get())?,
        Format::Id => {
            let none = || Failure::NotFound(format!("{} is no token with an id", answer.value.actor));
            let token = answer.value.token.as_ref().ok_or_else(none)?;
            output::print(&format!("{}\n", token.id))?;
        }
    }
    Ok(Exit::Success)
}

//! May this token do this? One question, many, or a reverse proxy's.

pub(crate) mod authorize;
pub(crate) mod batch;
mod render;
// The endpoint is called what the noun is called.
#[expect(clippy::module_inception, reason = "one file an endpoint, named after it")]
pub(crate) mod verify;

use crate::app::App;
use crate::edge::Problem;
use crate::edge::codes;
use crate::error::{invalid, problem};
use crate::wire;
use domain::permission::Permission;
use domain::secret::Shape;
use domain::text;
use domain::verify::{Code, Verdict};
use projections::{Call, Client, Inquiry, Outcome};

/// The most bytes of a resource.
const RESOURCE: usize = 256;
/// The most bytes of a client's user agent that are kept.
const AGENT: usize = 256;
/// The most bytes of a name that is looked up.
const NAME: usize = 128;

/// Checks one question's values; whether they name anything is the state's to say.
fn read(app: &App, question: wire::Verify) -> Result<Inquiry, Problem> {
    let permission = match question.permission.as_deref() {
        None => None,
        Some(text) => {
            Permission::parse("permission", text).map_err(|rejection| problem(&rejection.into()))?;
            question.permission.map(String::into_boxed_str)
        }
    };
    let client = question.client.map(|client| read_client(app, client)).transpose()?.unwrap_or_default();
    let (hashes, shape) = app.presented(&question.token);
    Ok(Inquiry {
        hashes,
        malformed: shape == Shape::Malformed,
        permission,
        organization: read_text(app, "organization", question.organization, NAME)?,
        project: read_text(app, "project", question.project, NAME)?,
        resource: read_text(app, "resource", question.resource, RESOURCE)?,
        client,
    })
}

/// What goes into the record as it was asked has to be fit for one; a name that names nothing does as well.
fn read_text(
    app: &App,
    field: &'static str,
    text: Option<String>,
    max: usize,
) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    text::clean(field, &app.mask(&text), max).map(Some).map_err(|rejection| problem(&rejection.into()))
}

fn read_client(app: &App, client: wire::Client) -> Result<Client, Problem> {
    let address = client
        .address
        .map(|text| text.parse().map_err(|_| invalid("client.address", &text, "an IPv4 or IPv6 address")))
        .transpose()?;
    let agent = client
        .agent
        .filter(|text| !text.is_empty())
        .map(|text| text::cut(&app.mask(&text), AGENT).as_str().into());
    Ok(Client { address, agent })
}

/// Asks the node, and gives each question's answer with the size of the log.
async fn answer(
    app: &App,
    call: Call,
    inquiries: Vec<Inquiry>,
) -> Result<(Vec<(Verdict, Option<u64>)>, u64), Problem> {
    let (from, reported) = (call.client.address, inquiries.first().and_then(|first| first.client.address));
    let answered = app.node().verify(call, inquiries).await.map_err(|failure| app.refused(&failure, from))?;
    match answered.outcome {
        Outcome::Verified(verdicts) => {
            // What is known has been decided by now; only an answer that says nothing but "unknown" is withheld.
            if verdicts.iter().all(|(verdict, _)| verdict.code == Code::Unknown) {
                app.limit_unknown(&answered.caller, reported)?;
            }
            Ok((verdicts, answered.position))
        }
        Outcome::Done { .. } | Outcome::Readable => Err(Problem::new(codes::INTERNAL)),
    }
}

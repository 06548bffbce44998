//! May this token do this? One question, many, or a reverse proxy's.

pub(crate) mod authorize;
pub(crate) mod batch;
mod render;
// The endpoint is called what the noun is called.
#[expect(clippy::module_inception, reason = "one file an endpoint, named after it")]
pub(crate) mod verify;

use crate::app::{App, counted};
use crate::edge::Problem;
use crate::edge::codes;
use crate::error::{invalid, problem};
use crate::limits::Limited;
use crate::wire;
use domain::authority::Credential;
use domain::permission::Permission;
use domain::secret::Shape;
use domain::text;
use domain::verify::{Code, Verdict};
use projections::{Call, Client, Failure, Inquiry, Outcome};

/// The most bytes of a resource.
const RESOURCE: usize = 256;
/// The most bytes of a client's user agent that are kept.
const AGENT: usize = 256;
/// The most bytes of a name that is looked up.
const NAME: usize = 128;

/// Checks one question's values, as a caller asks it; whether they name anything is the state's to say.
fn read(app: &App, caller: Credential, question: wire::Verify) -> Result<Inquiry, Problem> {
    let permission = match question.permission.as_deref() {
        None => None,
        Some(text) => {
            Permission::parse("permission", text).map_err(|rejection| problem(&rejection.into()))?;
            question.permission.map(String::into_boxed_str)
        }
    };
    let client = question.client.map(|client| read_client(app, client)).transpose()?.unwrap_or_default();
    let (hashes, shape) = app.asked(&question.token, caller);
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

/// A verdict with the position of its line; none where it is withheld, because it would only say that nobody has the
/// text, once too often.
type Answer = Option<(Verdict, Option<u64>)>;

/// Asks the node one question; gives the verdict, the position of its line, and the size of the log.
async fn answer_one(app: &App, call: Call, inquiry: Inquiry) -> Result<(Verdict, Option<u64>, u64), Problem> {
    let (answers, position) = answer(app, call, vec![inquiry]).await?;
    let (verdict, line) = answers.into_iter().next().flatten().expect("what is withheld alone is refused");
    Ok((verdict, line, position))
}

/// Asks the node, and gives each question's answer with the size of the log. Refused where every answer is withheld.
async fn answer(app: &App, call: Call, inquiries: Vec<Inquiry>) -> Result<(Vec<Answer>, u64), Problem> {
    let from = call.client.address;
    let reported: Vec<_> = inquiries.iter().map(|inquiry| inquiry.client.address).collect();
    let answered = app.node().verify(call, inquiries).await.map_err(|failure| {
        let problem = app.refused(&failure, from);
        match failure {
            Failure::Rejected(_) => problem.at(app.node().live().position()),
            _ => problem,
        }
    })?;
    match answered.outcome {
        Outcome::Verified(verdicts) => {
            if verdicts.iter().all(|(verdict, _)| verdict.code != Code::Unknown) {
                return Ok((verdicts.into_iter().map(Some).collect(), answered.position));
            }
            let caller = app.node().live().read(|state| counted(state, &answered.caller));
            let mut withheld = None;
            let answers = verdicts.into_iter().zip(reported).map(|((verdict, line), address)| {
                // What is known has been decided by now; only "unknown" is withheld.
                if verdict.code == Code::Unknown
                    && let Err(problem) = app.limits().count(Limited::Unknown, (caller, address))
                {
                    withheld = Some(problem);
                    return None;
                }
                Some((verdict, line))
            });
            let answers: Vec<_> = answers.collect();
            match withheld.filter(|_| answers.iter().all(Option::is_none)) {
                Some(problem) => Err(problem.at(answered.position)),
                None => Ok((answers, answered.position)),
            }
        }
        Outcome::Done { .. } | Outcome::Readable => Err(Problem::new(codes::INTERNAL)),
    }
}

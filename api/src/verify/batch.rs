use super::Answer;
use super::render::{Rendered, USUAL, Withheld, respond};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::invalid;
use crate::page;
use crate::wire;
use axum::extract::State;
use axum::response::Response;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Verify many tokens
///
/// Up to 1,000, answered by one commit, each as `POST /v1/verify` answers it. If the caller may not ask one of the
/// questions, none is answered. An answer `unknown` that is one too many is withheld: its code is `rate_limited`, and
/// where no other answer is left, the call is refused as a whole.
#[utoipa::path(
    post, path = "/v1/verify/batch", operation_id = "verify.batch", tag = "verify",
    request_body = wire::VerifyBatch,
    responses((status = 200, body = wire::VerifyBatchAnswer), (status = "default", body = wire::Problem))
)]
pub(crate) async fn batch(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::VerifyBatch>,
) -> Result<Response, Problem> {
    let count = body.items.len();
    if !(1..=page::MOST).contains(&count) {
        return Err(invalid("items", &count.to_string(), "a list of 1 to 1000 questions"));
    }
    let inquiries =
        body.items.into_iter().map(|item| super::read(&app, item)).collect::<Result<Vec<_>, _>>()?;
    let (answers, position) = super::answer(&app, session.call("verify.batch"), inquiries).await?;
    let mut body = Vec::with_capacity(32 + count * USUAL);
    app.node()
        .live()
        .read(|state| serde_json::to_writer(&mut body, &Items { state, answers: &answers }))
        .expect("verdicts are plain data");
    Ok(respond(body, position))
}

struct Items<'a> {
    state: &'a domain::state::State,
    answers: &'a [Answer],
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.answers.iter().map(|answer| match answer {
            Some((verdict, position)) => {
                Item::Decided(Rendered { state: self.state, verdict, position: *position })
            }
            None => Item::Withheld(Withheld),
        });
        let mut fields = serializer.serialize_struct("VerifyBatchAnswer", 1)?;
        fields.serialize_field("items", &Sequence(items))?;
        fields.end()
    }
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Decided(Rendered<'a>),
    Withheld(Withheld),
}

struct Sequence<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Sequence<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}

//! Requests whose frame lies: lengths that are not so, chunks that are none, two lengths at once.

use super::cases::plain;
use super::document::operations;
use super::ground::Ground;
use chancery_tests::Wire;

/// What has to come of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    /// Nothing is changed; a refusal, or the end of the connection.
    Refusal,
    /// It is answered like any other.
    Answer,
    /// Either: RFC 9112 (section 6.3) leaves it open.
    Either,
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let chunks =
        body.chunks(size).map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    [chunks.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat()
}

fn frames(body: &[u8], limit: usize) -> Vec<(&'static str, String, Vec<u8>, Comes)> {
    let length = |length: &dyn std::fmt::Display| format!("content-length: {length}\r\n");
    let own = body.len();
    let chunks = "transfer-encoding: chunked\r\n".to_owned();
    let large = [body, &vec![b' '; limit + 1 - own]].concat();
    vec![
        ("whole", length(&own), body.to_vec(), Comes::Answer),
        ("chunked", chunks.clone(), chunked(body, 7), Comes::Answer),
        ("longer than sent", length(&(own + 1)), body.to_vec(), Comes::Refusal),
        ("much longer than sent", length(&u64::MAX), body.to_vec(), Comes::Refusal),
        ("longer than the limit", length(&(limit + 1)), body.to_vec(), Comes::Refusal),
        ("shorter than sent", length(&(own - 1)), body.to_vec(), Comes::Refusal),
        ("no length", String::new(), body.to_vec(), Comes::Refusal),
        ("twice", length(&own) + &length(&(own - 1)), body.to_vec(), Comes::Refusal),
        ("a list", length(&format!("{own}, {}", own - 1)), body.to_vec(), Comes::Refusal),
        ("with a sign", length(&format!("+{own}")), body.to_vec(), Comes::Refusal),
        ("in hexadecimal", length(&format!("{own:#x}")), body.to_vec(), Comes::Refusal),
        ("negative", length(&-1), body.to_vec(), Comes::Refusal),
        ("both", chunks.clone() + &length(&own), chunked(body, 9), Comes::Either),
        ("chunks over the limit", chunks.clone(), chunked(&large, 4_096), Comes::Refusal),
        ("chunks of one byte over the limit", chunks.clone(), chunked(&large, 1_000_000), Comes::Refusal),
        ("chunks that end early", chunks.clone(), chunked(body, 8)[..10].to_vec(), Comes::Refusal),
        ("a chunk of no size", chunks.clone(), b"x\r\nabc\r\n0\r\n\r\n".to_vec(), Comes::Refusal),
        (
            "a chunk of a huge size",
            chunks.clone(),
            b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n".to_vec(),
            Comes::Refusal,
        ),
        ("a negative chunk", chunks, b"-1\r\nabc\r\n0\r\n\r\n".to_vec(), Comes::Refusal),
        (
            "chunks that are not last",
            "transfer-encoding: chunked, gzip\r\n".into(),
            chunked(body, 9),
            Comes::Refusal,
        ),
        ("compressed", "transfer-encoding: gzip\r\n".into(), body.to_vec(), Comes::Refusal),
    ]
}

#[tokio::test]
async fn a_frame_that_lies_changes_nothing() {
    let mut ground = Ground::new().await;
    let wire = Wire::to(ground.world.node.url());
    let owner = ground.callers[2].credential.clone().unwrap();
    let (mut sent, mut answered) = (0, 0);
    for operation in operations(&api::document()).iter().filter(|operation| operation.body.is_some()) {
        let case = plain(operation);
        let limit = operation.body_limit();
        let count = frames(b"{}", limit).len();
        for index in 0..count {
            let body = ground.fill(case.body.as_ref().unwrap());
            let (about, head, framed, comes) = frames(&body, limit).swap_remove(index);
            let target = ground.fill(&case.target);
            let head = format!(
                "{} {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {owner}\r\ncontent-type: application/json\r\n{head}\r\n",
                operation.method,
                String::from_utf8(target).unwrap(),
            );
            let before = ground.version();
            let request = [head.as_bytes(), &framed].concat();

            // Nothing but the end of the sending side tells the server that no more will come. Where something may be
            // done it is not told so, because it could still do it after the connection is gone.
            let is_refused = comes == Comes::Refusal && about != "no length";
            let reply = if is_refused {
                wire.send_and_end(&request).await
            } else {
                Wire::to(ground.world.node.url()).send(&request, false).await
            };
            let has_changed = ground.version() != before;
            let status = reply.as_ref().map(|reply| reply.status);
            let what = format!("{} {}: {about}: {status:?}", operation.method, operation.template);
            assert!(status.is_none_or(|status| status < 500), "{what}");
            match comes {
                Comes::Answer => assert!(status.is_some_and(|status| status < 300), "{what}"),
                Comes::Either => {}
                // An optional body that has no length is none.
                Comes::Refusal if about == "no length" && !operation.body.as_ref().unwrap().is_required => {}
                Comes::Refusal => {
                    assert!(!has_changed && status.is_none_or(|status| status >= 400), "{what}");
                }
            }
            sent += 1;
            answered += usize::from(status.is_some());
            if has_changed {
                ground.repair().await;
            }
        }
    }
    println!("framing: {sent} frames, {answered} answered, 0 violations");
}

//! Answers that go on, given out as their reader takes them.
//!
//! A transport takes a piece in hand and asks for the next one when it could send that. So whoever keeps the window of an
//! HTTP/2 stream shut would hold what the answer holds for as long as the connection lasts. A piece that nobody asks for
//! is therefore looked for from outside, and what it was to be made of is dropped, all but the last word.

use axum::body::Body;
use bytes::Bytes;
use eventlog::Clock;
use futures_util::stream;
use parking_lot::Mutex;
use std::io;
use std::mem::replace;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a reader may take nothing. A socket that takes nothing is closed after as long ([`crate::edge`]).
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for readers that take nothing.
const TICK: Duration = Duration::from_secs(1);

/// What makes an answer, piece by piece.
pub(crate) trait Pieces: Send + 'static {
    /// The next piece; none ends the answer, and an error cuts it.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Bytes>>> + Send;

    /// The last piece for a reader that has taken nothing for too long, if it takes one again.
    fn too_late() -> io::Result<Bytes>;
}

/// Where an answer stands.
enum Place<P> {
    /// Nobody has asked for the next piece since then, by the monotonic clock.
    Untaken(P, Duration),
    /// A piece is being made, or the answer is over.
    Taken,
    /// Nobody asked for too long.
    Late,
}

/// The body of an answer.
pub(crate) fn body<P: Pieces>(pieces: P, clock: Clock) -> Body {
    let place = Arc::new(Mutex::new(Place::Untaken(pieces, clock.monotonic())));
    tokio::spawn(watch(Arc::downgrade(&place), clock.clone()));
    Body::from_stream(stream::unfold((place, clock), |(place, clock)| async {
        let piece = next(&place, &clock).await?;
        Some((piece, (place, clock)))
    }))
}

async fn next<P: Pieces>(place: &Mutex<Place<P>>, clock: &Clock) -> Option<io::Result<Bytes>> {
    let taken = replace(&mut *place.lock(), Place::Taken);
    match taken {
        Place::Untaken(_, since) if is_late(since, clock) => Some(P::too_late()),
        Place::Untaken(mut pieces, _) => {
            let piece = pieces.next().await?;
            *place.lock() = Place::Untaken(pieces, clock.monotonic());
            Some(piece)
        }
        Place::Late => Some(P::too_late()),
        Place::Taken => None,
    }
}

fn is_late(since: Duration, clock: &Clock) -> bool {
    clock.monotonic().saturating_sub(since) > PATIENCE
}

/// Drops what makes an answer when nobody has asked for a piece for too long. Ends with the answer.
async fn watch<P: Pieces>(place: Weak<Mutex<Place<P>>>, clock: Clock) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(place) = place.upgrade() else { return };
        let mut place = place.lock();
        if matches!(*place, Place::Untaken(_, since) if is_late(since, &clock)) {
            *place = Place::Late;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    /// Counts down, and is seen to be there.
    struct Countdown {
        left: u32,
        _alive: Arc<()>,
    }

    fn countdown(left: u32, alive: &Arc<()>) -> Countdown {
        Countdown { left, _alive: Arc::clone(alive) }
    }

    impl Pieces for Countdown {
        async fn next(&mut self) -> Option<io::Result<Bytes>> {
            self.left = self.left.checked_sub(1)?;
            Some(Ok(Bytes::from(self.left.to_string())))
        }

        fn too_late() -> io::Result<Bytes> {
            Ok(Bytes::from("late"))
        }
    }

    #[tokio::test]
    async fn what_nobody_asks_for_is_dropped_but_for_the_last_word() {
        let (clock, alive) = (Clock::manual(0), Arc::new(()));
        let mut body = body(countdown(9, &alive), clock.clone()).into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "8");
        clock.advance(PATIENCE);
        assert_eq!(body.next().await.unwrap().unwrap(), "7");
        clock.advance(PATIENCE + TICK);
        let gone = async {
            while Arc::strong_count(&alive) > 1 {
                tokio::time::sleep(TICK / 50).await;
            }
        };
        tokio::time::timeout(TICK * 30, gone).await.expect("it is dropped though nobody asks");
        assert_eq!(body.next().await.unwrap().unwrap(), "late");
        assert!(body.next().await.is_none());
    }

    #[tokio::test]
    async fn whoever_asks_too_late_is_told_so_at_once() {
        let (clock, alive) = (Clock::manual(0), Arc::new(()));
        let mut body = body(countdown(9, &alive), clock.clone()).into_data_stream();
        clock.advance(PATIENCE + TICK);
        assert_eq!(body.next().await.unwrap().unwrap(), "late");
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_taken_comes_whole() {
        let alive = Arc::new(());
        let body = body(countdown(3, &alive), Clock::manual(0)).into_data_stream();
        let all: Vec<_> = body.map(|piece| piece.unwrap()).collect().await;
        assert_eq!(all, ["2", "1", "0"]);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

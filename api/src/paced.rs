//! Answers that go on, given out as their reader takes them.
//!
//! A transport asks for a piece when there is room for one, and otherwise never: whoever keeps the window of an HTTP/2
//! stream shut would hold what the answer holds for as long as the connection lasts. So a piece that nobody asks for is
//! looked for from outside, and what it was to be made of is dropped, all but the last word.

use axum::body::Body;
use bytes::Bytes;
use eventlog::Clock;
use futures_util::stream;
use parking_lot::Mutex;
use std::io;
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long a reader may take nothing. A socket that takes nothing is closed after as long ([`crate::edge`]).
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked for readers that take nothing.
const TICK: Duration = Duration::from_secs(1);
/// So many looks in a row have to find a piece in the making left alone: a clock may have been set ahead.
const LOOKS: u32 = 5;

/// What makes an answer, piece by piece.
pub(crate) trait Pieces: Send + 'static {
    /// The next piece; none ends the answer, and an error cuts it. While it waits, it wakes up every few seconds.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Bytes>>> + Send;

    /// The last piece for a reader that has taken nothing for too long, if it takes one again.
    fn too_late() -> io::Result<Bytes>;
}

/// An answer under way.
struct Answer<P> {
    place: Place<P>,
    clock: Clock,
    /// How often it was asked for, and when last, by the monotonic clock.
    asked: (u64, Duration),
}

type Making<P> = Pin<Box<dyn Future<Output = (P, Option<io::Result<Bytes>>)> + Send>>;

/// Where an answer stands.
enum Place<P> {
    /// Nobody asks for the next piece.
    Untaken(P),
    Making(Making<P>),
    /// Nobody asked for too long.
    Late,
    Over,
}

/// The body of an answer.
pub(crate) fn body<P: Pieces>(pieces: P, clock: Clock) -> Body {
    let asked = (0, clock.monotonic());
    let answer = Arc::new(Mutex::new(Answer { place: Place::Untaken(pieces), clock, asked }));
    tokio::spawn(watch(Arc::downgrade(&answer)));
    Body::from_stream(stream::poll_fn(move |context| answer.lock().poll(context)))
}

impl<P: Pieces> Answer<P> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.is_late() && matches!(self.place, Place::Untaken(_)) {
            self.place = Place::Late;
        }
        let now = self.clock.monotonic();
        self.asked = (self.asked.0 + 1, now);
        self.place = match replace(&mut self.place, Place::Over) {
            Place::Untaken(mut pieces) => Place::Making(Box::pin(async move {
                let piece = pieces.next().await;
                (pieces, piece)
            })),
            Place::Late => return Poll::Ready(Some(P::too_late())),
            other => other,
        };
        let Place::Making(making) = &mut self.place else { return Poll::Ready(None) };
        let (pieces, piece) = ready!(making.as_mut().poll(context));
        self.place = if matches!(piece, Some(Ok(_))) { Place::Untaken(pieces) } else { Place::Over };
        self.asked.1 = self.clock.monotonic();
        Poll::Ready(piece)
    }

    fn is_late(&self) -> bool {
        self.clock.monotonic().saturating_sub(self.asked.1) > PATIENCE
    }
}

/// Drops what makes an answer when nobody has asked for a piece for too long. Ends with the answer.
async fn watch<P: Pieces>(answer: Weak<Mutex<Answer<P>>>) {
    let (mut seen, mut looks) = (0, 0);
    loop {
        tokio::time::sleep(TICK).await;
        let Some(answer) = answer.upgrade() else { return };
        let mut answer = answer.lock();
        looks = if answer.asked.0 == seen { looks + 1 } else { 0 };
        seen = answer.asked.0;
        let is_left = match answer.place {
            Place::Untaken(_) => true,
            Place::Making(_) => looks >= LOOKS,
            Place::Late | Place::Over => return,
        };
        if is_left && answer.is_late() {
            answer.place = Place::Late;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    /// Counts down, and says when it is gone.
    struct Countdown(u32, Arc<()>);

    impl Pieces for Countdown {
        async fn next(&mut self) -> Option<io::Result<Bytes>> {
            self.0 = self.0.checked_sub(1)?;
            Some(Ok(Bytes::from(self.0.to_string())))
        }

        fn too_late() -> io::Result<Bytes> {
            Ok(Bytes::from("late"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_is_dropped_but_for_the_last_word() {
        let (clock, alive) = (Clock::manual(0), Arc::new(()));
        let mut body = body(Countdown(9, Arc::clone(&alive)), clock.clone()).into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "8");
        clock.advance(PATIENCE);
        tokio::time::sleep(TICK * 2).await;
        assert_eq!(body.next().await.unwrap().unwrap(), "7");
        clock.advance(PATIENCE + TICK);
        tokio::time::sleep(TICK * 2).await;
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(body.next().await.unwrap().unwrap(), "late");
        assert!(body.next().await.is_none());
    }

    /// Never has a piece, and looks for one every second.
    struct Idle(Arc<()>);

    impl Pieces for Idle {
        async fn next(&mut self) -> Option<io::Result<Bytes>> {
            loop {
                let _held = &self.0;
                tokio::time::sleep(TICK).await;
            }
        }

        fn too_late() -> io::Result<Bytes> {
            Ok(Bytes::from("late"))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_in_the_making_is_dropped_and_what_waits_is_not() {
        let (clock, alive) = (Clock::manual(0), Arc::new(()));
        let mut body = body(Idle(Arc::clone(&alive)), clock.clone()).into_data_stream();
        assert!(tokio::time::timeout(TICK, body.next()).await.is_err());
        clock.advance(PATIENCE * 9);
        // Asked for the whole time, though nothing comes.
        assert!(tokio::time::timeout(TICK * (LOOKS + 9), body.next()).await.is_err());
        clock.advance(PATIENCE * 9);
        assert!(tokio::time::timeout(TICK * 3, body.next()).await.is_err());
        assert_eq!(Arc::strong_count(&alive), 2);
        clock.advance(PATIENCE + TICK);
        tokio::time::sleep(TICK * (LOOKS + 2)).await;
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(body.next().await.unwrap().unwrap(), "late");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_comes_whole() {
        let alive = Arc::new(());
        let body = body(Countdown(3, Arc::clone(&alive)), Clock::manual(0)).into_data_stream();
        let all: Vec<_> = body.map(|piece| piece.unwrap()).collect().await;
        assert_eq!(all, ["2", "1", "0"]);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

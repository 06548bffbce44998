//! A bar on standard error while somebody looks at it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// Characters of the bar.
const WIDTH: u64 = 40;

pub(crate) struct Progress {
    whole: u64,
    shown: Option<u64>,
    is_on: bool,
}

impl Progress {
    pub(crate) fn new(whole: u64, quiet: bool) -> Self {
        Self { whole: whole.max(1), shown: None, is_on: !quiet && std::io::stderr().is_terminal() }
    }

    /// So much of the whole is done. What does not change the bar is not drawn.
    pub(crate) fn reach(&mut self, done: u64) {
        self.reach_with(done, String::new);
    }

    /// The same with something beside the bar.
    pub(crate) fn reach_with(&mut self, done: u64, beside: impl FnOnce() -> String) {
        let percent = (done.min(self.whole) * 100) / self.whole;
        if !self.is_on || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let full = percent * WIDTH / 100;
        let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
        let _ = write!(anstream::stderr(), "\r[{bar}] {percent:>3} % {}\u{1b}[K", beside());
    }

    /// How fast it went so far, in lines, and how long the rest takes at that rate.
    pub(crate) fn pace(&self, done: u64, lines: u64, took: Duration) -> String {
        let rate = u128::from(lines) * 1_000 / took.as_millis().max(1);
        let left = u128::from(self.whole.saturating_sub(done)) * took.as_millis() / u128::from(done.max(1));
        format!("{rate} lines/s, {} s left", left.div_ceil(1_000))
    }

    /// Makes room for a line of text.
    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(anstream::stderr(), "\r\u{1b}[2K");
        }
    }

    pub(crate) fn finish(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_done_took() {
        let progress = Progress::new(4_000, true);
        let took = Duration::from_secs(10);
        assert_eq!(progress.pace(1_000, 500, took), "50 lines/s, 30 s left");
        assert_eq!(progress.pace(4_000, 2_000, took), "200 lines/s, 0 s left");
        assert_eq!(progress.pace(0, 0, Duration::ZERO), "0 lines/s, 0 s left");
    }
}

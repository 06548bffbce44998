//! A bar on standard error while somebody looks at it.

use std::io::{IsTerminal as _, Write as _};

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
        let percent = (done.min(self.whole) * 100) / self.whole;
        if !self.is_on || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let full = percent * WIDTH / 100;
        let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
        let _ = write!(anstream::stderr(), "\r[{bar}] {percent:>3} %");
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

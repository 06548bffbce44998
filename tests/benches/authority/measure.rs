//! What the kernel says: CPU time, stolen time, memory.

use std::fs;
use std::time::{Duration, Instant};

/// Of the two clocks in `/proc`, the one in ticks ticks a hundred times a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split_whitespace().next().unwrap().parse().unwrap())
}

/// CPU time of a process, its threads included.
pub(crate) fn process_cpu(pid: u32) -> Duration {
    TICK * ticks(pid)[..2].iter().sum::<u32>()
}

/// CPU time of a process and of those that it started, also of those that have ended.
pub(crate) fn family_cpu(pid: u32) -> Duration {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let children = children.split_whitespace().map(|child| process_cpu(child.parse().unwrap()));
    TICK * ticks(pid).iter().sum::<u32>() + children.sum::<Duration>()
}

/// In user and system mode, of the process and of its children that have ended; nothing of one that is gone.
fn ticks(pid: u32) -> [u32; 4] {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return [0; 4] };
    // The second field is a name in parentheses, which may hold anything (proc(5)).
    let fields: Vec<&str> = status[status.rfind(')').unwrap()..].split_whitespace().collect();
    [12, 13, 14, 15].map(|field| fields[field].parse().unwrap())
}

/// A memory figure of a process in bytes, such as `VmRSS`.
pub(crate) fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Time that the machine's CPUs had, as a share of which some was stolen.
pub(crate) struct Steal {
    stolen: u64,
    all: u64,
}

impl Steal {
    /// From now on.
    pub(crate) fn begin() -> Steal {
        let statistics = fs::read_to_string("/proc/stat").unwrap();
        let first = statistics.lines().next().unwrap();
        let ticks: Vec<u64> = first.split_whitespace().skip(1).map(|ticks| ticks.parse().unwrap()).collect();
        // Guests' time is part of users' (proc(5)).
        Steal { stolen: ticks[7], all: ticks[..8].iter().sum() }
    }

    /// The share that was stolen since.
    pub(crate) fn share(&self) -> f64 {
        let now = Steal::begin();
        (now.stolen - self.stolen) as f64 / (now.all - self.all).max(1) as f64
    }
}

/// What the machine is, in a line.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = memory.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let cores = std::thread::available_parallelism().unwrap();
    format!("{cores} cores of {}, {} GiB", model.trim_start_matches([':', '\t', ' ']), kilobytes >> 20)
}

/// How long something takes.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}

/// The middle one.
/// The value that so large a part of all is not above.
pub(crate) fn quantile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    values.get((last * part).round() as usize).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

use crate::app::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use eventlog::Log;
use http::header::CONTENT_TYPE;
use projections::Live;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Reads the node's counts when the metrics are asked for: counting costs the hot path nothing more.
struct NodeCollector(Arc<Live>, Log);

impl fmt::Debug for NodeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeCollector")
    }
}

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = &self.0.stats;
        let counters = [
            ("log_commits", "Commits that this node appended", stats.commits.load(Relaxed)),
            ("log_lines", "Lines that this node appended", stats.lines.load(Relaxed)),
            (
                "log_races",
                "Commits that were decided again because another node came first",
                stats.races.load(Relaxed),
            ),
            ("log_locks", "Commits that took the lock of the log's head", stats.locks.load(Relaxed)),
            (
                "log_failures",
                "Commits that failed because the database was away",
                stats.failures.load(Relaxed),
            ),
            (
                "overloads",
                "Calls that were turned away because too much waited",
                stats.overloads.load(Relaxed),
            ),
            ("unknown_tokens", "Presented texts that match no token", stats.unknown.load(Relaxed)),
            (
                "checkpoints_refused",
                "Attempts at a checkpoint that were given up because the tree does not go on from what was signed",
                stats.checkpoints_refused.load(Relaxed),
            ),
            (
                "personal_altered",
                "Personal values that were read and are not those that their lines were written with",
                self.1.altered_values(),
            ),
            (
                "uses_lost",
                "Bounded uses that were answered and could not be recorded",
                stats.lost.load(Relaxed),
            ),
        ];
        for (name, help, count) in counters {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        self.gauges(&mut encoder)?;
        let staleness = ConstGauge::new(self.0.staleness().as_secs_f64());
        let help = "Seconds since the last successful look at the log's head began";
        let kind = staleness.metric_type();
        staleness.encode(encoder.encode_descriptor("log_staleness_seconds", help, None, kind)?)
    }
}

impl NodeCollector {
    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = &self.0.stats;
        let (tokens, version) = self.0.read(|state| (state.tokens().len() as u64, state.version()));
        let gauges = [
            (
                "uses_unrecorded",
                "Bounded uses that are answered and not yet on the log",
                stats.unrecorded.load(Relaxed),
            ),
            ("log_position", "The size of the log that the live state stands for", self.0.position()),
            (
                "usage_position",
                "The size of the log that the usage view stands for",
                stats.usage_position.load(Relaxed),
            ),
            (
                "tree_position",
                "The size of the log that the Merkle tree stands for",
                stats.tree_position.load(Relaxed),
            ),
            (
                "checkpoint_position",
                "The size of the log that the last signed checkpoint stands for; without the key, that of the tree",
                stats.checkpoint_position.load(Relaxed),
            ),
            (
                "audit_position",
                "The size of the log that the audit views stand for, as this node last saw it",
                stats.audit_position.load(Relaxed),
            ),
            ("log_version", "Lifecycle events that are folded", version),
            (
                "snapshot_version",
                "Lifecycle events in the last snapshot of the state on disk, 0 without any",
                stats.snapshot_version.load(Relaxed),
            ),
            ("tokens", "Tokens in the live index, ended ones included", tokens),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// Puts the node's counts among the metrics.
pub(crate) fn register(registry: &mut Registry, live: &Arc<Live>, log: &Log) {
    registry.register_collector(Box::new(NodeCollector(Arc::clone(live), log.clone())));
}

/// The metrics in the OpenMetrics text format.
pub(crate) async fn show(State(app): State<App>) -> Response {
    let mut encoded = String::new();
    match text::encode(&mut encoded, app.metrics()) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], encoded).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            crate::edge::Problem::new(crate::edge::codes::INTERNAL).into_response()
        }
    }
}

//! Counts of requests and connections for `/metrics`, by route template, never by tenant or by raw path.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    route: String,
    method: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The handles of one route and method, looked up once.
#[derive(Debug)]
struct Handles {
    answered: [Counter; 5],
    took: Histogram,
}

/// The metrics of the edge.
#[derive(Debug)]
pub struct Metrics {
    answered: Family<Answered, Counter>,
    took: Family<Timed, Histogram, fn() -> Histogram>,
    connections: Gauge,
    accepted: Counter,
    known: RwLock<HashMap<&'static str, HashMap<String, Arc<Handles>>>>,
}

impl Metrics {
    /// Registers the metrics and returns what counts them.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            answered: Family::default(),
            took: Family::new_with_constructor(histogram),
            connections: Gauge::default(),
            accepted: Counter::default(),
            known: RwLock::default(),
        };
        registry.register("http_requests", "Requests answered", metrics.answered.clone());
        let help = "Seconds from a request's head to its answer's head";
        registry.register("http_request_duration_seconds", help, metrics.took.clone());
        registry.register("http_connections", "Open connections", metrics.connections.clone());
        registry.register("http_connections_accepted", "Connections accepted", metrics.accepted.clone());
        Arc::new(metrics)
    }

    /// Counts an answer. `route` is the template of the path, or `unmatched`.
    pub(super) fn answered(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let handles = self.handles(route, method_name(method));
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        handles.answered[class].inc();
        handles.took.observe(took.as_secs_f64());
    }

    fn handles(&self, route: &str, method: &'static str) -> Arc<Handles> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handles) = known.get(method).and_then(|routes| routes.get(route)) {
            return Arc::clone(handles);
        }
        drop(known);
        let answered = CLASSES.map(|status| {
            self.answered.get_or_create_owned(&Answered { route: route.to_owned(), method, status })
        });
        let took = self.took.get_or_create_owned(&Timed { route: route.to_owned(), method });
        let handles = Arc::new(Handles { answered, took });
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(method).or_default().insert(route.to_owned(), Arc::clone(&handles));
        handles
    }

    /// Counts a connection as open until what is returned is dropped.
    pub(super) fn connection(&self) -> Counted {
        self.accepted.inc();
        self.connections.inc();
        Counted(self.connections.clone())
    }
}

/// An open connection, as counted.
pub(super) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// From a quarter of a millisecond to the ten seconds at which a request is cut.
fn histogram() -> Histogram {
    Histogram::new([
        0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

/// The method as a label. A client chooses the method, so those that no route has share one label.
pub(super) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_template_and_class() {
        let mut registry = Registry::with_prefix("chancery");
        let metrics = Metrics::register(&mut registry);
        for status in [StatusCode::OK, StatusCode::CREATED, StatusCode::NOT_FOUND] {
            metrics.answered("/v1/tokens/{id}", &Method::GET, status, Duration::from_millis(3));
        }
        metrics.answered("unmatched", &Method::from_bytes(b"EVIL").unwrap(), StatusCode::OK, Duration::ZERO);
        let open = metrics.connection();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "chancery_http_requests_total{route=\"/v1/tokens/{id}\",method=\"GET\",status=\"2xx\"} 2",
            "chancery_http_requests_total{route=\"/v1/tokens/{id}\",method=\"GET\",status=\"4xx\"} 1",
            "chancery_http_requests_total{route=\"unmatched\",method=\"other\",status=\"2xx\"} 1",
            "chancery_http_request_duration_seconds_count{route=\"/v1/tokens/{id}\",method=\"GET\"} 3",
            "chancery_http_connections 1",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        drop(open);
        assert_eq!(metrics.connections.get(), 0);
    }
}

//! What verify answers: in which order, to whom, one by one, in batches and to reverse proxies.

mod authorize;
mod batch;
mod form;
mod order;
mod tenants;

//! The way in from the sockets.

use crate::app::App;
use crate::edge::{Problem, Stack, Stacked};
use crate::verify::verify;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use http::{Method, Request};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::Service;

/// All requests of a listener. Verify, which services ask for each request of their own, goes straight to its handler:
/// each layer of a router costs a boxed service and a boxed future. Everything else is routed.
#[derive(Clone, Debug)]
pub struct Front {
    router: Router,
    verify: Stacked<Direct>,
}

/// The handler of verify without extractors.
#[derive(Clone)]
struct Direct(App);

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

pin_project! {
    /// An answer on its way.
    #[project = TakenPinned]
    pub enum Taken {
        /// Straight from its handler.
        Direct { #[pin] answer: crate::edge::stack::Answer<Answering> },
        /// Through the router.
        Routed { #[pin] answer: RouteFuture<Infallible> },
    }
}

impl Front {
    pub(crate) fn new(app: App, stack: &Stack, router: Router) -> Self {
        Self { router: stack.wrap(router), verify: stack.around(Direct(app), verify::PATH) }
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Taken;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Taken {
        if request.uri().path() == verify::PATH && request.method() == Method::POST {
            Taken::Direct { answer: self.verify.call(request) }
        } else {
            Taken::Routed { answer: self.router.call(request) }
        }
    }
}

impl Service<Request<Incoming>> for Direct {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        let app = self.0.clone();
        Box::pin(async move {
            let answer = verify::direct(&app, request).await;
            Ok(answer.unwrap_or_else(Problem::into_response))
        })
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Direct")
    }
}

impl Future for Taken {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            TakenPinned::Direct { answer } => answer.poll(context),
            TakenPinned::Routed { answer } => answer.poll(context),
        }
    }
}

//! Local or remote, decided once by the wiring.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use parking_lot::Mutex;
use tonic::{body::Body, service::Routes, transport::Channel};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>;

/// A link to a service. Cheap to clone; boxed here, so that no generic crosses a crate edge.
#[derive(Clone)]
pub struct Link(Arc<Mutex<Boxed>>);

impl Link {
    /// To routes in this process: the same messages, without a socket.
    #[must_use]
    pub fn local(routes: Routes) -> Self {
        Self::boxed(BoxCloneSyncService::new(ServiceExt::<Request<Body>>::map_err(routes.prepare(), BoxError::from)))
    }

    /// To another process.
    #[must_use]
    pub fn remote(channel: Channel) -> Self {
        Self::boxed(BoxCloneSyncService::new(ServiceExt::<Request<Body>>::map_err(channel, BoxError::from)))
    }

    fn boxed(service: Boxed) -> Self {
        Self(Arc::new(Mutex::new(service)))
    }
}

impl Service<Request<Body>> for Link {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.0.lock().clone();
        Box::pin(service.oneshot(request))
    }
}

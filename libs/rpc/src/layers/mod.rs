//! The callee's side of a link, local or served.

mod guard;

use std::sync::Arc;

use tonic::service::Routes;

use crate::Rpc;

pub(crate) fn guard(rpc: &Rpc, service: &'static str, routes: Routes) -> Routes {
    let shared = Arc::new(guard::Shared::new(rpc, service));
    Routes::from(routes.into_axum_router().layer(guard::GuardLayer(shared))).prepare()
}

//! Who a request comes from, as every handler finds him in the request's extensions.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use roamline_proto::auth::PrincipalKind;

/// Who calls, what he may do, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal's name; empty for an anonymous caller.
    pub name: String,
    /// The principal's kind; `Unspecified` for an anonymous caller and for a service.
    pub kind: PrincipalKind,
    /// What his token allows, shared with the token as it is remembered.
    pub scopes: Arc<BTreeSet<String>>,
    /// The peer of the connection, where there is one.
    pub source: Option<SocketAddr>,
}

impl Caller {
    /// Somebody who sent no token.
    pub fn anonymous(source: Option<SocketAddr>) -> Self {
        Self { name: String::new(), kind: PrincipalKind::Unspecified, scopes: Arc::default(), source }
    }

    /// The caller of a request; anonymous where no [`crate::CallerLayer`] has looked at it.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(|| Self::anonymous(request.remote_addr()))
    }

    /// Whether the token carries the scope.
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether no token was sent.
    pub fn is_anonymous(&self) -> bool {
        self.name.is_empty()
    }
}

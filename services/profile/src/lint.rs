//! What is wrong with the directory as a whole: it is read page by page and never held whole.

use roamline_domain::directory::{Key, Kind, Resource};
use roamline_domain::lint::{Lint, LintFinding};
use roamline_proto::refusal::Refusal;
use roamline_store::ListQuery;

use crate::{Profile, refusal};

const PAGE: u32 = 500;

impl Profile {
    /// Everything that is found, the gravest first.
    ///
    /// # Errors
    /// A store's failure.
    pub(crate) async fn lint(&self) -> Result<Vec<LintFinding>, Refusal> {
        let parameters = match self.current(&Key::service_parameters()).await? {
            Some((Resource::ServiceParameters(parameters), _)) => parameters,
            _ => return Err(refusal::internal("the store gave no parameters")),
        };
        let mut lint = Lint::new(parameters, self.catalogue);
        for kind in Kind::ALL {
            let mut after: Option<String> = None;
            loop {
                let query = ListQuery::names_after(after.as_deref(), PAGE);
                let page = self.store.list(kind, &query).await.map_err(refusal::store)?;
                let Some(last) = page.last() else { break };
                after = Some(last.resource.key().name);
                page.iter().for_each(|stored| lint.see(&stored.resource));
            }
        }
        Ok(lint.finish())
    }
}

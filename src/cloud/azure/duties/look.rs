//! Reads what a place has, as far as its release asks for it.

use tokio::try_join;

use super::fixed;
use crate::{
    cloud::{
        CloudError,
        azure::{AzureCloud, arm::operation, observe::SlotView, seldom::ByTurns, settings},
    },
    name::ServiceName,
};

impl AzureCloud {
    /// Reads what blue's release asks of its place: no call where that is nothing, but for what is looked at by turns.
    pub(in crate::cloud::azure) async fn look_at_place(
        &self,
        service: &ServiceName,
        blue: &mut SlotView,
    ) -> Result<(), CloudError> {
        let duties = blue.duties();
        let is_told = blue.found.config.is_object() || self.names.is_flex();
        let holds = settings::marks(&blue.settings).is_some();
        let (web, auth) = (
            duties.concerns_web() || holds && !is_told,
            duties.auth.is_some(),
        );
        let look = async |is_asked: bool, operation, part| match is_asked {
            true => self.get(operation, &blue.id, part).await,
            false => Ok(None),
        };
        let (web, auth, seldom) = try_join!(
            look(web, operation::WEB_GET, "/config/web"),
            look(auth, operation::AUTH_GET, "/config/authsettingsV2"),
            Box::pin(self.look_by_turns(service, (&duties, holds), blue)),
        )?;
        (blue.found.web, blue.found.auth) = (web, auth);
        let ByTurns {
            kept,
            has_front,
            fields,
        } = seldom;
        (blue.found.kept, blue.found.has_front) = (kept, has_front);
        blue.place = fixed::found(&self.names, &blue.found);
        blue.place.extend(duties.fields_of(&blue.found, &blue.tags));
        blue.place.extend(fields);
        Ok(())
    }
}

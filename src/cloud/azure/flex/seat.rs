//! What an app of Flex Consumption stands on: a plan and a container of its own. Made with it, and deleted with it.

use serde_json::{Value, json};

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{operation, unreachable},
            duties::Duties,
            flex::has_container,
            names::{STORAGE_API, WEB_API},
            observe::{SlotView, app_in, tags_of},
        },
    },
    name::ServiceName,
};

/// What the body of an app or slot says of where it stands.
#[derive(Clone, Debug)]
pub(in crate::cloud::azure) struct Seat {
    /// Id of its plan.
    pub(in crate::cloud::azure) plan: String,
    /// Where its packages are put; only on plans without slots.
    pub(in crate::cloud::azure) deployment: Option<Value>,
}

/// A container says by these whose it is, since it has no tags.
const OWNER: &str = "verdigris_owner";
const SERVICE: &str = "verdigris_service";

impl AzureCloud {
    /// Where an app or slot stands: an app with a name of its own on the plan that it, or the app that the slot is of, is on. One call where
    /// that is not known yet: the storage account's own word for its address.
    pub(in crate::cloud::azure) async fn seat(
        &self,
        id: &str,
        known: Option<&SlotView>,
        duties: &Duties,
    ) -> Result<Seat, CloudError> {
        if !self.names.is_flex() {
            let stays = known.filter(|_| self.names.called.is_some());
            let plan = stays.and_then(|view| view.found.plan.clone());
            let plan = plan.unwrap_or_else(|| self.names.plan_id());
            return Ok(Seat {
                plan,
                deployment: None,
            });
        }
        let app = app_in(id);
        let config = known.and_then(|view| view.found.flex.as_ref());
        let address = match config.filter(|config| has_container(config, app)) {
            Some(config) => config["deployment"]["storage"]["value"].clone(),
            None => json!(format!("{}{app}", self.blobs().await?)),
        };
        let authentication = match &duties.identity {
            None => json!({ "type": "SystemAssignedIdentity" }),
            Some(id) => json!({
                "type": "UserAssignedIdentity",
                "userAssignedIdentityResourceId": id,
            }),
        };
        let storage = json!({
            "type": "blobContainer",
            "value": address,
            "authentication": authentication,
        });
        Ok(Seat {
            plan: self.names.plan_of(app),
            deployment: Some(json!({ "storage": storage })),
        })
    }

    /// The address of the account's blobs, with a slash at its end. It is asked for once.
    pub(in crate::cloud::azure) async fn blobs(&self) -> Result<&str, CloudError> {
        let known = self.blobs.get_or_try_init(|| self.find_blobs()).await;
        known.map(String::as_str)
    }

    async fn find_blobs(&self) -> Result<String, CloudError> {
        let account = self.names.account_id();
        let found = self
            .found(operation::ACCOUNTS_GET, &account, STORAGE_API)
            .await?;
        let address = found.and_then(|it| {
            let address = it["properties"]["primaryEndpoints"]["blob"].as_str()?;
            Some(format!("{}/", address.trim_end_matches('/')))
        });
        address.ok_or_else(|| {
            let message = format!("`{account}` does not tell the address of its blobs yet");
            unreachable(operation::ACCOUNTS_GET, message)
        })
    }

    /// Makes the plan and the container of an app, where they are missing.
    pub(in crate::cloud::azure) async fn ensure_seat(
        &self,
        service: &ServiceName,
        app: &str,
    ) -> Result<(), CloudError> {
        let plan = (operation::PLANS_GET, operation::PLANS_PUT);
        let body = self.names.plan_body(self.names.tags(service, None));
        self.ensure(plan, &self.names.plan_of(app), WEB_API, body)
            .await?;
        self.ensure_container(service, app).await
    }

    /// Makes the container of an app, where it is missing.
    pub(in crate::cloud::azure) async fn ensure_container(
        &self,
        service: &ServiceName,
        app: &str,
    ) -> Result<(), CloudError> {
        let container = (operation::CONTAINERS_GET, operation::CONTAINERS_PUT);
        let metadata = json!({ OWNER: "verdigris", SERVICE: self.container_owner(service) });
        let body = json!({ "properties": { "publicAccess": "None", "metadata": metadata } });
        let id = self.names.container_id(app);
        self.ensure(container, &id, STORAGE_API, body).await
    }

    fn container_owner(&self, service: &ServiceName) -> String {
        format!("{}/{service}", self.names.environment)
    }

    /// Takes the plan and the container of an app away, where they are ours.
    pub(in crate::cloud::azure) async fn remove_seat(
        &self,
        service: &ServiceName,
        app: &str,
    ) -> Result<(), CloudError> {
        let plan = self.names.plan_of(app);
        let found = self.found(operation::PLANS_GET, &plan, WEB_API).await?;
        if found.is_some_and(|it| self.names.is_ours(&tags_of(&it), service)) {
            let query = [("api-version", WEB_API)];
            let call = self.arm.call(operation::PLANS_DELETE, &plan, &query, app);
            self.arm.find(call).await?;
        }
        self.remove_container(service, app).await
    }

    /// Takes the container of an app away with all that is in it, where it is ours.
    pub(in crate::cloud::azure) async fn remove_container(
        &self,
        service: &ServiceName,
        app: &str,
    ) -> Result<(), CloudError> {
        let id = self.names.container_id(app);
        let get = operation::CONTAINERS_GET;
        let found = self.found(get, &id, STORAGE_API).await?;
        let owner = self.container_owner(service);
        let is_ours = |it: Value| it["properties"]["metadata"][SERVICE] == json!(owner);
        if found.is_some_and(is_ours) {
            let query = [("api-version", STORAGE_API)];
            let call = self
                .arm
                .call(operation::CONTAINERS_DELETE, &id, &query, app);
            self.arm.find(call).await?;
        }
        Ok(())
    }
}

//! Puts a release on green: what must exist, settings, package, and the wait until it answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    AzureCloud,
    arm::{
        Payload,
        operation::{self, Operation},
        unreachable,
    },
    around::taken,
    duties::Duties,
    flex::{BLUE_TAG, word_of},
    names::{self, GREEN, Tags, WEB_API},
    observe::{RUNNING, SiteView, SlotView, View, app_in},
    settings::{self, Settings},
};
use crate::{
    cloud::{CloudError, Package},
    desired::Release,
    name::{CloudName, ServiceName},
};

/// The way out where a name is somebody else's.
const OTHER_PREFIX: &str = "write another `prefix` into the environment's `azure`";

// === impl AzureCloud ===

impl AzureCloud {
    /// Green ends with the release, its code and its settings, or says that it is in the middle of it.
    ///
    /// # Guarantees
    ///
    /// `VERDIGRIS_RELEASE` is there only when the package is. Where green has all of it already, nothing is written.
    pub(super) async fn put_on_green(
        &self,
        release: &Release,
        package: &Package,
    ) -> Result<(), CloudError> {
        self.check(release)?;
        let service = &release.service.service;
        let site = match self.our_view(service).await? {
            Some(site) => {
                if is_new(&site) {
                    self.check_plan(&site.blue)?;
                    self.ensure_shared().await?;
                }
                site
            }
            None => self.create(release).await?,
        };
        self.check_idle(service, &site)?;
        self.check_domains(service, &site.blue, &Duties::wanted(&self.names, release))?;
        let going = match self.names.is_flex() {
            // Nothing of what blue holds comes to green.
            true => None,
            false => settings::marks(&site.blue.settings).map(|marks| marks.triggers),
        };
        let only_blue = only_blue(release, going.as_ref());
        let wanted = settings::moving(&self.names, release, package.code);
        let wanted = self.located(wanted).await?;
        let is_done = |green: &SlotView| {
            let all = settings::for_green(wanted.clone(), &only_blue, &green.settings);
            settings::is_same(&green.settings, &all)
                && green.state == RUNNING
                && green.preview.is_some() == previews(release)
                && self.has_insights(&green.settings)
        };
        let green = match site.green.clone().filter(is_done) {
            Some(green) => {
                self.ensure_package(service, &green, package).await?;
                self.make_up_sync(&green).await?;
                green
            }
            None => {
                self.write_green((release, package), &site, (&only_blue, &wanted))
                    .await?
            }
        };
        self.until_green_answers(release, &green).await
    }

    async fn write_green(
        &self,
        (release, package): (&Release, &Package),
        site: &SiteView,
        (only_blue, moving): (&BTreeSet<String>, &Settings),
    ) -> Result<SlotView, CloudError> {
        let service = &release.service.service;
        let app = self.names.app(service);
        let duties = Duties::wanted(&self.names, release);
        // What blue needs counts until green is promoted.
        self.keep_names(service, &site.blue.settings, moving)
            .await?;
        self.end_preview(&app, site).await?;
        self.put_slot(release, &duties, site).await?;
        let mut green = match &site.green {
            Some(green) => green.clone(),
            None => self.green(service).await?,
        };
        self.check_share(&app, site, &green)?;
        let blue = self.as_somebody(&site.blue, &duties).await?;
        self.ensure_vault(release, blue.found.identity["tenantId"].as_str())
            .await?;
        self.grant_roles(release, &[&blue, &green]).await?;
        self.add_insights(&mut green.settings).await?;
        let with = |moving| settings::for_green(moving, only_blue, &green.settings);
        let has_package = green.code() == Some(package.code);
        match (self.names.runs_from_url(), has_package) {
            (_, true) => self.ensure_package(service, &green, package).await?,
            // Code and settings come at once, by the setting that names the package.
            (true, false) => self.upload(service, package).await?,
            (false, false) => {
                // The package that is there runs on until the new one is deployed, and must not answer as the new release.
                let arriving = with(settings::arriving(&self.names, release));
                self.put_settings(&green.id, &arriving).await?;
                self.deploy(app_in(&green.id), &green, package).await?;
            }
        }
        let moving = with(moving.clone());
        self.put_settings(&green.id, &moving).await?;
        self.sync_triggers(&green, &moving).await?;
        green.settings = moving;
        if green.state != RUNNING {
            self.start(&green.id).await?;
        }
        if previews(release) {
            self.begin_preview(&app).await?;
        }
        Ok(green)
    }

    /// What is sent to an app, and how, follows from the kind of its plan.
    fn check_plan(&self, blue: &SlotView) -> Result<(), CloudError> {
        let wanted = names::tier(&self.names.target.plan.0);
        let (Some(found), Some(wanted)) = (&blue.found.tier, wanted) else {
            return Ok(());
        };
        if self.names.called.is_none() || found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(CloudError::Invalid {
            cloud: CloudName::Azure,
            operation: format!("`{}`", blue.id),
            message: format!(
                "the app is on a plan of the kind `{found}`, and the environment's plan is `{}`: write into the environment what the app is on, or move the app to such a plan",
                self.names.target.plan.0
            ),
        })
    }

    fn has_insights(&self, settings: &Settings) -> bool {
        self.names.target.shared.insights.is_none() || settings.contains_key(settings::INSIGHTS)
    }

    /// Two slots that keep their files in one share are one app: the package of one would be the other's, at once.
    fn check_share(&self, app: &str, site: &SiteView, green: &SlotView) -> Result<(), CloudError> {
        let Some(share) = settings::shared_share(&site.blue.settings, &green.settings) else {
            return Ok(());
        };
        Err(CloudError::Denied {
            cloud: CloudName::Azure,
            operation: format!("slot `{GREEN}` of `{app}`"),
            message: format!(
                "both slots have `WEBSITE_CONTENTSHARE={share}`, so that a package for green would be blue's at once: remove the setting from the slot, which then gets a share of its own"
            ),
        })
    }

    /// Refuses what the cloud would refuse, before anything is touched.
    pub(super) fn check(&self, release: &Release) -> Result<(), CloudError> {
        let name = self.names.bad_app(&release.service.service);
        let Some(message) = name.or_else(|| settings::fault(release)) else {
            return Ok(());
        };
        Err(CloudError::Invalid {
            cloud: CloudName::Azure,
            operation: "stage".to_owned(),
            message,
        })
    }

    /// The service's Function App, if there is one and it is ours.
    pub(super) async fn our_view(
        &self,
        service: &ServiceName,
    ) -> Result<Option<Box<SiteView>>, CloudError> {
        match self.view(service).await? {
            View::Missing => Ok(None),
            View::Foreign {
                id: resource,
                tags: _,
            } => Err(CloudError::NotOurs {
                cloud: CloudName::Azure,
                resource,
            }),
            View::Ours(site) => Ok(Some(site)),
        }
    }

    pub(super) fn check_idle(
        &self,
        service: &ServiceName,
        site: &SiteView,
    ) -> Result<(), CloudError> {
        match &site.busy {
            None => Ok(()),
            Some(message) => Err(CloudError::Busy {
                cloud: CloudName::Azure,
                resource: self.names.app(service),
                message: message.clone(),
            }),
        }
    }

    /// Makes all that a first release needs. The production site holds no release and answers nothing of ours.
    async fn create(&self, release: &Release) -> Result<Box<SiteView>, CloudError> {
        let service = &release.service.service;
        let app = match self.names.is_flex() {
            true => self.names.twins(service)[0].clone(),
            false => self.names.app(service),
        };
        self.ensure_shared().await?;
        let duties = Duties::wanted(&self.names, release);
        let bare = settings::bare(&self.names, duties.identity.as_deref());
        let list: Vec<Value> = bare
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let config = json!({ "appSettings": list });
        let nothing = duties.of_nobody();
        let id = self.names.site_id(&app);
        let known = self.new_tags(service, &app, &id).await?;
        let seat = self.seat(&id, None, &nothing).await?;
        let body = self.place_body(service, &seat, (known, None), (&nothing, &nothing), config);
        let made = self.put(operation::SITES_PUT, &id, WEB_API, body).await;
        made.map_err(|error| taken(error, &app, OTHER_PREFIX))?;
        match self.our_view(service).await? {
            Some(site) => Ok(site),
            None => Err(unreachable(
                operation::SITES_GET,
                format!("function app `{app}` was created and cannot be seen yet"),
            )),
        }
    }

    /// What an app of its own stands on, and the tags that it has from its first moment: which of two apps is blue.
    async fn new_tags(
        &self,
        service: &ServiceName,
        app: &str,
        blue: &str,
    ) -> Result<Tags, CloudError> {
        if !self.names.is_flex() {
            return Ok(Tags::new());
        }
        self.ensure_seat(service, app).await?;
        let word = word_of(blue).to_owned();
        Ok(Tags::from([(BLUE_TAG.to_owned(), word)]))
    }

    pub(super) async fn put(
        &self,
        operation: Operation,
        id: &str,
        version: &str,
        body: Value,
    ) -> Result<(), CloudError> {
        let mut call = self
            .arm
            .call(operation, id, &[("api-version", version)], id);
        call.payload = Payload::Json(body);
        self.arm.finish(call, self.arm.limits.create).await
    }

    pub(super) fn is_https(&self) -> bool {
        self.arm.endpoint.scheme() == "https"
    }

    /// Creates green, or tags it with the release; tags of others stay.
    async fn put_slot(
        &self,
        release: &Release,
        duties: &Duties,
        site: &SiteView,
    ) -> Result<(), CloudError> {
        let service = &release.service.service;
        let (green, id) = (site.green.as_ref(), &site.green_id);
        let app = app_in(id);
        let known: Tags = match green {
            Some(green) => green.tags.clone(),
            None => self.new_tags(service, app, &site.blue.id).await?,
        };
        let old = green.map(SlotView::duties).unwrap_or_default();
        let put = match self.names.is_flex() {
            true => operation::SITES_PUT,
            false => operation::SLOTS_PUT,
        };
        let given = (known.clone(), Some(release.digest));
        let stands = green.unwrap_or(&site.blue);
        let seat = self.seat(id, Some(stands), duties).await?;
        let both = (&old, duties);
        let image = self.image_of(release);
        let body = self.place_body(service, &seat, given, both, image);
        let made = self.put(put, id, WEB_API, body).await;
        made.map_err(|error| taken(error, app, OTHER_PREFIX))?;
        self.settle_auth(id, &known, duties).await
    }

    /// What a site's configuration says of the runtime; plans without slots say it elsewhere.
    pub(super) fn image_of(&self, release: &Release) -> Value {
        match self.names.is_flex() {
            true => json!({}),
            false => Value::Object(names::stack(&release.content.runtime)),
        }
    }

    async fn green(&self, service: &ServiceName) -> Result<SlotView, CloudError> {
        let site = self.our_view(service).await?;
        site.and_then(|site| site.green).ok_or_else(|| {
            let app = self.names.app(service);
            let message = format!("green of `{app}` was created and cannot be seen yet");
            unreachable(operation::SLOTS_GET, message)
        })
    }

    /// Replaces all settings of a slot, which restarts it.
    pub(super) async fn put_settings(
        &self,
        id: &str,
        settings: &Settings,
    ) -> Result<(), CloudError> {
        let id = format!("{id}/config/appsettings");
        let body = json!({ "properties": settings });
        self.put(operation::SETTINGS_PUT, &id, WEB_API, body).await
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), CloudError> {
        let path = format!("{id}/start");
        let query = [("api-version", WEB_API)];
        let call = self
            .arm
            .call(operation::SITES_START, &path, &query, app_in(id));
        self.arm.ask(call).await.map(|_| ())
    }
}

/// Whether an app was there before us, and has nothing of ours yet but our tags.
fn is_new(site: &SiteView) -> bool {
    site.green.is_none() && settings::marks(&site.blue.settings).is_none()
}

/// Whether gates ask green while it has blue's sticky settings.
fn previews(release: &Release) -> bool {
    let app = release.content.azure.as_deref();
    app.is_some_and(|app| app.preview)
}

/// The functions that must not run in green: the release's, and those of what blue holds, which comes to green in a swap.
fn only_blue(release: &Release, going: Option<&settings::Triggers>) -> BTreeSet<String> {
    let coming = settings::triggers(release);
    let all = [Some(&coming), going];
    all.into_iter()
        .flatten()
        .flat_map(settings::exclusive)
        .map(str::to_owned)
        .collect()
}

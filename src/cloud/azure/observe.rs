//! Reads what the cloud holds. No writing call.

use serde_json::Value;
use tokio::try_join;
use url::Url;

use super::{
    AzureCloud,
    arm::operation::{self, Operation},
    around::role_fields,
    duties::{Duties, Found, fixed},
    names::{Tags, WEB_API},
    settings::{self, Settings, Trigger},
};
use crate::{
    cloud::CloudError,
    name::{CodeDigest, FunctionName, ReleaseDigest, ServiceName, Slot},
    observed::{Addresses, Fields, Holding, Observed, Scope, SlotContent},
};

/// One Function App as it stands.
#[derive(Clone, Debug)]
pub(super) enum View {
    Missing,
    /// It carries no tags of ours.
    Foreign {
        id: String,
        tags: Tags,
    },
    Ours(Box<SiteView>),
}

/// A Function App of ours.
#[derive(Clone, Debug)]
pub(super) struct SiteView {
    pub(super) blue: SlotView,
    /// Not there before the first release, or deleted by hand.
    pub(super) green: Option<SlotView>,
    /// Where green is, or will be.
    pub(super) green_id: String,
    /// What is at work on it, as the cloud says.
    pub(super) busy: Option<String>,
}

/// One slot as it stands.
#[derive(Clone, Debug)]
pub(super) struct SlotView {
    pub(super) slot: Slot,
    pub(super) id: String,
    /// Its name among people: `production`, `slot green`, `app shop-prod-stock-a`.
    pub(super) label: String,
    pub(super) tags: Tags,
    pub(super) settings: Settings,
    /// Base address of its functions.
    pub(super) host: Option<Url>,
    /// Base address of its deployment service.
    pub(super) scm: Option<Url>,
    pub(super) state: String,
    /// The slot whose sticky settings it has while a swap is previewed.
    pub(super) preview: Option<String>,
    /// What its place has.
    pub(super) found: Found,
    /// What is asked of its place, as fields: as found on blue, as it was given on green.
    pub(super) place: Fields,
    /// The field of a package that is not at our storage account.
    pub(super) elsewhere: Option<(String, String)>,
    pub(super) is_ours: bool,
}

// === impl AzureCloud ===

impl AzureCloud {
    /// One service in four calls: on plans with slots the site, then at once its slot and the settings of both.
    ///
    /// # Guarantees
    ///
    /// Where nothing was at work on the site, the settings are from after whatever was: the site is read first, so that a swap cannot
    /// end between old settings and a site that is idle again.
    pub(super) async fn view(&self, service: &ServiceName) -> Result<View, CloudError> {
        if self.names.is_flex() {
            return self.view_pair(service).await;
        }
        let app = self.names.app(service);
        let [site_id, green_id] = [Slot::Blue, Slot::Green].map(|it| self.names.slot_id(&app, it));
        let site = self.get(operation::SITES_GET, &site_id, "").await?;
        let Some(site) = site else {
            return Ok(View::Missing);
        };
        self.learn_blobs().await;
        let (slot, blue, green) = try_join!(
            self.get(operation::SLOTS_GET, &green_id, ""),
            self.get(operation::SETTINGS_LIST, &site_id, SETTINGS),
            self.get(operation::SETTINGS_LIST, &green_id, SETTINGS),
        )?;
        // A site without readable settings was deleted between two answers.
        let Some(blue) = blue else {
            return Ok(View::Missing);
        };
        let busy = busy_of(&site).or_else(|| slot.as_ref().and_then(busy_of));
        let mut blue = self.slot_view(service, (Slot::Blue, "production"), &site, &blue);
        if !blue.is_ours {
            return Ok(blue.foreign());
        }
        self.look_at_place(service, &mut blue).await?;
        let green = slot.zip(green);
        let role = (Slot::Green, SLOT_LABEL);
        let mut green = green.map(|(slot, green)| self.slot_view(service, role, &slot, &green));
        if let Some(green) = &mut green {
            blue.forget_sticky_of(green);
            green.forget_sticky_of(&blue);
        }
        if let Some(green) = green.as_ref().filter(|green| !green.is_ours) {
            return Ok(green.clone().foreign());
        }
        Ok(View::Ours(Box::new(SiteView {
            blue,
            green,
            green_id,
            busy,
        })))
    }

    /// A slot, or one of its parts; nothing where it is not there.
    pub(super) async fn get(
        &self,
        operation: Operation,
        id: &str,
        part: &str,
    ) -> Result<Option<Value>, CloudError> {
        let path = format!("{id}{part}");
        let query = [("api-version", WEB_API)];
        let call = self.arm.call(operation, &path, &query, app_in(id));
        self.arm.find(call).await
    }

    /// Every item of a list below the site or slot.
    pub(super) async fn list(
        &self,
        operation: Operation,
        id: &str,
        part: &str,
    ) -> Result<Vec<Value>, CloudError> {
        let path = format!("{id}{part}");
        let query = [("api-version", WEB_API)];
        let call = self.arm.call(operation, &path, &query, app_in(id));
        self.arm.list(call).await
    }

    pub(super) fn slot_view(
        &self,
        service: &ServiceName,
        (slot, label): (Slot, &str),
        site: &Value,
        settings: &Value,
    ) -> SlotView {
        let tags = tags_of(site);
        let host = site["properties"]["defaultHostName"].as_str();
        let state = site["properties"]["state"].as_str();
        let app = self.names.app(service);
        let mut given = settings::from_answer(settings);
        let preview = site["properties"]["targetSwapSlot"].as_str();
        let preview = preview.filter(|name| !name.is_empty()).map(str::to_owned);
        if preview.is_some() {
            // It shows blue's, and has its own again when the preview ends.
            given = settings::without_preview(given, slot);
        }
        let found = Found::of_site(site);
        let mut place = fixed::found(&self.names, &found);
        if let Some(marks) = settings::marks(&given) {
            place.extend(marks.duties.fields());
            place.extend(role_fields(&self.names, &marks.duties, None));
        }
        SlotView {
            slot,
            label: label.to_owned(),
            id: match site["id"].as_str() {
                Some(id) => id.to_owned(),
                None => self.names.slot_id(&app, slot),
            },
            place,
            elsewhere: self.elsewhere(&given),
            settings: given,
            found,
            preview,
            host: host.and_then(|host| self.base(host)),
            scm: scm_of(site).and_then(|host| self.base(host)),
            state: state.unwrap_or(RUNNING).to_owned(),
            is_ours: self.names.is_ours(&tags, service),
            tags,
        }
    }

    /// The root of a host that a site names, over the endpoint's own scheme.
    fn base(&self, host: &str) -> Option<Url> {
        let base = Url::parse(&format!("{}://{host}/", self.arm.endpoint.scheme())).ok()?;
        let names_host_only = base.path() == "/" && base.username().is_empty();
        names_host_only.then_some(base)
    }

    pub(super) async fn observed(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let service = &scope.service.service;
        let app = self.names.app(service);
        let looker = self.seldom.looker(&app);
        let _room = self.arm.limiter.looking.enter(looker).await;
        let view = self.view(service).await?;
        self.seldom.note_look(&app);
        Ok(view.observed())
    }

    /// For who has promoted something, and looks again and again for a while.
    pub(super) async fn watched(&self, scope: &Scope) -> Result<Observed, CloudError> {
        let view = self.view(&scope.service.service).await?;
        let mut observed = view.observed();
        if let (View::Ours(site), Some(release)) = (&view, observed.blue.release()) {
            observed.silence = self.silence_of(&site.blue, release).await;
        }
        Ok(observed)
    }
}

/// Where a slot's settings are asked for: by POST, since they may be secret.
pub(super) const SETTINGS: &str = "/config/appsettings/list";

const SLOT_LABEL: &str = "slot green";

/// The state of a slot that answers.
pub(super) const RUNNING: &str = "Running";

// === impl View, SiteView, SlotView ===

impl View {
    fn observed(&self) -> Observed {
        match self {
            Self::Missing => Observed::default(),
            Self::Foreign { id, tags: _ } => Observed {
                foreign: vec![id.clone()],
                ..Observed::default()
            },
            Self::Ours(site) => site.observed(),
        }
    }
}

impl SiteView {
    pub(super) fn observed(&self) -> Observed {
        let green = self.green.as_ref();
        let ids = [Some(&self.blue).filter(|blue| blue.is_there()), green];
        Observed {
            blue: self.blue.content(),
            green: green.map(SlotView::content).unwrap_or_default(),
            resources: ids
                .into_iter()
                .flatten()
                .map(|slot| slot.id.clone())
                .collect(),
            foreign: Vec::new(),
            silence: None,
            ailing: Vec::new(),
        }
    }

    /// Whether green is as it was staged: a swap would bring to blue whatever was changed there since.
    pub(super) fn green_is_as_staged(&self, release: ReleaseDigest) -> bool {
        let Some(green) = &self.green else {
            return false;
        };
        let is_sealed = |slot| settings::is_sealed(&green.settings, slot);
        // Two apps change their parts one after the other: green may have blue's already.
        let is_half_way = || green.found.flex.is_some() && is_sealed(Slot::Blue);
        let is_ours = green.elsewhere.is_none();
        let is_sealed = is_sealed(Slot::Green) || is_half_way();
        let is_untouched = green.state == RUNNING && is_ours && is_sealed;
        let holds = green.content().holds(release);
        if holds && !is_untouched {
            tracing::warn!(slot = %green.id, "green was changed since it was staged, so it is not promoted");
        }
        holds && is_untouched
    }
}

impl SlotView {
    /// Nothing of ours is without tags; what somebody deleted has none.
    pub(super) fn is_there(&self) -> bool {
        !self.tags.is_empty()
    }

    /// What the slot holds, by the word of its settings.
    pub(super) fn content(&self) -> SlotContent {
        let Some(marks) = settings::marks(&self.settings) else {
            return SlotContent::Empty;
        };
        let functions = marks.triggers.keys();
        let functions = functions.filter_map(|folder| FunctionName::new(folder.clone()).ok());
        if marks.code.is_none() {
            return SlotContent::Torn(functions.map(|name| (name, Some(marks.release))).collect());
        }
        SlotContent::Whole(Holding {
            release: marks.release,
            revision: marks.revision,
            addresses: self.addresses(&marks.triggers),
            fields: self.fields(),
            label: self.label.clone(),
            canary: None,
        })
    }

    pub(super) fn foreign(self) -> View {
        View::Foreign {
            id: self.id,
            tags: self.tags,
        }
    }

    pub(super) fn code(&self) -> Option<CodeDigest> {
        settings::marks(&self.settings)?.code
    }

    pub(super) fn fields(&self) -> Fields {
        let mut fields = settings::fields(&self.settings, self.slot);
        fields.insert(STATE.to_owned(), self.state.clone());
        fields.extend(self.place.clone());
        if let Some(kept) = &self.found.kept {
            settings::tell_kept(&mut fields, &self.settings, kept);
        }
        fields.extend(self.elsewhere.clone());
        fields
    }

    /// What stays with a slot stays when the release that asked for it leaves, and is then no part of what the slot holds.
    /// Where all is as it was given, a name that stays for one release and moves with another is this one's own.
    fn forget_sticky_of(&mut self, other: &Self) {
        if settings::is_sealed(&self.settings, self.slot) {
            return;
        }
        let own = self.duties().sticky;
        for name in other.duties().sticky.keys() {
            if !own.contains_key(name) {
                self.settings.remove(name);
            }
        }
    }

    /// What the release asks of its place.
    pub(super) fn duties(&self) -> Duties {
        settings::marks(&self.settings)
            .map(|marks| marks.duties)
            .unwrap_or_default()
    }

    fn addresses(&self, triggers: &settings::Triggers) -> Addresses {
        let Some(host) = &self.host else {
            return Addresses::new();
        };
        let http = triggers
            .iter()
            .filter(|(_, trigger)| **trigger == Trigger::Http);
        http.filter_map(|(folder, _)| Some((FunctionName::new(folder.clone()).ok()?, host.clone())))
            .collect()
    }
}

/// The field that says whether a slot was stopped by hand.
pub(super) const STATE: &str = "state";

pub(super) fn tags_of(resource: &Value) -> Tags {
    let tags = resource["tags"].as_object().into_iter().flatten();
    tags.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The host of a slot's deployment service, as the slot names it.
fn scm_of(site: &Value) -> Option<&str> {
    let states = site["properties"]["hostNameSslStates"].as_array()?;
    let repository = |state: &&Value| {
        let kind = state["hostType"].as_str();
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("Repository"))
    };
    states.iter().find(repository)?["name"].as_str()
}

/// The app that a resource's id names.
pub(super) fn app_in(id: &str) -> &str {
    let rest = id.rsplit_once("/sites/").map_or(id, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

pub(super) fn busy_of(site: &Value) -> Option<String> {
    let operation = site["properties"]["inProgressOperationId"].as_str()?;
    (!operation.is_empty()).then(|| format!("operation {operation} is in progress"))
}

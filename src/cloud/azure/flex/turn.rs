//! The two apps as one service: seen as blue and green, and exchanged by turning the pointer.

use serde_json::{Value, json};
use tokio::try_join;

use super::{BLUE_TAG, Twin, pointer};
use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{Payload, operation},
            duties::Found,
            names::{RESOURCES_API, tag},
            observe::{RUNNING, SETTINGS, SiteView, SlotView, View, app_in, busy_of, tags_of},
            settings::{self, Settings},
        },
    },
    name::{CloudName, ServiceName, Slot},
    observed::Fields,
};

impl AzureCloud {
    /// Both apps in four calls: the one whose tag counts, then at once the other and the settings of both.
    ///
    /// # Errors
    ///
    /// [`CloudError::Denied`] where both hold something and neither says which of them is blue.
    pub(in crate::cloud::azure) async fn view_pair(
        &self,
        service: &ServiceName,
    ) -> Result<View, CloudError> {
        let ids = self.names.twins(service).map(|it| self.names.site_id(&it));
        let [a, b] = &ids;
        let first = self.get(operation::SITES_GET, a, "").await?;
        let (second, settings_a, settings_b) = try_join!(
            self.get(operation::SITES_GET, b, ""),
            self.get(operation::SETTINGS_LIST, a, SETTINGS),
            self.get(operation::SETTINGS_LIST, b, SETTINGS),
        )?;
        // An app without readable settings was deleted between two answers.
        let pair = [first.zip(settings_a), second.zip(settings_b)];
        let sites = pair.each_ref().map(|it| it.as_ref().map(|(site, _)| site));
        if sites.iter().all(Option::is_none) {
            return Ok(View::Missing);
        }
        for (site, id) in sites.iter().zip(&ids) {
            let tags = site.map(tags_of);
            if let Some(tags) = tags.filter(|tags| !self.names.is_ours(tags, service)) {
                let id = id.clone();
                return Ok(View::Foreign { id, tags });
            }
        }
        let holds = pair.each_ref().map(|it| it.as_ref().is_some_and(holds));
        let tags = sites.map(|site| site.map(tags_of));
        let tags = tags.each_ref().map(Option::as_ref);
        let blue = pointer(tags, holds).ok_or_else(|| nobody_says(a))?;
        let busy = sites.iter().flatten().find_map(|site| busy_of(site));
        self.seen(service, blue, (pair, ids), busy).await
    }

    async fn seen(
        &self,
        service: &ServiceName,
        blue: Twin,
        (pair, ids): ([Option<(Value, Value)>; 2], [String; 2]),
        busy: Option<String>,
    ) -> Result<View, CloudError> {
        let view = |twin: Twin, slot| {
            let label = label(&ids[twin as usize]);
            let found = pair[twin as usize].as_ref();
            found.map(|(site, settings)| self.slot_view(service, (slot, &label), site, settings))
        };
        let green = view(blue.other(), Slot::Green);
        let mut seen = view(blue, Slot::Blue).unwrap_or_else(|| absent(&ids[blue as usize]));
        if seen.is_there() {
            self.look_at_place(service, &mut seen).await?;
        }
        Ok(View::Ours(Box::new(SiteView {
            blue: seen,
            green,
            green_id: ids[blue.other() as usize].clone(),
            busy,
        })))
    }

    /// Makes green blue: it gets blue's part of its settings, and answers with them, before the pointer moves.
    ///
    /// # Assumptions
    ///
    /// Green is there. [`Self::settle_pair`] does the rest, once nobody is sent to the other any more: it restarts when it gives its
    /// part up.
    pub(in crate::cloud::azure) async fn turn(&self, site: &SiteView) -> Result<(), CloudError> {
        let Some(green) = &site.green else {
            return Ok(());
        };
        if self.take_part(green, Slot::Blue).await?
            && let Some(release) = green.content().release()
        {
            self.until_blue_answers(green, release).await?;
        }
        self.point_at(green, [green, &site.blue]).await
    }

    /// Each app has the settings of its part, and both say the same of the pointer. No writing call where it is so.
    pub(in crate::cloud::azure) async fn settle_pair(
        &self,
        site: &SiteView,
    ) -> Result<(), CloudError> {
        if !self.names.is_flex() {
            return Ok(());
        }
        let blue = &site.blue;
        let green = site.green.as_ref();
        self.take_part(blue, Slot::Blue).await?;
        self.point_at(blue, [blue, green.unwrap_or(blue)]).await?;
        match green {
            Some(green) => self.take_part(green, Slot::Green).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Whether anything had to be written, after which the app restarts.
    async fn take_part(&self, app: &SlotView, part: Slot) -> Result<bool, CloudError> {
        let wanted: Settings = settings::in_part(&app.settings, part);
        if !app.is_there() || wanted == app.settings {
            return Ok(false);
        }
        self.put_settings(&app.id, &wanted).await?;
        Ok(true)
    }

    /// Says on both apps which is blue: first where it counts.
    async fn point_at(&self, blue: &SlotView, mut apps: [&SlotView; 2]) -> Result<(), CloudError> {
        apps.sort_by_key(|app| &app.id);
        let word = word_of(&blue.id);
        for app in apps {
            let said = tag(&app.tags, BLUE_TAG).map(String::as_str);
            if !app.is_there() || said == Some(word) {
                continue;
            }
            self.patch_tags(&app.id, "Merge", json!({ BLUE_TAG: word }))
                .await?;
        }
        Ok(())
    }

    /// Adds tags to a site or slot (`Merge`), or takes them away (`Delete`). Others stay.
    pub(in crate::cloud::azure) async fn patch_tags(
        &self,
        id: &str,
        change: &str,
        tags: Value,
    ) -> Result<(), CloudError> {
        let path = format!("{id}/providers/Microsoft.Resources/tags/default");
        let query = [("api-version", RESOURCES_API)];
        let mut call = self
            .arm
            .call(operation::TAGS_PATCH, &path, &query, app_in(id));
        call.payload = Payload::Json(json!({
            "operation": change,
            "properties": { "tags": tags },
        }));
        self.arm.ask(call).await.map(|_| ())
    }
}

/// Which of the two an app is, by its name.
pub(in crate::cloud::azure) fn word_of(id: &str) -> &'static str {
    match app_in(id).ends_with("-b") {
        true => Twin::B.word(),
        false => Twin::A.word(),
    }
}

fn holds((_, settings): &(Value, Value)) -> bool {
    settings::marks(&settings::from_answer(settings)).is_some()
}

fn label(id: &str) -> String {
    format!("app {}", app_in(id))
}

/// An app that the pointer names and that somebody deleted.
fn absent(id: &str) -> SlotView {
    SlotView {
        slot: Slot::Blue,
        id: id.to_owned(),
        label: label(id),
        tags: Default::default(),
        settings: Settings::new(),
        host: None,
        scm: None,
        state: RUNNING.to_owned(),
        preview: None,
        found: Found::default(),
        elsewhere: None,
        place: Fields::new(),
        is_ours: true,
    }
}

fn nobody_says(id: &str) -> CloudError {
    CloudError::Denied {
        cloud: CloudName::Azure,
        operation: "to tell which app is blue".to_owned(),
        message: format!(
            "neither app says it any more: `az tag update --operation Merge --resource-id {id} --tags {BLUE_TAG}=a`, or `=b` for the other"
        ),
    }
}

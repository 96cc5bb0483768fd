//! Packages in an app's container that no slot runs any more. What is there is looked at, so that whatever once went wrong is made good.

use std::collections::BTreeSet;

use roxmltree::Document;

use crate::{
    cloud::{
        CloudError,
        azure::{
            AzureCloud,
            arm::{
                Payload,
                operation::{self, Operation},
            },
            observe::SiteView,
            settings,
        },
    },
    name::ServiceName,
};

/// A container with more pages than this is tidied in the next promotion, too.
const PAGES_MAX: usize = 20;

/// What a container holds, and where it goes on.
#[derive(Debug, Default, Eq, PartialEq)]
struct Page {
    names: Vec<String>,
    next: Option<String>,
}

impl AzureCloud {
    /// Deletes the packages that neither slot runs, where packages are run from an address. What is not called as ours are stays.
    ///
    /// Nothing depends on it: where it fails, that is written down, and the next promotion does it.
    pub(in crate::cloud::azure) async fn prune_packages(
        &self,
        service: &ServiceName,
        site: &SiteView,
    ) {
        if !self.names.runs_from_url() {
            return;
        }
        if let Err(error) = self.prune_blobs(service, site).await {
            tracing::warn!(%service, %error, "packages that no slot runs are still there");
        }
    }

    async fn prune_blobs(&self, service: &ServiceName, site: &SiteView) -> Result<(), CloudError> {
        let app = self.names.app(service);
        let slots = [Some(&site.blue), site.green.as_ref()];
        let slots = slots.into_iter().flatten();
        let kept: BTreeSet<String> = slots
            .flat_map(|slot| settings::packages(&slot.settings))
            .collect();
        for name in self.blobs_in(&app).await? {
            if is_package(&name) && !kept.contains(&name) {
                let address = format!("{app}/{name}");
                self.ask_storage(operation::BLOBS_DELETE, &app, &address)
                    .await?;
            }
        }
        Ok(())
    }

    async fn blobs_in(&self, app: &str) -> Result<Vec<String>, CloudError> {
        let mut all = Vec::new();
        let mut marker = String::new();
        for _ in 0..PAGES_MAX {
            let address = format!("{app}?restype=container&comp=list&marker={marker}");
            let body = self
                .ask_storage(operation::BLOBS_LIST, app, &address)
                .await?;
            let Page { names, next } = page(&body);
            all.extend(names);
            let Some(next) = next else {
                break;
            };
            marker = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        }
        Ok(all)
    }

    /// Whether a blob of this name lies in the container of an app, or any where none is named. A container that is gone holds none.
    pub(super) async fn is_in_container(
        &self,
        app: &str,
        name: Option<&str>,
    ) -> Result<bool, CloudError> {
        let prefix = name.unwrap_or_default();
        let address = format!("{app}?restype=container&comp=list&prefix={prefix}");
        let asked = (operation::BLOBS_LIST, address.as_str());
        let Some(answer) = self.look_at_blobs(app, asked).await? else {
            return Ok(false);
        };
        let listed = page(&String::from_utf8_lossy(&answer.body)).names;
        Ok(listed.iter().any(|it| name.is_none_or(|name| name == it)))
    }

    async fn ask_storage(
        &self,
        operation: Operation,
        app: &str,
        address: &str,
    ) -> Result<String, CloudError> {
        let asked = (operation, address, Payload::Storage);
        let answer = self.ask_blobs(app, asked, self.arm.limits.call).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

/// Packages lie there by their digest.
fn is_package(name: &str) -> bool {
    let digest = name.strip_suffix(".zip");
    digest.is_some_and(|it| it.len() == 64 && it.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A page of List Blobs; what cannot be read lists nothing.
fn page(text: &str) -> Page {
    let text = text.trim_start_matches('\u{feff}');
    let Ok(document) = Document::parse(text) else {
        return Page::default();
    };
    let blobs = document.descendants().filter(|it| it.has_tag_name("Blob"));
    let name = |blob: roxmltree::Node<'_, '_>| {
        let name = blob.children().find(|it| it.has_tag_name("Name"))?;
        name.text().map(str::to_owned)
    };
    let next = document
        .descendants()
        .find(|it| it.has_tag_name("NextMarker"))
        .and_then(|it| it.text())
        .filter(|it| !it.is_empty());
    Page {
        names: blobs.filter_map(name).collect(),
        next: next.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_blobs_is_read_page_by_page() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs><Blob><Name>a.zip</Name><Properties/></Blob><Blob><Name>b/c.zip</Name></Blob></Blobs><NextMarker>2!8</NextMarker></EnumerationResults>";
        let expected = Page {
            names: vec!["a.zip".to_owned(), "b/c.zip".to_owned()],
            next: Some("2!8".to_owned()),
        };
        assert_eq!(page(text), expected);
        assert_eq!(page("<a><NextMarker/></a>").next, None);
        assert_eq!(page("no xml"), Page::default());
        assert!(is_package(&format!("{}.zip", "0a".repeat(32))));
        assert!(!is_package("readme.zip") && !is_package(&"0a".repeat(32)));
    }
}

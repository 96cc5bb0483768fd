//! Who wrote to the Function App of a service, by the subscription's Activity Log.

use serde_json::Value;

use super::{
    AzureCloud,
    arm::{OUR_REQUESTS, operation::ACTIVITY_LIST},
};
use crate::{
    cloud::CloudError,
    name::Timestamp,
    observed::{Deed, Scope},
};

const ACTIVITY_API: &str = "2015-04-01";

impl AzureCloud {
    /// One call for each page of what happened in the resource group: a filter by resource leaves out what lies below it.
    pub(super) async fn deeds_since(
        &self,
        scope: &Scope,
        since: Timestamp,
    ) -> Result<Vec<Deed>, CloudError> {
        let subscription = &self.names.target.subscription;
        let group = &self.names.target.resource_group;
        let filter = format!("eventTimestamp ge '{since}' and resourceGroupName eq '{group}'");
        let query = [("api-version", ACTIVITY_API), ("$filter", filter.as_str())];
        let path = format!(
            "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"
        );
        let app = self.names.app(&scope.service.service);
        let entries = self
            .arm
            .list(self.arm.call(ACTIVITY_LIST, &path, &query, &app))
            .await?;
        let service = &scope.service.service;
        let sites = match self.names.is_flex() {
            true => self.names.twins(service).to_vec(),
            false => vec![app.clone()],
        };
        let sites: Vec<String> = sites.iter().map(|it| self.names.site_id(it)).collect();
        let of_ours = |entry| sites.iter().find_map(|site| deed(entry, site));
        let mut deeds: Vec<Deed> = entries.iter().filter_map(of_ours).collect();
        deeds.sort_by_key(|deed| std::cmp::Reverse(deed.at));
        deeds.dedup();
        Ok(deeds)
    }
}

/// A call that was accepted or succeeded, was not ours, and concerns the site. One call has several entries, which differ by their status.
fn deed(entry: &Value, site: &str) -> Option<Deed> {
    let id = entry["resourceId"].as_str()?;
    let below = id.get(..site.len())?.eq_ignore_ascii_case(site);
    let is_at_end = matches!(id.as_bytes().get(site.len()), None | Some(b'/'));
    let status = entry["status"]["value"].as_str()?;
    let request = entry["httpRequest"]["clientRequestId"].as_str();
    let ours = request.is_some_and(|id| id.starts_with(OUR_REQUESTS));
    if !below || !is_at_end || ours || !matches!(status, "Succeeded" | "Accepted") {
        return None;
    }
    Some(Deed {
        at: entry["eventTimestamp"].as_str()?.parse().ok()?,
        who: entry["caller"]
            .as_str()
            .unwrap_or("nobody that the log names")
            .to_owned(),
        operation: entry["operationName"]["value"].as_str()?.to_owned(),
        resource: id.rsplit("/sites/").next().unwrap_or(id).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_others_did_to_the_site_counts() {
        let site = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/shop";
        let entry = |id: &str, status: &str, request: &str| {
            json!({
                "caller": "eve@example.com",
                "eventTimestamp": "2026-11-21T10:00:00Z",
                "operationName": {"value": "Microsoft.Web/sites/config/write"},
                "resourceId": format!("/SUBSCRIPTIONS/s/resourceGroups/g/providers/Microsoft.Web/sites/{id}"),
                "status": {"value": status},
                "httpRequest": {"clientRequestId": request},
            })
        };
        for (id, status, request, counts) in [
            ("shop/config/appsettings", "Succeeded", "", true),
            ("shop", "Accepted", "", true),
            ("shop", "Started", "", false),
            ("shopping", "Succeeded", "", false),
            (
                "shop/slots/green",
                "Succeeded",
                "76657264-6967-4000-8000-000000000000",
                false,
            ),
        ] {
            let told = deed(&entry(id, status, request), site);
            assert_eq!(told.is_some(), counts, "{id} {status} {request}");
        }
        let told = deed(&entry("shop/config/appsettings", "Succeeded", ""), site);
        assert_eq!(
            told.map(|deed| deed.to_string()).as_deref(),
            Some(
                "Microsoft.Web/sites/config/write of `shop/config/appsettings` by eve@example.com at 2026-11-21T10:00:00.000Z"
            )
        );
    }
}

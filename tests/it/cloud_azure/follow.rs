//! What goes on after it was answered is followed to its end, by whichever links the real services give: a place that answers 202 until it
//! is done, or a page that says it in words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use verdigris::cloud::{Cloud as _, CloudError};

use super::{
    fronts::{APIM, cloud_behind, edit_api, front, with_management},
    places::asking,
    release, scope,
    tap::{Pair, Tap},
};

/// Which of its links are places, and which are pages, by a part of the path: of a swap, an account, and an API.
const LINKS: [&str; 4] = [
    "/slots/green/operationresults/",
    "/asyncoperations/",
    "/tenant/operationResults/",
    "&asyncId=",
];

/// Two releases with an API in front of the first, which is changed by hand, repaired, and goes with the second. All that we asked.
async fn asked_in_a_life(hidden: Option<&'static str>) -> Vec<Pair> {
    let local = with_management().await;
    let tap = Tap::hiding(hidden, &local.arm.url).await.unwrap();
    let cloud = cloud_behind(&tap.url);
    let (one, two) = (asking(1, front(&[])), release(2, &[]));
    let (first, second) = (local.package("one"), local.package("two"));
    cloud.stage(&one, &first).await.unwrap();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    edit_api(&local, &format!("{APIM}/apis/vg-test-inventory")).await;
    cloud.repair(&one, &first).await.unwrap();
    cloud.stage(&two, &second).await.unwrap();
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    let mut pairs = tap.pairs();
    pairs.retain(|pair| pair.is_ours);
    each_is_asked_where_the_last_answer_said(&pairs);
    pairs
}

/// Links are signed, and grow old: whoever asks the first one again and again is not let in some day.
fn each_is_asked_where_the_last_answer_said(pairs: &[Pair]) {
    let mut given = BTreeSet::new();
    for pair in pairs {
        if LINKS.iter().any(|link| pair.path.contains(link)) {
            assert!(
                given.remove(&pair.path) || pair.links.is_empty(),
                "{pair:?}"
            );
        }
        for link in pair.links.values() {
            let path = link.splitn(4, '/').nth(3).unwrap();
            given.insert(format!("/{path}"));
        }
    }
}

/// The numbers that were answered at each kind of link.
fn answered(asked: &[Pair]) -> BTreeMap<&str, BTreeSet<u16>> {
    let mut told: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for link in LINKS {
        for pair in asked.iter().filter(|pair| pair.path.contains(link)) {
            told.entry(link).or_default().insert(pair.status);
        }
    }
    told
}

#[tokio::test]
async fn where_only_a_place_is_told_it_is_asked_until_it_is_done_and_else_the_page_with_words() {
    let asked = asked_in_a_life(None).await;
    let expected = BTreeMap::from([
        (LINKS[0], BTreeSet::from([200, 202])),
        (LINKS[1], BTreeSet::from([200, 202])),
        (LINKS[2], BTreeSet::from([200])),
    ]);
    assert_eq!(answered(&asked), expected);
    let pages = asked.iter().filter(|pair| pair.path.contains(LINKS[2]));
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for page in pages {
        let word = page.answer["status"].as_str().unwrap();
        told.entry(&page.path).or_default().insert(word);
    }
    // What was made, what was replaced though it was there, and what was deleted: all of it.
    let begun = asked.iter().filter(|pair| pair.links.len() == 2);
    let begun: Vec<u16> = begun.map(|pair| pair.status).collect();
    assert_eq!(told.len(), begun.len(), "{told:?}");
    assert_eq!(BTreeSet::from_iter(begun), BTreeSet::from([200, 201, 202]));
    let to_the_end = BTreeSet::from(["InProgress", "Succeeded"]);
    assert!(told.values().all(|words| *words == to_the_end), "{told:?}");
}

#[tokio::test]
async fn without_the_page_the_place_is_asked_until_it_answers_as_what_was_started() {
    let asked = asked_in_a_life(Some("azure-asyncoperation")).await;
    let expected = BTreeMap::from([
        (LINKS[0], BTreeSet::from([200, 202])),
        (LINKS[1], BTreeSet::from([200, 202])),
        // Made, and deleted.
        (LINKS[3], BTreeSet::from([201, 202, 204])),
    ]);
    assert_eq!(answered(&asked), expected);
}

/// What is refused at the place of a swap is the swap, and not the question.
#[tokio::test]
async fn what_fails_tells_it_at_its_place() {
    let local = with_management().await;
    let cloud = cloud_behind(&local.arm.url);
    let one = release(1, &[]);
    cloud.stage(&one, &local.package("one")).await.unwrap();
    // No page of green answers so.
    let settings = "/slots/green/config/appsettings";
    let list = format!("{settings}/list");
    let mut body = local.by_hand("POST", &list, &json!({})).await;
    body["properties"]["WEBSITE_SWAP_WARMUP_PING_PATH"] = json!("/stock/42");
    body["properties"]["WEBSITE_SWAP_WARMUP_PING_STATUSES"] = json!("299");
    let put = json!({ "properties": body["properties"] });
    local.by_hand("PUT", settings, &put).await;
    let told = cloud.promote(&scope(&one), one.digest).await.unwrap_err();
    assert!(matches!(told, CloudError::Invalid { .. }), "{told}");
    assert!(told.to_string().contains("Cannot swap slots"), "{told}");
}

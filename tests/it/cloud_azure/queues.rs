//! Messages that come all the time while releases come and go.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};
use verdigris::cloud::{Cloud as _, azure::AzureCloud};

use super::{TOKEN, cloud, flex::flex_cloud, local::Local, release, scope};
use crate::cloud_aws::duties::letterbox;

/// Puts a message every few milliseconds, until it is told to stop.
struct Sender {
    put: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    work: JoinHandle<()>,
}

impl Sender {
    /// To the queue `orders` of the account at this address.
    fn start(queues: String) -> Self {
        let (put, enough) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, ends) = (Arc::clone(&put), Arc::clone(&enough));
        let work = tokio::spawn(async move {
            while !ends.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed);
                let text = STANDARD.encode(format!("m{number}"));
                let body =
                    format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
                ask("POST", &format!("{queues}orders/messages"), body).await;
                count.store(number + 1, Ordering::Relaxed);
                sleep(Duration::from_millis(15)).await;
            }
        });
        Self { put, enough, work }
    }

    /// Messages so far: whatever is put from now on has this number or a higher one.
    fn so_far(&self) -> usize {
        // The next one may be on its way already.
        self.put.load(Ordering::Relaxed) + 1
    }

    async fn end(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.work.await.unwrap();
        self.put.load(Ordering::Relaxed)
    }
}

async fn ask(method: &str, url: &str, body: String) {
    let asked = reqwest::Client::new().request(method.parse().unwrap(), url);
    let asked = asked
        .bearer_auth(TOKEN)
        .header("x-ms-version", "2025-01-05");
    let answer = asked.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{url}");
}

/// The address of the queues of the account that an app or slot reads.
async fn queues(local: &Local, app: &str, slot: &str) -> String {
    let list = format!("{slot}/config/appsettings/list");
    let settings = local.to_app(app, "POST", &list, &json!({})).await.unwrap();
    let account = &settings["properties"]["AzureWebJobsStorage__accountName"];
    format!("{}/queues/{}/", local.arm.url, account.as_str().unwrap())
}

/// Who handled which message, and how often.
fn handled(letters: &Mutex<Vec<String>>) -> BTreeMap<usize, Vec<String>> {
    let mut all: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for letter in letters.lock().unwrap().iter() {
        let (release, message) = letter.split_once(" m").unwrap();
        let message = message.parse().unwrap();
        all.entry(message).or_default().push(release.to_owned());
    }
    all
}

fn by(letters: &Mutex<Vec<String>>, release: &str) -> usize {
    let all = handled(letters);
    all.values().flatten().filter(|it| *it == release).count()
}

async fn until_read_by(letters: &Mutex<Vec<String>>, release: &str) {
    for _ in 0..500 {
        if by(letters, release) >= 10 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("`{release}` reads nothing: {:?}", handled(letters));
}

/// What Azure promises is that a message is handled once at least. While nothing fails, neither a swap nor a turn doubles any: what is
/// under way is finished before its process ends, and whoever comes reads only what nobody holds.
async fn each_message_is_handled_once_by_whoever_is_blue(
    cloud: &AzureCloud,
    local: &Local,
    (app, slot): (&str, &str),
) {
    let (port, letters) = letterbox().await;
    let (one, two) = (release(1, &[]), release(2, &[]));
    let (first, second) = (
        local.reading_package("one", port),
        local.reading_package("two", port),
    );
    cloud.stage(&one, &first).await.unwrap();
    let queues = queues(local, app, slot).await;
    ask("PUT", &format!("{queues}orders"), String::new()).await;
    let sender = Sender::start(queues);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(handled(&letters), BTreeMap::new(), "green reads nothing");
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    until_read_by(&letters, "one").await;

    cloud.stage(&two, &second).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(by(&letters, "two"), 0, "green reads nothing");
    cloud.promote(&scope(&two), two.digest).await.unwrap();
    let promoted = sender.so_far();
    until_read_by(&letters, "two").await;

    let back = sender.so_far();
    cloud.promote(&scope(&one), one.digest).await.unwrap();
    let returned = sender.so_far();
    sleep(Duration::from_millis(500)).await;
    let count = sender.end().await;
    for _ in 0..500 {
        if handled(&letters).len() >= count {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_millis(300)).await;
    let all = handled(&letters);
    let lost: Vec<_> = (0..count).filter(|it| !all.contains_key(it)).collect();
    assert_eq!(lost, Vec::<usize>::new(), "lost");
    let twice: Vec<_> = all.iter().filter(|(_, by)| by.len() > 1).collect();
    assert_eq!(twice, Vec::<(&usize, &Vec<String>)>::new(), "twice");
    let strays = all.iter().filter(|(number, by)| {
        let is_two = by[0] == "two";
        (promoted..back).contains(number) && !is_two || **number >= returned && is_two
    });
    let strays: Vec<_> = strays.collect();
    assert_eq!(strays, Vec::<(&usize, &Vec<String>)>::new(), "by green");
}

#[tokio::test]
async fn no_message_is_lost_or_doubled_while_slots_are_swapped_and_swapped_back() {
    let local = Local::start().await;
    let cloud = cloud(&local.arm.url);
    let green = ("vg-test-inventory", "/slots/green");
    each_message_is_handled_once_by_whoever_is_blue(&cloud, &local, green).await;
}

#[tokio::test]
async fn no_message_is_lost_or_doubled_while_apps_of_flex_take_turns() {
    let local = Local::start().await;
    let cloud = flex_cloud(&local.arm.url);
    let green = ("vg-test-inventory-b", "");
    each_message_is_handled_once_by_whoever_is_blue(&cloud, &local, green).await;
}

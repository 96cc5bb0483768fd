//! The dashboard with every state that a service can be in, for a person to look at.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use verdigris::{
    api::serve::serve,
    cloud::fake::{Fault, HandEdit, Operation},
    manifest::spec::DriftMode,
    name::{CloudName, Slot},
    reconcile::handle::Asked,
    status::service::phase::ServicePhase,
};

use super::rig::{Finds, Rig, answers, approval, desired, key, source};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves the dashboard until it is stopped: for a person to look at"]
async fn serve_the_dashboard() {
    let rig = Rig::new().await;
    let mut faulty = source("warehouse");
    faulty.faults.push("environments/prod/ship.yaml:7:3: spec.functions.ship.http: `/ship` needs a method (help: write `POST /ship`)".to_owned());
    rig.sources
        .send_replace(Arc::new(vec![source("shop"), faulty]));
    let more: u32 = option_env!("SERVICES")
        .and_then(|count| count.parse().ok())
        .unwrap_or(40);
    for index in 0..more {
        rig.ask(desired(
            &format!("staging/service-{index:05}"),
            1,
            vec![answers()],
        ))
        .await;
    }
    furnish(&rig).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    eprintln!("http://{}/", listener.local_addr().unwrap());
    let churn = async {
        let mut version = 10;
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            rig.ask(desired("prod/catalogue", version, vec![answers()]))
                .await;
            version += 1;
        }
    };
    tokio::select! {
        () = serve(listener, rig.router.clone(), rig.stop.clone()) => {}
        () = churn => {}
    }
}

/// One service for each state that is worth a look.
#[expect(
    clippy::too_many_lines,
    reason = "a list of states, not a long thought"
)]
pub(super) async fn furnish(rig: &Rig) {
    for name in [
        "prod/inventory",
        "prod/orders",
        "prod/billing",
        "prod/catalogue",
        "prod/search",
        "prod/mail",
        "prod/pricing",
        "prod/checkout",
        "prod/reviews",
    ] {
        rig.bring(desired(name, 1, vec![answers()]), ServicePhase::Live)
            .await;
    }
    rig.world.gates_find(&key("prod/orders"), Finds::Bad);
    rig.bring(
        desired("prod/orders", 2, vec![answers()]),
        ServicePhase::Rejected,
    )
    .await;
    rig.world.gates_find(&key("prod/billing"), Finds::Nothing);
    rig.bring(
        desired("prod/billing", 2, vec![answers(), approval()]),
        ServicePhase::Gating,
    )
    .await;
    let gates = vec![answers(), approval()];
    rig.bring(
        desired("prod/checkout", 2, gates),
        ServicePhase::AwaitingApproval,
    )
    .await;
    rig.bring(
        desired("prod/search", 2, vec![answers()]),
        ServicePhase::Live,
    )
    .await;
    rig.post("/api/v1/services/prod/search/rollback", None)
        .await;
    rig.wait(&key("prod/search"), |it| {
        it.status.phase == ServicePhase::Pinned
    })
    .await;
    let reason = json!({ "reason": "freeze until the sale is over" });
    rig.post("/api/v1/services/prod/mail/suspend", Some(reason))
        .await;
    rig.ask(desired("prod/mail", 2, vec![answers()])).await;
    let mut baking = desired("prod/reviews", 2, vec![answers()]);
    baking.rollout.bake = Duration::from_secs(900);
    rig.bring(baking, ServicePhase::Baking).await;
    let wrong = vec!["environments/prod/ship.yaml:7:3: spec.functions.ship.http: `/ship` needs a method (help: write `POST /ship`)".to_owned()];
    rig.handle
        .ask_one(&key("prod/shipping"), Some(&Asked::Invalid(wrong)))
        .await;
    let mut watched = desired("prod/pricing", 2, vec![]);
    watched.drift = DriftMode::Observe.into();
    rig.bring(watched, ServicePhase::Live).await;
    let edit = HandEdit::Field {
        slot: Slot::Blue,
        path: "stock.memory".to_owned(),
        value: Some("1024".to_owned()),
    };
    rig.world
        .cloud(CloudName::Azure)
        .edit(&key("prod/pricing"), edit);
    rig.post("/api/v1/services/prod/pricing/reconcile", None)
        .await;
    rig.wait(&key("prod/pricing"), |it| {
        it.status.phase == ServicePhase::Drifted
    })
    .await;
    let failure = verdigris::cloud::CloudError::Unreachable {
        cloud: CloudName::Azure,
        operation: "observe".to_owned(),
        message: "connection refused".to_owned(),
    };
    let azure = rig.world.cloud(CloudName::Azure);
    for _ in 0..12 {
        azure.fault(Operation::Observe, 1, Fault::Fail(failure.clone()));
    }
    rig.ask(desired("prod/loyalty", 1, vec![answers()])).await;
    rig.wait(&key("prod/loyalty"), |it| {
        it.status.phase == ServicePhase::CloudUnknown
    })
    .await;
}

//! What is remembered of Lambda functions: whose they are, and what it takes to look at them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use verdigris::{
    cloud::{
        Cloud as _, CloudError,
        aws::{AccountLimits, AwsCloud, AwsOptions, Quotas},
    },
    name::{FunctionName, ServiceName},
    observed::Scope,
};

use crate::{
    cloud_aws::{aws, duties::Local},
    cloud_contract::release::{Fixture, Made, reorder},
};

/// A service of one function, live and looked at until nothing is new.
struct Live {
    fixture: Fixture,
    scope: Scope,
    made: Made,
}

impl Live {
    async fn bring(cloud: &AwsCloud, service: &str) -> Self {
        let mut fixture = Fixture::new(0);
        fixture.service.service = ServiceName::new(service).unwrap();
        let scope = Scope {
            service: fixture.service.clone(),
            functions: [reorder()].into(),
            called: Default::default(),
        };
        let made = fixture.release_of("one", &[reorder()]);
        cloud.stage(&made.release, &made.package).await.unwrap();
        cloud.promote(&scope, made.release.digest).await.unwrap();
        let live = Self {
            fixture,
            scope,
            made,
        };
        assert!(live.is_on_blue(cloud).await);
        live
    }

    async fn is_on_blue(&self, cloud: &AwsCloud) -> bool {
        let seen = cloud.observe(&self.scope).await.unwrap();
        seen.blue.release() == Some(self.made.release.digest)
    }
}

/// `prod-shop-api-reorder` is `reorder` of `shop-api`, and would be the name of `api-reorder` of `shop`.
#[tokio::test]
async fn what_is_remembered_of_a_service_is_not_anothers_whose_name_starts_it() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::from_secs(300))).await;
    let (shop, api) = (
        Live::bring(&cloud, "shop").await,
        Live::bring(&cloud, "shop-api").await,
    );
    let claimed = FunctionName::new("api-reorder").unwrap();
    let scope = Scope {
        service: shop.fixture.service.clone(),
        functions: [reorder(), claimed].into(),
        called: Default::default(),
    };
    let seen = cloud.observe(&scope).await.unwrap();
    assert_eq!((seen.resources.len(), seen.foreign.len()), (1, 1));
    // As after a look that the neighbour had meanwhile.
    assert!(api.is_on_blue(&cloud).await);
    let refused = cloud.promote(&scope, shop.made.release.digest).await;
    assert!(
        matches!(refused, Err(CloudError::NotOurs { .. })),
        "{refused:?}"
    );
    assert!(api.is_on_blue(&cloud).await);
}

#[tokio::test]
async fn a_repair_leaves_what_is_remembered_of_neighbours_alone() {
    let local = Local::at_once().await;
    let cloud = AwsCloud::new(aws(&local.endpoint.url, Duration::from_secs(300))).await;
    let shop = Live::bring(&cloud, "shop").await;
    let api = Live::bring(&cloud, "shop-api").await;
    let Made { release, package } = &shop.made;
    cloud.repair(release, package).await.unwrap();
    let asked = |cloud: &AwsCloud| cloud.calls().values().sum::<u64>();
    let before = asked(&cloud);
    assert!(api.is_on_blue(&cloud).await);
    assert_eq!(asked(&cloud) - before, 1);
}

/// How old details may be follows from what it takes to read them all, so that what is gone must not count.
#[tokio::test]
async fn what_is_gone_takes_no_part_in_how_often_the_rest_is_looked_at() {
    let local = Local::at_once().await;
    let rate = NonZeroU32::new(100).unwrap();
    let limits = Arc::new(AccountLimits::new(Quotas {
        get_function: rate,
        other: rate,
    }));
    let options = || AwsOptions {
        limits: Arc::clone(&limits),
        ..aws(&local.endpoint.url, Duration::from_secs(300))
    };
    let cloud = AwsCloud::new(options()).await;
    let shop = Live::bring(&cloud, "shop").await;
    let one = limits.rotation();
    assert!(!one.is_zero());
    let preview = Live::bring(&cloud, "preview").await;
    assert_eq!(limits.rotation(), one * 2);
    cloud.prune(&preview.scope).await.unwrap();
    cloud.observe(&preview.scope).await.unwrap();
    assert_eq!(limits.rotation(), one);
    // The same, found by looking: somebody else deleted it.
    let other = AwsCloud::new(options()).await;
    assert!(shop.is_on_blue(&other).await);
    assert_eq!(limits.rotation(), one * 2);
    other.prune(&shop.scope).await.unwrap();
    assert!(!shop.is_on_blue(&cloud).await);
    assert_eq!(limits.rotation(), Duration::ZERO);
    // A target that is no more.
    let again = Live::bring(&other, "again").await;
    assert_eq!(limits.rotation(), one);
    drop((again, other));
    assert_eq!(limits.rotation(), Duration::ZERO);
}

//! How the endpoint behaves; every value has a working default.

use std::{path::PathBuf, time::Duration};

use crate::local::{bucket::Bucket, faults::Faults};

/// How the Azure endpoint on this machine behaves.
#[derive(Clone)]
pub struct ArmOptions {
    /// Where state outlives the process, under `azure/`; nothing outlives it where absent.
    pub state_dir: Option<PathBuf>,
    /// The subscription that clients find; any other id works too.
    pub subscription: String,
    /// The tenant that clients find.
    pub tenant: String,
    /// How long a swap takes at least, from its answer to its end.
    pub swap_time: Duration,
    /// How long a deployment takes at least.
    pub deploy_time: Duration,
    /// A swap undoes itself this long after it ended, as real ones have been seen to.
    pub swap_reverts_after: Option<Duration>,
    /// An app that nobody asks for anything is stopped after this; never where absent.
    pub idle_timeout: Option<Duration>,
    /// How long an app may take until it answers.
    pub start_timeout: Duration,
    /// How long a function may take to answer; host.json's `functionTimeout` counts where it is shorter.
    pub request_timeout: Duration,
    /// The Python that runs apps of `FUNCTIONS_WORKER_RUNTIME=python`, by the vendor's worker where it is installed.
    pub python: PathBuf,
    /// Resident bytes that one app may use.
    pub memory_limit: Option<u64>,
    /// So many reads of each kind after a write answer what was so before it.
    pub stale_reads: u32,
    /// A role that is given counts after this: in Azure, after minutes.
    pub role_delay: Duration,
    /// Resources on one page of a list.
    pub page_size: usize,
    /// Token buckets per subscription; none where absent.
    pub rate_limits: Option<RateLimits>,
    /// Lines of output kept per slot.
    pub log_lines: usize,
    /// Rules of misbehaviour, to share with whoever sets them.
    pub faults: Faults,
}

/// The buckets of one subscription.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    pub reads: Bucket,
    pub writes: Bucket,
    pub deletes: Bucket,
}

impl Default for ArmOptions {
    fn default() -> Self {
        Self {
            state_dir: None,
            subscription: "00000000-0000-0000-0000-000000000001".to_owned(),
            tenant: "00000000-0000-0000-0000-0000000000aa".to_owned(),
            swap_time: Duration::from_millis(400),
            deploy_time: Duration::from_millis(50),
            swap_reverts_after: None,
            idle_timeout: Some(Duration::from_secs(20 * 60)),
            start_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(230),
            python: "python3".into(),
            memory_limit: Some(1536 << 20),
            stale_reads: 0,
            role_delay: Duration::ZERO,
            page_size: 100,
            rate_limits: None,
            log_lines: 2000,
            faults: Faults::default(),
        }
    }
}

impl RateLimits {
    /// What Azure documents for one principal in one subscription and region.
    pub const AZURE: Self = Self {
        reads: Bucket {
            capacity: 250,
            per_second: 25,
        },
        writes: Bucket {
            capacity: 200,
            per_second: 10,
        },
        deletes: Bucket {
            capacity: 200,
            per_second: 10,
        },
    };
}

//! Azure on this machine: the resource manager's wire protocol, the deployment service, and a host that runs the functions.
//!
//! # Guarantees
//!
//! - A swap answers every request throughout: the incoming app is warm before traffic moves, the outgoing one ends its requests.
//! - No process outlives the endpoint: all end when it is told to stop.
//! - With a state folder, sites, settings, packages and messages outlive it; without one nothing does.

mod catalogue;
mod cloud;
mod events;
mod host;
mod model;
mod operations;
mod options;
mod past;
mod persist;
mod queues;
mod resources;
mod serve;
mod slots;
mod trust;
mod wire;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use options::{ArmOptions, RateLimits};

use crate::{clock::Clock, local::faults::Faults};
use cloud::Cloud;
use persist::Disk;
use serve::{Listening, Speaks, tls::Authority};

/// A running endpoint. It stops when its token is cancelled, not when this is dropped.
pub struct ArmEndpoint {
    /// `http://127.0.0.1:4567`
    pub url: String,
    /// `https://127.0.0.1:4568`, where TLS was asked for.
    pub tls_url: Option<String>,
    /// The certificate that clients of the TLS addresses must trust, as PEM. The listeners of slots use it too.
    pub ca_file: PathBuf,
    faults: Faults,
    tasks: TaskTracker,
    disk_is_held_by: Arc<Cloud>,
}

impl ArmEndpoint {
    /// The rules of misbehaviour.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Takes no more requests than these from now on; every request where none are given.
    pub fn limit(&self, limits: Option<RateLimits>) {
        self.disk_is_held_by.state().throttle.limit(limits);
    }

    /// Requests that were too many since the last [`Self::limit`].
    pub fn refused(&self) -> u64 {
        self.disk_is_held_by.state().throttle.refused()
    }

    /// Answers so far that told what was so before a write.
    pub fn stale_answers(&self) -> u64 {
        self.disk_is_held_by.lag.told_late()
    }

    /// Waits until everything has ended: listeners, requests, processes, and the last save.
    pub async fn stopped(self) {
        self.tasks.wait().await;
        drop(self.disk_is_held_by);
    }
}

/// Starts the endpoint, restores what it remembers, and serves until `stop`.
///
/// # Errors
///
/// Fails where an address is taken, or where the state folder cannot be read or written.
pub async fn start(
    plain: SocketAddr,
    tls: Option<SocketAddr>,
    options: ArmOptions,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> io::Result<ArmEndpoint> {
    let disk = Disk::open(options.state_dir.as_deref())?;
    let authority = Authority::open(&disk.authority_folder())?;
    let world = disk.load()?;
    let speaks = Speaks::Either(authority.acceptor.clone());
    let faults = options.faults.clone();
    let cloud = Arc::new(Cloud::new(options, clock, disk, speaks, stop));
    cloud.restore(world)?;
    let url = listen(&cloud, plain, Speaks::Plain, "http").await?;
    let tls_url = match tls {
        Some(address) => {
            Some(listen(&cloud, address, Speaks::Tls(authority.acceptor), "https").await?)
        }
        None => None,
    };
    cloud.tasks.spawn(Arc::clone(&cloud).keep());
    cloud.tasks.spawn(Arc::clone(&cloud).idle_out());
    cloud.tasks.spawn(events::deliver(Arc::clone(&cloud)));
    cloud.tasks.close();
    Ok(ArmEndpoint {
        url,
        tls_url,
        ca_file: authority.ca_file,
        faults,
        tasks: cloud.tasks.clone(),
        disk_is_held_by: cloud,
    })
}

async fn listen(
    cloud: &Arc<Cloud>,
    address: SocketAddr,
    speaks: Speaks,
    scheme: &str,
) -> io::Result<String> {
    let listener = TcpListener::bind(address).await?;
    let url = format!("{scheme}://{}", listener.local_addr()?);
    let listening = Listening {
        speaks,
        router: wire::endpoint::router(Arc::clone(cloud)),
        stop: cloud.stop.clone(),
        tasks: cloud.tasks.clone(),
    };
    listening.spawn(listener);
    Ok(url)
}

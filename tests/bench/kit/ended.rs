//! How benches with a whole daemon wait for a rollout.

use verdigris::{daemon::run::Daemon, name::ServiceKey, plan::state::ServiceState};

/// Waits until the rollout has ended, and insists that it ended live.
pub(crate) async fn live(daemon: &Daemon, key: &ServiceKey, rollout: u64) -> ServiceState {
    let mut changes = daemon.handle.changes();
    loop {
        if let Some(state) = daemon.handle.state(key).await
            && let Some(newest) = &state.rollout
            && newest.id.0 == rollout
            && !newest.is_active()
        {
            assert_eq!(
                newest.phase.word(),
                "Live",
                "{key}: {:?}",
                newest.transitions
            );
            return state;
        }
        changes.changed().await.unwrap();
    }
}

//! How much memory each process group uses, read from `/proc`.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often a leader is looked at; that is one small file each.
pub(super) const LEADER_INTERVAL: Duration = Duration::from_millis(100);

/// How long a reading of all groups serves: however many are watched, `/proc` is walked at most this often.
pub(super) const GROUP_INTERVAL: Duration = Duration::from_secs(1);

static LAST: Mutex<Option<(Instant, BTreeMap<u32, u64>)>> = Mutex::new(None);

/// Resident bytes of all processes of `group`, up to [`GROUP_INTERVAL`] old; zero where the machine has no `/proc`.
pub(super) fn of_group(group: u32) -> u64 {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = last
        .take()
        .filter(|(read_at, _)| read_at.elapsed() < GROUP_INTERVAL);
    let (_, groups) = last.insert(fresh.unwrap_or_else(|| (Instant::now(), read_all())));
    groups.get(&group).copied().unwrap_or(0)
}

/// Resident bytes of the group's leader alone, now.
pub(super) fn of_leader(group: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{group}/status"));
    let parsed = status.ok().and_then(|status| parse(&status));
    parsed.map_or(0, |(_, bytes)| bytes)
}

fn read_all() -> BTreeMap<u32, u64> {
    let mut groups = BTreeMap::new();
    let Ok(entries) = fs::read_dir("/proc") else {
        return groups;
    };
    for entry in entries.flatten() {
        let is_process = entry
            .file_name()
            .as_encoded_bytes()
            .iter()
            .all(u8::is_ascii_digit);
        if is_process
            && let Ok(status) = fs::read_to_string(entry.path().join("status"))
            && let Some((group, bytes)) = parse(&status)
        {
            *groups.entry(group).or_insert(0) += bytes;
        }
    }
    groups
}

/// The group and the resident bytes of one process.
fn parse(status: &str) -> Option<(u32, u64)> {
    let field = |name: &str| {
        let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
        rest.split_whitespace().next()
    };
    let group = field("NSpgid:")?.parse().ok()?;
    let kilobytes: u64 = field("VmRSS:")?.parse().ok()?;
    Some((group, kilobytes * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_page_tells_group_and_memory() {
        let cases = [
            (
                "Name:\tx\nNSpgid:\t42\nVmRSS:\t  1024 kB\n",
                Some((42, 1_048_576)),
            ),
            ("Name:\tkthread\nNSpgid:\t0\n", None),
            ("NSpgid:\tx\nVmRSS:\t1 kB\n", None),
        ];
        for (status, expected) in cases {
            assert_eq!(parse(status), expected, "{status}");
        }
    }
}

//! Both blues, asked as users ask them.

use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    Result, Twist, check,
    narrator::{LOOK, Narrator, PATIENCE, key_of},
};
use crate::{
    cli::demo::{
        ask::{self, Answer},
        example::Shown,
    },
    name::{CloudName, ReleaseDigest},
};

impl Narrator<'_> {
    /// Asks one blue of a service.
    pub(super) async fn ask(&self, shown: &Shown, cloud: CloudName) -> Result<Answer> {
        let expected = || format!("{} answers on {cloud}", shown.name);
        let blues = self.stage.blues(&key_of(shown)?, shown);
        let url = blues.get(&cloud).cloned();
        let url = url.ok_or_else(|| Twist::new(expected(), "its blue has no address"))?;
        let method = shown.body.map_or(Method::GET, |_| Method::POST);
        let mut request = self.stage.http.request(method, url);
        if let Some(body) = shown.body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let answer = ask::send(request).await;
        answer.map_err(|why| Twist::new(expected(), why))
    }

    /// Both blues of a service answer as asked for, from that release.
    pub(super) async fn check_blues(
        &self,
        shown: &Shown,
        release: ReleaseDigest,
        values: &[(&str, Value)],
    ) -> Result {
        for cloud in CloudName::ALL {
            let answer = self.ask(shown, cloud).await?;
            let expected = || {
                let values: Vec<_> = values
                    .iter()
                    .map(|(at, value)| format!("{at} {value}"))
                    .collect();
                format!(
                    "blue of {} on {cloud} answers 200 from release {} with {}",
                    shown.name,
                    release.short(),
                    values.join(", ")
                )
            };
            let is_so = answer.is_good()
                && answer.release == release.to_string()
                && values.iter().all(|(at, value)| answer.value(at) == *value);
            check(is_so, expected(), || {
                format!("{}, from release {}", answer.short(), answer.release)
            })?;
        }
        Ok(())
    }

    /// Waits until the hero's blue on one cloud answers as expected.
    pub(super) async fn until_blue(
        &self,
        cloud: CloudName,
        expected: &str,
        is_so: impl Fn(&Answer) -> bool,
    ) -> Result<Answer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(&self.hero, cloud).await;
            if let Ok(answer) = &answer
                && is_so(answer)
            {
                return Ok(answer.clone());
            }
            if Instant::now() >= end {
                let seen = match answer {
                    Ok(answer) => answer.short(),
                    Err(twist) => twist.to_string(),
                };
                return Err(Twist::new(format!("{expected} within {PATIENCE:?}"), seen));
            }
            sleep(LOOK).await;
        }
    }
}

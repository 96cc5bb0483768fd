//! Whoever the policy of a function names: what they call it for is asked of themselves.

use serde_json::Value as Json;
use serde_yaml::Value;

use super::{Reading, add};
use crate::{
    cloud::{
        CloudError,
        aws::{
            AwsCloud,
            lambda::{Sayable, Statement},
        },
        refused,
    },
    import::clouds::{five_fields, map},
    manifest::aws::{Bucket, Permission},
};

impl AwsCloud {
    /// Topics, buckets and schedules come into the manifest as such, others as permissions.
    pub(super) async fn callers(
        &self,
        policy: &[Statement],
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        for statement in policy {
            let Sayable { permission, unsaid } = statement.sayable();
            let source = permission.source_arn.clone().unwrap_or_default();
            let is_whole = unsaid.is_empty();
            match permission.principal.as_str() {
                "sns.amazonaws.com" if is_whole => self.topic(&source, statement, reading).await?,
                "s3.amazonaws.com" if is_whole => self.bucket(&source, statement, reading).await?,
                "events.amazonaws.com" if is_whole && source.contains(":rule/") => {
                    self.rule(&source, statement, reading).await?;
                }
                _ => permit(statement, reading),
            }
        }
        Ok(())
    }

    async fn topic(
        &self,
        topic: &str,
        statement: &Statement,
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        let asked = self.topics.subscription(topic, &statement.target).await;
        let subscribed = match refused(asked)? {
            Ok(Some(subscribed)) => subscribed,
            Ok(None) => {
                idle(statement, topic, reading);
                return Ok(());
            }
            Err(why) => {
                unseen(statement, topic, &why, reading);
                return Ok(());
            }
        };
        let filter = subscribed
            .filter
            .as_deref()
            .map(serde_json::from_str::<Json>);
        let filter = filter.and_then(Result::ok);
        // Cannot fail: what was JSON has a form in YAML.
        let filter = filter.map(|it| serde_yaml::to_value(it).unwrap_or_default());
        reading.event(
            topic.rsplit(':').next().unwrap_or_default(),
            map([("sns", Some(topic.into())), ("filter", filter)]),
        );
        let how = format!(
            "`aws.events`: `{topic}` calls `blue` besides, once a release is live: end the old subscription then; what it says of redrive and of the scope of its filter is not taken along"
        );
        reading
            .notes
            .changed(format!("events.{}", name_of(statement)), how);
        Ok(())
    }

    async fn bucket(
        &self,
        arn: &str,
        statement: &Statement,
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        let bucket = arn.rsplit(':').next().unwrap_or_default();
        let told = match refused(self.told_by(bucket, &statement.target).await)? {
            Ok(told) => told,
            Err(why) => {
                unseen(statement, bucket, &why, reading);
                return Ok(());
            }
        };
        if told.is_empty() {
            idle(statement, bucket, reading);
        }
        for Bucket {
            name,
            on,
            prefix,
            suffix,
        } in told
        {
            let on: Vec<Value> = on.into_iter().map(Value::from).collect();
            let event = map([
                ("s3", Some(name.as_str().into())),
                ("on", Some(on.into())),
                ("prefix", prefix.map(Value::from)),
                ("suffix", suffix.map(Value::from)),
            ]);
            reading.event(&name, event);
            let how = format!(
                "`aws.events`: end the old notification of `{name}` before a release goes live, since S3 tells of each change once"
            );
            reading
                .notes
                .changed(format!("events.{}", name_of(statement)), how);
        }
        Ok(())
    }

    async fn rule(
        &self,
        arn: &str,
        statement: &Statement,
        reading: &mut Reading<'_>,
    ) -> Result<(), CloudError> {
        let name = arn.split(":rule/").nth(1).unwrap_or_default();
        let asked = match name.contains('/') {
            // A rule of another bus has a pattern, and no time.
            true => Ok(None),
            false => self.events.rule(name).await,
        };
        let rule = match refused(asked)? {
            Ok(rule) => rule,
            Err(why) => {
                unseen(statement, name, &why, reading);
                return Ok(());
            }
        };
        let Some(rule) = rule.filter(|it| !it.expression.is_empty()) else {
            permit(statement, reading);
            return Ok(());
        };
        let path = format!("schedule.{name}");
        let targets = refused(self.events.targets(name).await)?.unwrap_or_default();
        if !rule.is_enabled || !targets.contains(&statement.target) {
            let how = "was switched off, or calls somebody else: left out";
            reading.notes.changed(path, how);
            return Ok(());
        }
        match five_fields(&rule.expression) {
            Some((cron, more)) if reading.function.schedule.is_none() => {
                let more = more.map(|it| format!(", {it}")).unwrap_or_default();
                let how = format!(
                    "`{}` is `{cron}`{more}: end the old rule once a release is live; what it gives the function besides is not taken along",
                    rule.expression
                );
                reading.notes.changed(path, how);
                reading.function.schedule = Some(cron);
            }
            Some((cron, _)) => {
                let why = format!(
                    "a function has one schedule: give `{cron}` to another one with the same handler"
                );
                reading.notes.left(path, why);
            }
            None => {
                let why = format!(
                    "no five fields say `{}`: write the nearest `schedule`, such as `0 6 * * MON-FRI`",
                    rule.expression
                );
                reading.notes.left(path, why);
            }
        }
        Ok(())
    }
}

fn name_of(statement: &Statement) -> &str {
    match statement.name.as_str() {
        "" => "statement",
        name => name,
    }
}

/// It may call, and does not.
fn idle(statement: &Statement, source: &str, reading: &mut Reading<'_>) {
    let how = format!("`{source}` may call it and does not: left out");
    reading
        .notes
        .changed(format!("permissions.{}", name_of(statement)), how);
}

fn unseen(statement: &Statement, source: &str, why: &str, reading: &mut Reading<'_>) {
    let why = format!("what `{source}` calls it for cannot be read ({why}): write it by hand");
    reading
        .notes
        .left(format!("events.{}", name_of(statement)), why);
}

fn permit(statement: &Statement, reading: &mut Reading<'_>) {
    let name = name_of(statement);
    let Sayable { permission, unsaid } = statement.sayable();
    let path = format!("permissions.{name}");
    let Permission {
        principal,
        action,
        source_arn,
        source_account,
    } = &permission;
    if !unsaid.is_empty() {
        let why = format!(
            "`{}` has no place in a permission, and without it others would be let in: left out",
            unsaid.join("`, `")
        );
        reading.notes.left(path, why);
        return;
    }
    // Everybody may call by an address that signs nothing: that comes with the address.
    if statement.is_by_url() && principal == "*" {
        return;
    }
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let is_usual = action == "lambda:InvokeFunction";
    let written = map([
        ("principal", Some(principal.as_str().into())),
        ("action", (!is_usual).then(|| action.as_str().into())),
        ("sourceArn", text(source_arn)),
        ("sourceAccount", text(source_account)),
    ]);
    let is_there = reading
        .permissions
        .values()
        .any(|it| Some(it) == written.as_ref());
    if !is_there {
        add(&mut reading.permissions, name, written);
    }
    let how = format!("`{principal}` may call `blue` (`aws.permissions`): have it call that alias");
    reading.notes.changed(path, how);
}

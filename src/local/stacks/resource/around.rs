//! Log groups and buckets.

use serde_json::{Value, json};

use super::{Asked, Live, Step, made as made_of, name_of, needed, request::segment, text, typed};
use crate::{
    cloud::xml::escaped,
    local::stacks::{Fault, fault, value::Made},
};

// --- log groups ---

pub(super) fn create_group(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "LogGroupName");
    let created = Step::json(
        "Logs_20140328.CreateLogGroup",
        &json!({"logGroupName": name}),
    );
    Ok([created]
        .into_iter()
        .chain(retention(asked.properties, &name))
        .collect())
}

fn retention(properties: &Value, group: &str) -> Option<Step> {
    let days = typed(properties.get("RetentionInDays")?);
    let body = json!({"logGroupName": group, "retentionInDays": days});
    Some(Step::json("Logs_20140328.PutRetentionPolicy", &body))
}

pub(super) fn made_group(asked: &Asked<'_>) -> Made {
    let name = name_of(asked, "LogGroupName");
    let (region, account) = (&asked.place.region, &asked.place.account);
    let arn = format!("arn:aws:logs:{region}:{account}:log-group:{name}:*");
    made_of(&name, [("Arn", arn.as_str())])
}

pub(super) fn update_group(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let group = &live.made.physical;
    let none = || {
        Step::json(
            "Logs_20140328.DeleteRetentionPolicy",
            &json!({"logGroupName": group}),
        )
    };
    Ok(vec![
        retention(asked.properties, group).unwrap_or_else(none),
    ])
}

pub(super) fn delete_group(live: &Live) -> Vec<Step> {
    let body = json!({"logGroupName": live.made.physical});
    vec![Step::json("Logs_20140328.DeleteLogGroup", &body)]
}

// --- buckets ---

fn at(bucket: &str, query: &str) -> String {
    format!("/{}{query}", segment(bucket))
}

pub(super) fn create_bucket(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let name = name_of(asked, "BucketName");
    let mut steps = vec![Step::s3("PUT", at(&name, ""), String::new())];
    if asked.properties.get("NotificationConfiguration").is_some() {
        steps.push(notify(asked.properties, &name)?);
    }
    Ok(steps)
}

/// Functions are told; what else a bucket could tell is not here.
fn notify(properties: &Value, bucket: &str) -> Result<Step, Fault> {
    let told = &properties["NotificationConfiguration"];
    let names = told.as_object().into_iter().flat_map(|it| it.keys());
    if let Some(other) = names
        .into_iter()
        .find(|name| *name != "LambdaConfigurations")
    {
        return fault(format!(
            "buckets of this endpoint tell functions only, and know no {other}"
        ));
    }
    let all = told["LambdaConfigurations"]
        .as_array()
        .into_iter()
        .flatten();
    let all: String = all.map(listener).collect();
    let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    let body = format!(
        "<NotificationConfiguration xmlns=\"{namespace}\">{all}</NotificationConfiguration>"
    );
    Ok(Step::s3("PUT", at(bucket, "?notification"), body))
}

fn listener(it: &Value) -> String {
    let part = |value: &Value, name: &str| escaped(&text(value, name).unwrap_or_default());
    let rules = it["Filter"]["S3Key"]["Rules"]
        .as_array()
        .into_iter()
        .flatten();
    let rules = rules.map(|rule| {
        let (name, value) = (part(rule, "Name"), part(rule, "Value"));
        format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>")
    });
    let rules: String = rules.collect();
    let filter = match rules.is_empty() {
        true => String::new(),
        false => format!("<Filter><S3Key>{rules}</S3Key></Filter>"),
    };
    let (function, event) = (part(it, "Function"), part(it, "Event"));
    format!(
        "<CloudFunctionConfiguration>{filter}<CloudFunction>{function}</CloudFunction><Event>{event}</Event></CloudFunctionConfiguration>"
    )
}

pub(super) fn made_bucket(asked: &Asked<'_>) -> Made {
    let name = name_of(asked, "BucketName");
    let region = &asked.place.region;
    made_of(
        &name,
        [
            ("Arn", &format!("arn:aws:s3:::{name}")),
            ("DomainName", &format!("{name}.s3.amazonaws.com")),
            (
                "RegionalDomainName",
                &format!("{name}.s3.{region}.amazonaws.com"),
            ),
        ]
        .map(|(attribute, value)| (attribute, value.as_str())),
    )
}

pub(super) fn update_bucket(asked: &Asked<'_>, live: &Live) -> Result<Vec<Step>, Fault> {
    let told = "NotificationConfiguration";
    match live.properties.get(told) == asked.properties.get(told) {
        true => Ok(Vec::new()),
        false => Ok(vec![notify(asked.properties, &live.made.physical)?]),
    }
}

pub(super) fn delete_bucket(live: &Live) -> Vec<Step> {
    vec![Step::s3(
        "DELETE",
        at(&live.made.physical, ""),
        String::new(),
    )]
}

// --- their policies ---

pub(super) fn put_policy(asked: &Asked<'_>) -> Result<Vec<Step>, Fault> {
    let bucket = needed(asked, "Bucket")?;
    let document = asked.properties["PolicyDocument"].to_string();
    Ok(vec![Step::s3("PUT", at(&bucket, "?policy"), document)])
}

pub(super) fn delete_policy(live: &Live) -> Vec<Step> {
    vec![Step::s3(
        "DELETE",
        at(&live.made.physical, "?policy"),
        String::new(),
    )]
}

//! Operations on subscriptions of SNS, one function each. A topic may be in another region, and is asked there.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/welcome.html>

use super::super::signed::{
    Signed,
    json::Refusal,
    query::{Leaves, Query},
};
use crate::cloud::CloudError;

const FILTER: &str = "FilterPolicy";
/// What SNS takes for "no filter".
const ANYTHING: &str = "{}";

/// SNS.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Topics(pub(in crate::cloud::aws::lambda) Signed);

/// A subscription as it stands.
#[derive(Clone, Debug)]
pub(in crate::cloud::aws) struct Subscribed {
    pub(in crate::cloud::aws) arn: String,
    pub(in crate::cloud::aws) filter: Option<String>,
}

impl Topics {
    /// A topic has one subscription of a function at most. None also where there is no such topic.
    pub(in crate::cloud::aws) async fn subscription(
        &self,
        topic: &str,
        function: &str,
    ) -> Result<Option<Subscribed>, CloudError> {
        let Some(arn) = self.find(topic, function).await? else {
            return Ok(None);
        };
        const OPERATION: &str = "GetSubscriptionAttributes";
        let told = match self.ask(OPERATION, &arn, about(&arn)).await? {
            Ok(told) => told,
            Err(refusal) if is_missing(&refusal) => return Ok(None),
            Err(refusal) => return Err(refusal.sorted(OPERATION, &arn)),
        };
        let mut attributes = told.all("key").zip(told.all("value"));
        let filter = attributes.find(|(name, _)| *name == FILTER);
        let filter = filter.map(|(_, told)| told.to_owned());
        let filter = filter.filter(|told| !told.is_empty() && told != ANYTHING);
        Ok(Some(Subscribed { arn, filter }))
    }

    async fn find(&self, topic: &str, function: &str) -> Result<Option<String>, CloudError> {
        const OPERATION: &str = "ListSubscriptionsByTopic";
        let about = ("TopicArn".to_owned(), topic.to_owned());
        let mut parameters = vec![about.clone()];
        loop {
            let told = match self.ask(OPERATION, topic, parameters).await? {
                Ok(told) => told,
                Err(refusal) if is_missing(&refusal) => return Ok(None),
                Err(refusal) => return Err(refusal.sorted(OPERATION, topic)),
            };
            let mut all = told.all("SubscriptionArn").zip(told.all("Endpoint"));
            if let Some((arn, _)) = all.find(|(_, endpoint)| *endpoint == function) {
                return Ok(Some(arn.to_owned()));
            }
            let next = told.first("NextToken").filter(|it| !it.is_empty());
            let Some(next) = next else { return Ok(None) };
            let next = ("NextToken".to_owned(), next.to_owned());
            parameters = vec![about.clone(), next];
        }
    }

    /// One that is there already, made by somebody or by a call whose reply was lost, is changed to be as asked for.
    pub(in crate::cloud::aws) async fn subscribe(
        &self,
        topic: &str,
        function: &str,
        filter: Option<&str>,
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "Subscribe";
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut parameters = vec![
            text("TopicArn", topic),
            text("Protocol", "lambda"),
            text("Endpoint", function),
            text("ReturnSubscriptionArn", "true"),
        ];
        if let Some(filter) = filter {
            parameters.push(text("Attributes.entry.1.key", FILTER));
            parameters.push(text("Attributes.entry.1.value", filter));
        }
        let Err(refusal) = self.ask(OPERATION, topic, parameters).await? else {
            return Ok(());
        };
        // It says so of a filter that it cannot read, too.
        if refusal.kind == "InvalidParameter"
            && let Some(arn) = self.find(topic, function).await?
        {
            return self.change(&arn, filter).await;
        }
        Err(refusal.sorted(OPERATION, topic))
    }

    pub(in crate::cloud::aws) async fn change(
        &self,
        subscription: &str,
        filter: Option<&str>,
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "SetSubscriptionAttributes";
        let mut parameters = about(subscription);
        parameters.push(("AttributeName".to_owned(), FILTER.to_owned()));
        let filter = filter.unwrap_or(ANYTHING).to_owned();
        parameters.push(("AttributeValue".to_owned(), filter));
        let asked = self.ask(OPERATION, subscription, parameters).await?;
        asked
            .map(drop)
            .map_err(|refusal| refusal.sorted(OPERATION, subscription))
    }

    /// Quiet where it is gone.
    pub(in crate::cloud::aws) async fn unsubscribe(
        &self,
        subscription: &str,
    ) -> Result<(), CloudError> {
        const OPERATION: &str = "Unsubscribe";
        let asked = self
            .ask(OPERATION, subscription, about(subscription))
            .await?;
        match asked {
            Ok(_) => Ok(()),
            Err(refusal) if is_missing(&refusal) => Ok(()),
            Err(refusal) => Err(refusal.sorted(OPERATION, subscription)),
        }
    }

    async fn ask(
        &self,
        operation: &str,
        resource: &str,
        parameters: Vec<(String, String)>,
    ) -> Result<Result<Leaves, Refusal>, CloudError> {
        let query = Query {
            service: "sns",
            version: "2010-03-31",
            operation,
            resource,
            parameters,
        };
        let region = resource.split(':').nth(3).unwrap_or_default();
        self.0.in_region(region).ask_query(query).await
    }
}

fn about(subscription: &str) -> Vec<(String, String)> {
    vec![("SubscriptionArn".to_owned(), subscription.to_owned())]
}

fn is_missing(refusal: &Refusal) -> bool {
    refusal.kind == "NotFound"
}

//! Azure Resource Manager over `azure_core`'s pipeline: one bounded call, and something slow followed to its end.
//!
//! The token is shown to the configured endpoint and to the deployment host that a site itself names; never to another.

mod answer;
mod credential;
mod fault;
mod follow;
mod limit;
pub(super) mod operation;
mod transport;
mod written;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use azure_core::http::{
    ClientOptions, Context, Pipeline, PipelineStreamOptions, RetryOptions, Transport,
    policies::Policy,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use url::Url;

pub(super) use self::answer::{Answer, Judge, pause, quote};
pub use self::credential::{AzureIdentity, AzureSource, CredentialChoice, Principal};
pub(super) use self::fault::{chain_of, link_at, unreachable};
pub use self::limit::{AzureLimiter, AzureRates};
pub(super) use self::transport::OUR_REQUESTS;
use self::{
    answer::{is_same_origin, refusal},
    credential::{Bearer, Lasting, giver},
    fault::{Lost, elsewhere, failed},
    operation::{Calls, Operation},
    transport::{STORAGE, answer_of, authority_of, http_client, request, scope_of},
    written::Written,
};
use super::{AzureError, AzureLimits, AzureOptions};
use crate::{
    clock::SystemClock,
    cloud::{
        CloudError,
        unseen::{Unseen, until_told},
    },
};

/// Tries of a call that may be sent twice.
const TRIES_MAX: u32 = 3;

/// Wait before the second try; the third waits twice as long.
const TRY_PAUSE: Duration = Duration::from_millis(200);

/// Largest answer that is read. A page of sites is far below it.
const ANSWER_MAX: usize = 16 << 20;

/// Pages of a list that are read at most; a resource group has far fewer sites.
const PAGES_MAX: usize = 200;

/// What is sent with a call.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Nothing,
    Json(Value),
    /// A zip, by the media type that its taker knows it by.
    Package(Bytes, &'static str),
    /// A zip for a storage account, which has tokens and headers of its own.
    Blob(Bytes),
    /// Nothing, for a storage account.
    Storage,
}

/// One call, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) url: Url,
    /// The host that the token may be shown to.
    pub(super) origin: &'a Url,
    /// What people know the resource by.
    pub(super) resource: &'a str,
    pub(super) payload: Payload,
    /// Writes over this version only.
    pub(super) if_match: Option<String>,
    pub(super) deadline: Duration,
}

/// Where our calls go.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) endpoint: Url,
    pub(super) limits: AzureLimits,
    pub(super) calls: Calls,
    /// For questions to a slot's own host, without a token.
    pub(super) http: reqwest::Client,
    pipeline: Pipeline,
    /// The same for storage accounts: another token.
    storage: Pipeline,
    pub(super) limiter: Arc<AzureLimiter>,
    unseen: Unseen,
}

/// How something slow ended.
#[derive(Debug)]
pub(super) enum End {
    Done,
    Failed { message: String, answer: Answer },
}

// === impl Arm ===

impl Arm {
    pub(super) fn new(options: &AzureOptions, endpoint: Url) -> Result<Self, AzureError> {
        let http = http_client(options.ca_file.as_deref())?;
        let mut client = ClientOptions {
            transport: Some(Transport::new(Arc::new(http.clone()))),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => {
                Url::parse(authority_of(&endpoint)).map_err(|error| AzureError::Credential {
                    message: error.to_string(),
                })?
            }
        };
        let mut cloud = azure_core::cloud::CustomConfiguration::default();
        cloud.authority_host = authority.to_string();
        client.cloud = Some(Arc::new(cloud.into()));
        // Asking for a token twice does no harm, and the deadline of the call that needs it bounds the vendor's own patience.
        let tokens = ClientOptions {
            retry: RetryOptions::default(),
            ..client.clone()
        };
        let giver = giver(&options.credential, &tokens, &authority).map_err(|error| {
            AzureError::Credential {
                message: chain_of(&error),
            }
        })?;
        let scope = scope_of(&endpoint).to_owned();
        let is_plain = endpoint.scheme() == "http";
        let pipeline = |scope: String| {
            let clock = Arc::new(SystemClock);
            let bearer = Bearer::new(Arc::clone(&giver), scope, is_plain, clock);
            let bearer: Arc<dyn Policy> = Arc::new(bearer);
            let name = option_env!("CARGO_PKG_NAME");
            let version = option_env!("CARGO_PKG_VERSION");
            let policies = vec![bearer];
            Pipeline::new(name, version, client.clone(), Vec::new(), policies, None)
        };
        Ok(Self {
            pipeline: pipeline(scope),
            storage: pipeline(STORAGE.to_owned()),
            endpoint,
            limits: options.limits,
            calls: Calls::default(),
            http,
            limiter: Arc::clone(&options.limiter),
            unseen: Unseen::default(),
        })
    }

    /// A call on a resource of the endpoint, by its id.
    pub(super) fn call<'a>(
        &'a self,
        operation: Operation,
        id: &str,
        query: &[(&str, &str)],
        resource: &'a str,
    ) -> Call<'a> {
        let mut url = self.endpoint.clone();
        url.set_path(id);
        url.query_pairs_mut().clear().extend_pairs(query);
        Call {
            operation,
            url,
            origin: &self.endpoint,
            resource,
            payload: Payload::Nothing,
            if_match: None,
            deadline: self.limits.call,
        }
    }

    /// Sends, and refuses all but success.
    pub(super) async fn ask(&self, call: Call<'_>) -> Result<Answer, CloudError> {
        let (operation, resource) = (call.operation, call.resource);
        let written = Written::of(&call);
        let answer = self.send(call).await?;
        if answer.is_success() {
            self.note(&written);
            Ok(answer)
        } else {
            Err(refusal(operation.name, resource, &answer))
        }
    }

    /// Sends, and tells a resource that is not there from every other refusal.
    pub(super) async fn find(&self, call: Call<'_>) -> Result<Option<Value>, CloudError> {
        Ok(self.look(call).await?.map(|answer| answer.json()))
    }

    /// The same, with the headers of the answer.
    pub(super) async fn look(&self, call: Call<'_>) -> Result<Option<Answer>, CloudError> {
        if call.operation.writes() {
            return self.look_once(call).await;
        }
        let mark = |told: &Option<Answer>, part: &str| written::marks(told.as_ref())(part);
        let found = until_told!(
            self.unseen,
            written::one(&call),
            mark,
            self.look_once(call.clone()).await?
        );
        Ok(found)
    }

    async fn look_once(&self, call: Call<'_>) -> Result<Option<Answer>, CloudError> {
        let (operation, resource) = (call.operation, call.resource);
        let written = Written::of(&call);
        let answer = self.send(call).await?;
        let is_missing = answer.is_missing();
        if !answer.is_success() && !is_missing {
            return Err(refusal(operation.name, resource, &answer));
        }
        self.note(&written);
        Ok(Some(answer).filter(|_| !is_missing))
    }

    /// Every item of a list, page by page; none where what holds the list is not there.
    pub(super) async fn list(&self, call: Call<'_>) -> Result<Vec<Value>, CloudError> {
        let mark = |items: &Vec<Value>, name: &str| written::listed(items, name);
        let items = until_told!(
            self.unseen,
            written::many(&call),
            mark,
            self.list_once(call.clone()).await?
        );
        Ok(items)
    }

    async fn list_once(&self, call: Call<'_>) -> Result<Vec<Value>, CloudError> {
        let (operation, resource) = (call.operation, call.resource);
        let mut page = self.look_once(call).await?.map(|answer| answer.json());
        let mut items = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(Value::Object(mut listed)) = page else {
                return Ok(items);
            };
            if let Some(Value::Array(more)) = listed.remove("value") {
                items.extend(more);
            }
            let link = listed.get("nextLink").and_then(Value::as_str);
            let Some(link) = link.filter(|link| !link.is_empty()) else {
                return Ok(items);
            };
            let mut next = self.call(operation, "/", &[], resource);
            next.url = self.link(operation, link)?;
            page = Some(self.ask(next).await?.json());
        }
        let message = format!("`{resource}` has more than {PAGES_MAX} pages");
        Err(failed(operation, message))
    }

    /// An address that the endpoint gave us, if the token may go there.
    fn link(&self, operation: Operation, address: &str) -> Result<Url, CloudError> {
        link_at(&self.endpoint, operation, address)
    }

    /// Sends one call: a few tries where it may be repeated, all within the call's deadline.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Answer, CloudError> {
        if !is_same_origin(call.origin, &call.url) {
            return Err(elsewhere(call.operation, &call.url));
        }
        // Our own waiting in line is no fault of the cloud: it stays outside the deadline.
        self.turn(&call).await;
        match timeout(call.deadline, self.tries(&call)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let message = format!("no answer within {}s", call.deadline.as_secs_f32());
                Err(unreachable(call.operation, message))
            }
        }
    }

    async fn tries(&self, call: &Call<'_>) -> Result<Answer, CloudError> {
        let mut tried = 1;
        loop {
            let outcome = self.once(call).await;
            let again = match &outcome {
                Ok(answer) => answer.is_transient(),
                Err(lost) => !lost.denied,
            };
            if !again || !call.operation.may_repeat() || tried == TRIES_MAX {
                return outcome.map_err(|lost| lost.into_error(call.operation));
            }
            sleep(TRY_PAUSE * tried).await;
            self.turn(call).await;
            tried += 1;
        }
    }

    async fn turn(&self, call: &Call<'_>) {
        if self.is_limited(call) {
            self.limiter.ready(call.operation).await;
        }
    }

    /// Deployment services have no part in the subscription's limit.
    fn is_limited(&self, call: &Call<'_>) -> bool {
        is_same_origin(&self.endpoint, &call.url)
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, Lost> {
        self.calls.count(call.operation);
        let is_limited = self.is_limited(call);
        let under_way = is_limited.then(|| self.limiter.under_way(call.operation));
        let mut request = request(call);
        let unchecked = PipelineStreamOptions {
            skip_checks: true,
            ..PipelineStreamOptions::default()
        };
        let pipeline = match &call.payload {
            Payload::Blob(_) | Payload::Storage => &self.storage,
            Payload::Nothing | Payload::Json(_) | Payload::Package(_, _) => &self.pipeline,
        };
        let context = Context::new().with_value(Lasting::default());
        let response = pipeline
            .stream(&context, &mut request, Some(unchecked))
            .await
            .map_err(|error| Lost::new(&error))?;
        let (status, headers, mut stream) = response.deconstruct();
        let mut body = BytesMut::new();
        while let Some(part) = stream.next().await {
            body.extend_from_slice(&part.map_err(|error| Lost::new(&error))?);
            if body.len() > ANSWER_MAX {
                return Err(Lost::told(format!(
                    "an answer of more than {ANSWER_MAX} bytes"
                )));
            }
        }
        let answer = answer_of(u16::from(status), &headers, body.freeze());
        if let Some(under_way) = under_way {
            under_way.heard(&answer);
        }
        if context.value::<Lasting>().is_some_and(Lasting::is_said) {
            return Err(Lost::refused(&answer));
        }
        Ok(answer)
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.calls.all()
    }
}

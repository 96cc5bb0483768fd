//! The policy that shows a token with every call, and gets another in time.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, Secret},
    error::ErrorKind,
    http::{
        Context, Request, StatusCode, headers,
        policies::{Policy, PolicyResult},
    },
};
use tokio::{sync::Mutex, time::timeout};

use super::{
    Giver,
    patient::no_answer,
    refusals::{Lasting, Refusals},
};
use crate::clock::Clock;

/// A token is renewed so long before its end, or at half of its life where that is shorter.
const AHEAD_MAX: Duration = Duration::from_secs(300);

/// A source that fails while the old token is good is asked again after this.
const RENEW_PAUSE: Duration = Duration::from_secs(10);

/// So long it is waited for while the old token is good: all calls wait for it, and could go.
const RENEW_MAX: Duration = Duration::from_secs(5);

/// Shows the token that somebody gives, over plain http only where the endpoint is configured so.
pub(in super::super) struct Bearer {
    giver: Arc<dyn Giver>,
    scope: String,
    is_plain: bool,
    clock: Arc<dyn Clock>,
    kept: Mutex<Option<Kept>>,
    refusals: Refusals,
}

/// A token in use; moments are milliseconds of the clock.
struct Kept {
    token: Secret,
    renew_at: i64,
    ends_at: i64,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").finish_non_exhaustive()
    }
}

impl Bearer {
    pub(in super::super) fn new(
        giver: Arc<dyn Giver>,
        scope: String,
        is_plain: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            giver,
            scope,
            is_plain,
            clock,
            kept: Mutex::new(None),
            refusals: Refusals::default(),
        }
    }

    /// The token in use, or a new one where it is about to end. While it is good, a source that fails is no fault.
    async fn token(&self) -> azure_core::Result<Secret> {
        let mut kept = self.kept.lock().await;
        let before = self.now();
        if let Some(kept) = kept.as_ref().filter(|kept| before < kept.renew_at) {
            return Ok(kept.token.clone());
        }
        let waited = before + millis(RENEW_MAX);
        let has_good = kept.as_ref().is_some_and(|kept| waited < kept.ends_at);
        let new = self.new_token(has_good).await;
        // Asking took its time.
        let now = self.now();
        match (new, kept.as_mut()) {
            (Ok(new), _) => Ok(kept.insert(Kept::new(new, now)).token.clone()),
            (Err(error), Some(old)) if now < old.ends_at => {
                tracing::warn!(
                    error = super::super::chain_of(&error),
                    "no new token; the old one is shown"
                );
                old.renew_at = now + millis(RENEW_PAUSE);
                Ok(old.token.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Each source has a bound of its own; where there is a good token still, all of them together have a shorter one.
    async fn new_token(&self, has_good: bool) -> azure_core::Result<AccessToken> {
        let scopes = [self.scope.as_str()];
        let new = self.giver.get_token(&scopes, None);
        if !has_good {
            return new.await;
        }
        timeout(RENEW_MAX, new)
            .await
            .unwrap_or_else(|_| Err(no_answer()))
    }

    fn now(&self) -> i64 {
        self.clock.now().millis()
    }

    /// Another token than one that `place` refused: it may have run out, or been taken back, before its time. None where new ones were
    /// refused there too, for a while.
    async fn another(&self, refused: &Secret, place: &str) -> azure_core::Result<Option<Secret>> {
        let mut kept = self.kept.lock().await;
        let now = self.now();
        if let Some(old) = kept.as_ref().filter(|it| it.token == *refused) {
            // One that has ended says nothing of who we are.
            let is_over = old.ends_at <= now;
            if !is_over && !self.refusals.may_ask(place, now) {
                return Ok(None);
            }
            *kept = None;
            self.giver.forget();
        }
        drop(kept);
        let token = self.token().await?;
        Ok((token != *refused).then_some(token))
    }

    /// Notes what became of a token in its place, and tells the caller of a refusal that lasts.
    fn judged(&self, context: &Context, place: &str, status: StatusCode) {
        if status != StatusCode::Unauthorized {
            self.refusals.end(place);
        } else if self.refusals.is_lasting(place, self.now())
            && let Some(lasting) = context.value::<Lasting>()
        {
            lasting.say();
        }
    }
}

impl Kept {
    fn new(given: AccessToken, now: i64) -> Self {
        let ends_at = given.expires_on.unix_timestamp().saturating_mul(1000);
        let life = ends_at.saturating_sub(now).max(0);
        let ahead = millis(AHEAD_MAX).min(life / 2);
        Self {
            token: given.token,
            renew_at: ends_at - ahead,
            ends_at,
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[async_trait]
impl Policy for Bearer {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        if request.url().scheme() != "https" && !self.is_plain {
            let message = "a token is shown over https only";
            return Err(azure_core::Error::with_message(
                ErrorKind::Credential,
                message,
            ));
        }
        let place = request.url().origin().ascii_serialization();
        let token = self.token().await?;
        request.insert_header(headers::AUTHORIZATION, bearer(&token));
        // A pipeline ends with its transport, so that every other policy has a next one.
        let mut answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status() == StatusCode::Unauthorized
            && let Some(token) = self.another(&token, &place).await?
        {
            request.insert_header(headers::AUTHORIZATION, bearer(&token));
            request.body_mut().reset().await?;
            answer = next[0].send(context, request, &next[1..]).await?;
        }
        self.judged(context, &place, answer.status());
        Ok(answer)
    }
}

fn bearer(token: &Secret) -> String {
    format!("Bearer {}", token.secret())
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::{
        credentials::{TokenCredential, TokenRequestOptions},
        http::{AsyncRawResponse, ClientOptions, HttpClient, Method, Transport, headers::Headers},
        time::OffsetDateTime,
    };
    use tokio::{sync::OnceCell, time::Instant};

    use super::{
        super::{
            AzureSource, Chain, CredentialChoice, Link, NEVER, Principal, giver, patient::Patient,
        },
        *,
    };
    use crate::{clock::SystemClock, name::Timestamp};

    /// Gives another token each time, up to the last.
    #[derive(Debug)]
    struct Mint {
        given: AtomicUsize,
        last: usize,
        /// Seconds until it ends; never where unsaid.
        life: Option<i64>,
    }

    #[async_trait]
    impl TokenCredential for Mint {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
            let seconds = match self.life {
                None => NEVER,
                Some(life) => SystemClock.now().millis() / 1000 + life,
            };
            let ends = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let token = format!("token-{}", number.min(self.last));
            Ok(AccessToken::new(token, ends))
        }
    }

    impl Giver for Mint {
        fn forget(&self) {}
    }

    /// Goes with virtual time.
    struct Paused(Instant);

    impl Clock for Paused {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(millis(self.0.elapsed()))
        }
    }

    /// Is asked, and never answers.
    #[derive(Debug, Default)]
    struct Hung(AtomicUsize);

    #[async_trait]
    impl TokenCredential for Hung {
        async fn get_token(
            &self,
            _scopes: &[&str],
            _options: Option<TokenRequestOptions<'_>>,
        ) -> azure_core::Result<AccessToken> {
            self.0.fetch_add(1, Ordering::Relaxed);
            std::future::pending().await
        }
    }

    impl Giver for Hung {
        fn forget(&self) {}
    }

    /// Entra ID: another token for each request.
    #[derive(Debug, Default)]
    struct Entra(AtomicUsize);

    #[async_trait]
    impl HttpClient for Entra {
        async fn execute_request(&self, _: &Request) -> azure_core::Result<AsyncRawResponse> {
            let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            let body = format!(
                "{{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,\"access_token\":\"token-{number}\"}}"
            );
            Ok(AsyncRawResponse::from_bytes(
                StatusCode::Ok,
                Headers::new(),
                body,
            ))
        }
    }

    /// Knows one token, and counts who comes.
    #[derive(Debug)]
    struct Door {
        knows: &'static str,
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Policy for Door {
        async fn send(
            &self,
            _context: &Context,
            request: &mut Request,
            _next: &[Arc<dyn Policy>],
        ) -> PolicyResult {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let shown = request.headers().get_str(&headers::AUTHORIZATION)?;
            let status = match shown == format!("Bearer {}", self.knows) {
                true => StatusCode::Ok,
                false => StatusCode::Unauthorized,
            };
            Ok(AsyncRawResponse::from_bytes(status, Headers::new(), ""))
        }
    }

    async fn ask(knows: &'static str, last: usize) -> (StatusCode, usize) {
        let given = AtomicUsize::new(0);
        let giver = Arc::new(Mint {
            given,
            last,
            life: None,
        });
        show(giver, knows).await
    }

    async fn show(giver: Arc<dyn Giver>, knows: &'static str) -> (StatusCode, usize) {
        let bearer = bearer_of(giver, true);
        let asked = AtomicUsize::new(0);
        let door = Arc::new(Door { knows, asked });
        let next: [Arc<dyn Policy>; 1] = [door.clone()];
        let url = "http://127.0.0.1/".parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let answer = bearer.send(&Context::new(), &mut request, &next).await;
        (answer.unwrap().status(), door.asked.load(Ordering::Relaxed))
    }

    fn bearer_of(giver: Arc<dyn Giver>, is_plain: bool) -> Bearer {
        Bearer::new(giver, "scope".to_owned(), is_plain, Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn a_token_that_ran_out_is_replaced_once_and_no_other_refusal_is_asked_twice() {
        assert_eq!(ask("token-1", 9).await, (StatusCode::Ok, 1));
        assert_eq!(ask("token-2", 9).await, (StatusCode::Ok, 2));
        assert_eq!(ask("token-9", 9).await, (StatusCode::Unauthorized, 2));
        // Whoever has one token only has no other to show.
        assert_eq!(ask("token-2", 1).await, (StatusCode::Unauthorized, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_lasts_costs_few_tokens_and_is_told_and_its_end_is_noticed() {
        let start = Instant::now();
        let given = AtomicUsize::new(0);
        let (last, life) = (usize::MAX, None);
        let mint = Arc::new(Mint { given, last, life });
        let clock = Arc::new(Paused(start));
        let bearer = Bearer::new(mint.clone(), "scope".to_owned(), true, clock);
        let call = async |knows: &'static str, host: &str| {
            let asked = AtomicUsize::new(0);
            let door: [Arc<dyn Policy>; 1] = [Arc::new(Door { knows, asked })];
            let context = Context::new().with_value(Lasting::default());
            let url = format!("http://{host}/").parse().unwrap();
            let mut request = Request::new(url, Method::Get);
            let answer = bearer.send(&context, &mut request, &door).await.unwrap();
            let is_told = context.value::<Lasting>().is_some_and(Lasting::is_said);
            (answer.status(), is_told)
        };
        let tokens = || mint.given.load(Ordering::Relaxed);
        let (ok, refused) = (StatusCode::Ok, StatusCode::Unauthorized);

        assert_eq!(call("none", "one").await, (refused, false));
        assert_eq!(call("none", "one").await, (refused, false));
        for _ in 0..20 {
            assert_eq!(call("none", "one").await, (refused, true));
        }
        assert_eq!(tokens(), 4, "the first one, and three new ones");
        // Whoever lets the same token in is not meant.
        assert_eq!(call("token-4", "two").await, (ok, false));
        assert_eq!(call("none", "one").await, (refused, true));

        tokio::time::advance(Duration::from_secs(61)).await;
        for _ in 0..20 {
            assert_eq!(call("none", "one").await, (refused, true));
        }
        assert_eq!(tokens(), 5, "one more, a minute later");
        // It may end at any time: then all is as it was at first.
        assert_eq!(call("token-5", "one").await, (ok, false));
        assert_eq!(call("token-6", "one").await, (ok, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_has_ended_is_no_refusal_however_often_it_comes_too_late() {
        let given = AtomicUsize::new(0);
        let mint = Arc::new(Mint {
            given,
            last: usize::MAX,
            life: Some(0),
        });
        let bearer = bearer_of(mint.clone(), true);
        for _ in 0..9 {
            let token = bearer.token().await.unwrap();
            let other = bearer.another(&token, "place").await.unwrap();
            assert!(other.is_some_and(|other| other != token));
        }
        assert_eq!(mint.given.load(Ordering::Relaxed), 18);
    }

    #[test]
    fn a_token_is_renewed_before_its_end_however_short_its_life_is() {
        let kept = |life: i64| {
            let ends = OffsetDateTime::from_unix_timestamp(1_000 + life).unwrap();
            let kept = Kept::new(AccessToken::new("token", ends), 1_000_000);
            (kept.renew_at - 1_000_000, kept.ends_at - 1_000_000)
        };
        assert_eq!(kept(3600), (3_300_000, 3_600_000));
        assert_eq!(kept(4), (2_000, 4_000));
        assert_eq!(kept(0), (0, 0));
        assert_eq!(kept(-60), (-60_000, -60_000));
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_while_it_is_good_and_each_time_when_it_is_over() {
        for (life, asked) in [(Some(3600), 1), (Some(0), 3)] {
            let given = AtomicUsize::new(0);
            let giver = Arc::new(Mint {
                given,
                last: 9,
                life,
            });
            let bearer = bearer_of(giver.clone(), false);
            for _ in 0..3 {
                bearer.token().await.unwrap();
            }
            assert_eq!(giver.given.load(Ordering::Relaxed), asked);
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_not_shown_again_though_the_vendors_credential_keeps_it() {
        let client = ClientOptions {
            transport: Some(Transport::new(Arc::new(Entra::default()))),
            ..ClientOptions::default()
        };
        let principal = Principal {
            tenant: "tenant".to_owned(),
            client: "client".to_owned(),
        };
        let source = AzureSource::Secret {
            principal,
            secret: "secret".into(),
        };
        let authority = "https://entra.example/".parse().unwrap();
        let giver = giver(&CredentialChoice::Only(source), &client, &authority).unwrap();
        assert_eq!(show(giver.clone(), "token-1").await, (StatusCode::Ok, 1));
        assert_eq!(show(giver, "token-2").await, (StatusCode::Ok, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_never_answers_does_not_keep_the_next_from_being_asked() {
        let link = |word, giver| Link {
            word,
            is_said: false,
            giver,
        };
        let mint = || {
            let given = AtomicUsize::new(0);
            let (last, life) = (1, None);
            Ok(Arc::new(Mint { given, last, life }) as Arc<dyn TokenCredential>)
        };
        let chain = Chain {
            sources: vec![
                link(
                    "managed identity",
                    Patient::new(|| Ok(Arc::new(Hung::default()))).unwrap(),
                ),
                link("azure cli", Patient::new(mint).unwrap()),
            ],
            chosen: OnceCell::new(),
        };
        let bearer = bearer_of(Arc::new(chain), false);
        assert_eq!(bearer.token().await.unwrap().secret(), "token-1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_hangs_holds_up_few_calls_while_the_old_token_is_good() {
        let start = Instant::now();
        let hung = Arc::new(Hung::default());
        let clock = Arc::new(Paused(start));
        let bearer = Bearer::new(hung.clone(), "scope".to_owned(), false, clock);
        *bearer.kept.lock().await = Some(Kept {
            token: Secret::new("old"),
            renew_at: 0,
            ends_at: 300_000,
        });
        for _ in 0..20 {
            assert_eq!(bearer.token().await.unwrap().secret(), "old");
        }
        assert_eq!(hung.0.load(Ordering::Relaxed), 1);
        assert_eq!(start.elapsed(), RENEW_MAX);
    }

    #[tokio::test]
    async fn no_token_is_shown_over_plain_http_unless_the_endpoint_is_plain() {
        let given = AtomicUsize::new(0);
        let giver = Arc::new(Mint {
            given,
            last: 9,
            life: None,
        });
        let bearer = bearer_of(giver, false);
        let url = "http://127.0.0.1/".parse().unwrap();
        let mut request = Request::new(url, Method::Get);
        let refused = bearer.send(&Context::new(), &mut request, &[]).await;
        assert!(refused.unwrap_err().to_string().contains("https only"));
    }
}

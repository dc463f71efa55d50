//! Holds one token: renews it before it expires, one request at a time, and lets the old one serve meanwhile.
//! Does not know how a token is got.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use tokio::time::Instant;

use super::jwt::{self, Claims};
use super::scope::Scope;
use super::secret::Secret;
use crate::acr::error::{Action, Failure};
use crate::acr::limits::{OPAQUE_TOKEN_LIFE_SECONDS, REFUSAL_REMEMBERED, TOKEN_RENEWED_AFTER_PERCENT};
use crate::clock::Clock;

/// A token of the registry.
pub(in crate::acr) struct Token {
    text: Secret,
    header: HeaderValue,
    claims: Claims,
    /// All in Unix seconds by our clock.
    obtained_at: i64,
    renew_at: i64,
    expires_at: i64,
}

impl Token {
    /// A token that has just come.
    pub(super) fn new(text: Secret, clock: &Clock) -> Result<Self, Failure> {
        let now = clock.now().as_second();
        let claims = jwt::claims(text.expose(), now);
        let life = claims.life_seconds.unwrap_or(OPAQUE_TOKEN_LIFE_SECONDS);
        let mut header = HeaderValue::try_from(format!("Bearer {}", text.expose()))
            .map_err(|_| Failure::protocol("the token cannot be sent in a header"))?;
        header.set_sensitive(true);
        let renew_at = now.saturating_add(life.saturating_mul(TOKEN_RENEWED_AFTER_PERCENT) / 100);
        Ok(Self { text, header, claims, obtained_at: now, renew_at, expires_at: now.saturating_add(life) })
    }

    /// `Authorization`, marked as sensitive.
    pub(in crate::acr) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(super) fn text(&self) -> &Secret {
        &self.text
    }

    /// Whether the token lists what it allows.
    pub(in crate::acr) const fn says_what_it_allows(&self) -> bool {
        self.claims.access.is_some()
    }

    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The actions of the scope that the token does not carry, as far as it says.
    pub(in crate::acr) fn lacks(&self, scope: &Scope) -> Vec<Action> {
        let Some(access) = &self.claims.access else { return Vec::new() };
        let (kind, name) = scope.resource();
        let granted = |action: &Action| {
            let here = access.iter().filter(|grant| grant.kind == kind && grant.name == name);
            here.flat_map(|grant| &grant.actions).any(|word| word == action.as_str() || word == "*")
        };
        scope.actions().iter().copied().filter(|action| !granted(action)).collect()
    }
}

/// A place for one token.
#[derive(Default)]
pub(super) struct Holder {
    state: Mutex<State>,
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    refusal: Option<(Instant, Failure)>,
}

impl Holder {
    /// The token, got anew where that is due.
    ///
    /// 1. Younger than three quarters of its life: it is used.
    /// 2. Older: one caller renews it, and the others use it; so does that one when renewing fails.
    /// 3. Expired or none: one caller gets it and the others wait for that. A failure answers those who waited too.
    pub(super) async fn get<F>(&self, clock: &Clock, obtain: impl FnOnce() -> F) -> Result<Arc<Token>, Failure>
    where
        F: Future<Output = Result<Token, Failure>>,
    {
        let serving = self.serving(clock);
        let _renewing = match &serving {
            Some(token) if clock.now().as_second() < token.renew_at => return Ok(token.clone()),
            Some(token) => match self.renewing.try_lock() {
                Ok(renewing) if self.recent_refusal().is_none() => renewing,
                Ok(_) | Err(_) => return Ok(token.clone()),
            },
            None => {
                let renewing = self.renewing.lock().await;
                if let Some(token) = self.serving(clock) {
                    return Ok(token);
                }
                if let Some(failure) = self.recent_refusal() {
                    return Err(failure);
                }
                renewing
            }
        };
        match obtain().await {
            Ok(token) => {
                let token = Arc::new(token);
                *self.lock() = State { token: Some(token.clone()), refusal: None };
                Ok(token)
            }
            Err(failure) => {
                self.lock().refusal = Some((Instant::now(), failure.clone()));
                serving.ok_or(failure)
            }
        }
    }

    /// Drops this very token; another caller may have renewed it already.
    pub(super) fn forget(&self, token: &Arc<Token>) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|held| Arc::ptr_eq(held, token)) {
            state.token = None;
        }
    }

    /// Drops the token if it was obtained before `second`.
    pub(super) fn forget_older_than(&self, second: i64) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|held| held.obtained_at < second) {
            state.token = None;
        }
    }

    /// Whether it holds a token that still serves at `now`.
    pub(super) fn is_useful(&self, now: i64) -> bool {
        self.lock().token.as_ref().is_some_and(|token| now < token.expires_at)
    }

    fn serving(&self, clock: &Clock) -> Option<Arc<Token>> {
        let now = clock.now().as_second();
        self.lock().token.clone().filter(|token| now < token.expires_at)
    }

    fn recent_refusal(&self) -> Option<Failure> {
        let state = self.lock();
        let (at, failure) = state.refusal.as_ref()?;
        (at.elapsed() < REFUSAL_REMEMBERED).then(|| failure.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jiff::Timestamp;

    use super::*;

    struct Bench {
        holder: Holder,
        clock: Clock,
        second: Arc<AtomicI64>,
        requests: AtomicU32,
    }

    impl Bench {
        fn new() -> Self {
            let second = Arc::new(AtomicI64::new(1_700_000_000));
            let told = second.clone();
            let clock = Clock::new(move || Timestamp::from_second(told.load(Ordering::SeqCst)).expect("a time"));
            Self { holder: Holder::default(), clock, second, requests: AtomicU32::new(0) }
        }

        fn pass(&self, seconds: i64) {
            self.second.fetch_add(seconds, Ordering::SeqCst);
        }

        async fn get(&self, works: bool) -> Result<i64, Failure> {
            let obtain = || async {
                self.requests.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if works { token(&self.clock) } else { Err(Failure::Unauthorized { said: "no".to_owned() }) }
            };
            self.holder.get(&self.clock, obtain).await.map(|token| token.obtained_at)
        }

        fn requests(&self) -> u32 {
            self.requests.load(Ordering::SeqCst)
        }
    }

    /// Lives 1,000 s by a registry clock that is a day ahead.
    fn token(clock: &Clock) -> Result<Token, Failure> {
        let issued = clock.now().as_second() + 86_400;
        let payload = format!(r#"{{"iat":{issued},"exp":{}}}"#, issued + 1000);
        Token::new(Secret::new(format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload))), clock)
    }

    #[tokio::test]
    async fn a_token_is_renewed_at_three_quarters_of_its_life() {
        let bench = Bench::new();
        let first = bench.get(true).await.expect("a token");
        bench.pass(749);
        assert_eq!(bench.get(true).await, Ok(first));
        bench.pass(1);
        assert_eq!(bench.get(true).await, Ok(first + 750));
        assert_eq!(bench.requests(), 2);
    }

    #[tokio::test]
    async fn the_old_token_serves_while_and_when_renewing_fails() {
        let bench = Bench::new();
        let first = bench.get(true).await.expect("a token");
        bench.pass(800);
        let (one, other) = futures::join!(bench.get(false), bench.get(false));
        assert_eq!((one, other), (Ok(first), Ok(first)));
        assert_eq!(bench.requests(), 2, "the second caller does not renew as well");
        bench.pass(200);
        assert!(bench.get(false).await.is_err(), "an expired token does not serve");
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_make_one_request_and_share_its_failure() {
        let bench = Bench::new();
        let all = futures::future::join_all((0..16).map(|_| bench.get(false))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(bench.requests(), 1);
        tokio::time::advance(REFUSAL_REMEMBERED).await;
        let all = futures::future::join_all((0..16).map(|_| bench.get(true))).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(bench.requests(), 2);
    }

    #[test]
    fn a_token_says_what_it_lacks() {
        let payload = r#"{"access":[{"Type":"repository","Name":"a","Actions":["pull"]}]}"#;
        let text = Secret::new(format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload)));
        let token = Token::new(text, &Bench::new().clock).expect("a token");
        let repository = crate::model::RepositoryName::parse("a").expect("a name");
        assert_eq!(token.lacks(&Scope::Read(repository.clone())), [Action::MetadataRead]);
        assert_eq!(token.lacks(&Scope::Delete(repository)), [Action::Delete]);
        assert!(token.header().is_sensitive());
    }
}

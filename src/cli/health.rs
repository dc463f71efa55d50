//! `retaind health`: asks a running daemon how it is, for probes in images that have no shell and no curl.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::args::HealthArguments;
use super::{End, Failure, print};

/// Until the answer must be there. The daemon answers within milliseconds; the probes of Kubernetes give up after one to five seconds.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest answer: a page of metrics of many policies, should somebody ask for that.
const ANSWER_MAX_BYTES: usize = 8 << 20;

/// Asks.
pub(super) async fn health(arguments: &HealthArguments) -> Result<End, Failure> {
    let HealthArguments { url } = arguments;
    if url.scheme_str() != Some("http") || url.host().is_none() {
        return Err(Failure::unusable(format!("{url} is not an address of the form http://HOST:PORT/PATH")));
    }
    match tokio::time::timeout(ANSWER_MAX, ask(url)).await {
        Ok(Ok((healthy, said))) => {
            print(&said);
            Ok(if healthy { End::Done } else { End::Partial })
        }
        Ok(Err(why)) => Err(Failure::partial(format!("no answer from {url}: {why}"))),
        Err(_) => Err(Failure::partial(format!("no answer from {url} within {} s", ANSWER_MAX.as_secs()))),
    }
}

/// Straight to the address: a proxy of the environment would be asked about its own health.
async fn ask(url: &Uri) -> Result<(bool, String), String> {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(url.clone()).await.map_err(|error| chain(&error))?;
    let healthy = response.status().is_success();
    let body = to_bytes(Body::new(response.into_body()), ANSWER_MAX_BYTES).await.map_err(|error| chain(&error))?;
    Ok((healthy, String::from_utf8_lossy(&body).into_owned()))
}

/// The topmost message of a network library says nothing by itself.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! Graphite: its graphs for browsers that cannot reach it, and the rate of a counter.

use hyper::Uri;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use serde::{Deserialize, Serialize};

use super::http::Api;
use super::upstream;
use crate::client::http::without_user;
use crate::http::query::Query;
use crate::http::respond::{Failure, Outcome, Reply};
use crate::http::target::Target;

/// Of a metric, in Graphite's JSON: values with their times.
#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    datapoints: Vec<(Option<f64>, f64)>,
}

#[derive(Serialize)]
struct Rate {
    rate: String,
}

impl Api {
    /// `GET /api/graphite?metric=rate&target=..`: what a counter counted a second, in the last interval but one of statsd.
    pub(super) async fn graphite(&self, raw_query: Option<&str>) -> Outcome {
        let parameters = Query::of(raw_query)?;
        if parameters.get("metric") != Some(b"rate") {
            return Err(Failure::bad("INVALID_ARG_METRIC"));
        }
        let target = parameters.get("target").ok_or(Failure::bad("INVALID_ARG_TARGET"))?;
        let target = String::from_utf8_lossy(target);
        let options = self.options();
        let seconds = options.statsd_interval.as_secs().max(1);
        let (from, until) = (format!("-{}sec", seconds.saturating_mul(2)), format!("-{seconds}sec"));
        let query = upstream::query(&[("format", "json"), ("from", &from), ("target", &target), ("until", &until)]);
        let (url, headers) = without_user(&format!("{}/render?{query}", options.graphite_url));
        tracing::info!("GRAPHITE: {url}");
        let answer = self.upstream.http.get(&url, &headers).await.map_err(|error| failed(&error))?;
        if answer.status != 200 {
            return Err(failed(&answer.status));
        }
        let series: Vec<Series> = serde_json::from_slice(&answer.body).map_err(|error| failed(&error))?;
        let first = series.first().and_then(|series| series.datapoints.first()).and_then(|(value, _)| *value);
        let rate = first.filter(|value| *value >= 0.0).map(|value| format!("{:.2}", value / seconds as f64));
        Reply::json(&Rate { rate: rate.unwrap_or_else(|| "N/A".to_owned()) })
    }

    /// `GET /render`: what Graphite's host has at the same path.
    pub(super) async fn render(&self, target: &Target, headers: &HeaderMap) -> Outcome {
        let options = self.options();
        let graphite: Uri = options.graphite_url.parse().map_err(|_| Failure::INTERNAL)?;
        let (Some(scheme), Some(authority)) = (graphite.scheme_str(), graphite.authority()) else {
            return Err(Failure::INTERNAL);
        };
        let (url, mut forwarded) = without_user(&format!("{scheme}://{authority}{}", target.as_str()));
        forwarded.extend(headers.get(ACCEPT).map(|accepted| (ACCEPT, accepted.clone())));
        let answer = self.upstream.http.get(&url, &forwarded).await.map_err(|error| {
            tracing::error!("GRAPHITE: {error}");
            Failure::new(hyper::StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR: Graphite cannot be asked")
        })?;
        let mut reply = Reply::ready(answer.status, "application/octet-stream", answer.body);
        for name in [CONTENT_TYPE, CACHE_CONTROL] {
            if let Some(value) = answer.headers.get(&name) {
                reply.headers_mut().insert(name, value.clone());
            }
        }
        Ok(Reply::Ready(reply))
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    tracing::error!("graphite request failed - {error}");
    Failure::INTERNAL
}

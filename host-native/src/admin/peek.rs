//! The first messages of a topic or channel, where they are, without taking any: nsqds of ours show them, others do not know how.

use hyper::{Method, StatusCode};
use sansq_core::cluster::Producer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::acl;
use super::actions::Target;
use super::api::NODE_NOT_FOUND;
use super::discovery::NSQD;
use super::http::Api;
use super::notify::Requester;
use super::upstream::{Trouble, Warnings, gather, nobody};
use crate::http;
use crate::http::query::Query;
use crate::http::respond::{Outcome, Reply};

/// What an nsqd answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Peeked {
    messages: Vec<Map<String, Value>>,
    memory_depth: i64,
    backend_depth: i64,
}

#[derive(Serialize)]
struct Shown {
    /// The oldest first.
    messages: Vec<Map<String, Value>>,
    nodes: Vec<Node>,
    message: String,
}

#[derive(Serialize)]
struct Node {
    node: String,
    /// Whether it knows how to show messages.
    supported: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    in_memory: i64,
    on_disk: i64,
}

impl Api {
    /// `GET /api/topics/:topic/:channel/peek?limit=..&node=..`, and the same of a topic's own queue. For those who may act:
    /// messages are nobody else's business.
    pub(super) async fn peek(&self, by: Requester<'_>, target: Target<'_>, raw_query: Option<&str>) -> Outcome {
        let options = self.options();
        acl::check(&options, by.headers)?;
        let parameters = Query::of(raw_query)?;
        let limit = http::peek::limit(&parameters)?;
        let mut warnings = Warnings::default();
        let producers = self.upstream.producers(&options, target.topic, &mut warnings).await?;
        let mut nodes: Vec<String> = producers.iter().map(Producer::http_address).collect();
        if let Some(node) = parameters.get("node") {
            nodes.retain(|own| own.as_bytes() == node);
            if nodes.is_empty() {
                return Err(NODE_NOT_FOUND);
            }
        }
        let path = format!("{}&limit={limit}", target.path("peek"));
        let asked = gather(&nodes, async |node| {
            let body = self.upstream.send_with(self.token.as_ref(), Method::GET, &node, &path).await;
            Ok(body
                .and_then(|body| read(&node, &body))
                .map_err(|trouble| in_words(trouble, &node, self.token.is_some())))
        });
        let answers = asked.await.found;
        if !answers.is_empty() && answers.iter().all(|(_, answer)| is_gone(answer)) {
            let troubles: Vec<Trouble> = answers.into_iter().filter_map(|(_, answer)| answer.err()).collect();
            return Err(nobody(NSQD, &troubles));
        }
        let mut shown = Shown { messages: Vec::new(), nodes: Vec::new(), message: String::new() };
        for (node, answer) in answers {
            shown.add(node, answer, &mut warnings);
        }
        // Of several nsqds, those that have waited longest.
        shown.messages.sort_by_key(|message| message.get("timestamp").and_then(Value::as_i64));
        shown.messages.truncate(limit);
        shown.message = warnings.message();
        Reply::json(&shown)
    }
}

fn read(node: &str, body: &[u8]) -> Result<Peeked, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::new(format!("{node}: {error}")))
}

/// Why an nsqd does not show its messages, for somebody who can do something about it.
fn in_words(trouble: Trouble, node: &str, has_token: bool) -> Trouble {
    let why = match trouble.status {
        Some(StatusCode::UNAUTHORIZED) if has_token => {
            "it does not take the token in the file of --nsqd-http-token-file; the file of its --http-token-file has to hold the \
             same, and each is read when its program starts"
        }
        Some(StatusCode::UNAUTHORIZED) => {
            "it wants a token; start nsqadmin with --nsqd-http-token-file, and the token of its --http-token-file in that file"
        }
        Some(StatusCode::FORBIDDEN) if trouble.says("MESSAGES_CLOSED") => {
            "it has auth servers say who may see what, and does not show messages to others without a token; start it with \
             --http-token-file, and nsqadmin with --nsqd-http-token-file"
        }
        _ => return trouble,
    };
    trouble.reworded(format!("{node} does not show messages: {why}"))
}

/// Whether there was no answer at all.
fn is_gone(answer: &Result<Peeked, Trouble>) -> bool {
    answer.as_ref().err().is_some_and(|trouble| trouble.status.is_none())
}

impl Shown {
    fn add(&mut self, node: String, answer: Result<Peeked, Trouble>, warnings: &mut Warnings) {
        let (supported, error, peeked) = match answer {
            Ok(peeked) => (true, String::new(), peeked),
            Err(trouble) if trouble.is_unknown_path() => (false, String::new(), Peeked::default()),
            Err(trouble) => {
                let error = trouble.to_string();
                let error = error.strip_prefix(&format!("{node} ")).unwrap_or(&error).to_owned();
                warnings.note(&[trouble]);
                (true, error, Peeked::default())
            }
        };
        self.messages.extend(peeked.messages.into_iter().map(|mut message| {
            message.insert("node".to_owned(), node.clone().into());
            message
        }));
        let (in_memory, on_disk) = (peeked.memory_depth, peeked.backend_depth);
        self.nodes.push(Node { node, supported, error, in_memory, on_disk });
    }
}

//! `/topic/*` and `/channel/*`. Arguments are checked in the reference's order and refused in its words, which are not the
//! same for topics and channels. Request bodies mean nothing here.

use std::sync::Arc;

use hyper::StatusCode;
use sansq_core::name::{ChannelName, TopicName};

use super::Api;
use super::endpoints::{ChannelAction, TopicAction};
use super::query::Query;
use super::respond::{Failure, Outcome, Reply};
use crate::node::TopicCell;

const MISSING_ARG_TOPIC: Failure = Failure::bad("MISSING_ARG_TOPIC");
pub(super) const TOPIC_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "TOPIC_NOT_FOUND");
pub(super) const CHANNEL_NOT_FOUND: Failure = Failure::new(StatusCode::NOT_FOUND, "CHANNEL_NOT_FOUND");

/// The topic named by a query that must name one.
pub(super) fn topic_of(query: &Query) -> Result<TopicName, Failure> {
    let name = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    TopicName::parse(name).map_err(|_| Failure::bad("INVALID_TOPIC"))
}

/// `POST /topic/*?topic=T`.
pub(super) async fn topic(api: &Api, action: TopicAction, query: Option<&str>) -> Outcome {
    let query = Query::of(query)?;
    match action {
        TopicAction::Create => {
            api.node.ensure_topic(&topic_of(&query)?);
        }
        TopicAction::Empty => {
            let cell = api.node.topic(&topic_of(&query)?).ok_or(TOPIC_NOT_FOUND)?;
            api.node.step(&cell, |topic, now| topic.handle_empty(now));
        }
        TopicAction::Delete => {
            let name = possible_topic(&query)?;
            if !api.node.delete_topic(&name) {
                return Err(TOPIC_NOT_FOUND);
            }
        }
        TopicAction::Pause | TopicAction::Unpause => {
            let cell = api.node.topic(&possible_topic(&query)?).ok_or(TOPIC_NOT_FOUND)?;
            api.node.step(&cell, |topic, now| topic.handle_pause(now, action == TopicAction::Pause));
            persist(api).await;
        }
    }
    Ok(Reply::Empty)
}

/// The topic named, where a name that cannot be is merely one that is not.
fn possible_topic(query: &Query) -> Result<TopicName, Failure> {
    let name = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    TopicName::parse(name).map_err(|_| TOPIC_NOT_FOUND)
}

/// `POST /channel/*?topic=T&channel=C`.
pub(super) async fn channel(api: &Api, action: ChannelAction, query: Option<&str>) -> Outcome {
    let (cell, name) = channel_of(api, &Query::of(query)?)?;
    let found = api.node.step(&cell, |topic, now| match action {
        ChannelAction::Create => {
            topic.handle_create_channel(now, &name);
            true
        }
        ChannelAction::Delete => topic.handle_delete_channel(now, &name),
        ChannelAction::Empty => topic.handle_empty_channel(now, &name),
        ChannelAction::Pause => topic.handle_pause_channel(now, &name, true),
        ChannelAction::Unpause => topic.handle_pause_channel(now, &name, false),
    });
    if !found {
        return Err(CHANNEL_NOT_FOUND);
    }
    match action {
        ChannelAction::Pause | ChannelAction::Unpause => persist(api).await,
        ChannelAction::Create | ChannelAction::Delete | ChannelAction::Empty => {}
    }
    Ok(Reply::Empty)
}

/// An existing topic, and the name of a channel that it may have.
pub(super) fn channel_of(api: &Api, query: &Query) -> Result<(Arc<TopicCell>, ChannelName), Failure> {
    let topic = query.get("topic").ok_or(MISSING_ARG_TOPIC)?;
    let topic = TopicName::parse(topic).map_err(|_| Failure::bad("INVALID_ARG_TOPIC"))?;
    let channel = query.get("channel").ok_or(Failure::bad("MISSING_ARG_CHANNEL"))?;
    let channel = ChannelName::parse(channel).map_err(|_| Failure::bad("INVALID_ARG_CHANNEL"))?;
    let cell = api.node.topic(&topic).ok_or(TOPIC_NOT_FOUND)?;
    Ok((cell, channel))
}

/// Has a pause survive the process. It holds in any case, so a failure is not the client's.
async fn persist(api: &Api) {
    if let Err(error) = api.node.persist_metadata().await {
        tracing::error!("failed to persist metadata - {error}");
    }
}

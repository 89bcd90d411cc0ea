//! The endpoints of nsqd, and the paths they have.

use hyper::Method;

use super::respond::Decoration::{Plain, Raw, V1};
use super::routing::{Route, quiet, route};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Ping,
    Info,
    Publish,
    MultiPublish,
    Stats,
    Topic(TopicAction),
    Channel(ChannelAction),
    PeekTopic,
    PeekChannel,
    ReadConfig,
    WriteConfig,
    Metrics,
    Debug(DebugPage),
    SetBlockRate,
    FreeMemory,
}

/// What can be done to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// What can be done to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// The pages under `/debug/pprof/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DebugPage {
    Index,
    CommandLine,
    Profile,
    Heap,
    Goroutine,
    Block,
    ThreadCreate,
    Symbol,
}

/// The table of nsqd.
pub(super) static ROUTES: &[Route<Endpoint>] = &[
    route(Method::GET, "/ping", Endpoint::Ping, Plain),
    route(Method::GET, "/info", Endpoint::Info, V1),
    quiet(Method::POST, "/pub", Endpoint::Publish, V1),
    quiet(Method::POST, "/mpub", Endpoint::MultiPublish, V1),
    route(Method::GET, "/stats", Endpoint::Stats, V1),
    route(Method::POST, "/topic/create", Endpoint::Topic(TopicAction::Create), V1),
    route(Method::POST, "/topic/delete", Endpoint::Topic(TopicAction::Delete), V1),
    route(Method::POST, "/topic/empty", Endpoint::Topic(TopicAction::Empty), V1),
    route(Method::POST, "/topic/pause", Endpoint::Topic(TopicAction::Pause), V1),
    route(Method::POST, "/topic/unpause", Endpoint::Topic(TopicAction::Unpause), V1),
    route(Method::POST, "/channel/create", Endpoint::Channel(ChannelAction::Create), V1),
    route(Method::POST, "/channel/delete", Endpoint::Channel(ChannelAction::Delete), V1),
    route(Method::POST, "/channel/empty", Endpoint::Channel(ChannelAction::Empty), V1),
    route(Method::POST, "/channel/pause", Endpoint::Channel(ChannelAction::Pause), V1),
    route(Method::POST, "/channel/unpause", Endpoint::Channel(ChannelAction::Unpause), V1),
    route(Method::GET, "/topic/peek", Endpoint::PeekTopic, V1),
    route(Method::GET, "/channel/peek", Endpoint::PeekChannel, V1),
    route(Method::GET, "/config/:opt", Endpoint::ReadConfig, V1),
    route(Method::PUT, "/config/:opt", Endpoint::WriteConfig, V1),
    quiet(Method::GET, "/metrics", Endpoint::Metrics, Raw),
    quiet(Method::GET, "/debug/pprof/", Endpoint::Debug(DebugPage::Index), Raw),
    quiet(Method::GET, "/debug/pprof/cmdline", Endpoint::Debug(DebugPage::CommandLine), Raw),
    quiet(Method::GET, "/debug/pprof/profile", Endpoint::Debug(DebugPage::Profile), Raw),
    quiet(Method::GET, "/debug/pprof/heap", Endpoint::Debug(DebugPage::Heap), Raw),
    quiet(Method::GET, "/debug/pprof/goroutine", Endpoint::Debug(DebugPage::Goroutine), Raw),
    quiet(Method::GET, "/debug/pprof/block", Endpoint::Debug(DebugPage::Block), Raw),
    quiet(Method::GET, "/debug/pprof/threadcreate", Endpoint::Debug(DebugPage::ThreadCreate), Raw),
    quiet(Method::GET, "/debug/pprof/symbol", Endpoint::Debug(DebugPage::Symbol), Raw),
    quiet(Method::POST, "/debug/pprof/symbol", Endpoint::Debug(DebugPage::Symbol), Raw),
    route(Method::PUT, "/debug/setblockrate", Endpoint::SetBlockRate, Plain),
    route(Method::POST, "/debug/freememory", Endpoint::FreeMemory, Plain),
];

//! Which endpoint a request is for. One table; everything the router says besides (other methods, redirects to the
//! proper spelling) is derived from it, and is that of the reference's router (julienschmidt/httprouter).

use hyper::Method;

use super::query::encode_segment;
use super::respond::Decoration::{self, Plain, Raw, V1};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Ping,
    Info,
    Publish,
    MultiPublish,
    Stats,
    Topic(TopicAction),
    Channel(ChannelAction),
    ReadConfig,
    WriteConfig,
    Metrics,
    Debug(DebugPage),
    SetBlockRate,
    FreeMemory,
}

/// What can be done to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// What can be done to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelAction {
    Create,
    Delete,
    Empty,
    Pause,
    Unpause,
}

/// The pages under `/debug/pprof/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DebugPage {
    Index,
    CommandLine,
    Profile,
    Heap,
    Goroutine,
    Block,
    ThreadCreate,
    Symbol,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Route {
    method: Method,
    /// Exact, or ending in [`PARAM`].
    path: &'static str,
    /// Who answers.
    pub(super) endpoint: Endpoint,
    /// How the answer is dressed.
    pub(super) decoration: Decoration,
}

/// Stands for one path segment, whatever it is but empty.
const PARAM: &str = ":opt";

const fn route(method: Method, path: &'static str, endpoint: Endpoint, decoration: Decoration) -> Route {
    Route { method, path, endpoint, decoration }
}

static ROUTES: &[Route] = &[
    route(Method::GET, "/ping", Endpoint::Ping, Plain),
    route(Method::GET, "/info", Endpoint::Info, V1),
    route(Method::POST, "/pub", Endpoint::Publish, V1),
    route(Method::POST, "/mpub", Endpoint::MultiPublish, V1),
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
    route(Method::GET, "/config/:opt", Endpoint::ReadConfig, V1),
    route(Method::PUT, "/config/:opt", Endpoint::WriteConfig, V1),
    route(Method::GET, "/metrics", Endpoint::Metrics, Raw),
    route(Method::GET, "/debug/pprof/", Endpoint::Debug(DebugPage::Index), Raw),
    route(Method::GET, "/debug/pprof/cmdline", Endpoint::Debug(DebugPage::CommandLine), Raw),
    route(Method::GET, "/debug/pprof/profile", Endpoint::Debug(DebugPage::Profile), Raw),
    route(Method::GET, "/debug/pprof/heap", Endpoint::Debug(DebugPage::Heap), Raw),
    route(Method::GET, "/debug/pprof/goroutine", Endpoint::Debug(DebugPage::Goroutine), Raw),
    route(Method::GET, "/debug/pprof/block", Endpoint::Debug(DebugPage::Block), Raw),
    route(Method::GET, "/debug/pprof/threadcreate", Endpoint::Debug(DebugPage::ThreadCreate), Raw),
    route(Method::GET, "/debug/pprof/symbol", Endpoint::Debug(DebugPage::Symbol), Raw),
    route(Method::POST, "/debug/pprof/symbol", Endpoint::Debug(DebugPage::Symbol), Raw),
    route(Method::PUT, "/debug/setblockrate", Endpoint::SetBlockRate, Plain),
    route(Method::POST, "/debug/freememory", Endpoint::FreeMemory, Plain),
];

/// What the router makes of a request.
#[derive(Debug)]
pub(super) enum Routed<'p> {
    /// An endpoint, with the value of its parameter, or nothing.
    To(&'static Route, &'p str),
    /// The path is known under another spelling.
    Redirect(String),
    /// `OPTIONS` of a known path: the methods it has.
    Options(String),
    /// A known path without that method: the methods it has.
    WrongMethod(String),
    /// No such path.
    Unknown,
}

/// Finds who answers a request for `path`, which is decoded.
pub(super) fn find<'p>(method: &Method, path: &'p str) -> Routed<'p> {
    let same_method = || ROUTES.iter().filter(|route| route.method == *method);
    if let Some(found) = same_method().find_map(|route| Some(Routed::To(route, route.matches(path)?))) {
        return found;
    }
    let segments = segments(path);
    if let Some(proper) = same_method().find_map(|route| route.proper(&segments)) {
        return Routed::Redirect(proper);
    }
    let mut methods: Vec<&str> =
        ROUTES.iter().filter(|route| route.matches(path).is_some()).map(|route| route.method.as_str()).collect();
    if methods.is_empty() {
        return Routed::Unknown;
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    let methods = methods.join(", ");
    if method == Method::OPTIONS { Routed::Options(methods) } else { Routed::WrongMethod(methods) }
}

/// The segments of a path with empty ones, `.` and `..` resolved.
fn segments(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            other => segments.push(other),
        }
    }
    segments
}

impl Route {
    /// Whether requests are logged: not those of the message path, nor those of monitors.
    pub(super) fn is_logged(&self) -> bool {
        !matches!(self.endpoint, Endpoint::Publish | Endpoint::MultiPublish) && self.decoration != Raw
    }

    /// The parameter's value if `path` is this route's, empty if it has none.
    fn matches<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.path.strip_suffix(PARAM) {
            None => (path == self.path).then_some(""),
            Some(prefix) => path.strip_prefix(prefix).filter(|value| !value.is_empty() && !value.contains('/')),
        }
    }

    /// This route's spelling of a path, if nothing but letter case and slashes is different.
    fn proper(&self, segments: &[&str]) -> Option<String> {
        let own = || self.path.split('/').filter(|segment| !segment.is_empty());
        let alike = |(own, given): (&str, &&str)| own == PARAM || own.eq_ignore_ascii_case(given);
        if own().count() != segments.len() || !own().zip(segments).all(alike) {
            return None;
        }
        match (self.path.strip_suffix(PARAM), segments.last()) {
            (Some(prefix), Some(value)) => Some(format!("{prefix}{}", encode_segment(value))),
            _ => Some(self.path.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(method: Method, path: &str) -> String {
        match find(&method, path) {
            Routed::To(route, param) => format!("{:?} {param:?}", route.endpoint),
            Routed::Redirect(to) => format!("-> {to}"),
            Routed::Options(methods) => format!("options {methods}"),
            Routed::WrongMethod(methods) => format!("not {methods}"),
            Routed::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn paths_are_matched_exactly() {
        assert_eq!(show(Method::GET, "/ping"), "Ping \"\"");
        assert_eq!(show(Method::GET, "/config/log_level"), "ReadConfig \"log_level\"");
        assert_eq!(show(Method::PUT, "/config/X"), "WriteConfig \"X\"");
        assert_eq!(show(Method::GET, "/debug/pprof/"), "Debug(Index) \"\"");
        for unknown in ["/", "/nope", "/config", "/config/", "/config/a/b", "", "*", "/pin", "/pingg"] {
            assert_eq!(show(Method::GET, unknown), "unknown", "{unknown}");
        }
    }

    #[test]
    fn other_methods_are_told_which_there_are() {
        assert_eq!(show(Method::GET, "/pub"), "not OPTIONS, POST");
        assert_eq!(show(Method::HEAD, "/ping"), "not GET, OPTIONS");
        assert_eq!(show(Method::POST, "/config/x"), "not GET, OPTIONS, PUT");
        assert_eq!(show(Method::OPTIONS, "/ping"), "options GET, OPTIONS");
        assert_eq!(show(Method::OPTIONS, "/debug/pprof/symbol"), "options GET, OPTIONS, POST");
        assert_eq!(show(Method::OPTIONS, "/nope"), "unknown");
    }

    #[test]
    fn other_spellings_are_redirected_for_the_methods_there_are() {
        for (path, proper) in [
            ("/ping/", "/ping"),
            ("//ping", "/ping"),
            ("/PING", "/ping"),
            ("/topic/../ping", "/ping"),
            ("/debug/pprof", "/debug/pprof/"),
            ("/Debug/PProf/heap/", "/debug/pprof/heap"),
            ("/CONFIG/log_level/", "/config/log_level"),
            ("//config/Log\r\n", "/config/Log%0D%0A"),
        ] {
            assert_eq!(show(Method::GET, path), format!("-> {proper}"), "{path}");
        }
        assert_eq!(show(Method::POST, "/Topic/Create"), "-> /topic/create");
        assert_eq!(show(Method::HEAD, "/ping/"), "unknown");
        assert_eq!(show(Method::OPTIONS, "/ping/"), "unknown");
        assert_eq!(show(Method::GET, "/pub/"), "unknown");
    }
}

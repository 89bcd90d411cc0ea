//! Which endpoint a request is for. Each program has one table; everything the router says besides (other methods,
//! redirects to the proper spelling) is derived from it, and is that of the reference's router (julienschmidt/httprouter).

use hyper::Method;

use super::query::encode_segment;
use super::respond::Decoration;

/// One line of a table. `E` is what its program calls its endpoints.
#[derive(Debug)]
pub(crate) struct Route<E> {
    method: Method,
    /// Exact, or ending in [`PARAM`].
    path: &'static str,
    /// Who answers.
    pub(super) endpoint: E,
    /// How the answer is dressed.
    pub(super) decoration: Decoration,
    /// Whether requests are logged.
    pub(super) logged: bool,
}

/// Stands for one path segment, whatever it is but empty.
const PARAM: &str = ":opt";

/// A line whose requests are logged.
pub(crate) const fn route<E>(method: Method, path: &'static str, endpoint: E, decoration: Decoration) -> Route<E> {
    Route { method, path, endpoint, decoration, logged: true }
}

/// A line whose requests are too many to be logged, or nobody's concern.
pub(crate) const fn quiet<E>(method: Method, path: &'static str, endpoint: E, decoration: Decoration) -> Route<E> {
    Route { method, path, endpoint, decoration, logged: false }
}

/// What the router makes of a request.
#[derive(Debug)]
pub(super) enum Routed<'p, E: 'static> {
    /// An endpoint, with the value of its parameter, or nothing.
    To(&'static Route<E>, &'p str),
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
pub(super) fn find<'p, E>(routes: &'static [Route<E>], method: &Method, path: &'p str) -> Routed<'p, E> {
    let same_method = || routes.iter().filter(|route| route.method == *method);
    if let Some(found) = same_method().find_map(|route| Some(Routed::To(route, route.matches(path)?))) {
        return found;
    }
    let segments = segments(path);
    if let Some(proper) = same_method().find_map(|route| route.proper(&segments)) {
        return Routed::Redirect(proper);
    }
    let mut methods: Vec<&str> =
        routes.iter().filter(|route| route.matches(path).is_some()).map(|route| route.method.as_str()).collect();
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

impl<E> Route<E> {
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
    use super::super::endpoints::ROUTES;
    use super::*;

    fn show(method: Method, path: &str) -> String {
        match find(ROUTES, &method, path) {
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

//! Which endpoint a request is for. Each program has one table; everything the router says besides (other methods,
//! redirects to the proper spelling) is derived from it, and is that of the reference's router (julienschmidt/httprouter).

use std::borrow::Cow;

use hyper::Method;

use super::query::encode_segment;
use super::respond::Decoration;

/// One line of a table. `E` is what its program calls its endpoints.
#[derive(Debug)]
pub(crate) struct Route<E> {
    method: Method,
    /// Segments that begin with a colon stand for any one, whatever it is but empty.
    path: Cow<'static, str>,
    /// Who answers.
    pub(super) endpoint: E,
    /// How the answer is dressed.
    pub(super) decoration: Decoration,
    /// Whether requests are logged.
    pub(super) logged: bool,
}

/// The values of a path's parameters in order, empty where it has none.
pub(crate) type Params<'p> = [&'p str; PARAMS_MAX];

/// Parameters a path can have.
const PARAMS_MAX: usize = 2;

/// A line whose requests are logged.
pub(crate) const fn route<E>(method: Method, path: &'static str, endpoint: E, decoration: Decoration) -> Route<E> {
    Route { method, path: Cow::Borrowed(path), endpoint, decoration, logged: true }
}

/// A line whose requests are too many to be logged, or nobody's concern.
pub(crate) const fn quiet<E>(method: Method, path: &'static str, endpoint: E, decoration: Decoration) -> Route<E> {
    Route { method, path: Cow::Borrowed(path), endpoint, decoration, logged: false }
}

/// What the router makes of a request.
#[derive(Debug)]
pub(super) enum Routed<'r, 'p, E> {
    /// An endpoint, with the values of its parameters.
    To(&'r Route<E>, Params<'p>),
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
pub(super) fn find<'r, 'p, E>(routes: &'r [Route<E>], method: &Method, path: &'p str) -> Routed<'r, 'p, E> {
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
    /// The same line, below `base`: nothing, or a path that begins with a slash and does not end in one.
    pub(crate) fn below(mut self, base: &str) -> Self {
        self.path = match (base, &*self.path) {
            ("", _) => self.path,
            (base, "/") => base.to_owned().into(),
            (base, path) => format!("{base}{path}").into(),
        };
        self
    }

    /// The values of the parameters if `path` is this route's.
    fn matches<'p>(&self, path: &'p str) -> Option<Params<'p>> {
        let (mut own, mut given) = (self.path.split('/'), path.split('/'));
        let mut params = Params::default();
        let mut free = params.iter_mut();
        loop {
            match (own.next(), given.next()) {
                (None, None) => return Some(params),
                (Some(own), Some(value)) if is_param(own) && !value.is_empty() => *free.next()? = value,
                (Some(own), Some(given)) if own == given => {}
                _ => return None,
            }
        }
    }

    /// This route's spelling of a path, if nothing but letter case and slashes is different.
    fn proper(&self, segments: &[&str]) -> Option<String> {
        let own = || self.path.split('/').filter(|segment| !segment.is_empty());
        let alike = |(own, given): (&str, &&str)| is_param(own) || own.eq_ignore_ascii_case(given);
        if own().count() != segments.len() || !own().zip(segments).all(alike) {
            return None;
        }
        if !self.path.contains(PARAM) {
            return Some(self.path.clone().into_owned());
        }
        let spelled = own().zip(segments).map(|(own, given)| {
            let segment = if is_param(own) { encode_segment(given) } else { own.to_owned() };
            format!("/{segment}")
        });
        Some(spelled.collect())
    }
}

/// What the segments that are parameters begin with.
const PARAM: char = ':';

fn is_param(segment: &str) -> bool {
    segment.starts_with(PARAM)
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::ROUTES;
    use super::*;

    fn show(method: Method, path: &str) -> String {
        match find(ROUTES, &method, path) {
            Routed::To(route, [param, _]) => format!("{:?} {param:?}", route.endpoint),
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

    #[test]
    fn routes_can_lie_below_a_base_path() {
        let table = |base: &str| {
            [("/", 'i'), ("/ping", 'p'), ("/api/:topic/:channel", 'c')]
                .map(|(path, endpoint)| route(Method::GET, path, endpoint, Decoration::V1).below(base))
        };
        let shown = |base: &str, path: &str| match find(&table(base), &Method::GET, path) {
            Routed::To(route, params) => format!("{} {params:?}", route.endpoint),
            Routed::Redirect(to) => format!("-> {to}"),
            other => format!("{other:?}"),
        };
        assert_eq!(shown("", "/"), r#"i ["", ""]"#);
        assert_eq!(shown("/adm", "/adm"), r#"i ["", ""]"#);
        assert_eq!(shown("/adm", "/adm/api/t/c"), r#"c ["t", "c"]"#);
        assert_eq!(shown("/adm", "/adm/"), "-> /adm");
        assert_eq!(shown("/adm", "/ADM//Api/T/c/"), "-> /adm/api/T/c");
        for unknown in ["/", "/ping", "/adm/api/t", "/adm/api/t/", "/adm/api//c", "/adm/api/a/b/c"] {
            assert_eq!(shown("/adm", unknown), "Unknown", "{unknown}");
        }
    }
}

//! Which function of the package answers a request. Pure.

use super::{
    contract::EVENTS,
    json::{self, Value},
};

/// What `verdigris.json` says.
pub(crate) struct Package {
    functions: Value,
    routes: Vec<Route>,
}

struct Route {
    function: String,
    methods: Vec<String>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Segment {
    Literal(String),
    Name,
    Rest,
}

/// Which function answers a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Function(&'a str),
    /// The path is right, the method is not.
    Methods(Vec<&'a str>),
    Nothing,
}

/// What an event came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Queue,
    Schedule,
}

impl Package {
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let functions = json::parse(text)?.get("functions").clone();
        let mut routes: Vec<Route> = functions
            .members()
            .iter()
            .filter_map(|(name, entry)| Route::parse(name, entry.get("http")))
            .collect();
        routes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Some(Self { functions, routes })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions
            .members()
            .iter()
            .map(|(name, _)| name.as_str())
    }

    pub(crate) fn handler(&self, function: &str) -> Option<&str> {
        self.functions.get(function).get("handler").text()
    }

    pub(crate) fn queue(&self, function: &str) -> Option<&str> {
        self.functions.get(function).get("queue").text()
    }

    /// The function that answers; `only` that one where the cloud has chosen already.
    pub(crate) fn find(&self, method: &str, path: &str, only: Option<&str>) -> Found<'_> {
        let mut allowed = Vec::new();
        if path.starts_with(EVENTS) {
            return Found::Nothing;
        }
        for route in &self.routes {
            if only.is_none_or(|name| name == route.function) && route.matches(path) {
                if route.methods.is_empty() || route.methods.iter().any(|known| known == method) {
                    return Found::Function(&route.function);
                }
                allowed.extend(route.methods.iter().map(String::as_str));
            }
        }
        allowed.sort_unstable();
        allowed.dedup();
        if allowed.is_empty() {
            Found::Nothing
        } else {
            Found::Methods(allowed)
        }
    }

    /// The function and the kind of trigger that an Azure function of this name stands for.
    pub(crate) fn invoked<'a>(&self, name: &'a str) -> Option<(&'a str, Kind)> {
        let (base, suffix) = name.split_once('_').unwrap_or((name, ""));
        let has = |kind| *self.functions.get(base).get(kind) != Value::Null;
        match suffix {
            "" if has("http") => None,
            "" | "queue" if has("queue") => Some((base, Kind::Queue)),
            "" | "schedule" if has("schedule") => Some((base, Kind::Schedule)),
            _ => None,
        }
    }
}

impl Route {
    fn parse(function: &str, http: &Value) -> Option<Self> {
        let path = http.get("path").text()?;
        let methods = http.get("methods").list().iter();
        Some(Self {
            function: function.to_owned(),
            methods: methods.filter_map(Value::text).map(str::to_owned).collect(),
            segments: path
                .strip_prefix('/')?
                .split('/')
                .map(Segment::parse)
                .collect(),
        })
    }

    /// Sorts literal segments before names, and names before the rest of a path.
    fn rank(&self) -> (Vec<u8>, std::cmp::Reverse<usize>, &str) {
        let kinds = self.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 0,
            Segment::Name => 1,
            Segment::Rest => 2,
        });
        (
            kinds.collect(),
            std::cmp::Reverse(self.segments.len()),
            &self.function,
        )
    }

    fn matches(&self, path: &str) -> bool {
        let given: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        for (index, wanted) in self.segments.iter().enumerate() {
            let Some(segment) = given.get(index) else {
                return false;
            };
            let fits = match wanted {
                Segment::Rest => return given[index..].iter().any(|part| !part.is_empty()),
                Segment::Name => !segment.is_empty(),
                Segment::Literal(text) => decode_percent(segment) == text.as_bytes(),
            };
            if !fits {
                return false;
            }
        }
        given.len() == self.segments.len()
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
        {
            Some(name) if name.ends_with('+') => Self::Rest,
            Some(_) => Self::Name,
            None => Self::Literal(text.to_owned()),
        }
    }
}

/// What is not a proper escape stays as it is.
fn decode_percent(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| {
            bytes
                .get(at + offset)
                .and_then(|digit| char::from(*digit).to_digit(16))
        };
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits of four bits fit a byte.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

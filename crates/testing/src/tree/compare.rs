//! Expected trees against found ones, and the difference for people.

use throughline_lineage::{AnyValue, Forest, Kind, Node, Span, Status, Top, Trace};

use super::expected::{Expected, Said};

/// A span that was found, and those under it.
struct Found<'a> {
    span: &'a Span,
    /// The names of what it is linked to.
    links: Vec<String>,
    parent_missing: bool,
    children: Vec<Found<'a>>,
}

/// The difference, line by line; `None` if there is none.
pub(super) fn difference(expected: &[Expected], forest: &Forest) -> Option<String> {
    let tops = forest.traces().iter().flat_map(Trace::tops);
    let found: Vec<_> = tops.map(|top| Found::new(top, forest)).collect();
    if matching(expected, &found).iter().all(Option::is_some) && expected.len() == found.len() {
        return None;
    }
    let mut out = Lines::default();
    out.compare(expected, &found, 0);
    Some(out.0)
}

impl<'a> Found<'a> {
    fn new(node: Node<'a>, forest: &Forest) -> Self {
        let span = node.span();
        let name_of = |link: &throughline_lineage::Link| {
            let same = |node: &Node<'_>| {
                let span = node.span();
                (span.trace_id, span.span_id) == (link.trace_id, link.span_id)
            };
            let target = forest.nodes().find(same);
            target.map_or_else(|| "elsewhere".to_owned(), |node| node.span().name.clone())
        };
        let mut links: Vec<_> = span.links.iter().map(name_of).collect();
        links.sort_unstable();
        let is_local = span.parent_is_remote() != Some(true);
        Found {
            span,
            links,
            parent_missing: is_local && matches!(node.top(), Some(Top::ParentMissing(_))),
            children: node.children().map(|child| Found::new(child, forest)).collect(),
        }
    }

    /// What an expected line would have to say, were it right about this span.
    fn as_asked(&self, expected: &Expected) -> Expected {
        let status = match (&self.span.status, &expected.status) {
            (Status::Error(_), Some(Said::Error(None))) => Some(Said::Error(None)),
            (Status::Error(description), _) => Some(Said::Error(Some(description.clone()))),
            (Status::Ok, Some(_)) => Some(Said::Ok),
            (Status::Ok | Status::Unset, _) => None,
        };
        let asked = |(key, wanted): &(String, String)| {
            let value = self.span.attributes.get(key)?;
            let value = if wanted == "*" { wanted.clone() } else { text(value) };
            Some((key.clone(), value))
        };
        Expected {
            service: expected.service.as_ref().and(self.span.service()).map(str::to_owned),
            status,
            attributes: expected.attributes.iter().filter_map(asked).collect(),
            ..self.as_is()
        }
    }

    /// All that is worth telling of a span that nobody asked for.
    fn as_is(&self) -> Expected {
        let error_type = throughline_core::semconv::ERROR_TYPE;
        let error_type = self.span.attributes.get(error_type).map(|value| (error_type, value));
        Expected {
            kind: self.span.kind,
            name: self.span.name.clone(),
            service: self.span.service().map(str::to_owned),
            status: match &self.span.status {
                Status::Error(description) if description.is_empty() => Some(Said::Error(None)),
                Status::Error(description) => Some(Said::Error(Some(description.clone()))),
                Status::Ok => Some(Said::Ok),
                Status::Unset => None,
            },
            links: self.links.clone(),
            attributes: error_type
                .map(|(key, val)| (key.to_owned(), text(val)))
                .into_iter()
                .collect(),
            parent_missing: self.parent_missing,
            children: Vec::new(),
        }
    }

    fn matches(&self, expected: &Expected) -> bool {
        expected.children.len() == self.children.len()
            && line(expected) == line(&self.as_asked(expected))
            && matching(&expected.children, &self.children).iter().all(Option::is_some)
    }
}

/// For each expected span the found one that is as expected with all under it. As many find one
/// as can: each found span goes to one expected span, given away again where another one can do.
fn matching(expected: &[Expected], found: &[Found<'_>]) -> Vec<Option<usize>> {
    fn assign(
        index: usize,
        fits: &[Vec<bool>],
        tried: &mut [bool],
        taken_by: &mut [Option<usize>],
    ) -> bool {
        for candidate in 0..taken_by.len() {
            if !fits[index][candidate] || std::mem::replace(&mut tried[candidate], true) {
                continue;
            }
            if taken_by[candidate].is_none_or(|other| assign(other, fits, tried, taken_by)) {
                taken_by[candidate] = Some(index);
                return true;
            }
        }
        false
    }
    let fits: Vec<Vec<bool>> = expected
        .iter()
        .map(|expected| found.iter().map(|found| found.matches(expected)).collect())
        .collect();
    let mut taken_by = vec![None; found.len()];
    for index in 0..expected.len() {
        assign(index, &fits, &mut vec![false; found.len()], &mut taken_by);
    }
    let mut result = vec![None; expected.len()];
    for (candidate, index) in taken_by.into_iter().enumerate() {
        if let Some(index) = index {
            result[index] = Some(candidate);
        }
    }
    result
}

/// The lines of a difference.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn push(&mut self, mark: char, depth: usize, line: &str) {
        self.0.push_str(&format!("{mark} {}{line}\n", "  ".repeat(depth)));
    }

    fn compare(&mut self, expected: &[Expected], found: &[Found<'_>], depth: usize) {
        let mut pairs = matching(expected, found);
        let mut free: Vec<bool> = vec![true; found.len()];
        pairs.iter().flatten().for_each(|index| free[*index] = false);
        // What has the right name is meant, whatever else is wrong with it.
        for (expected, pair) in expected.iter().zip(&mut pairs).filter(|(_, pair)| pair.is_none()) {
            let is_meant = |(index, found): &(usize, &Found<'_>)| {
                free[*index]
                    && (found.span.kind, &found.span.name) == (expected.kind, &expected.name)
            };
            *pair = found.iter().enumerate().find(is_meant).map(|(index, _)| index);
            pair.iter().for_each(|index| free[*index] = false);
        }
        for (expected, pair) in expected.iter().zip(pairs) {
            match pair.map(|index| &found[index]) {
                Some(found) => {
                    let (wanted, got) = (line(expected), line(&found.as_asked(expected)));
                    if wanted == got {
                        self.push(' ', depth, &wanted);
                    } else {
                        self.push('-', depth, &wanted);
                        self.push('+', depth, &got);
                    }
                    self.compare(&expected.children, &found.children, depth + 1);
                }
                None => self.missing(expected, depth),
            }
        }
        for (found, _) in found.iter().zip(free).filter(|(_, free)| *free) {
            self.surplus(found, depth);
        }
    }

    fn missing(&mut self, expected: &Expected, depth: usize) {
        self.push('-', depth, &line(expected));
        expected.children.iter().for_each(|child| self.missing(child, depth + 1));
    }

    fn surplus(&mut self, found: &Found<'_>, depth: usize) {
        self.push('+', depth, &line(&found.as_is()));
        found.children.iter().for_each(|child| self.surplus(child, depth + 1));
    }
}

fn line(span: &Expected) -> String {
    let kind = match span.kind {
        Kind::Server => "SERVER",
        Kind::Client => "CLIENT",
        Kind::Producer => "PRODUCER",
        Kind::Consumer => "CONSUMER",
        Kind::Internal => "INTERNAL",
    };
    let mut out = format!("{kind} {}", span.name.escape_debug());
    if let Some(service) = &span.service {
        out.push_str(&format!(" [{service}]"));
    }
    match &span.status {
        Some(Said::Error(Some(description))) => out.push_str(&format!(" !error({description})")),
        Some(Said::Error(None)) => out.push_str(" !error"),
        Some(Said::Ok) => out.push_str(" !ok"),
        None => {}
    }
    for link in &span.links {
        out.push_str(&format!(" ~({link})"));
    }
    if span.parent_missing {
        out.push_str(" (parent missing)");
    }
    if !span.attributes.is_empty() {
        let pairs = span.attributes.iter().map(|(key, value)| format!("{key}={value}"));
        out.push_str(&format!(" {{{}}}", pairs.collect::<Vec<_>>().join(", ")));
    }
    out
}

fn text(value: &AnyValue) -> String {
    match value {
        AnyValue::Empty => String::new(),
        AnyValue::String(value) => value.clone(),
        AnyValue::Bool(value) => value.to_string(),
        AnyValue::Int(value) => value.to_string(),
        AnyValue::Double(value) => value.to_string(),
        AnyValue::Bytes(value) => format!("{value:?}"),
        AnyValue::Array(values) => {
            let values: Vec<_> = values.iter().map(text).collect();
            format!("[{}]", values.join(" "))
        }
        AnyValue::Map(values) => {
            let pairs: Vec<_> =
                values.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
            format!("({})", pairs.join(" "))
        }
    }
}

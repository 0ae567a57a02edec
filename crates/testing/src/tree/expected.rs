//! The text of an expected tree, read.

use throughline_lineage::Kind;

use super::TreeError;

/// A line, and those under it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) service: Option<String>,
    pub(super) status: Option<Said>,
    pub(super) links: Vec<String>,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) parent_missing: bool,
    pub(super) children: Vec<Expected>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Ok,
    Error(Option<String>),
}

impl Expected {
    pub(super) fn parse(text: &str) -> Result<Vec<Expected>, TreeError> {
        // The spans that are still open to children, by their indentation.
        let mut open: Vec<(usize, Expected)> = Vec::new();
        let mut tops = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = text.trim();
            if line.is_empty() {
                continue;
            }
            let fail =
                |reason| TreeError::Malformed { line: index + 1, text: line.to_owned(), reason };
            let indent = text.len() - text.trim_start().len();
            let above = open.first().map(|(margin, _)| *margin);
            if above.is_some_and(|margin| indent < margin) {
                return Err(fail("it is further to the left than the first line"));
            }
            close(&mut open, indent, &mut tops);
            if let Some((parent, _)) = open.last()
                && indent != parent + 2
            {
                return Err(fail("a child is indented by two spaces more than its parent"));
            }
            open.push((indent, Expected::line(line).map_err(fail)?));
        }
        close(&mut open, 0, &mut tops);
        Ok(tops)
    }

    fn line(line: &str) -> Result<Expected, &'static str> {
        let (kind, mut rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let kind = match kind {
            "SERVER" => Kind::Server,
            "CLIENT" => Kind::Client,
            "PRODUCER" => Kind::Producer,
            "CONSUMER" => Kind::Consumer,
            "INTERNAL" => Kind::Internal,
            _ => {
                return Err(
                    "it begins with SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL, then the name",
                );
            }
        };
        let mut expected = Expected {
            kind,
            name: String::new(),
            service: None,
            status: None,
            links: Vec::new(),
            attributes: Vec::new(),
            parent_missing: false,
            children: Vec::new(),
        };
        while let Some(shorter) = expected.peel(rest.trim_end()) {
            rest = shorter;
        }
        expected.name = rest.trim().to_owned();
        if expected.name.is_empty() {
            return Err("it has no name");
        }
        Ok(expected)
    }

    /// Takes the last thing that is said about a span off its line.
    fn peel<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let enclosed = |open: &str, close: char| line.strip_suffix(close)?.rsplit_once(open);
        let is_link = line.rfind(" ~(") > line.rfind(" !error(");
        if let Some(rest) = line.strip_suffix(" !error") {
            self.status = Some(Said::Error(None));
            Some(rest)
        } else if let Some(rest) = line.strip_suffix(" !ok") {
            self.status = Some(Said::Ok);
            Some(rest)
        } else if let Some(rest) = line.strip_suffix(" (parent missing)") {
            self.parent_missing = true;
            Some(rest)
        } else if is_link && let Some((rest, target)) = enclosed(" ~(", ')') {
            self.links.push(target.to_owned());
            self.links.sort_unstable();
            Some(rest)
        } else if let Some((rest, description)) = enclosed(" !error(", ')') {
            self.status = Some(Said::Error(Some(description.to_owned())));
            Some(rest)
        } else if let Some((rest, service)) = enclosed(" [", ']') {
            self.service = Some(service.to_owned());
            Some(rest)
        } else {
            let (rest, attributes) = enclosed(" {", '}')?;
            let pairs = attributes.split(',').map(|pair| pair.trim().split_once('='));
            self.attributes = pairs
                .map(|pair| pair.map(|(key, value)| (key.to_owned(), value.to_owned())))
                .collect::<Option<_>>()?;
            Some(rest)
        }
    }
}

/// Puts every span that no line at `indent` can stand under into its parent.
fn close(open: &mut Vec<(usize, Expected)>, indent: usize, tops: &mut Vec<Expected>) {
    while open.last().is_some_and(|(last, _)| *last >= indent) {
        let Some((_, done)) = open.pop() else { return };
        match open.last_mut() {
            Some((_, parent)) => parent.children.push(done),
            None => tops.push(done),
        }
    }
}

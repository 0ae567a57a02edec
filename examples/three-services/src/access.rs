//! Where SQS is, and by which keys it is asked.

use std::env::VarError;
use std::fmt;

use reqwest::Url;
use throughline::core::http::redact_url;

/// Where SQS is, for those who need it.
pub(crate) const ENDPOINT: &str = "SQS_ENDPOINT";

const KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";
const REGION: &str = "AWS_REGION";
const DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";

/// What an embedded SQS, which checks none of it, is asked by.
const ANY: &str = "test";
const EMBEDDED_REGION: &str = "us-east-1";

#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) session: Option<String>,
}

/// What is wrong with what the environment says of SQS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    #[error("{ENDPOINT} is {0}, which is no address of an SQS; it looks like http://host:port")]
    NoUrl(String),
    #[error(
        "{ENDPOINT} is {0}, and this demo is built without TLS; name an SQS that is asked by http, as ElasticMQ is, or unset it to use an embedded one"
    )]
    Tls(String),
    #[error(
        "{ENDPOINT} has a user or a query beside {0}; an SQS is asked by keys, and its address is no more than http://host:port"
    )]
    TooMuch(String),
    #[error(
        "{ENDPOINT} is set without {0}: an SQS is asked with {KEY_ID}, {SECRET} and {REGION}, of which ElasticMQ takes any"
    )]
    Missing(String),
}

impl Access {
    /// What the environment says, if it says where SQS is.
    pub(crate) fn of_environment() -> Result<Option<Self>, AccessError> {
        Self::of(|name| match std::env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            // Whoever reads it says what is wrong with it.
            Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        })
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, AccessError> {
        let variable = |name| variable(name).filter(|value| !value.trim().is_empty());
        let Some(endpoint) = variable(ENDPOINT) else { return Ok(None) };
        let Some(url) = Url::parse(&endpoint).ok().filter(Url::has_host) else {
            return Err(AccessError::NoUrl(redact_url(&endpoint).into_owned()));
        };
        // Without what may be secret.
        let shown = url.origin().ascii_serialization();
        match url.scheme() {
            "http" => {}
            "https" => return Err(AccessError::Tls(shown)),
            _ => return Err(AccessError::NoUrl(redact_url(&endpoint).into_owned())),
        }
        if !url.username().is_empty() || url.password().or(url.query()).is_some() {
            return Err(AccessError::TooMuch(shown));
        }
        let mut missing = Vec::new();
        let mut needed = |name, value: Option<String>| {
            value.unwrap_or_else(|| {
                missing.push(name);
                String::new()
            })
        };
        let access = Access {
            key_id: needed(KEY_ID, variable(KEY_ID)),
            secret: needed(SECRET, variable(SECRET)),
            region: needed(REGION, variable(REGION).or_else(|| variable(DEFAULT_REGION))),
            session: variable(SESSION),
            endpoint: url.as_str().trim_end_matches('/').to_owned(),
        };
        match missing.is_empty() {
            true => Ok(Some(access)),
            false => Err(AccessError::Missing(missing.join(", "))),
        }
    }

    /// Of an SQS that is ours.
    pub(crate) fn embedded(endpoint: &str) -> Self {
        Access {
            endpoint: endpoint.to_owned(),
            region: EMBEDDED_REGION.to_owned(),
            key_id: ANY.to_owned(),
            secret: ANY.to_owned(),
            session: None,
        }
    }

    /// The same, for the environment of others; what has no value is to be unset.
    pub(crate) fn variables(&self) -> [(&'static str, Option<&str>); 5] {
        [
            (ENDPOINT, Some(&self.endpoint)),
            (REGION, Some(&self.region)),
            (KEY_ID, Some(&self.key_id)),
            (SECRET, Some(&self.secret)),
            (SESSION, self.session.as_deref()),
        ]
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

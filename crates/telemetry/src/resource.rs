//! Who makes the spans: the resource.

mod container;

use std::borrow::Cow;

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use percent_encoding::percent_decode_str;
use throughline_core::semconv;

use crate::env::Env;

const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// The resource: what was found out, then what the code says, then what the environment says.
///
/// The SDK's own detector of `OTEL_RESOURCE_ATTRIBUTES` is not used: it leaves values
/// percent-encoded.
pub(crate) fn detect(env: &mut Env, service_name: &str, from_code: Vec<KeyValue>) -> Resource {
    let executable = executable_name();
    let fallback = || match &executable {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    };
    let name = if service_name.trim().is_empty() { fallback() } else { service_name.to_owned() };

    let mut found = vec![
        KeyValue::new(semconv::SERVICE_NAME, name),
        KeyValue::new(semconv::SERVICE_INSTANCE_ID, instance_id()),
        KeyValue::new(semconv::HOST_ARCH, host_arch()),
        KeyValue::new(semconv::OS_TYPE, os_type()),
        KeyValue::new(semconv::PROCESS_PID, i64::from(std::process::id())),
        KeyValue::new(semconv::PROCESS_RUNTIME_NAME, "rustc"),
    ];
    #[cfg(unix)]
    found.push(KeyValue::new(
        semconv::PROCESS_PARENT_PID,
        i64::from(std::os::unix::process::parent_id()),
    ));
    let mut maybe = |key: &'static str, value: Option<String>| {
        found.extend(value.map(|value| KeyValue::new(key, value)));
    };
    maybe(semconv::PROCESS_EXECUTABLE_NAME, executable.clone());
    maybe(semconv::HOST_NAME, host_name());
    maybe(semconv::CONTAINER_ID, container::id());

    let from_env = env.text(ATTRIBUTES).and_then(|text| match parse_attributes(&text) {
        Ok(attributes) => Some(attributes),
        Err(reason) => {
            env.warn(format!("{ATTRIBUTES} is ignored as a whole: {reason}"));
            None
        }
    });
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_schema_url(found, semconv::SCHEMA_URL)
        .with_attributes(from_code)
        .with_attributes(from_env.unwrap_or_default())
        .with_attributes(
            env.text(SERVICE_NAME).map(|name| KeyValue::new(semconv::SERVICE_NAME, name)),
        )
        .build()
}

/// The name that came out in the end.
pub(crate) fn service_name(resource: &Resource) -> Option<String> {
    let name = resource.get_ref(&Key::from_static_str(semconv::SERVICE_NAME))?;
    Some(name.as_str().into_owned())
}

/// `k=v,k=v`, percent-encoded. One member that can't be read discards them all, as the
/// specification asks: half a resource would be taken for a whole one.
fn parse_attributes(text: &str) -> Result<Vec<KeyValue>, String> {
    let decode = |part: &str| {
        percent_decode_str(part.trim())
            .decode_utf8()
            .map(Cow::into_owned)
            .map_err(|_| format!("{part:?} is not UTF-8 once percent-decoded"))
    };
    let mut attributes = Vec::new();
    for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (key, value) = member
            .split_once('=')
            .ok_or_else(|| format!("{member:?} is not of the form key=value"))?;
        let (key, value) = (decode(key)?, decode(value)?);
        if key.is_empty() {
            return Err(format!("{member:?} has no key"));
        }
        // A service without a name is worse off than one with the name from the code.
        if key != semconv::SERVICE_NAME || !value.is_empty() {
            attributes.push(KeyValue::new(key, value));
        }
    }
    Ok(attributes)
}

/// A random UUID (version 4), as the conventions recommend for it.
fn instance_id() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The standard library can't ask for it; a variable is what remains outside Linux.
fn host_name() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

fn executable_name() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

fn os_type() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "dragonfly" => "dragonflybsd",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_percent_decoded_and_all_or_nothing() {
        let read = parse_attributes(" team=a%2Cb , note=x=y,").unwrap();
        assert_eq!(read, [KeyValue::new("team", "a,b"), KeyValue::new("note", "x=y")]);
        assert_eq!(parse_attributes("service.name=").unwrap(), []);
        assert!(parse_attributes("a=1,b").unwrap_err().contains("\"b\""));
        assert!(parse_attributes("=1").unwrap_err().contains("no key"));
        assert!(parse_attributes("a=%ff").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn an_instance_id_is_a_random_uuid() {
        let id = instance_id();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert_ne!(id, instance_id());
    }
}

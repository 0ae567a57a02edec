//! The methods that a server has, as its build has written them down.

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

/// A descriptor set that can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "these bytes are no descriptor set: {0}; give what `file_descriptor_set_path` of the build \
     script wrote, by `tonic::include_file_descriptor_set!`"
)]
pub struct DescriptorError(#[from] prost::DecodeError);

/// The methods in a descriptor set, `orders.v1.Orders/Place`, for
/// [`methods`](crate::HttpServerLayer::methods).
///
/// # Errors
///
/// If the bytes are no descriptor set.
pub fn methods_of(descriptor_set: &[u8]) -> Result<Vec<String>, DescriptorError> {
    let set = FileDescriptorSet::decode(descriptor_set)?;
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let package = file.package().trim_matches('.');
            let dot = if package.is_empty() { "" } else { "." };
            let names = service.method.iter().map(MethodDescriptorProto::name);
            methods.extend(names.map(|name| format!("{package}{dot}{}/{name}", service.name())));
        }
    }
    Ok(methods)
}

#[cfg(test)]
mod tests {
    use prost_types::{FileDescriptorProto, ServiceDescriptorProto};

    use super::*;

    fn file(package: Option<&str>, service: &str, methods: &[&str]) -> FileDescriptorProto {
        let method = |name: &&str| MethodDescriptorProto {
            name: Some((*name).to_owned()),
            ..MethodDescriptorProto::default()
        };
        FileDescriptorProto {
            package: package.map(str::to_owned),
            service: vec![ServiceDescriptorProto {
                name: Some(service.to_owned()),
                method: methods.iter().map(method).collect(),
                ..ServiceDescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        }
    }

    #[test]
    fn methods_have_their_package_and_their_service() {
        let set = FileDescriptorSet {
            file: vec![
                file(Some("orders.v1"), "Orders", &["Place", "Watch"]),
                file(None, "Bare", &["It"]),
            ],
        };
        let found = methods_of(&set.encode_to_vec());
        let wanted = ["orders.v1.Orders/Place", "orders.v1.Orders/Watch", "Bare/It"];
        assert_eq!(found.ok(), Some(wanted.map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_is_none_is_an_error() {
        let said = methods_of(b"\xff\xff").map_err(|error| error.to_string());
        assert!(said.is_err_and(|said| said.contains("no descriptor set")));
    }
}

//! Requests as they are written in AWS's JSON 1.0.

use std::collections::BTreeMap;

use serde::Deserialize;

macro_rules! request {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        pub(super) struct $name { $(pub(super) $field: Option<$type>),* }
    )*};
}

pub(super) type Map<T> = BTreeMap<String, T>;

// What is missing is found missing by whoever needs it, and named as AWS names it.
request! {
    CreateQueue { queue_name: String, attributes: Map<String> }
    GetQueueUrl { queue_name: String }
    GetQueueAttributes { queue_url: String, attribute_names: Vec<String> }
    SetQueueAttributes { queue_url: String, attributes: Map<String> }
    ListQueues { queue_name_prefix: String, max_results: i64, next_token: String }
    OfQueue { queue_url: String }
    ReceiveMessage {
        queue_url: String,
        attribute_names: Vec<String>,
        message_system_attribute_names: Vec<String>,
        message_attribute_names: Vec<String>,
        max_number_of_messages: i64,
        visibility_timeout: i64,
        wait_time_seconds: i64,
        receive_request_attempt_id: String,
    }
    AttributeValue {
        data_type: String,
        string_value: String,
        binary_value: String,
        string_list_values: Vec<String>,
        binary_list_values: Vec<String>,
    }
}

/// A request about one message, or an entry of a batch.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Entry {
    pub(super) queue_url: Option<String>,
    /// Entries have one.
    pub(super) id: Option<String>,
    pub(super) message_body: Option<String>,
    pub(super) delay_seconds: Option<i64>,
    pub(super) message_attributes: Option<Map<AttributeValue>>,
    pub(super) message_system_attributes: Option<Map<AttributeValue>>,
    pub(super) message_deduplication_id: Option<String>,
    pub(super) message_group_id: Option<String>,
    pub(super) receipt_handle: Option<String>,
    pub(super) visibility_timeout: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Batch {
    pub(super) queue_url: Option<String>,
    pub(super) entries: Option<Vec<Entry>>,
}

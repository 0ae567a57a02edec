//! SQS on a real socket: [`Sqs`], what is in its queues, and how it fails on demand.
//!
//! # Errors on demand
//!
//! [`Sqs::fail_next`] lets requests fail: before anything is done or after it, by an error or by a
//! connection that is closed, and one entry of a batch alone. [`Sqs::requests`] says how often a client
//! has tried.
//!
//! ```
//! use throughline_testing::embedded::Sqs;
//! use throughline_testing::embedded::sqs::{Fault, Operation};
//!
//! let sqs = Sqs::start()?;
//! // Sent, and not answered: a client that tries again makes a double.
//! sqs.fail_next(Operation::SendMessage, 1, Fault::CloseAfter);
//! # Ok::<(), throughline_testing::embedded::SqsError>(())
//! ```
//!
//! # Time
//!
//! The server has a clock of its own, which [`Sqs::advance`] puts forward. By it messages become
//! visible, polls end, and deduplication forgets: no test has to wait for that. Times in answers are
//! the clock's, too. A request begins to wait when it is counted.
//!
//! # What it is not
//!
//! - Signatures and permissions aren't checked (a right that is missing is [`Fault::Refused`]), nothing
//!   is encrypted, and nothing is kept on disk. All queues are of one account, 000000000000, and of
//!   us-east-1.
//! - It is kinder than AWS in what is left to chance there: a receive finds all that is there, messages
//!   come in the order in which they were sent, counts are exact, nothing comes twice unless a
//!   fault makes it, and a poll whose caller has gone takes nothing ([`Fault::CloseAfter`] does).
//! - It knows the operations of [`Operation`] and no others, of the attributes of a queue those about
//!   time, size, order and dead letters, and no `ReceiveRequestAttemptId`. What it doesn't know it
//!   refuses, and doesn't ignore.
//! - A message that was received too often goes to the dead letters when its queue is asked for
//!   messages the next time, not by itself.
//!
//! # Where ElasticMQ differs
//!
//! The same cases run on this server and on ElasticMQ 1.6.14 with `sqs-limits = strict`. Where the two
//! differ, AWS's documents decide what this one does:
//!
//! | what | here, as AWS documents it | ElasticMQ |
//! |---|---|---|
//! | `x-amzn-query-error` | the older name of an error, which SDKs still show | isn't sent: they show the newer |
//! | `content-type` of an error | `application/x-amz-json-1.0` | `application/json` |
//! | codes of refused messages | `InvalidParameterValue`, `InvalidMessageContents`, `MissingParameter` | `InvalidAttributeValue` or `MissingParameter` |
//! | codes of refused names of queues | `InvalidParameterValue` | `InvalidAttributeName` |
//! | codes of refused redrive policies | `InvalidParameterValue` | `InvalidAttributeValue`, `QueueDoesNotExist` |
//! | bounds of `ReceiveMessage` | `InvalidParameterValue` | `InvalidAttributeValue` |
//! | values that are no numbers | `InvalidAttributeValue` | `InvalidParameterValue` |
//! | what can't be read | `SerializationException` | HTTP 500, or whatever |
//! | the largest message | 1 MiB, of a batch in all, too | 256 KiB |
//! | what the size of a message counts | bytes | characters |
//! | attributes toward the size of a message | count | don't |
//! | `MaximumMessageSize` | holds, from 1 KiB to 1 MiB | is ignored |
//! | names of message attributes | have their grammar | are any |
//! | types that only begin like one | `InvalidParameterValue` | are taken |
//! | types of more than 256 bytes | `InvalidParameterValue` | are taken |
//! | an empty binary value | `InvalidParameterValue` | is taken |
//! | two values in one attribute | `InvalidParameterValue` | are taken |
//! | lists as values | `UnsupportedOperation` | are ignored |
//! | numbers of more than 38 digits, or too small | `InvalidParameterValue` | are taken |
//! | unknown message system attribute, malformed `AWSTraceHeader` | `InvalidParameterValue` | is taken |
//! | `MD5OfMessageSystemAttributes` | is sent | isn't |
//! | attributes by `prefix.*` | all whose names start with `prefix` | none |
//! | an empty receive | no list | an empty list |
//! | an empty batch | `EmptyBatchRequest` | is taken |
//! | ids of batch entries | have their grammar | are any |
//! | delete by an old receipt | succeeds; a message received since stays | `ReceiptHandleIsInvalid` |
//! | `SequenceNumber` of the entries of a batch | is sent | isn't |
//! | a group of which one message is given back and another isn't | is locked | isn't; the message loses its turn |
//! | a new delay of a FIFO queue | is that of the messages in it, too | is that of new ones |
//! | an expired receipt of a FIFO queue | `InvalidParameterValue` | is taken |
//! | hide what isn't in flight | `MessageNotInflight` | it is hidden |
//! | hide what is deleted | `InvalidParameterValue` | `ReceiptHandleIsInvalid` |
//! | visibility timeouts above 12 hours or below 0 | are refused; the 12 hours begin with the receive | are taken |
//! | bounds of a queue's attributes | `InvalidAttributeValue` | aren't kept |
//! | unknown names of attributes | `InvalidAttributeName` | are ignored |
//! | attributes of FIFO queues on others | `InvalidAttributeName` | are ignored |
//! | a queue that is made FIFO later | `InvalidAttributeValue` | is ignored |
//! | a change that is refused | changes nothing | changes what comes before |
//! | `MessageRetentionPeriod` and `MaximumMessageSize` among the attributes of a queue | are there | aren't |
//! | `MaxResults` and `NextToken` of `ListQueues` | page by page | all at once |
//! | a second purge within 60 seconds | `PurgeQueueInProgress` | is done |
//! | a queue of a name deleted within 60 seconds | `QueueDeletedRecently` | is created |
//! | `MessageDeduplicationId` of a dead letter | is what it was | is the message's id |
//! | dead letters of another type of queue | `InvalidParameterValue` | are taken |

mod attribute;
mod clock;
mod fault;
mod handle;
mod listener;
mod message;
mod messages;
mod queue;
mod receipt;
mod refusal;
mod send;
mod server;
mod settings;
mod state;
mod wire;

pub use attribute::Attribute;
pub use fault::{Fault, Operation};
pub use handle::{Sqs, SqsError};
pub use message::{Message, MessageState};

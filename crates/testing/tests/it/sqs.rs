//! The handle of the embedded SQS; what its clients see is in `integration-tests`.

use std::net::TcpStream;

use throughline_testing::embedded::sqs::Operation;
use throughline_testing::embedded::{Sqs, SqsError};

#[test]
fn it_listens_until_it_is_dropped() {
    let sqs = Sqs::start().unwrap();
    assert_eq!(sqs.endpoint(), format!("http://{}", sqs.address()));
    let taken = Sqs::bind(sqs.address()).unwrap_err();
    assert!(matches!(taken, SqsError::Busy(address) if address == sqs.address()), "{taken}");
    let address = sqs.address();
    assert!(TcpStream::connect(address).is_ok());
    drop(sqs);
    assert!(TcpStream::connect(address).is_err());
    // At once.
    Sqs::bind(address).unwrap();
}

#[test]
fn queues_are_created_without_a_client() {
    let sqs = Sqs::start().unwrap();
    let url = sqs.create_queue("orders", &[("VisibilityTimeout", "5")]).unwrap();
    assert_eq!(url, format!("{}/000000000000/orders", sqs.endpoint()));
    assert_eq!(url, sqs.queue_url("orders"));
    assert!(sqs.messages("orders").unwrap().is_empty());
    assert_eq!(sqs.in_flight("orders").unwrap(), 0);
    assert_eq!(sqs.requests(Operation::CreateQueue), 0);
}

#[test]
fn it_says_what_it_cannot_do() {
    let sqs = Sqs::start().unwrap();
    let refused = sqs.create_queue("orders", &[("VisibilityTimeout", "43201")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the embedded SQS can't create the queue `orders`: InvalidAttributeValue: Invalid value for the parameter VisibilityTimeout."
    );
    let unknown = sqs.messages("orders").unwrap_err();
    assert!(matches!(unknown, SqsError::Refused { .. }), "{unknown}");
    assert!(sqs.in_flight("orders").is_err());
}

#[test]
fn it_can_be_shared_by_threads() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Sqs>();
}

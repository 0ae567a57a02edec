//! The law by type: what nobody can write, and what everybody can.
//!
//! Each of `tests/law/*.rs` breaks one promise and must not compile; what the compiler says is kept
//! beside it. After a change there, or of the compiler: `TRYBUILD=overwrite cargo test -p
//! throughline-sqs --test queue law`, and read what it changed.

use throughline_sqs::{Delivery, Error, Queue};

#[test]
fn what_breaks_the_law_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/law/*.rs");
}

/// What keeps the law compiles, and that is all there is to see: nothing here is run.
#[test]
fn what_keeps_the_law_compiles() {
    let _ = (spawned_loop, borrowing_handler, task_of_its_own, any_error);
}

/// A loop over `receive` and `process` is a future that any runtime's threads can run.
fn spawned_loop(queue: Queue) -> tokio::task::JoinHandle<Result<(), Error>> {
    tokio::spawn(async move {
        loop {
            for delivery in queue.receive().await? {
                let length = delivery.process(async |message| {
                    tokio::task::yield_now().await;
                    Ok::<_, String>(message.body().len())
                });
                assert!(length.await.is_ok());
            }
        }
    })
}

/// A handler borrows what it needs, to read and to write, and returns what it likes.
async fn borrowing_handler(delivery: Delivery, names: &[String]) -> Result<usize, String> {
    let mut bytes = 0;
    let first = delivery.process(async |message| {
        bytes += message.body().len();
        tokio::task::yield_now().await;
        names.first().ok_or_else(|| message.message_id().to_owned())
    });
    first.await.map(String::len)?;
    Ok(bytes)
}

/// A delivery goes into a task.
async fn task_of_its_own(queue: &Queue) -> Result<(), Error> {
    for delivery in queue.receive().await? {
        tokio::spawn(delivery.process(async |message| match message.body() {
            "" => Err("it is empty"),
            _ => Ok(()),
        }));
    }
    Ok(())
}

/// Whatever can be printed is an error.
async fn any_error(queue: Queue) -> Result<(), Error> {
    queue
        .runner()
        .run(|message| async move {
            let order: u32 = message.body().parse()?;
            Ok::<u32, Box<dyn std::error::Error + Send + Sync>>(order)
        })
        .await
}

//! Three calls over a real socket, and the trace they make: `cargo run -p custom-protocol`.
#![forbid(unsafe_code)]

use std::error::Error;

use custom_protocol::{Client, Frame, Server};
use throughline_core::{Config, End};
use throughline_testing::Recorder;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let recorder = Recorder::new();
    let server = Server::default()
        .configure(|config| config.with_tracer_provider(&recorder.provider_for("server")));
    let client = Client::default()
        .configure(|config| config.with_tracer_provider(&recorder.provider_for("client")));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let served =
                server.serve(connection, async |frame: Frame| match frame.body.as_slice() {
                    b"nonsense" => Err("I don't understand"),
                    body => Ok(body.to_ascii_uppercase()),
                });
            if let Err(error) = served.await {
                eprintln!("{error}");
            }
        }
    });

    let job = Config::new("custom-protocol", "0.1.0")
        .with_tracer_provider(&recorder.provider_for("client"))
        .root("three calls");
    let ((), job) = job
        .process(async {
            for body in ["hello", "nonsense", "goodbye"] {
                let frame = Frame { headers: Vec::new(), body: body.into() };
                match client.call(address, frame).await {
                    Ok(answer) => println!("{body} -> {}", String::from_utf8_lossy(&answer)),
                    Err(error) => println!("{body} -> {error}"),
                }
            }
        })
        .await;
    job.end(End::Completed);
    println!("\n{}", recorder.assert_one_trace());
    Ok(())
}

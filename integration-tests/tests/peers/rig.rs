//! Our side: a gateway that calls, a shop that answers HTTP and gRPC on one port, and the judge of
//! the traces that they and the others have made.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use opentelemetry_sdk::trace::Sampler;
use reqwest_middleware::ClientWithMiddleware;
use throughline::axum::ServerLayer;
use throughline::baggage;
use throughline::core::{Config, End, InContext};
use throughline::reqwest::ClientMiddleware;
use throughline::telemetry::{Lineage, LineageGuard};
use throughline_testing::Recorder;
use throughline_testing::embedded::Collector;
use throughline_testing::lineage::{Forest, Settings, Span, Verdict};
use throughline_testing::tree::assert_tree;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;

use crate::greeter::{self, Greeter, note};
use crate::process::PATIENCE;

pub(crate) struct Rig {
    pub(crate) recorder: Recorder,
    pub(crate) collector: Collector,
    pub(crate) lineage: Lineage,
    /// Where the shop listens, for both.
    pub(crate) shop: SocketAddr,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Rig::with(|layer| layer).await
    }

    /// With a shop whose layer is told more.
    pub(crate) async fn with(tell: impl FnOnce(ServerLayer) -> ServerLayer) -> Self {
        let guard = LineageGuard::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
        let lineage = guard.lineage();
        let recorder = Recorder::with_sampler(guard);
        let layer = tell(ServerLayer::new().with_tracer_provider(&recorder.provider_for("shop")));
        let app = Router::new()
            .route("/orders/{id}", get(order))
            .merge(Routes::new(Greeter).into_axum_router())
            .layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let shop = listener.local_addr().expect("bound");
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        let collector = Collector::start().await.expect("a collector");
        Rig { recorder, collector, lineage, shop }
    }

    /// Has a program send its spans here.
    pub(crate) fn heard(&self, mut program: Command, service: &str) -> Command {
        program
            .env("OTEL_SERVICE_NAME", service)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none");
        program
    }

    /// The greeter by tonic's own server, without axum.
    pub(crate) async fn greeter(&self) -> SocketAddr {
        let layer = throughline::tonic::ServerLayer::new()
            .with_tracer_provider(&self.recorder.provider_for("greeter"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let server = tonic::transport::Server::builder().layer(layer).add_service(Greeter);
        let serve = server.serve_with_incoming(TcpListenerStream::new(listener));
        #[expect(clippy::disallowed_methods, reason = "a server is of no trace")]
        tokio::spawn(serve);
        address
    }

    /// What the gateway does in a trace that begins here, for a tenant.
    pub(crate) async fn checkout<T>(&self, work: impl Future<Output = T>) -> T {
        let config = Config::new("peers", "1");
        let config = config.with_tracer_provider(&self.recorder.provider_for("gateway"));
        let work = async {
            let tenant = baggage::set("tenant", "acme").expect("it has room");
            InContext::new(work, tenant).await
        };
        let (answer, span) = config.root("checkout").process(work).await;
        span.end(End::Completed);
        answer
    }

    /// The gateway's client for HTTP, which calls from an address that is not the proxies'.
    pub(crate) fn http(&self) -> ClientWithMiddleware {
        let client = reqwest::Client::builder().no_proxy().local_address(Some(CALLER));
        let middleware = ClientMiddleware::new();
        let middleware = middleware.with_tracer_provider(&self.recorder.provider_for("gateway"));
        reqwest_middleware::ClientBuilder::new(client.build().expect("a client"))
            .with(middleware)
            .build()
    }

    /// Has the gateway ask for an order, at the shop or at what stands before it.
    pub(crate) async fn ask_for_order(&self, at: SocketAddr) {
        let url = format!("http://{at}/orders/42");
        let answer = self.checkout(self.http().get(url).send()).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.expect("a body"), "order 42");
    }

    /// The gateway's client for gRPC.
    pub(crate) fn client(&self, to: SocketAddr) -> greeter::Client {
        let provider = self.recorder.provider_for("gateway");
        greeter::Client::new(to, |layer| layer.with_tracer_provider(&provider))
    }

    /// Has the gateway call each method of a greeter, one of them in vain.
    pub(crate) async fn call_greeter(&self, at: SocketAddr) {
        let mut client = self.client(at);
        let work = async {
            assert_eq!(client.greet("Ada").await.expect("an answer"), "hello Ada");
            assert_eq!(client.greet_often("Bob").await.expect("answers"), ["hello Bob"; 3]);
            let said = client.chat(&["Cy", "Di"]).await.expect("answers");
            assert_eq!(said, ["hello Cy", "hello Di"]);
            let status = client.greet("nobody").await.expect_err("there is nobody");
            assert_eq!(status.code(), tonic::Code::NotFound);
        };
        self.checkout(work).await;
    }

    /// All spans, once ours have ended and so many of the others' have come.
    pub(crate) async fn spans(&self, of_others: usize) -> Vec<Span> {
        let mut spans = self.recorder.wait_all_ended(PATIENCE).await.expect("every span ends");
        spans.extend(self.collector.wait_for(of_others, PATIENCE).await.expect("they come"));
        spans
    }

    /// One trace, whole, of this shape, over these boundaries.
    pub(crate) async fn assert_whole(&self, of_others: usize, crossed: &str, tree: &str) {
        let spans = self.spans(of_others).await;
        assert_tree(&spans, tree);
        let verdict = judge(&spans);
        assert_eq!((verdict.summary.traces, verdict.summary.orphans), (1, 0), "{verdict}");
        assert!(verdict.is_unbroken() && verdict.pending.is_empty(), "{verdict}");
        let summary = verdict.summary.to_string();
        assert!(summary.ends_with(&format!("; crossed: {crossed}")), "{summary}");
        assert_eq!(self.lineage.orphans(), 0);
        println!("{summary}");
    }
}

/// The caller's side of a connection, told apart from 127.0.0.1, from where the proxies call.
pub(crate) const CALLER: std::net::IpAddr =
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

pub(crate) fn judge(spans: &[Span]) -> Verdict {
    Forest::new(spans.iter().cloned()).judge(&Settings::complete())
}

async fn order(Path(id): Path<u64>) -> String {
    note();
    format!("order {id}")
}

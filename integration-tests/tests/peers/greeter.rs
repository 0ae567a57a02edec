//! A service of three methods, and its client, as tonic's code generator would write them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use throughline::tonic::{Channel, ClientLayer};
use throughline::{baggage, boundary};
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Layer, Service};

/// On the wire what `google.protobuf.StringValue` is: the other side needs no code made for it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    value: String,
}

type Texts = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;
type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

fn hello(name: &Text) -> Result<Text, Status> {
    note();
    match &*name.value {
        "nobody" => Err(Status::not_found("there is nobody")),
        name => Ok(text(&format!("hello {name}"))),
    }
}

/// Puts on the span of the request what has come along with its trace.
pub(crate) fn note() {
    if let Some(tenant) = baggage::get("tenant") {
        boundary().set_attribute("tenant", tenant);
    }
}

fn text(value: &str) -> Text {
    Text { value: value.to_owned() }
}

struct Greet;
impl tonic::server::UnaryService<Text> for Greet {
    type Response = Text;
    type Future = Answer<Response<Text>>;
    fn call(&mut self, name: Request<Text>) -> Self::Future {
        Box::pin(async move { hello(name.get_ref()).map(Response::new) })
    }
}

struct GreetOften;
impl tonic::server::ServerStreamingService<Text> for GreetOften {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = Answer<Response<Texts>>;
    fn call(&mut self, name: Request<Text>) -> Self::Future {
        let texts = tokio_stream::iter(0..3).map(move |_| hello(name.get_ref()));
        Box::pin(async move { Ok(Response::new(Box::pin(texts) as Texts)) })
    }
}

struct Chat;
impl tonic::server::StreamingService<Text> for Chat {
    type Response = Text;
    type ResponseStream = Texts;
    type Future = Answer<Response<Texts>>;
    fn call(&mut self, names: Request<Streaming<Text>>) -> Self::Future {
        let texts = names.into_inner().map(|name| hello(&name?));
        Box::pin(async move { Ok(Response::new(Box::pin(texts) as Texts)) })
    }
}

/// The server's side.
#[derive(Clone)]
pub(crate) struct Greeter;

impl NamedService for Greeter {
    const NAME: &'static str = "peers.v1.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Text, Text>::default());
            Ok(match request.uri().path() {
                "/peers.v1.Greeter/Greet" => grpc.unary(Greet, request).await,
                "/peers.v1.Greeter/GreetOften" => grpc.server_streaming(GreetOften, request).await,
                "/peers.v1.Greeter/Chat" => grpc.streaming(Chat, request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

/// The client's side, through a channel that carries the trace.
pub(crate) struct Client(tonic::client::Grpc<Channel>);

impl Client {
    pub(crate) fn new(to: SocketAddr, layer: impl FnOnce(ClientLayer) -> ClientLayer) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{to}")).expect("a URI");
        let layer = layer(ClientLayer::for_endpoint(&endpoint));
        Client(tonic::client::Grpc::new(layer.layer(endpoint.connect_lazy())))
    }

    async fn ready(&mut self, method: &'static str) -> http::uri::PathAndQuery {
        self.0.ready().await.expect("a lazy channel is ready");
        http::uri::PathAndQuery::from_static(method)
    }

    pub(crate) async fn greet(&mut self, name: &str) -> Result<String, Status> {
        let path = self.ready("/peers.v1.Greeter/Greet").await;
        let answer = self.0.unary(Request::new(text(name)), path, ProstCodec::default()).await?;
        let Text { value } = answer.into_inner();
        Ok(value)
    }

    pub(crate) async fn greet_often(&mut self, name: &str) -> Result<Vec<String>, Status> {
        let path = self.ready("/peers.v1.Greeter/GreetOften").await;
        let request = Request::new(text(name));
        let answer = self.0.server_streaming(request, path, ProstCodec::default()).await?;
        all(answer.into_inner()).await
    }

    pub(crate) async fn chat(&mut self, names: &[&str]) -> Result<Vec<String>, Status> {
        let path = self.ready("/peers.v1.Greeter/Chat").await;
        let names: Vec<_> = names.iter().map(|name| text(name)).collect();
        let request = Request::new(tokio_stream::iter(names));
        let answer = self.0.streaming(request, path, ProstCodec::default()).await?;
        all(answer.into_inner()).await
    }
}

async fn all(mut texts: Streaming<Text>) -> Result<Vec<String>, Status> {
    let mut said = Vec::new();
    while let Some(text) = texts.message().await? {
        said.push(text.value);
    }
    Ok(said)
}

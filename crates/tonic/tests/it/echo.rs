//! A service of four methods, as tonic's code generator would write it; it does as it is told.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceId};
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::http;
use tonic::server::{Grpc, NamedService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

/// What is said, and what comes back.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

pub(crate) fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

pub(crate) type Texts = Pin<Box<dyn Stream<Item = Result<Text, Status>> + Send>>;

/// The server's side.
#[derive(Clone, Default)]
pub(crate) struct Echo {
    /// In which traces its methods ran.
    pub(crate) ran_in: Arc<Mutex<Vec<TraceId>>>,
    /// Told when a method begins to hang.
    pub(crate) hangs: Arc<Notify>,
    /// Whether it packs what it says, and unpacks what it is told.
    pub(crate) packs: bool,
}

impl Echo {
    fn note(&self) {
        let trace = Context::map_current(|current| current.span().span_context().trace_id());
        self.ran_in.lock().expect("a lock").push(trace);
    }

    /// `fail:5:why` fails with that code, `explain` says why it does, `panic` panics, `hang` never
    /// comes back.
    async fn obey(&self, said: Text) -> Result<Text, Status> {
        self.note();
        if let Some((code, why)) = said.text.strip_prefix("fail:").and_then(|it| it.split_once(':'))
        {
            return Err(Status::new(Code::from_i32(code.parse().expect("a code")), why));
        }
        match &*said.text {
            "panic" => panic!("as told"),
            "hang" => {
                self.hangs.notify_one();
                std::future::pending().await
            }
            "explain" => {
                throughline_tonic::boundary().fail(&std::io::Error::other("the disk is full"));
                Err(Status::internal("sorry"))
            }
            _ => Ok(said),
        }
    }

    async fn unary(self, request: Request<Text>) -> Result<Response<Text>, Status> {
        self.obey(request.into_inner()).await.map(Response::new)
    }

    /// Says it three times; `fail…` after the second.
    async fn server_stream(self, request: Request<Text>) -> Result<Response<Texts>, Status> {
        let said = request.into_inner();
        let echo = self.clone();
        let texts = tokio_stream::iter(0..3).then(move |index| {
            let (echo, said) = (echo.clone(), said.clone());
            async move { if index == 2 { echo.obey(said).await } else { Ok(said) } }
        });
        Ok(Response::new(Box::pin(texts)))
    }

    async fn client_stream(
        self,
        request: Request<Streaming<Text>>,
    ) -> Result<Response<Text>, Status> {
        let mut said = String::new();
        let mut texts = request.into_inner();
        while let Some(text) = texts.message().await? {
            said.push_str(&self.obey(text).await?.text);
        }
        Ok(Response::new(text(&said)))
    }

    async fn both_stream(
        self,
        request: Request<Streaming<Text>>,
    ) -> Result<Response<Texts>, Status> {
        let echo = self.clone();
        let texts = request.into_inner().then(move |text| {
            let echo = echo.clone();
            async move { echo.obey(text?).await }
        });
        Ok(Response::new(Box::pin(texts)))
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "test.v1.Echo";
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

macro_rules! method {
    ($name:ident, $kind:ident, $request:ty, $response:ty, $(stream $stream:ty)?) => {
        struct $name(Echo);
        impl tonic::server::$kind<Text> for $name {
            type Response = Text;
            $(type ResponseStream = $stream;)?
            type Future = Pin<Box<dyn Future<Output = Result<$response, Status>> + Send>>;
            fn call(&mut self, request: $request) -> Self::Future {
                Box::pin(self.0.clone().$name(request))
            }
        }
    };
}

#[allow(non_camel_case_types, reason = "named after the methods")]
mod methods {
    use super::*;
    method!(unary, UnaryService, Request<Text>, Response<Text>,);
    method!(server_stream, ServerStreamingService, Request<Text>, Response<Texts>, stream Texts);
    method!(client_stream, ClientStreamingService, Request<Streaming<Text>>, Response<Text>,);
    method!(both_stream, StreamingService, Request<Streaming<Text>>, Response<Texts>, stream Texts);

    pub(super) async fn call(
        echo: Echo,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Infallible> {
        let mut grpc = Grpc::new(ProstCodec::<Text, Text>::default());
        if echo.packs {
            grpc = grpc.accept_compressed(Gzip).send_compressed(Gzip);
        }
        Ok(match request.uri().path() {
            "/test.v1.Echo/Unary" => grpc.unary(unary(echo), request).await,
            "/test.v1.Echo/ServerStream" => {
                grpc.server_streaming(server_stream(echo), request).await
            }
            "/test.v1.Echo/ClientStream" => {
                grpc.client_streaming(client_stream(echo), request).await
            }
            "/test.v1.Echo/BothStream" => grpc.streaming(both_stream(echo), request).await,
            "/test.v1.Echo/Learnt" => grpc.unary(unary(echo), request).await,
            _ => Status::unimplemented("").into_http(),
        })
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answer {
        Box::pin(methods::call(self.clone(), request))
    }
}

/// The client's side, as it would be generated: over any channel.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) tonic::client::Grpc<throughline_tonic::Channel>);

impl Client {
    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(error.to_string()))
    }

    fn path(method: &'static str) -> http::uri::PathAndQuery {
        http::uri::PathAndQuery::from_static(method)
    }

    pub(crate) async fn unary(&mut self, request: Request<Text>) -> Result<Response<Text>, Status> {
        self.unary_of("/test.v1.Echo/Unary", request).await
    }

    pub(crate) async fn unary_of(
        &mut self,
        method: &'static str,
        request: Request<Text>,
    ) -> Result<Response<Text>, Status> {
        self.ready().await?;
        self.0.unary(request, Self::path(method), ProstCodec::default()).await
    }

    pub(crate) async fn server_stream(
        &mut self,
        said: Text,
    ) -> Result<Response<Streaming<Text>>, Status> {
        self.ready().await?;
        let path = Self::path("/test.v1.Echo/ServerStream");
        self.0.server_streaming(Request::new(said), path, ProstCodec::default()).await
    }

    pub(crate) async fn client_stream(
        &mut self,
        said: Vec<Text>,
    ) -> Result<Response<Text>, Status> {
        self.ready().await?;
        let path = Self::path("/test.v1.Echo/ClientStream");
        let said = Request::new(tokio_stream::iter(said));
        self.0.client_streaming(said, path, ProstCodec::default()).await
    }

    pub(crate) async fn both_stream(
        &mut self,
        said: Vec<Text>,
    ) -> Result<Response<Streaming<Text>>, Status> {
        self.ready().await?;
        let path = Self::path("/test.v1.Echo/BothStream");
        let said = Request::new(tokio_stream::iter(said));
        self.0.streaming(said, path, ProstCodec::default()).await
    }
}

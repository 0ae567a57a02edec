"""The greeter in Python. Nothing in here carries a context: `opentelemetry-instrument` does.

Prints its port, and ends when its standard input does.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry import baggage, trace

tracer = trace.get_tracer("greeter")


def greet(name, call):
    # Under the span of the call, if the instrumentation has made that current.
    with tracer.start_as_current_span("think") as span:
        span.set_attribute("tenant", str(baggage.get_baggage("tenant")))
    if name.value == "nobody":
        call.abort(grpc.StatusCode.NOT_FOUND, "there is nobody")
    return StringValue(value=f"hello {name.value}")


def greet_often(name, call):
    for _ in range(3):
        yield greet(name, call)


def chat(names, call):
    for name in names:
        yield greet(name, call)


def handler(of, method):
    return of(method, StringValue.FromString, StringValue.SerializeToString)


methods = {
    "Greet": handler(grpc.unary_unary_rpc_method_handler, greet),
    "GreetOften": handler(grpc.unary_stream_rpc_method_handler, greet_often),
    "Chat": handler(grpc.stream_stream_rpc_method_handler, chat),
}
server = grpc.server(ThreadPoolExecutor(4))
service = grpc.method_handlers_generic_handler("peers.v1.Greeter", methods)
server.add_generic_rpc_handlers([service])
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(grace=5).wait()

"""Calls a greeter: client.py ADDRESS. Nothing in here carries a context: `opentelemetry-instrument` does.

Prints what it is answered.
"""

import sys

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry import baggage, context, trace


def name(value):
    return StringValue(value=value)


def checkout(channel):
    def method(of, called):
        path = f"/peers.v1.Greeter/{called}"
        return of(path, StringValue.SerializeToString, StringValue.FromString)

    print(method(channel.unary_unary, "Greet")(name("Ada")).value)
    for answer in method(channel.unary_stream, "GreetOften")(name("Bob")):
        print(answer.value)
    for answer in method(channel.stream_stream, "Chat")(map(name, ["Cy", "Di"])):
        print(answer.value)
    try:
        method(channel.unary_unary, "Greet")(name("nobody"))
    except grpc.RpcError as error:
        print(error.code().name, error.details())


tracer = trace.get_tracer("till")
context.attach(baggage.set_baggage("tenant", "acme"))
# As if a request had come in, which may begin a trace.
with tracer.start_as_current_span("checkout", kind=trace.SpanKind.SERVER):
    with grpc.insecure_channel(sys.argv[1]) as channel:
        checkout(channel)

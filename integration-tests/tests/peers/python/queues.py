"""Writes to queues and reads from them: queues.py JOB…, each a name and what it is for.

Nothing in here carries a context: `opentelemetry-instrument` does. What is read is printed, with the
names of what came along.
"""

import asyncio
import os
import sys

import boto3
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from botocore.config import Config
from confluent_kafka import Consumer, Producer
from opentelemetry import baggage, context, trace

tracer = trace.get_tracer("python")
brokers = os.environ["KAFKA_BROKERS"]
sqs = boto3.client(
    "sqs",
    endpoint_url=os.environ["SQS_ENDPOINT"],
    region_name="eu-central-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    config=Config(retries={"total_max_attempts": 1}),
)


def checkout():
    """As if a request had come in, which may begin a trace."""
    return tracer.start_as_current_span("checkout", kind=trace.SpanKind.SERVER)


def think():
    """Under the span of the message, if the instrumentation has made that current."""
    with tracer.start_as_current_span("think") as span:
        span.set_attribute("tenant", str(baggage.get_baggage("tenant")))


def say(body, names):
    print(f"{body}: {' '.join(sorted(names))}", flush=True)


def kafka_send(topic):
    with checkout():
        producer = Producer({"bootstrap.servers": brokers})
        for body in ["one", "two"]:
            producer.produce(topic, body)
        producer.flush()


def consumer_of(topic):
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    return consumer


def poll(consumer):
    message = None
    while message is None:
        message = consumer.poll(1)
    return message


def say_record(message):
    say(message.value().decode(), [name for name, _ in message.headers() or []])


def kafka_receive(topic):
    consumer = consumer_of(topic)
    for _ in range(int(next(jobs))):
        say_record(poll(consumer))
        think()
    consumer.close()


def kafka_receive_batch(topic):
    consumer = consumer_of(topic)
    for message in consumer.consume(num_messages=2, timeout=30):
        say_record(message)
        think()
    consumer.close()


def kafka_forward(source):
    """With the headers that a record came with, to which the instrumentation adds its own."""
    consumer, producer = consumer_of(source), Producer({"bootstrap.servers": brokers})
    message = poll(consumer)
    say_record(message)
    producer.produce(next(jobs), message.value(), headers=message.headers())
    producer.flush()
    consumer.close()


def aiokafka_send(topic):
    async def send():
        async with AIOKafkaProducer(bootstrap_servers=brokers) as producer:
            await producer.send_and_wait(topic, b"one")

    with checkout():
        asyncio.run(send())


def aiokafka_receive(topic):
    async def receive():
        options = {"bootstrap_servers": brokers, "group_id": topic, "auto_offset_reset": "earliest"}
        async with AIOKafkaConsumer(topic, **options) as consumer:
            async for message in consumer:
                say(message.value.decode(), [name for name, _ in message.headers])
                think()
                return

    asyncio.run(receive())


def sqs_send(url):
    with checkout():
        sqs.send_message(QueueUrl=url, MessageBody="one")
        entries = [{"Id": body, "MessageBody": body} for body in ["two", "three"]]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


def messages_of(url):
    received = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=20,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return received["Messages"]


def say_message(message):
    header = {"AWSTraceHeader"} & message["Attributes"].keys()
    say(message["Body"], [*message.get("MessageAttributes", {}), *header])


def sqs_receive(url):
    for message in messages_of(url):
        say_message(message)
        think()
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def sqs_receive_batch(url):
    entries = []
    for message in messages_of(url):
        say_message(message)
        think()
        entries.append({"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]})
    sqs.delete_message_batch(QueueUrl=url, Entries=entries)


known = {
    "kafka-send": kafka_send,
    "kafka-receive": kafka_receive,
    "kafka-receive-batch": kafka_receive_batch,
    "kafka-forward": kafka_forward,
    "aiokafka-send": aiokafka_send,
    "aiokafka-receive": aiokafka_receive,
    "sqs-send": sqs_send,
    "sqs-receive": sqs_receive,
    "sqs-receive-batch": sqs_receive_batch,
}
outside = context.get_current()
tenant = baggage.set_baggage("tenant", "Söhne + Co")
jobs = iter(sys.argv[1:])
for job in jobs:
    token = context.attach(tenant if job.endswith("send") else outside)
    known[job](next(jobs))
    context.detach(token)

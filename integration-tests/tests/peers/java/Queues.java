import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.baggage.Baggage;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.Tracer;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.MessageSystemAttributeName;
import software.amazon.awssdk.services.sqs.model.MessageSystemAttributeNameForSends;
import software.amazon.awssdk.services.sqs.model.MessageSystemAttributeValue;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequestEntry;

/**
 * Writes to queues and reads from them: Queues.java JOB…, each a name and what it is for.
 *
 * <p>Nothing in here carries a context: the agent does. What is read is printed, with the names of
 * what came along.
 */
class Queues {
  static final Tracer tracer = GlobalOpenTelemetry.getTracer("java");
  static final String brokers = System.getenv("KAFKA_BROKERS");

  public static void main(String[] arguments) {
    Iterator<String> jobs = Arrays.asList(arguments).iterator();
    while (jobs.hasNext()) {
      String job = jobs.next(), target = jobs.next();
      switch (job) {
        case "kafka-send" -> checkout(() -> kafkaSend(target));
        case "kafka-receive" -> kafkaReceive(target, Integer.parseInt(jobs.next()));
        case "sqs-send" -> checkout(() -> sqsSend(target));
        case "sqs-send-in-segment" -> checkout(() -> sqsSendInSegment(target));
        case "sqs-receive" -> sqsReceive(target);
        default -> throw new IllegalArgumentException("there is no job " + job);
      }
    }
  }

  /** As if a request had come in, which may begin a trace. */
  static void checkout(Runnable work) {
    Span span = tracer.spanBuilder("checkout").setSpanKind(SpanKind.SERVER).startSpan();
    try (var current = span.makeCurrent();
        var tenant = Baggage.builder().put("tenant", "S\u00f6hne + Co").build().makeCurrent()) {
      work.run();
    } finally {
      span.end();
    }
  }

  /** Under the span of the message, if the instrumentation has made that current. */
  static void think() {
    Span span = tracer.spanBuilder("think").startSpan();
    span.setAttribute("tenant", String.valueOf(Baggage.current().getEntryValue("tenant")));
    span.end();
  }

  static void say(String body, Collection<String> names) {
    System.out.println(body + ": " + String.join(" ", names.stream().sorted().toList()));
  }

  static void kafkaSend(String topic) {
    Map<String, Object> settings = Map.of("bootstrap.servers", brokers);
    var text = new StringSerializer();
    try (var producer = new KafkaProducer<String, String>(settings, text, text)) {
      for (String body : List.of("one", "two")) {
        producer.send(new ProducerRecord<>(topic, body));
      }
    }
  }

  static void kafkaReceive(String topic, int count) {
    Map<String, Object> settings =
        Map.of(
            "bootstrap.servers", brokers,
            "group.id", topic,
            "group.protocol", "consumer",
            "auto.offset.reset", "earliest");
    var text = new StringDeserializer();
    try (var consumer = new KafkaConsumer<String, String>(settings, text, text)) {
      consumer.subscribe(List.of(topic));
      while (count > 0) {
        for (var message : consumer.poll(Duration.ofSeconds(1))) {
          var names = new ArrayList<String>();
          message.headers().forEach(header -> names.add(header.key()));
          say(message.value(), names);
          think();
          count--;
        }
      }
    }
  }

  static SqsClient sqs() {
    var keys = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
    return SqsClient.builder()
        .endpointOverride(URI.create(System.getenv("SQS_ENDPOINT")))
        .region(Region.EU_CENTRAL_1)
        .credentialsProvider(keys)
        .httpClient(UrlConnectionHttpClient.create())
        .build();
  }

  static void sqsSend(String url) {
    try (SqsClient sqs = sqs()) {
      sqs.sendMessage(it -> it.queueUrl(url).messageBody("one"));
      var entries = new ArrayList<SendMessageBatchRequestEntry>();
      for (String body : List.of("two", "three")) {
        entries.add(SendMessageBatchRequestEntry.builder().id(body).messageBody(body).build());
      }
      sqs.sendMessageBatch(it -> it.queueUrl(url).entries(entries));
    }
  }

  /** One message, with a trace header of somebody else's. */
  static void sqsSendInSegment(String url) {
    var header =
        MessageSystemAttributeValue.builder()
            .dataType("String")
            .stringValue("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1")
            .build();
    var headers = Map.of(MessageSystemAttributeNameForSends.AWS_TRACE_HEADER, header);
    try (SqsClient sqs = sqs()) {
      sqs.sendMessage(it -> it.queueUrl(url).messageBody("one").messageSystemAttributes(headers));
    }
  }

  static void sqsReceive(String url) {
    try (SqsClient sqs = sqs()) {
      var received =
          sqs.receiveMessage(
              it ->
                  it.queueUrl(url)
                      .maxNumberOfMessages(10)
                      .waitTimeSeconds(20)
                      .messageAttributeNames("All")
                      .messageSystemAttributeNames(MessageSystemAttributeName.ALL));
      for (var message : received.messages()) {
        var names = new TreeSet<>(message.messageAttributes().keySet());
        if (message.attributes().containsKey(MessageSystemAttributeName.AWS_TRACE_HEADER)) {
          names.add("AWSTraceHeader");
        }
        say(message.body(), names);
        think();
        sqs.deleteMessage(it -> it.queueUrl(url).receiptHandle(message.receiptHandle()));
      }
    }
  }
}

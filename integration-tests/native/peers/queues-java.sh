# OpenTelemetry's agent for Java, and clients of Kafka and SQS for it to find.
# shellcheck shell=bash disable=SC2154 # what another file sets
agent_version=2.20.1
agent_api_version=1.54.1 # what the agent brings
aws_java_version=2.37.3

queues-java_id() { echo "queues-java-$agent_version-$kafka_version-$aws_java_version"; }
queues-java_needs_to_install() {
  need queues-java mvn Maven
  need queues-java javac "a JDK 17" # the tests bring a program
}

queues-java_install() {
  mkdir libs && cd libs &&
    maven queues-java "$agent_version" "-Dapi.version=$agent_api_version" \
      "-Dkafka.version=$kafka_version" "-Daws.version=$aws_java_version" &&
    mv "opentelemetry-javaagent-$agent_version.jar" ../opentelemetry-javaagent.jar
}

queues-java_export() { export_as QUEUES_JAVA "$(home queues-java)"; }

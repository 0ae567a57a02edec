# Apache Kafka: one process, broker and controller.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses
kafka_version=4.1.0
kafka_cluster=dGhyb3VnaGxpbmUwMDAwMQ # any sixteen bytes in base64

kafka_id() { echo "kafka-$kafka_version"; }
kafka_needs() { need kafka java "Java 17"; }
kafka_needs_to_install() { need kafka mvn Maven; }
kafka_install() { maven kafka "$kafka_version"; }

kafka_start() {
  local port=${KAFKA_PORT:-$ports} controller=$((ports + 1)) java
  kafka_port=$port
  {
    cat "$config/kafka.properties"
    echo "listeners=BROKER://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    echo "advertised.listeners=BROKER://127.0.0.1:$port"
    echo "controller.quorum.voters=1@127.0.0.1:$controller"
    echo "log.dirs=data"
  } >"$state/kafka/server.properties"
  # Quick to start rather than quick at last.
  java="java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData -cp '$(home kafka)/*'"
  launch kafka bash -c "
    $java kafka.tools.StorageTool format -t $kafka_cluster -c server.properties &&
      exec ${java/java/java -Xmx512m} kafka.Kafka server.properties"
  export_as KAFKA_BROKERS "127.0.0.1:$port"
}

kafka_usable() { grep -q "Kafka Server started" "$logs/kafka.log" && open "$kafka_port"; }

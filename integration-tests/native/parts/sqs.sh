# ElasticMQ: SQS, nearly as strict as AWS; throughline-testing's embedded::sqs says where it isn't.
# shellcheck shell=bash disable=SC2154,SC2034 # what another file sets or uses
sqs_version=1.6.14

sqs_id() { echo "elasticmq-$sqs_version"; }
sqs_needs() { need sqs java "Java 17"; }
sqs_needs_to_install() { need sqs mvn Maven; }
sqs_install() { maven sqs "$sqs_version"; }

sqs_start() {
  sqs_port=${SQS_PORT:-$((ports + 2))}
  launch sqs env LISTEN_HOST=127.0.0.1 SQS_PORT="$sqs_port" \
    java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData \
    "-Dconfig.file=$config/elasticmq.conf" -cp "$(home sqs)/*" org.elasticmq.server.Main
  export_as SQS_ENDPOINT "http://127.0.0.1:$sqs_port"
  # Not checked, but no SDK sends anything without.
  export_as AWS_ACCESS_KEY_ID test
  export_as AWS_SECRET_ACCESS_KEY test
  export_as AWS_REGION eu-central-1
}

sqs_usable() { answers "$sqs_port" "/?Action=ListQueues"; }

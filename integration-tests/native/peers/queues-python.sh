# A Python with clients of Kafka and SQS, and OpenTelemetry's own instrumentation of them.
# shellcheck shell=bash disable=SC2154 # what another file sets

# Of other packages it is another one.
queues-python_id() {
  local made_of
  made_of=$(sha256sum <"$here/peers/queues-python.txt")
  echo "queues-python-${made_of:0:8}"
}
queues-python_needs_to_install() { need_venv queues-python; }

queues-python_install() {
  venv . && bin/python -m pip install --quiet --requirement "$here/peers/queues-python.txt" &&
    bin/python -c "import aiokafka, boto3, confluent_kafka" &&
    bin/python -c "from opentelemetry.instrumentation import aiokafka, boto3sqs, botocore, confluent_kafka"
}

# As of grpcio: for `python -m` and `python -c` only.
queues-python_export() { export_as QUEUES_PYTHON "$(home queues-python)/bin/python"; }

# An image of workers: for Dataflow, for Beam's DOCKER environment, or as a pool beside a task manager.
# From the root of the repository, with Docker:
#
#   python -m build --wheel
#   docker build -f docs/worker.Dockerfile -t deepfeast-worker .
#
# Beam's own image of the same version as the driver's: both ends must speak the same Beam.
FROM apache/beam_python3.11_sdk:2.77.0

COPY constraints.txt dist/deepfeast-*.whl /tmp/
# The versions that the driver has, so that both find the same fingerprints.
RUN pip install --no-cache-dir -c /tmp/constraints.txt torch
RUN pip install --no-cache-dir -c /tmp/constraints.txt "$(ls /tmp/deepfeast-*.whl)[minilm,bucket]" && rm /tmp/*.whl

# As it is, it runs Beam's worker. As a pool beside a Flink task manager, in the same pod:
#   docker run --entrypoint deepfeast deepfeast-worker workers --port 50000

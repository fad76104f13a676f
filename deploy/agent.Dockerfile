# The host agent as a container, from the root of the repository:
#
#   docker build --file deploy/agent.Dockerfile --tag inferwatch-agent .
#   docker run --detach --restart always --name inferwatch-agent \
#     --network host --pid host --uts host --gpus all --env NVIDIA_DRIVER_CAPABILITIES=utility \
#     --volume /:/host:ro,rslave --env INFERWATCH_AGENT_DISK_PATH=/host \
#     --env INFERWATCH_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092 inferwatch-agent
#
# The host's network, processes and name are what is sampled. Without GPUs, leave out --gpus; NVML
# comes from the host's driver through NVIDIA's container toolkit.
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY schemas schemas
COPY agents agents
COPY streams streams
COPY clickhouse clickhouse
COPY inferwatch inferwatch
# The versions that are tested; of these the agent needs a dozen.
RUN python -m venv /opt/inferwatch \
 && sed -E 's/ *\\$//; /^ *--hash/d' requirements.lock > constraints.txt \
 && /opt/inferwatch/bin/pip install --no-cache-dir --constraint constraints.txt ".[agent]"

FROM python:3.11-slim
COPY --from=build /opt/inferwatch /opt/inferwatch
USER nobody
ENTRYPOINT ["/opt/inferwatch/bin/inferwatch", "agent"]

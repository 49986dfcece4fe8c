ARG BASE_IMAGE=python:3.11-slim-bookworm

# an empty default, so that `docker build` works without --build-context
FROM scratch AS wheels

# An image's history keeps build arguments, and an index's address may hold a password, so both stay in this stage.
FROM ${BASE_IMAGE} AS install
ARG TORCH_INDEX
ARG TORCH_UNCHECKED
ARG PIP_INDEX_URL
COPY tools/install.sh locks/torch.txt locks/torch-cuda.txt /install/
RUN env | grep -E '^(TORCH_INDEX|TORCH_UNCHECKED|PIP_INDEX_URL)=.' >/install/indexes || true

# All of PyTorch, with what the images of the services lack
FROM ${BASE_IMAGE} AS torch
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=install,source=/install,target=/build \
    env $(cat /build/indexes) PIP_CACHE_DIR=/var/cache/pip \
    sh /build/install.sh --torch-only /build/torch.txt /opt/venv /wheels

# the export needs PyTorch, but the exported graph does not, so PyTorch stays in this stage
FROM torch AS export
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=install,source=/install,target=/build \
    --mount=type=bind,source=locks/modelkit.txt,target=/locks/modelkit.txt \
    --mount=type=bind,source=locks/torch-cuda.txt,target=/locks/torch-cuda.txt \
    env $(cat /build/indexes) PIP_CACHE_DIR=/var/cache/pip \
    sh /build/install.sh /locks/modelkit.txt /opt/venv /wheels
WORKDIR /app
COPY modelkit modelkit
COPY model model
COPY images images
RUN /opt/venv/bin/python -m modelkit export --model-dir model --images images --output /graph/model.onnx

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
COPY tools/install.sh locks/publisher.txt /build/
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    PIP_CACHE_DIR=/var/cache/pip sh /build/install.sh /build/publisher.txt /opt/venv /wheels
COPY modelkit /app/modelkit
COPY model /app/model
COPY images /app/images
COPY --from=export /graph /app/graph
# make the files readable by the service's user, whatever the umask of the checkout
RUN /opt/venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM ${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
CMD ["python", "-m", "modelkit", "publish", "--model-dir", "model", "--graph", "graph/model.onnx", "--images", "images"]

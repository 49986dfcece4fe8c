ARG BASE_IMAGE=python:3.11-slim-bookworm

# an empty default, so that a plain `docker build` needs no --build-context
FROM scratch AS wheels

# the export needs PyTorch; what it makes does not, so PyTorch stays behind in this stage
FROM ${BASE_IMAGE} AS export
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG PIP_INDEX_URL
COPY tools/install.sh locks/modelkit.txt /build/
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    PIP_CACHE_DIR=/var/cache/pip sh /build/install.sh /build/modelkit.txt /opt/venv /wheels
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
# readable by the service's user, whatever the umask of the checkout
RUN /opt/venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM ${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
CMD ["python", "-m", "modelkit", "publish", "--model-dir", "model", "--graph", "graph/model.onnx", "--images", "images"]

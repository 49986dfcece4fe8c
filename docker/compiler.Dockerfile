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

# The layer of PyTorch: every Dockerfile that needs PyTorch has the same lines up to here, so it is built and stored once.
FROM ${BASE_IMAGE} AS torch
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=install,source=/install,target=/build \
    env $(cat /build/indexes) PIP_CACHE_DIR=/var/cache/pip \
    sh /build/install.sh --torch-only /build/torch.txt /opt/venv /wheels

# what compiles networks ahead has PyTorch, a compiler and what publishes; no service has the compiler
FROM torch AS packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,from=install,source=/install,target=/build \
    --mount=type=bind,source=locks/modelkit.txt,target=/locks/modelkit.txt \
    --mount=type=bind,source=locks/torch-cuda.txt,target=/locks/torch-cuda.txt \
    env $(cat /build/indexes) PIP_CACHE_DIR=/var/cache/pip \
    sh /build/install.sh /locks/modelkit.txt /opt/venv /wheels

FROM packages AS build
COPY modelkit /app/modelkit
COPY model /app/model
COPY images /app/images
# make the files readable by the compiler's user, whatever the umask of the checkout
RUN /opt/venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM packages
# PyTorch names its own folder after a user, whom an id alone does not have
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1 TORCHINDUCTOR_CACHE_DIR=/tmp/inductor
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
CMD ["python", "-m", "modelkit", "compile", "--model-dir", "model", "--images", "images"]

# batched_serving on ONNX Runtime with the crate `pixels` as an extension of Python, as onnx_serving/native.Dockerfile.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG RUST_IMAGE=rust:1.95-slim-bookworm

# empty defaults, so that `docker build` works without --build-context
FROM scratch AS wheels
FROM scratch AS code

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
# the packages of a variant: locks/onnx-simd.txt has those that prepare a crop with SIMD beside
ARG LOCK=onnx
COPY tools/install.sh tools/slim.py tools/unused.txt locks/${LOCK}.txt /build/
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    PIP_CACHE_DIR=/var/cache/pip sh /build/install.sh --slim /build/${LOCK}.txt /opt/venv /wheels
# modules of the user's own: architectures and handlers; a file of ours is never replaced
COPY --from=code . /app/
COPY docker/healthcheck.py /app/
COPY serving_core /app/serving_core
COPY batched_serving /app/batched_serving
# make the files readable by the service's user, whatever the umask of the checkout
RUN /opt/venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM ${BASE_IMAGE} AS maturin
ARG PIP_INDEX_URL
COPY tools/install.sh locks/maturin.txt /build/
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    PIP_CACHE_DIR=/var/cache/pip sh /build/install.sh /build/maturin.txt /opt/maturin /wheels

# libjpeg-turbo is built from source
FROM ${RUST_IMAGE} AS tools
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake g++ make nasm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# The layer of compiled dependencies, which a change of our sources does not rebuild: empty crates of our names need them.
# Builds of several images share the registry, and cargo's own lock is not in it: one at a time fetches.
FROM tools AS dependencies
COPY --from=maturin /opt/maturin/bin/maturin /usr/local/bin/
COPY rust_serving/Cargo.toml rust_serving/Cargo.lock ./
COPY rust_serving/codecs/Cargo.toml codecs/
COPY rust_serving/models/Cargo.toml models/
COPY rust_serving/pixels/Cargo.toml pixels/
COPY rust_serving/python/Cargo.toml python/
COPY rust_serving/server/Cargo.toml server/
COPY rust_serving/python/pyproject.toml python/
# no interpreter is needed: the extension is for the stable interface of Python 3.11 and newer
ENV PYO3_NO_PYTHON=1
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    mkdir codecs/src models/src pixels/src python/src server/src \
    && touch codecs/src/lib.rs models/src/lib.rs pixels/src/lib.rs python/src/lib.rs && echo 'fn main() {}' >server/src/main.rs \
    && flock /usr/local/cargo/registry/.fetched cargo fetch --locked \
    && maturin build --manifest-path python/Cargo.toml --release --locked --offline --strip --compatibility linux --out /empty

FROM dependencies AS extension
COPY rust_serving/pixels pixels
COPY rust_serving/python python
# a source is newer than what was built of the empty crate, whenever it was checked out
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    find pixels python -name '*.rs' -exec touch {} + \
    && flock /usr/local/cargo/registry/.fetched cargo fetch --locked \
    && maturin build --manifest-path python/Cargo.toml --release --locked --offline --strip --compatibility linux --out /wheels

# what the extension adds to the packages, and nothing else
FROM build AS installed
RUN --mount=type=bind,from=extension,source=/wheels,target=/extension \
    PYTHONDONTWRITEBYTECODE=1 python -m pip --disable-pip-version-check --python /opt/venv/bin/python \
    install --quiet --root-user-action ignore --no-cache-dir --no-deps --no-index /extension/*.whl \
    && mkdir /added && cp --parents --recursive /opt/venv/lib/python*/site-packages/native_pixels* /added && chmod -R a+rX /added

FROM ${BASE_IMAGE} AS batched
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "batched_serving"]

FROM batched
COPY --from=installed /added /

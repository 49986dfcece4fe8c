# batched_serving on ONNX Runtime, without PyTorch
ARG BASE_IMAGE=python:3.11-slim-bookworm

# empty defaults, so that `docker build` works without --build-context
FROM scratch AS wheels
FROM scratch AS code

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
# the packages of onnx_simd, in the same layer
ARG LOCK=onnx-simd
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

FROM ${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp HOST=0.0.0.0 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "batched_serving"]

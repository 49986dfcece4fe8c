ARG BASE_IMAGE=python:3.11-slim-bookworm

# an empty default, so that `docker build` works without --build-context
FROM scratch AS wheels

FROM ${BASE_IMAGE} AS build
ARG PIP_INDEX_URL
COPY tools/install.sh locks/store.txt /build/
RUN --mount=type=bind,from=wheels,target=/wheels --mount=type=cache,target=/var/cache/pip \
    PIP_CACHE_DIR=/var/cache/pip sh /build/install.sh /build/store.txt /opt/venv /wheels
COPY docker/healthcheck.py /app/
COPY docker/store.py /app/docker/
# make the files readable by the service's user, whatever the umask of the checkout
RUN /opt/venv/bin/python -m compileall -q /app && chmod -R a+rX /app

FROM ${BASE_IMAGE}
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 9023
CMD ["python", "docker/store.py", "start", "--host", "0.0.0.0", "--port", "9023", "--in-memory", "--quiet"]

# One image for all services of docker-compose.yml and docker-compose.worker.yml, redis included. `make compose-images` builds
# it: it chooses the base, and lays the wheels for the base's Python into build/image, so that the build needs no package index.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS base
# A Debian base has at most a bare Python; python:*-slim has its own.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates redis-server \
        $(python3 -c 'import ensurepip, ssl, venv' 2>/dev/null || echo python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*

FROM base AS dependencies
RUN python3 -m venv /opt/scaffoldry
COPY build/image/dependencies /wheels
RUN /opt/scaffoldry/bin/pip install --no-cache-dir --no-index --find-links /wheels -r /wheels/requirements.txt

FROM base
# What redis and flower keep: a new volume takes over their owners. A volume of root's may be mounted below /root.
RUN install -d -o redis -g redis /data && install -d -o nobody -g nogroup /var/lib/flower && chmod 711 /root
COPY --from=dependencies /opt/scaffoldry /opt/scaffoldry
# Services run as whichever user .env says, who has no home here and no name, which Celery would take for root.
ENV PATH=/opt/scaffoldry/bin:$PATH PYTHONUNBUFFERED=1 HOME=/tmp \
    PYTHONWARNINGS="ignore:An entry for the specified gid,ignore:You're running the worker with superuser"
# The project comes last: a change of its own code costs one small layer.
COPY build/image/project /wheels
RUN pip install --no-cache-dir --no-index --no-deps /wheels/*.whl
WORKDIR /var/empty
CMD ["scaffoldry", "--help"]

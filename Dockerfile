# One image for the services of docker-compose.yml: worker, flower and redis. `make compose-images` builds it: it chooses
# the base, and lays the wheels for the base's Python into build/image, so that the build needs no package index.
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
RUN install -d -o redis -g redis /data
COPY --from=dependencies /opt/scaffoldry /opt/scaffoldry
ENV PATH=/opt/scaffoldry/bin:$PATH PYTHONUNBUFFERED=1
# The project comes last: a change of its own code costs one small layer.
COPY build/image/project /wheels
RUN pip install --no-cache-dir --no-index --no-deps /wheels/*.whl
WORKDIR /var/empty
CMD ["scaffoldry", "--help"]

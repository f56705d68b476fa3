# Every function in one process, for Docker, Railway, Heroku and Kubernetes; see docs/deployment.md, "A container".
#
#   docker build -t ai-gateway . && docker run -p 8000:8000 --env-file .env ai-gateway

FROM python:3.12-slim AS build
WORKDIR /app
COPY infra/requirements/container.txt /locks/
# The environment gets no pip of its own: nothing is installed where it runs.
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --quiet --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement /locks/container.txt
COPY vercel.json ./
COPY infra/__init__.py infra/
COPY infra/server/ infra/server/
COPY shared/ shared/
COPY functions/ functions/
# Byte-code is not compared with the sources' dates, which a copy may change. And whoever checked out the sources may have
# kept them to himself, but another user runs them.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app && chmod -R a+rX /app

FROM python:3.12-slim
WORKDIR /app
COPY --from=build /venv/ /venv/
COPY --from=build /app/ /app/
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# STOP_LIMIT_S: how long open streams may go on after SIGTERM. Settling takes up to 12 s more, and Kubernetes and Heroku
# wait for 30 in all; `docker stop` waits for 10 unless told otherwise.
ENV PORT=8000 \
    STOP_LIMIT_S=15
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); probe.request('GET', '/healthz'); sys.exit(probe.getresponse().status != 200)"]
# The shell reads the variables and becomes Python, which so gets the signals itself.
CMD ["/bin/sh", "-c", "exec python -m infra.server --host 0.0.0.0 --port \"$PORT\" --stop-limit-s \"$STOP_LIMIT_S\""]

#!/bin/sh
# Starts a function that streams: the Lambda Web Adapter passes requests to it over HTTP on the loopback interface.
#
# Nothing of the client's is believed on the way (--no-proxy-headers): the address is in the adapter's own header.
# The adapter lets go of a connection after 4 s without a request; the server must not be the first to do so.
cd "${LAMBDA_TASK_ROOT:-.}" || exit 1
exec python3 -m uvicorn "functions.${GROUP:?}.app:app" \
    --host 127.0.0.1 --port "${AWS_LWA_PORT:-8080}" \
    --lifespan on --log-level warning --no-access-log --no-proxy-headers --no-server-header \
    --timeout-keep-alive 75

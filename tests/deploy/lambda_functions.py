"""Functions made for the tests of the harness: a handler that does as it is told, and a server behind the adapter."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.aws.account import Account
from tests.deploy.aws.deployed import DeployedFunction
from tests.deploy.aws.functions import FunctionInstances
from tests.deploy.aws.image import Image
from tests.deploy.aws.instance import Unpacked

WITHIN_S = 30

HANDLER = """
import os, sys, threading, time

beats = 0

def beat():
    global beats
    while True:
        beats += 1
        time.sleep(0.01)

threading.Thread(target=beat, daemon=True).start()

def handler(event, context):
    match event.get("do") or event["path"][1:]:
        case "tell":
            return {"path": sys.path, "environment": dict(os.environ), "id": context.aws_request_id}
        case "count":
            return {"beats": beats, "process": os.getpid()}
        case "raise":
            raise ValueError("said no")
        case "exit":
            print("about to exit", flush=True)
            os._exit(3)
        case "sleep":
            time.sleep(event.get("for_s", 20))
            return os.getpid()
        case "answer":
            return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": "whole"}
        case "fill":
            return {"statusCode": 200, "body": "x" * event.get("size", 7_000_000)}
"""

SERVER = """
import http.server, json, os, sys, time

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        Server.asked += 1
        status = 503 if self.path == "/ready" and Server.asked < 3 else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/exit":
            os._exit(3)
        self.send_response(201)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Asked", str(Server.asked))
        self.end_headers()
        self.chunk(body)
        while self.path == "/wait" and not os.path.exists("go-on"):
            time.sleep(0.01)
        if self.path == "/break":
            self.close_connection = True
            return
        self.chunk(b"the rest")
        self.chunk(b"")

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\\r\\n".encode() + data + b"\\r\\n")

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""
RUN = '#!/bin/sh\nexec python3 server.py "$AWS_LWA_PORT"\n'
ADAPTER = {
    "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
    "AWS_LWA_INVOKE_MODE": "response_stream",
    "AWS_LWA_READINESS_CHECK_PATH": "/ready",
}


@dataclass(frozen=True, slots=True)
class FunctionMaker:
    """Lays out functions in a folder and runs them until `ending` closes."""

    folder: Path
    image: Image
    ending: AsyncExitStack

    def __call__(self, files: dict[str, str], handler: str = "code.handler", **deployed: Any) -> FunctionInstances:
        """Make the instances of one function."""
        for name, text in files.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755 if name.endswith(".sh") else 0o644)
        function = deployed_function(handler=handler, **deployed)
        log = self.ending.enter_context((self.folder / "log").open("ab"))
        instances = FunctionInstances(Unpacked(function, self.folder, Account(1)), self.image, log)
        self.ending.push_async_callback(instances.close)
        return instances

    def handler(self, **deployed: Any) -> FunctionInstances:
        """Make the function that does what its event says."""
        return self({"code.py": HANDLER}, **deployed)

    def server(self) -> FunctionInstances:
        """Make the function that streams."""
        files = {"server.py": SERVER, "run.sh": RUN}
        return self(files, "run.sh", variables=ADAPTER, layers=("LambdaAdapterLayerX86",))


def deployed_function(**given: Any) -> DeployedFunction:
    fields = {
        "name": "under-test", "arn": "arn:aws:lambda:us-east-1:123456789012:function:under-test", "handler": "",
        "role_arn": "", "timeout_s": WITHIN_S, "memory_mb": 512, "architecture": "x86_64", "layers": (),
        "code_location": "", "code_sha256": "", "variables": {}, "policy": (), "retries": 0,
        "failures_queue_arn": None, "url_invoke_mode": None,
    }  # fmt: skip
    return DeployedFunction(**{**fields, **given})

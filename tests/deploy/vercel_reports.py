"""The platform's end of the socket on which a Vercel function says that it listens, what it logs and how it failed."""

import base64
import json
import socket
import threading
from pathlib import Path
from typing import Any

CONNECT_WITHIN_S = 30.0
CLOSE_WITHIN_S = 5.0
RECEIVE_BYTES = 65_536


class FunctionReports:
    """Reads a function's messages in a thread of its own; what it logs is added to its log file.

    shape  a message is JSON and ends with a zero byte
    source  vercel_runtime/vc_init.py in every bundle (send_message, _send_server_started, setup_logging)
    """

    def __init__(self, address: Path, log: Path) -> None:
        self.address = address
        self.port: int | None = None
        self._log = log
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._read, daemon=True, name=f"reports-{address.stem}")

    def open(self) -> "FunctionReports":
        """Start to listen; the function connects as the first thing it does."""
        self._listener.bind(str(self.address))
        self._listener.listen(1)
        self._listener.settimeout(CONNECT_WITHIN_S)
        self._thread.start()
        return self

    def close(self) -> None:
        """Wait until everything is read that the function had to say; it must have ended before."""
        self._thread.join(CLOSE_WITHIN_S)
        self._listener.close()

    def _read(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, self._log.open("ab") as log:
            pending = b""
            while received := connection.recv(RECEIVE_BYTES):
                *messages, pending = (pending + received).split(b"\0")
                for message in messages:
                    log.write(self._take(json.loads(message)))
                log.flush()

    def _take(self, message: dict[str, Any]) -> bytes:
        """Note what the message says; return what of it belongs into the log."""
        match message:
            case {"type": "server-started", "payload": {"httpPort": int(port)}}:
                self.port = port
            case {"type": "log", "payload": {"message": str(encoded)}}:
                text = base64.b64decode(encoded)
                return text if text.endswith(b"\n") else text + b"\n"
            case {"type": "unrecoverable-error", "payload": {"message": str(text)}}:
                return f"{text}\n".encode()
        return b""

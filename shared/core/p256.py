"""Public keys on the curve P-256, checked without a library: a mistyped one should stop a function before it starts."""

import base64
import binascii
import re

_BODY = r"[\sA-Za-z0-9+/=]+"
_PEM = re.compile(rf"\s*(?:-----BEGIN PUBLIC KEY-----({_BODY})-----END PUBLIC KEY-----|({_BODY}))\s*")
# How the DER of every uncompressed key begins, up to its point; x and y are 32 bytes each.
# source: https://www.rfc-editor.org/rfc/rfc5480#section-2
_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_COORDINATE_BYTES = 32
# source: https://nvlpubs.nist.gov/nistpubs/SpecialPublications/NIST.SP.800-186.pdf, 3.2.1.3
_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_LINE_LENGTH = 64


def read_public_key(text: str) -> str | None:
    """Return the key as PEM in its usual lines; None for anything that is no public key on this curve.

    shape   text: PEM whose line breaks may be missing, or written as backslash and n; or what stands between its first
            and its last line, which is one word, so that no shell and no env file takes it for more
    """
    match = _PEM.fullmatch(text.replace("\\n", "\n"))
    if match is None:
        return None
    try:
        der = base64.b64decode("".join((match[1] or match[2]).split()), validate=True)
    except binascii.Error:
        return None
    if len(der) != len(_PREFIX) + 2 * _COORDINATE_BYTES or not der.startswith(_PREFIX):
        return None
    return _pem(der) if _is_on_curve(der[len(_PREFIX) :]) else None


def _is_on_curve(point: bytes) -> bool:
    x, y = int.from_bytes(point[:_COORDINATE_BYTES]), int.from_bytes(point[_COORDINATE_BYTES:])
    return x < _PRIME and y < _PRIME and (y * y - (x * x * x - 3 * x + _B)) % _PRIME == 0


def _pem(der: bytes) -> str:
    body = base64.b64encode(der).decode()
    lines = [body[start : start + _LINE_LENGTH] for start in range(0, len(body), _LINE_LENGTH)]
    return "\n".join(("-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""))

"""The signature against AWS's own examples; in tests/deploy an account that checks signatures takes it."""

from datetime import UTC, datetime

import pytest

from shared.clients.aws_signature import AwsCredentials, sign_post

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-test-suite.html
EXAMPLE = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "")
SCOPE = ("us-east-1", "service", datetime(2015, 8, 30, 12, 36, tzinfo=UTC))


@pytest.mark.parametrize(
    ("headers", "signed_headers", "signature"),
    [
        ({}, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            {"My-Header1": " value1 "},
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
    ],
)
def test_the_published_examples_are_signed_as_published(
    headers: dict[str, str], signed_headers: str, signature: str
) -> None:
    signed = sign_post("https://example.amazonaws.com/", headers, b"", credentials=EXAMPLE, scope=SCOPE)
    assert signed["x-amz-date"] == "20150830T123600Z"
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )


def test_the_body_the_session_and_the_host_are_all_signed() -> None:
    signatures = set()
    for token, host, body in [
        ("", "a.test", b""),
        ("", "a.test", b"{}"),
        ("", "b.test", b""),
        ("token", "a.test", b""),
    ]:
        credentials = AwsCredentials("AKIDEXAMPLE", "secret", token)
        signed = sign_post(f"https://{host}/", {}, body, credentials=credentials, scope=SCOPE)
        assert signed.get("x-amz-security-token", "") == token
        signatures.add(signed["authorization"].rpartition("=")[2])
    assert len(signatures) == 4

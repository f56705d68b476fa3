"""What is stored of a key."""

import pytest

from shared.core.ids import PrivyId
from shared.keys.fingerprint import fingerprint, fingerprints, secret_id, session_fingerprints
from shared.keys.format import generate_secret


def test_a_fingerprint_is_the_name_of_its_secret_and_the_start_of_an_hmac_sha256() -> None:
    # RFC 4231, test case 2, less its last four bytes.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b9"
    assert fingerprint("what do ya want for nothing?", "Jefe") == secret_id("Jefe") + expected


def test_a_fingerprint_is_32_bytes_in_lower_case() -> None:
    found = fingerprint(generate_secret("live"), "x" * 32)
    assert len(bytes.fromhex(found)) == 32
    assert found == found.lower()


def test_keys_under_one_secret_can_be_counted_by_its_name() -> None:
    names = {fingerprint(generate_secret("live"), secret)[:8] for secret in ("new", "old") for _ in range(20)}
    assert names == {secret_id("new"), secret_id("old")}


def test_each_secret_of_ours_gives_another_fingerprint_in_its_order() -> None:
    assert fingerprints("k", ("new", "old")) == (fingerprint("k", "new"), fingerprint("k", "old"))
    assert fingerprint("k", "new")[8:] != fingerprint("k", "old")[8:]


def test_a_sign_in_and_a_key_are_never_the_same() -> None:
    privy_id = PrivyId("did:privy:abc")
    assert session_fingerprints(privy_id, ("new", "old")) == fingerprints("session:did:privy:abc", ("new", "old"))
    assert session_fingerprints(privy_id, ("new",)) != fingerprints(privy_id, ("new",))


def test_empty_secret_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        fingerprint("k", "")
    with pytest.raises(ValueError, match="empty"):
        secret_id("")

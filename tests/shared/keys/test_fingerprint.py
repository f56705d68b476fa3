"""What is stored of a key."""

import pytest

from shared.keys.fingerprint import fingerprint, fingerprints


def test_fingerprint_is_plain_hmac_sha256() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert fingerprint("what do ya want for nothing?", "Jefe") == expected


def test_each_secret_of_ours_gives_another_fingerprint_in_its_order() -> None:
    assert fingerprints("k", ("new", "old")) == (fingerprint("k", "new"), fingerprint("k", "old"))
    assert fingerprint("k", "new") != fingerprint("k", "old")


def test_empty_secret_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        fingerprint("k", "")

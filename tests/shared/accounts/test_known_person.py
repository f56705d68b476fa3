"""Someone whose account was made before we knew that two addresses are one mailbox."""

from shared.core.ids import PrivyId
from shared.flows.remembered_people import known_person


def test_a_mailbox_that_was_kept_in_another_spelling_is_known_again() -> None:
    secrets = ("a" * 40, "b" * 40)
    kept, now = [known_person(PrivyId("did:privy:1"), box, secrets) for box in ("a.da@proton.me", "ada@proton.me")]
    assert kept.email_hmacs == now.email_hmacs
    assert kept.email_normalised == "a.da@proton.me"

"""Any two calls for one account, made to meet at each lock while SECRET_KEY is being rotated: none waits for ever."""

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, Books, call, connect_as_service
from tests.sql.claims import claim_of
from tests.sql.customers import Customer, bounds_of, caller_of, hmac_of, settlement
from tests.sql.key_owners import MadeKey, make_key, make_owner, new_secret, receipt_of, settings
from tests.sql.races import LOCK_WALLET, PATIENCE_S, Call

GATES = {
    "account": "select from gateway.accounts where id = %(account_id)s for no key update",
    "wallet": LOCK_WALLET.replace("%s", "%(account_id)s"),
    "secret": "select from gateway.key_secrets where key_id = %(key_id)s for update",
    "key": "select from gateway.api_keys where id = %(key_id)s for no key update",
}
NAME_PERSON = "update gateway.accounts set privy_id = %s, external_id = null where id = %s"
ADD_SPENT = """
    insert into gateway.key_secrets (key_hmac, key_id, expires_at)
    values (decode(%s, 'hex'), %s, clock_timestamp() - interval '1 s')
"""
MAKE_DUE = """
    update gateway.api_keys set rotate_every_days = 7, rotates_at = '2026-01-01', pending_secret = %s,
           pending_secret_id = case when %s then decode('01020304', 'hex') end where id = %s
"""
END_CLAIMS = "update gateway.replays set expires_at = clock_timestamp() - interval '1 s' where account_id = %s"
COUNT_WAITING = "select count(*) from pg_stat_activity where pid = any (%s) and wait_event_type = 'Lock'"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Meeting:
    """An account whose keys all stand under an older secret of ours, and what two calls may do to one of them."""

    owner: Customer
    key: MadeKey
    generation_id: uuid.UUID
    privy_id: str

    def caller(self, key_hmac: str, scope: str) -> dict[str, object]:
        """Return one who calls for the first time since our secret was replaced."""
        return caller_of(hmac_of(f"newest {key_hmac}"), key_hmac, scope=scope)


def meeting(books: Books, *, has_pending: bool) -> Meeting:
    owner = make_owner(books)
    key = make_key(owner, scopes=["inference", "account:read", "account:write", "keys:read", "keys:write"])
    privy_id = f"did:privy:meeting{owner.account_id}"
    books.rows(NAME_PERSON, privy_id, owner.account_id)
    books.rows("select gateway.open_session(%s, %s)", owner.account_id, [hmac_of(privy_id)])
    for claim in ("over", "live"):
        generation_id = owner.admitted(tokens=10, key_hmacs=[key.key_hmac], claim=claim_of(claim))
        if claim == "over":
            owner.settle(generation_id, 5, answer="sealed")
            books.rows(END_CLAIMS, owner.account_id)
    books.rows(ADD_SPENT, hmac_of(f"spent {key.id}"), key.id)
    books.rows(MAKE_DUE, "sealed" if has_pending else None, has_pending, key.id)
    return Meeting(owner, key, generation_id, privy_id)


def _admit(at: Meeting, by: str) -> Call:
    caller = at.caller(by, "inference")
    asked = {"models": [MODEL], "providers": None, "request": bounds_of(10), "lifetime_s": 60}
    return "admit", {"generation_id": uuid.uuid4(), "caller": caller, "claim": claim_of("over"), **asked}


def _settle(at: Meeting, by: str) -> Call:
    return "settle", {"generation_id": at.generation_id, **settlement(at.owner.books, 5, answer="sealed")}


def _create(at: Meeting, by: str) -> Call:
    receipt = receipt_of(f"create {by}", sealed="sealed")
    asked = {"key": settings(scopes=["inference"]), "secret": new_secret(), "receipt": receipt}
    return "create_key", {"caller": at.caller(by, "keys:write"), **asked}


def _change(function: str, **arguments: object) -> Callable[[Meeting, str], Call]:
    def calls(at: Meeting, by: str) -> Call:
        return function, {"caller": at.caller(by, "keys:write"), "key_id": at.key.id, **arguments}

    return calls


def _rotate(at: Meeting, by: str) -> Call:
    receipt = receipt_of(f"rotate {by}", sealed="sealed")
    return _change("rotate_key", secret=new_secret(), overlap_hours=1, receipt=receipt)(at, by)


def _register(at: Meeting, by: str) -> Call:
    name = at.owner.books.value("select name from gateway.api_keys where id = %s", at.key.id)
    key = {"name": name, "environment": "live", "masked": "gw_…", "key_hmac": hmac_of(f"anew {next(_numbers)}")}
    return "create_api_key", {"account_id": at.owner.account_id, **key}


def _rotate_due(at: Meeting, by: str) -> Call:
    secret = {**new_secret(), "sealed": "sealed", "secret_id": "01020304"}
    due = {"key_id": at.key.id, "due_at": "2026-01-01T00:00:00Z"}
    return "rotate_due_key", {**due, "secret": secret, "overlap_hours": 168}


def _delete_account(at: Meeting, by: str) -> Call:
    leaver = {"privy_id": at.privy_id, "privy_id_hmac": hmac_of(f"left {at.privy_id}")}
    return "delete_account", {"caller": at.caller(by, "account:write"), "leaver": leaver}


def _sign_in(at: Meeting, by: str) -> Call:
    sessions = [hmac_of(f"newest {at.privy_id}"), hmac_of(at.privy_id)]
    first_key = {"name": "default", **new_secret()}
    request = {"address": None, "request_id": "req_test", "receipt": None}
    person = {"privy_id": at.privy_id, "email": "a@example.com", "email_normalised": "a@example.com"}
    return "sign_in", {"person": person, "session_hmacs": sessions, "first_key": first_key, "request": request}


def _account(function: str, scope: str, **arguments: object) -> Callable[[Meeting, str], Call]:
    return lambda at, by: (function, {"caller": at.caller(by, scope), **arguments})


CALLS: dict[str, Callable[[Meeting, str], Call]] = {
    "admit": _admit,
    "settle": _settle,
    "create": _create,
    "update": _change("update_key", changes={"max_requests": 9}),
    "rotate": _rotate,
    "revoke": _change("revoke_key"),
    "collect": _change("collect_key", secret_ids=["01020304"], receipt=receipt_of("collection")),
    "rotate due": _rotate_due,
    "register": _register,
    "delete account": _delete_account,
    "sign in": _sign_in,
    "erase answers": lambda _at, _by: ("erase_answers", {}),
    "erase answer": lambda at, by: (
        "erase_answer", {"caller": at.caller(by, "inference"), "generation_id": at.generation_id}
    ),
    "read balance": _account("read_account_balance", "account:read"),
    "change profile": _account("update_profile", "account:write", changes={"is_zero_retention": True}),
    "choose e-mails": _account("update_email_preferences", "account:write", changes={"emails": {"news": False}}),
}  # fmt: skip


@contextmanager
def two_sessions(books: Books) -> Iterator[list[psycopg.Connection]]:
    sessions = [connect_as_service(books.url) for _ in range(2)]
    try:
        yield sessions
    finally:
        for session in sessions:
            session.close()


def _wait_until_they_stand(books: Books, sessions: list[psycopg.Connection], answers: list[Future[Any]]) -> None:
    pids, deadline_s = [session.info.backend_pid for session in sessions], time.monotonic() + PATIENCE_S
    while books.value(COUNT_WAITING, pids) < sum(not answer.done() for answer in answers):
        assert time.monotonic() < deadline_s, "a call neither waits nor ends"
        time.sleep(0.001)


@pytest.mark.parametrize("gate", GATES)
def test_any_two_calls_that_meet_at_a_lock_both_end(own_ledger: Books, gate: str) -> None:
    """The first is called by the key itself that both are about, the second by another key of the account."""
    met, failed = 0, []
    with (
        two_sessions(own_ledger) as sessions,
        psycopg.connect(own_ledger.url) as holder,
        ThreadPoolExecutor(2) as threads,
    ):
        for pair in itertools.product(CALLS, repeat=2):
            at = meeting(own_ledger, has_pending="collect" in pair)
            calls = [CALLS[name](at, by) for name, by in zip(pair, (at.key.key_hmac, at.owner.key_hmac), strict=True)]
            holder.execute(GATES[gate].encode(), {"account_id": at.owner.account_id, "key_id": at.key.id})
            answers: list[Future[Any]] = []
            for session, (function, arguments) in zip(sessions, calls, strict=True):
                answers.append(threads.submit(call, session, function, **arguments))
                _wait_until_they_stand(own_ledger, sessions, answers)
            met += not any(answer.done() for answer in answers)
            holder.rollback()
            failed += [(*pair, error) for answer in answers if (error := answer.exception(PATIENCE_S)) is not None]
    assert failed == []
    # Not every pair has both at the gate, but one where hardly any has would show nothing.
    assert met > len(CALLS)
    assert own_ledger.broken_rules() == []

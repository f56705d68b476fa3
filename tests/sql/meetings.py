"""An account that two calls may meet at, and every call that takes a lock."""

import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from tests.sql.books import MODEL, Books
from tests.sql.chats import new_session, turn
from tests.sql.claims import claim_of
from tests.sql.customers import Customer, bounds_of, caller_of, hmac_of, settlement
from tests.sql.gifts import known_person, make_coupon, make_person
from tests.sql.key_owners import MadeKey, make_key, make_owner, new_secret, receipt_of, settings
from tests.sql.payments import AtStripe, Buyer
from tests.sql.payments import claim as claim_sync
from tests.sql.races import Call
from tests.sql.subscribers import DEV, StripeSubscription, sell_plans

NAME_PERSON = """
    update gateway.accounts set privy_id = %s, email = %s, email_normalised = %s, external_id = null where id = %s
"""
# Who has bought something comes by nobody's code any more.
BUY_NOTHING = "update gateway.lots set kind = 'promo' where account_id = %s"
MAKE_REWARD_DUE = """
    insert into gateway.referrals (referred_id, referrer_id, code, payment_id, is_earned, is_settled, applied_at)
    values (%s, %s, 'code', 'pi_of_a_friend', true, false, now())
"""
MAKE_GRACE_DUE = """
    insert into gateway.subscriptions (id, account_id, item_id, stripe_price_id, plan_id, interval, status,
                                       period_starts_at, period_ends_at, anchor, past_due_since)
    values (%s, %s, 'si_1', 'price_dev_month', 'dev', 'month', 'past_due',
            '2026-01-01', '2026-02-01', '2026-01-01', '2026-01-01')
    on conflict (id) do nothing
"""
ADD_SPENT = """
    insert into gateway.key_secrets (key_hmac, key_id, expires_at)
    values (decode(%s, 'hex'), %s, clock_timestamp() - interval '1 s')
"""
MAKE_DUE = """
    update gateway.api_keys set rotate_every_days = 7, rotates_at = '2026-01-01', pending_secret = %s,
           pending_secret_id = case when %s then decode('01020304', 'hex') end where id = %s
"""
LET_READ_HISTORY = "update gateway.api_keys set scopes = scopes || '{history:read,history:write}' where account_id = %s"
END_CLAIMS = "update gateway.replays set expires_at = clock_timestamp() - interval '1 s' where account_id = %s"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Meeting:
    """An account whose keys all stand under an older secret of ours, and what two calls may do to one of them."""

    owner: Customer
    key: MadeKey
    generation_id: uuid.UUID
    privy_id: str
    coupon: str
    referral_code: str

    def caller(self, key_hmac: str, scope: str) -> dict[str, object]:
        """Return one who calls for the first time since our secret was replaced."""
        return caller_of(hmac_of(f"newest {key_hmac}"), key_hmac, scope=scope)


def meeting(books: Books, *, has_pending: bool) -> Meeting:
    owner = make_owner(books)
    key = make_key(
        owner, scopes=["inference", "account:read", "account:write", "keys:read", "keys:write", "billing:write"]
    )
    privy_id = f"did:privy:meeting{owner.account_id}"
    mailbox = f"meeting{owner.account_id}@example.com"
    books.rows(NAME_PERSON, privy_id, mailbox, mailbox, owner.account_id)
    books.rows("select gateway.open_session(%s, %s)", owner.account_id, [hmac_of(privy_id)])
    for of_claim in ("over", "live"):
        generation_id = owner.admitted(tokens=10, key_hmacs=[key.key_hmac], claim=claim_of(of_claim))
        if of_claim == "over":
            owner.settle(generation_id, 5, answer="sealed")
            books.rows(END_CLAIMS, owner.account_id)
    books.rows(ADD_SPENT, hmac_of(f"spent {key.id}"), key.id)
    books.rows(MAKE_DUE, "sealed" if has_pending else None, has_pending, key.id)
    books.rows(BUY_NOTHING, owner.account_id)
    friend, stranger = make_person(books, credit=0), make_person(books, credit=0)
    referral_code = books.value("select gateway.own_referral_code(%s, gateway.clock())", stranger.account_id)
    books.rows(MAKE_REWARD_DUE, friend.account_id, owner.account_id)
    return Meeting(owner, key, generation_id, privy_id, make_coupon(books), referral_code)


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


def _sign_in(at: Meeting, by: str) -> Call:
    sessions = [hmac_of(f"newest {at.privy_id}"), hmac_of(at.privy_id)]
    first_key = {"name": "default", **new_secret()}
    request = {"address": None, "request_id": "req_test", "receipt": None}
    person = {"privy_id": at.privy_id, "email": "a@example.com", "email_normalised": "a@example.com"}
    return "sign_in", {"person": person, "session_hmacs": sessions, "first_key": first_key, "request": request}


def _pay(at: Meeting, _by: str) -> Call:
    """Another payment each time, the first of which is half refunded and disputed."""
    buyer = Buyer(at.owner, f"cus_{at.owner.account_id}")
    at.owner.books.call("keep_customer", account_id=buyer.account_id, customer_id=buyer.customer_id)
    payment = buyer.pay(500, bonus=7)
    payment.refund(250)
    payment.dispute(250, "lost")
    return _told(at, payment)


def _pay_plan(at: Meeting, _by: str) -> Call:
    customer_id = f"cus_{at.owner.account_id}"
    at.owner.books.call("keep_customer", account_id=at.owner.account_id, customer_id=customer_id)
    return _told(at, AtStripe(f"pi_lock{next(_numbers)}", "plan", customer_id, 500))


def _told(at: Meeting, payment: AtStripe) -> Call:
    return "post_payment", {"claim": claim_sync(at.owner.books, payment), "payment": payment.read()}


def _subscribe(at: Meeting, _by: str) -> Call:
    books, customer_id = at.owner.books, f"cus_{at.owner.account_id}"
    books.call("keep_customer", account_id=at.owner.account_id, customer_id=customer_id)
    sell_plans(books)
    subscription = StripeSubscription(customer_id, DEV, "year", int(time.time()), id=f"sub_{at.owner.account_id}")
    claim = books.call("claim_sync", object_id=subscription.id)
    return "post_subscription", {"claim": claim, "subscription": subscription.told()}


def _end_graces(at: Meeting, _by: str) -> Call:
    sell_plans(at.owner.books)
    at.owner.books.rows(MAKE_GRACE_DUE, f"sub_due{at.owner.account_id}", at.owner.account_id)
    return "end_graces", {}


def _check_out(at: Meeting, by: str) -> Call:
    checkout = {"id": str(uuid.uuid4()), "kind": "credits", "amount_cents": 500}
    receipt = receipt_of(f"checkout {by}")
    return "open_checkout", {"caller": at.caller(by, "billing:write"), "checkout": checkout, "receipt": receipt}


def _gift(function: str, **arguments: Callable[[Meeting], str]) -> Callable[[Meeting, str], Call]:
    def calls(at: Meeting, by: str) -> Call:
        given = {name: argument(at) for name, argument in arguments.items()}
        return function, {"caller": at.caller(by, "billing:write"), "person": known_person(at.owner), **given}

    return calls


def _store(at: Meeting, _by: str) -> Call:
    given = {"previous_id": None, "content": "sealed", "size_bytes": 9}
    return "store_response", {"generation_id": at.generation_id, **given}


def _delete(at: Meeting, by: str) -> Call:
    function, arguments = _store(at, by)
    at.owner.books.call(function, **arguments)
    return "delete_response", {"caller": at.caller(by, "inference"), "generation_id": at.generation_id}


def _append_turn(at: Meeting, _by: str) -> Call:
    said = Jsonb([{"message": message} for message in turn("q", "a")])
    session_id = new_session(at.owner)
    return "append_chat_turn", {
        "generation_id": at.generation_id,
        "session_id": session_id,
        "messages": said,
        "model_id": MODEL,
    }


def _begin_turn(at: Meeting, by: str) -> Call:
    names = ["input_tokens", "output_tokens", "reasoning_output_tokens", "images", "messages", "size_bytes"]
    names += ["largest_bytes", "instruction_messages", "instruction_bytes", "largest_instruction_bytes"]
    at.owner.books.rows(LET_READ_HISTORY, at.owner.account_id)
    return "begin_chat_turn", {
        "caller": at.caller(by, "inference"),
        "session_id": new_session(at.owner),
        "turn": Jsonb({**dict.fromkeys(names, 0), "models": [MODEL]}),
        # A first try: it ends what was asked before in these words.
        "claim": claim_of(body="over"),
    }


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
    "delete account": _account("delete_account", "account:write"),
    "sign in": _sign_in,
    "pay": _pay,
    "pay for a plan": _pay_plan,
    "subscribe": _subscribe,
    "end graces": _end_graces,
    "check out": _check_out,
    "erase answers": lambda _at, _by: ("erase_answers", {}),
    "erase answer": lambda at, by: (
        "erase_answer", {"caller": at.caller(by, "inference"), "generation_id": at.generation_id}
    ),
    "store response": _store,
    "delete response": _delete,
    "append turn": _append_turn,
    "read balance": _account("read_account_balance", "account:read"),
    "change profile": _account("update_profile", "account:write", changes={"is_zero_retention": True}),
    "start trial": _gift("start_trial"),
    "redeem coupon": _gift("redeem_coupon", code=lambda at: at.coupon),
    "reward referrer": lambda at, _by: ("reward_referrer", {"account_id": at.owner.account_id}),
    "choose e-mails": _account("update_email_preferences", "account:write", changes={"emails": {"news": False}}),
}  # fmt: skip

# These take the locks that others above take, in the same functions: they are not made to meet all of them once more.
ALIKE: dict[str, Callable[[Meeting, str], Call]] = {
    "begin turn": _begin_turn,
    "apply referral": _gift("apply_referral", code=lambda at: at.referral_code),
    "expire trial": lambda at, _by: ("expire_trial", {"account_id": at.owner.account_id}),
    "find answer": lambda at, by: (
        "find_answer",
        {"caller": at.caller(by, "inference"), "claim": claim_of("over", is_retry=True)},
    ),
}

"""Make an account for somebody who never signs in here, with a key that is shown once."""

import msgspec

from shared.clients.fernet import Sealer
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.flows.ask_as_admin import AdminDesk, AdminPetition, change_as_admin
from shared.keys.fingerprint import fingerprint
from shared.keys.format import generate_secret, mask
from shared.operations.accounts import AdminAccounts, NewSecret, Provision
from shared.operations.types import NewUser, NewUserKey, Provisioned

# What is sealed under it cannot be opened as anything else.
SHOWN_ONCE = "keys of provisioned accounts"


class ProvisionMeans(msgspec.Struct, frozen=True):
    """What accounts are provisioned with; shown_once: seals what a retry is shown again."""

    desk: AdminDesk
    shown_once: Sealer


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to have an account, with which key; is_key_replaced: also where he has it already."""

    user: NewUser
    key: NewUserKey
    is_key_replaced: bool


class ProvisionedUser(msgspec.Struct, frozen=True):
    """The account, and its key's secret: None where no key was made, or it is no longer shown."""

    told: Provisioned
    secret: str | None


async def provision_user(means: ProvisionMeans, petition: AdminPetition, asked: ProvisionRequest) -> ProvisionedUser:
    """Make the account of an external id with its first key; where there is one, find it.

    raises  AdminRequired, UnknownPlan, IdempotencyKeyReused; as ask_as_admin. A retry is safe: one account, one key
    """
    secret = generate_secret(asked.key.environment)
    stored = NewSecret(key_hmac=fingerprint(secret, means.desk.secret_keys[0]), masked=mask(secret))
    provision = Provision(user=asked.user, key=asked.key, secret=stored, is_key_replaced=asked.is_key_replaced)
    accounts = AdminAccounts(means.desk.desk.database)

    async def provide(receipt: Receipt) -> Provisioned | Refused:
        sealed = means.shown_once.seal(secret.encode())
        return await accounts.provision(petition.admin, provision, receipt.to_json(sealed=sealed))

    told = await change_as_admin(means.desk, petition, provide)
    return ProvisionedUser(told, _secret_of(means.shown_once, told, secret))


def _secret_of(sealer: Sealer, told: Provisioned, secret: str) -> str | None:
    if told.key is None:
        return None
    if not told.is_replayed:
        return secret
    opened = None if told.sealed is None else sealer.open(told.sealed)
    return None if opened is None else opened.decode()

"""What the migration of keys' secrets finds in a store that was in use, and leaves there."""

import shutil
from pathlib import Path

from infra.local.migrate import MIGRATIONS_FOLDER, apply_migrations
from infra.local.stack import LocalStack
from tests.sql.books import Books, own_database
from tests.sql.customers import caller_of, hmac_of, make_customer, secrets_of
from tests.sql.entries import enter

MIGRATION = "20261103000100_callers.sql"


def test_a_key_of_before_is_found_no_more_and_is_made_anew_under_its_name(stack: LocalStack, tmp_path: Path) -> None:
    for file in MIGRATIONS_FOLDER.glob("*.sql"):
        if file.name < MIGRATION:
            shutil.copy(file, tmp_path)
    with own_database(stack) as url:
        apply_migrations(url, tmp_path)
        books = Books(url)
        try:
            customers = [make_customer(books) for _ in range(2)]
            apply_migrations(url)
            for customer in customers:
                assert secrets_of(customer) == []
                assert enter(books, customer.caller())[1]["code"] == "invalid_api_key"
                name = books.value("select name from gateway.api_keys where id = %s", customer.key_id)
                anew = {"name": name, "environment": "live", "key_hmac": hmac_of(f"anew {name}"), "masked": "gw_…"}
                assert books.call("create_api_key", account_id=customer.account_id, **anew) == {
                    "key_id": customer.key_id
                }
                assert enter(books, caller_of(anew["key_hmac"])) == (customer.key_id, None)
        finally:
            books.close()

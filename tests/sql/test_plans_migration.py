"""What the migration of plans finds in a store that was in use, and leaves there."""

import shutil
from pathlib import Path

from infra.local.migrate import MIGRATIONS_FOLDER, apply_migrations
from infra.local.stack import LocalStack
from tests.sql.books import Books, own_database

MIGRATION = "20261104000100_plans.sql"
SEEDED_BEFORE = """
    insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency)
    values ('free', 'Gratis', 7, 70, 1), ('dev', 'Our own', 9, 90, 2)
"""
READ_PLANS = (
    "select id, name, requests_per_minute, rank, is_offered, monthly_price_cents from gateway.plans order by rank, id"
)
READ_ACCOUNT = "select plan_id, base_plan_id from gateway.accounts where id = %s"


def test_the_limits_that_an_operator_set_and_his_own_plans_stay(stack: LocalStack, tmp_path: Path) -> None:
    for file in MIGRATIONS_FOLDER.glob("*.sql"):
        if file.name < MIGRATION:
            shutil.copy(file, tmp_path)
    with own_database(stack) as url:
        apply_migrations(url, tmp_path)
        books = Books(url)
        try:
            books.rows(SEEDED_BEFORE)
            account_id = books.call("create_account", external_id="of before", plan_id="dev")["account_id"]
            apply_migrations(url)
            assert books.rows(READ_PLANS) == [
                ("dev", "Our own", 9, 0, False, 0),
                ("free", "Gratis", 7, 0, True, 0),
                ("pay_as_you_go", "Pay as you go", 600, 1, True, 0),
                ("team", "Team", 3000, 3, True, 9_900),
            ]
            assert books.rows(READ_ACCOUNT, account_id) == [("dev", "dev")]
            assert books.value("select gateway.settle_plan(%s, gateway.clock())", account_id) is False
        finally:
            books.close()

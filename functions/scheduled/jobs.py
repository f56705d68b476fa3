"""The jobs by name; vercel.json and serverless.yml say when each runs."""

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import msgspec

from functions.scheduled.resources import ScheduledResources
from shared.core.clock import elapsed_ms
from shared.core.errors import GatewayError
from shared.core.log import log_event
from shared.flows.archive_months import archive_months
from shared.flows.expire_trials import expire_trials
from shared.flows.purge import purge
from shared.flows.rank_models import rank_models
from shared.flows.reconcile_payments import reconcile_payments
from shared.flows.report_usage import forget_mails, report_usage
from shared.flows.roll_up_usage import roll_up_usage
from shared.flows.rotate_keys import rotate_due_keys
from shared.flows.send_email import empty_outbox
from shared.flows.sweep_billing import sweep_billing
from shared.flows.sweep_settlements import sweep_settlements
from shared.flows.sync_catalog import sync_catalog
from shared.flows.watch_losses import watch_losses

# What a job did, in numbers whose names say of what.
Counts = Mapping[str, int]
Job = Callable[[ScheduledResources], Awaitable[Counts]]


class UnknownJob(GatewayError):
    """There is no job of this name."""

    status = 404
    code = "unknown_job"
    advice = "There is no job of this name; the message lists them."


async def run_job(resources: ScheduledResources, name: str) -> dict[str, str | int]:
    """Run one job to its end and tell what it did.

    Every job may run twice, at once or one after the other, and do its work once.

    raises  UnknownJob; whatever the job raises, having logged nothing
    """
    job = JOBS.get(name)
    if job is None:
        raise UnknownJob(f"There is no job of this name. There are: {', '.join(JOBS)}.", param="name")
    started_s = time.monotonic()
    counts = await job(resources)
    log_event("job_finished", job=name, duration_ms=elapsed_ms(started_s), did=dict(counts))
    return {"job": name, **counts}


async def _settlement_sweep(resources: ScheduledResources) -> Counts:
    swept = await sweep_settlements(resources.settlements)
    return {
        "late_settled": swept.late.settled,
        "late_waiting": swept.late.waiting,
        "dead_letters": swept.late.buried,
        "wallets": swept.wallets,
        "answers_erased": swept.answers_erased,
        "alarms": await watch_losses(resources.losses),
    }


async def _key_rotation(resources: ScheduledResources) -> Counts:
    return {"keys_rotated": await rotate_due_keys(resources.rotations)}


async def _usage_roll_up(resources: ScheduledResources) -> Counts:
    rolled = await roll_up_usage(resources.usage)
    return {"accounts_closed": rolled.closed, "accounts_summed": rolled.summed}


async def _ranking_sync(resources: ScheduledResources) -> Counts:
    ranked = await rank_models(resources.ranking)
    return {
        "hours_summed": ranked.hours,
        "models_ranked": ranked.models,
        "apps_ranked": ranked.apps,
        "days_imported": ranked.imported,
    }


async def _outbox(resources: ScheduledResources) -> Counts:
    emptied = await empty_outbox(resources.mails)
    return {"mails_sent": emptied.sent, "mails_waiting": emptied.waiting, "dead_letters": emptied.dead}


async def _monthly_reports(resources: ScheduledResources) -> Counts:
    outbox = resources.mails.outbox
    return {"reports": await report_usage(outbox), "mails_forgotten": await forget_mails(outbox)}


async def _catalog_sync(resources: ScheduledResources) -> Counts:
    return msgspec.structs.asdict(await sync_catalog(resources.catalog))


async def _trial_expiry(resources: ScheduledResources) -> Counts:
    counts = await expire_trials(resources.trials)
    return {"trials_ended": counts.ended, "trials_reminded": counts.reminded}


async def _purge(resources: ScheduledResources) -> Counts:
    return msgspec.structs.asdict(await purge(resources.purge))


async def _archive(resources: ScheduledResources) -> Counts:
    return msgspec.structs.asdict(await archive_months(resources.archive))


async def _billing_sweep(resources: ScheduledResources) -> Counts:
    if resources.billing is None:
        return {}
    return msgspec.structs.asdict(await sweep_billing(resources.billing.sync))


async def _reconcile(resources: ScheduledResources) -> Counts:
    if resources.billing is None:
        return {}
    return msgspec.structs.asdict(await reconcile_payments(resources.billing))


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "archive": _archive,
        "billing_sweep": _billing_sweep,
        "catalog_sync": _catalog_sync,
        "key_rotation": _key_rotation,
        "monthly_reports": _monthly_reports,
        "outbox": _outbox,
        "purge": _purge,
        "ranking_sync": _ranking_sync,
        "reconcile": _reconcile,
        "settlement_sweep": _settlement_sweep,
        "trial_expiry": _trial_expiry,
        "usage_roll_up": _usage_roll_up,
    }
)

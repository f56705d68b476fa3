"""The official SDK behind a proxy that drops answers: it asks again by itself, and each request is paid for once."""

import time

import openai

from tests.chaos.asked import Ending, Life, Try
from tests.chaos.clients import Question
from tests.chaos.proxies import LossyWire
from tests.chaos.rounds import Order, closing, for_as_many, keep_asking, look_into
from tests.chaos.slots import start_slots
from tests.chaos.table import Round
from tests.chaos.world import World, open_world

GATEWAYS = 2
CLIENTS = 16
MOST_RETRIES = 6
SDK_WITHIN_S = 60.0


async def run_retries(order: Order) -> Round:
    """Have so many requests retried by the SDK, after answers that got lost in every way."""
    started_s = time.monotonic()
    async with open_world(order.stack, order.seed) as world:
        slots = await start_slots(order.stack, GATEWAYS, {})
        lives = [slot.life for slot in slots if slot.life is not None]
        wires = [(life, LossyWire(life.url, world.chance).open()) for life in lives]

        def stop() -> None:
            for slot in slots:
                slot.stop()
            for _, wire in wires:
                wire.close()

        async def ask() -> None:
            life, wire = world.chance.choice(wires)
            await _ask(world, life, wire)

        async with closing(stop):
            await keep_asking(ask, workers=CLIENTS, goes_on=for_as_many(order))
            findings = await look_into(world, slots)
        return Round(
            mode="retries",
            asked=world.asked,
            crashes=0,
            wanted=order.count,
            done=sum(len(asked.tries) > 1 and asked.is_complete for asked in world.asked),
            duration_s=time.monotonic() - started_s,
            findings=findings,
            remark=f"{sum(wire.lost for _, wire in wires)} answers lost on the way",
        )


async def _ask(world: World, life: Life, wire: LossyWire) -> None:
    chance = world.chance
    script = {
        "tokens": chance.randint(5, 40),
        "pace_ms": chance.choice([0, 5, 20]),
        "first_byte_ms": chance.choice([0, 200, 1200]),
    }
    question = world.question(script, is_stream=chance.random() < 0.5, pays_once=True)
    last = Try(life)
    try:
        last.text_bytes = await _through_sdk(question, wire)
        last.ending = Ending.COMPLETE
    except openai.APIStatusError as error:
        last.ending, last.status, last.code = Ending.REFUSED, error.status_code, error.code
    except openai.APIConnectionError:
        last.ending = Ending.BROKEN
    last.ended_at = time.time()
    key = question.asked.key.encode()
    lost = sum(key in exchange.body for exchange in wire.exchanges()) - 1
    question.asked.tries += [*(Try(life, ending=Ending.BROKEN) for _ in range(lost)), last]


async def _through_sdk(question: Question, wire: LossyWire) -> int:
    """Ask as the SDK's users do and return how many bytes of text came."""
    fields = {**question.body()}
    extra = {"simulate": fields.pop("simulate")}
    async with openai.AsyncOpenAI(
        api_key=question.asked.tenant.api_key,
        base_url=f"{wire.url}/v1",
        max_retries=MOST_RETRIES,
        timeout=SDK_WITHIN_S,
    ) as client:
        if not question.asked.is_stream:
            whole = await client.chat.completions.create(**fields, extra_body=extra)  # type: ignore[call-overload]
            return len((whole.choices[0].message.content or "").encode())
        text_bytes = 0
        stream = await client.chat.completions.create(**fields, extra_body=extra)  # type: ignore[call-overload]
        async for chunk in stream:
            text_bytes += sum(len((choice.delta.content or "").encode()) for choice in chunk.choices)
        return text_bytes

"""Faults in the transactions, orders and wake-ups of a transfer: a sample of them, or all with --soak."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from app.ports import utc_now
from tests.faults import breakable
from tests.faults.breakable import BreakableDatabase, BreakableEngine, ForgetfulBroker, Mishap, Trouble
from tests.faults.patient import PatientClient, PatientDesk
from tests.inside import Inside, inside, settings_in, simulated
from tests.invariants import World
from tests.serving import Json, token
from tests.stories.desk import Refused, ending

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ENDS = ("COMPLETED", "CANCELLED", "FAILED", "ABANDONED")
Place = BreakableDatabase | BreakableEngine | ForgetfulBroker
Life = Callable[[PatientDesk], Awaitable[Json]]


async def consulted(desk: PatientDesk) -> Json:
    """Run an attended transfer with every command."""
    t = await desk.start(await desk.talk(), "0101")
    t = await desk.until(t, "CONSULTING", *ENDS)
    with suppress(Refused):
        await desk.tell(t, "swap", speakTo="HELD")
    for verb in ("merge", "complete"):
        with suppress(Refused):
            await desk.tell(t, verb)
    return await desk.until(t, *ENDS)


async def recalled(desk: PatientDesk) -> Json:
    """Run a blind transfer to a busy destination, which ends in a recall."""
    t = await desk.start(await desk.talk(), "0102", type="BLIND")
    return await desk.until(t, *ENDS)


async def cancelled(desk: PatientDesk) -> Json:
    """Run an attended transfer to two ringing destinations, and cancel it."""
    t = await desk.start(await desk.talk(), "0107", "0107")
    t = await desk.until(t, "RINGING", *ENDS)
    with suppress(Refused):
        await desk.tell(t, "cancel")
    return await desk.until(t, *ENDS)


UNHARMED: dict[Life, set[tuple[str | None, ...]]] = {
    consulted: {("COMPLETED", None, None, "CLIENT")},
    # the disposition depends on whether the transferer had left when the server learned that the destination was busy
    recalled: {("FAILED", "BUSY", "RECALLED", "DESTINATION"), ("FAILED", "BUSY", "RETURNED", "DESTINATION")},
    cancelled: {("CANCELLED", "COMMAND", None, "CLIENT")},
}
LIVES = list(UNHARMED)


class Site:
    def __init__(self, served: Inside) -> None:
        house = served.house
        assert isinstance(house.database, BreakableDatabase)
        assert isinstance(house.broker, ForgetfulBroker)
        assert isinstance(house.telephony, BreakableEngine)
        self.database, self.broker, self.engine = house.database, house.broker, house.telephony
        self._url = f"{served.url}/graphql"
        self.strikes = 0

    async def live(self, life: Life) -> Json:
        """Run a life, and check the invariants at its end."""
        desk = PatientDesk(PatientClient(self._url, token(str(uuid4()))))
        ended = await life(desk)
        self.database.trouble = self.engine.trouble = self.broker.trouble = Trouble()
        (await World.read(self.database)).check()
        return ended

    async def struck(self, life: Life, place: Place, step: int, lasting: int = 1) -> AsyncIterator[Json]:
        """Repeat the life, with the fault at each effect in turn. Yield the ended transfers."""
        at = min(3, step)
        while True:
            place.trouble = trouble = Trouble(at, lasting)
            self.strikes += 1
            yield await self.live(life)
            at += step
            if at > trouble.passed:
                return


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    settings = settings_in(tmp_path, sweep_seconds=0.5)
    database = BreakableDatabase(settings.url)
    engine = BreakableEngine(database, utc_now, pace=settings.simulator_pace)
    async with inside(settings, database=database, broker=ForgetfulBroker(), engine=simulated(engine)) as served:
        site = Site(served)
        yield site
        print(f"struck {site.strikes} times")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("life", LIVES)
async def test_a_database_that_is_away_costs_time_alone(site: Site, life: Life, late: bool, soak: bool) -> None:
    site.database.late = late
    async for ended in site.struck(life, site.database, step=1 if soak else 48, lasting=1 if late else 10):
        assert ending(ended) in UNHARMED[life]


HARMLESS = [breakable.not_heard, breakable.not_confirmed, breakable.not_answered, breakable.gone_for_a_while]
HARMFUL = [breakable.refused, breakable.restarted]


@pytest.mark.parametrize("mishap", HARMLESS)
@pytest.mark.parametrize("life", LIVES)
async def test_an_engine_that_does_not_answer_costs_time_alone(
    site: Site, life: Life, mishap: Mishap, soak: bool
) -> None:
    site.engine.mishap = mishap
    async for ended in site.struck(life, site.engine, step=1 if soak else 10):
        assert ending(ended) in UNHARMED[life]


@pytest.mark.parametrize("mishap", HARMFUL)
@pytest.mark.parametrize("life", LIVES)
async def test_an_engine_that_refuses_or_restarts_leaves_nothing_behind(
    site: Site, life: Life, mishap: Mishap, soak: bool
) -> None:
    site.engine.mishap = mishap
    async for ended in site.struck(life, site.engine, step=1 if soak else 5):
        assert ended["status"] in ENDS


@pytest.mark.parametrize("life", LIVES)
async def test_a_wake_up_that_is_dropped_costs_time_alone(site: Site, life: Life, soak: bool) -> None:
    async for ended in site.struck(life, site.broker, step=1 if soak else 20, lasting=2):
        assert ending(ended) in UNHARMED[life]


async def test_without_any_wake_up_it_goes_on_all_the_same(site: Site) -> None:
    site.broker.trouble = Trouble(1, lasting=1_000_000)
    assert ending(await site.live(cancelled)) in UNHARMED[cancelled]

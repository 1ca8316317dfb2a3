"""Builds the simulator from the settings."""

from app.ports import Clock, Engine
from app.settings import Settings
from app.storage.database import Database
from app.telephony.simulator.behaviour import ANSWERS_RECALL, WAITS
from app.telephony.simulator.simulator import Mischief, Simulator


def build(settings: Settings, database: Database, clock: Clock, is_demo: bool) -> Engine:
    """Build the engine. In a demo the transferer's telephone answers a recall by itself, since nobody plays it."""
    recalled = ANSWERS_RECALL if is_demo else WAITS
    simulator = Simulator(database, clock, _mischief(settings), settings.simulator_pace, recalled=recalled)
    return Engine(telephony=simulator, simulation=simulator)


def _mischief(settings: Settings) -> Mischief:
    return Mischief(
        settings.simulator_seed,
        settings.simulator_delay,
        settings.simulator_duplicates,
        settings.simulator_refusals,
        settings.simulator_outages,
    )

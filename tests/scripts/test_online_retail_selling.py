"""The order in which one product's lines are sold."""

import asyncio

import pytest

from scripts.online_retail_selling import Sequencer

pytestmark = pytest.mark.unit


def test_turns_come_in_order_however_the_waiting_began() -> None:
    happened: list[int] = []

    async def sell(turns: Sequencer, turn: int) -> None:
        await turns.wait(turn)
        happened.append(turn)
        turns.finish()

    async def all_sell() -> None:
        turns = Sequencer()
        await asyncio.wait_for(asyncio.gather(*(sell(turns, turn) for turn in (3, 1, 4, 0, 2))), timeout=60)

    asyncio.run(all_sell())
    assert happened == [0, 1, 2, 3, 4]

"""Answers that nobody takes: they are broken off, and no more of them are kept than the server can bear."""

from __future__ import annotations

import asyncio

import pytest

from becat.publish.sending import LARGE_BYTES_EACH, PIECE_BYTES, Sending

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = bytes(range(256)) * 10_000


def body(content: bytes) -> dict:
    return {"type": "http.response.body", "body": content}


async def whole(sending: Sending, address: str, content: bytes) -> tuple[int, bytes]:
    """Status and content as they come to a reader."""
    events = []

    async def send(event):
        events.append(event)

    to = sending.to(address, send)
    await to(START)
    await to(body(content))
    assert [event.get("more_body", False) for event in events[1:-1]] == [True] * (len(events) - 2)
    assert not events[-1].get("more_body")
    assert all(len(event.get("body", b"")) <= PIECE_BYTES for event in events)
    return events[0]["status"], b"".join(event.get("body", b"") for event in events[1:])


async def never(event):
    if event["type"] == "http.response.body":
        await asyncio.Event().wait()


@pytest.mark.parametrize("content", [b"", b"a", BODY[:PIECE_BYTES], BODY[: PIECE_BYTES + 1], BODY])
def test_an_answer_comes_whole_in_pieces(content):
    assert asyncio.run(whole(Sending(), "192.0.2.1", content)) == (200, content)


def test_an_answer_that_is_not_taken_is_broken_off_and_forgotten():
    sending = Sending(patience_s=0.02)

    async def play():
        to = sending.to("192.0.2.1", never)
        await to(START)
        with pytest.raises(asyncio.CancelledError, match="does not read the answer"):
            await to(body(BODY))
        return await whole(sending, "192.0.2.1", BODY)

    assert asyncio.run(play()) == (200, BODY)


def test_of_untaken_answers_each_address_has_some_and_all_have_not_too_many():
    sending = Sending()
    large = bytes(LARGE_BYTES_EACH)

    async def hold(address: str) -> asyncio.Task:
        to = sending.to(address, never)
        await to(START)
        task = asyncio.create_task(to(body(large)))
        await asyncio.sleep(0)
        return task

    async def play():
        held = [await hold("192.0.2.1")]
        same, other = await whole(sending, "192.0.2.1", BODY), await whole(sending, "192.0.2.2", BODY)
        small = await whole(sending, "192.0.2.1", b"a page")
        held += [await hold(f"192.0.2.{number}") for number in (3, 4, 5)]
        full = await whole(sending, "192.0.2.6", large)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        return same[0], other[0], small, full[0], (await whole(sending, "192.0.2.1", BODY))[0]

    assert asyncio.run(play()) == (503, 200, (200, b"a page"), 503, 200)

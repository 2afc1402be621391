"""Random bytes into every receiver and decoder: nothing but a ProtocolError comes out, and no buffer grows."""

from typing import Any

import pytest
from captured import addresses, by_dialect, is_answer, name_of, vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from cellwire.codec.dialect import Dialect
from cellwire.codec.errors import ProtocolError
from cellwire.families import dialects

BUFFER = 4096

each_dialect = pytest.mark.parametrize("dialect", dialects(), ids=name_of)


def seeds(name: str) -> list[bytes]:
    """Return real answers and requests of the dialect, to be cut and damaged."""
    return [vector.data for vector in vectors() if vector.dialect == name]


def held(receiver: object) -> int:
    """Return how many bytes a receiver keeps."""
    return sum(len(value) for value in vars(receiver).values() if isinstance(value, bytes | bytearray | list))


def swallow(dialect: Dialect, chunks: list[bytes]) -> None:
    """Feed everything through receiver, read and collect; raise when anything but a ProtocolError happens."""
    receiver = dialect.receiver()
    frames = []
    for chunk in chunks:
        frames += receiver.feed(chunk)
        assert 0 <= receiver.waiting() < BUFFER
        assert held(receiver) < BUFFER
    for frame in frames:
        try:
            readings = dialect.read(frame, {})
        except ProtocolError:
            continue
        assert isinstance(readings, dict)
    for query in dialect.queries:
        for address in addresses(dialect, frames)[:2]:
            for quiet in (False, True):
                try:
                    dialect.collect(query, address, frames, {}, quiet)
                except ProtocolError:
                    continue


@st.composite
def streams(draw: Any, known: list[bytes]) -> list[bytes]:
    """Chunks of noise and of real frames that were cut, glued and damaged."""
    chunks = []
    for _ in range(draw(st.integers(1, 6))):
        if known and draw(st.booleans()):
            data = bytearray(draw(st.sampled_from(known)))
            for _ in range(draw(st.integers(0, 3))):
                data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
            start = draw(st.sampled_from((0, 0, 0, 1, len(data) // 2)))
            chunks.append(bytes(data[start : len(data) - draw(st.sampled_from((0, 0, 0, 1, 5)))]))
        else:
            chunks.append(draw(st.binary(max_size=60)))
    return chunks


@each_dialect
def test_any_bytes(dialect: Dialect) -> None:
    @settings(max_examples=150, deadline=None, database=None)
    @given(streams(seeds(dialect.name)))
    def run(chunks: list[bytes]) -> None:
        swallow(dialect, chunks)

    run()


@each_dialect
def test_endless_starts(dialect: Dialect) -> None:
    """Beginnings of frames without an end, 16 kB of them: the buffer stays small and the time too."""
    for seed in seeds(dialect.name)[:6]:
        for length in (1, 2, 4, 8):
            swallow(dialect, [seed[:length] * 64] * (16384 // (64 * length)))


@each_dialect
def test_every_cut(dialect: Dialect) -> None:
    """A frame that ends anywhere, then silence."""
    answers = [vector for vector in vectors() if vector.dialect == dialect.name and is_answer(vector)]
    for vector in answers[:4]:
        for end in range(0, len(vector.data), max(1, len(vector.data) // 40)):
            swallow(by_dialect()[dialect.name], [vector.data[:end]])

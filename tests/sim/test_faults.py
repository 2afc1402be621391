"""Each fault does what its name says, and does it again with the same seed."""

import pytest

from cellwire.sim.faults import LATE_PAUSE, NAMES, FaultError, Faults, parse

REPLY = bytes(range(64))


def joined(pieces: list[tuple[float, bytes]]) -> bytes:
    return b"".join(piece for _pause, piece in pieces)


def test_nothing_happens_without_faults() -> None:
    faults = Faults()
    assert faults.spoil(REPLY) == [(0.0, REPLY)]
    assert not faults.unheard()
    assert not faults.zero()


def test_drop_and_silent() -> None:
    assert Faults({"drop": 1}).spoil(REPLY) == []
    assert Faults({"silent": 1}).unheard()


def test_flip_turns_one_bit() -> None:
    spoiled = joined(Faults({"flip": 1}).spoil(REPLY))
    assert sum((a ^ b).bit_count() for a, b in zip(spoiled, REPLY, strict=True)) == 1


def test_truncate() -> None:
    faults = Faults({"truncate": 1}, seed=3)
    for _ in range(20):
        spoiled = joined(faults.spoil(REPLY))
        assert len(spoiled) < len(REPLY)
        assert REPLY.startswith(spoiled)


def test_duplicate_split_late_noise() -> None:
    assert joined(Faults({"duplicate": 1}).spoil(REPLY)) == REPLY * 2
    pieces = Faults({"split": 1}).spoil(REPLY)
    assert len(pieces) == 2
    assert pieces[1][0] > 0
    assert joined(pieces) == REPLY
    assert Faults({"late": 1}).spoil(REPLY) == [(LATE_PAUSE, REPLY)]
    noisy = joined(Faults({"noise": 1}).spoil(REPLY))
    assert REPLY in noisy
    assert len(noisy) > len(REPLY)
    both = joined(Faults({"duplicate": 1, "split": 1}).spoil(REPLY))
    assert both == REPLY * 2


def test_asleep_is_a_count() -> None:
    faults = Faults({"asleep": 3})
    assert faults.sleeping
    assert [faults.unheard() for _ in range(5)] == [True, True, True, False, False]
    assert not faults.sleeping
    assert not faults.zero()
    woken = Faults({"zero-after-wake": 1})
    assert [woken.unheard(), woken.unheard()] == [True, False]
    assert [woken.zero() for _ in range(5)] == [True, True, True, False, False]


def test_same_seed_same_mishaps() -> None:
    rates = {"drop": 0.2, "flip": 0.3, "truncate": 0.1, "noise": 0.2, "split": 0.2, "duplicate": 0.1}
    first, second = Faults(rates, 7), Faults(rates, 7)
    story = [first.spoil(REPLY) for _ in range(200)]
    assert story == [second.spoil(REPLY) for _ in range(200)]
    assert story != [Faults(rates, 8).spoil(REPLY) for _ in range(200)]
    assert 20 < first.happened["drop"] < 60
    # One fault more must not change when the others happen.
    more = Faults({**rates, "late": 0.5}, 7)
    assert [joined(more.spoil(REPLY)) for _ in range(200)] == [joined(pieces) for pieces in story]


def test_names_and_rates() -> None:
    assert parse(["drop=0.1", "asleep=5", "echo"]) == {"drop": 0.1, "asleep": 5.0, "echo": 1.0}
    assert len(NAMES) == 17
    for wrong in ("dorp=0.1", "drop=2", "drop=-1", "drop=often", "drop=nan"):
        with pytest.raises(FaultError):
            parse([wrong])

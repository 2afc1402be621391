"""How far acknowledged rows are safe."""

from cellwire.outputs.influx.trail import Trail


def test_without_a_trail_all_is_safe_at_once() -> None:
    trail = Trail(0, 5)
    for seq in (6, 7, 20):
        trail.acknowledged(seq, 100.0 + seq)
        assert (trail.safe, trail.sent, trail.unsafe) == (seq, seq, False)


def test_what_is_safe_trails_behind() -> None:
    trail = Trail(60, 0)
    for second in range(200):
        trail.acknowledged(10 * second, float(second))
        assert trail.safe == max(0, 10 * (second - 60))
        assert trail.unsafe == (second > 0)


def test_many_acknowledgements_of_a_second_count_from_the_last_of_them() -> None:
    trail = Trail(10, 0)
    for number in range(1000):
        trail.acknowledged(number, number / 1000)
    assert len(trail._recent) <= 2
    trail.alive(10.5)
    assert trail.safe == 0
    trail.alive(10.9991)
    assert trail.safe == 999


def test_time_without_a_word_makes_nothing_safe() -> None:
    trail = Trail(60, 0)
    trail.acknowledged(5, 0.0)
    trail.rewind()  # an hour later, when a connection was found to be lost
    assert (trail.sent, trail.safe) == (0, 0)
    trail.alive(3600.0)
    assert trail.safe == 0


def test_after_going_back_rows_have_to_become_safe_anew() -> None:
    trail = Trail(60, 0)
    trail.acknowledged(5, 0.0)
    trail.acknowledged(6, 50.0)
    trail.alive(61.0)
    assert (trail.sent, trail.safe) == (6, 5)
    trail.rewind()
    trail.acknowledged(6, 100.0)
    trail.alive(159.0)
    assert trail.safe == 5
    trail.alive(160.0)
    assert trail.safe == 6

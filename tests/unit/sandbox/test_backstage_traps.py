"""Starting up and limiting requests, with a clock of our own."""

from stageport.sandbox.backstage.traps import Phase, RateLimit, RateLimiter, Stage, StartUp


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_backend_without_phases_is_ready() -> None:
    assert StartUp().meet() is Stage.READY


def test_phases_pass_by_requests() -> None:
    start = StartUp([Phase(Stage.SILENT, requests=2), Phase(Stage.EMPTY, requests=1)], clock=Clock())

    assert [start.meet() for _ in range(5)] == [Stage.SILENT, Stage.SILENT, Stage.EMPTY, Stage.READY, Stage.READY]


def test_phases_pass_by_time() -> None:
    clock = Clock()
    start = StartUp([Phase(Stage.SILENT, seconds=2), Phase(Stage.WAITING, seconds=3)], clock=clock)
    assert start.meet() is Stage.SILENT

    clock.now += 2
    assert start.meet() is Stage.WAITING
    clock.now += 2.9
    assert start.meet() is Stage.WAITING
    clock.now += 0.1
    assert start.meet() is Stage.READY


def test_it_can_start_anew() -> None:
    start = StartUp()
    start.meet()

    start.begin([Phase(Stage.EMPTY, requests=1)])

    assert [start.meet(), start.meet()] == [Stage.EMPTY, Stage.READY]


def test_no_limit_says_nothing() -> None:
    assert RateLimiter(None).take() == (True, {})


def test_a_limit_counts_down_and_opens_again() -> None:
    clock = Clock()
    limiter = RateLimiter(RateLimit(requests=2, seconds=30), clock=clock)

    first, second, third = limiter.take(), limiter.take(), limiter.take()

    assert first == (True, {"X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "130"})
    assert second[0]
    assert third[0] is False
    assert third[1]["Retry-After"] == "30"
    assert third[1]["X-RateLimit-Remaining"] == "0"
    clock.now += 30
    assert limiter.take()[0]

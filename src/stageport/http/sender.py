"""Sends a request until there is an answer worth having, and tells of every wait."""

import random
from collections.abc import Callable

from stageport.http.clock import Clock, SystemClock
from stageport.http.messages import NoAnswerError, Request, Response
from stageport.http.pacing import Gate
from stageport.http.retry import Effort, Outcome, RetryPolicy, wait_before_retry
from stageport.http.transport import Transport
from stageport.model.events import Listener, Waiting, ignore


class Sender:
    """A transport with patience for one side (``side`` is its name in the events).

    Without a ``gate`` there is no limit of our own on requests at once.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        side: str,
        policy: RetryPolicy | None = None,
        gate: Gate | None = None,
        clock: Clock | None = None,
        listen: Listener = ignore,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self._transport = transport
        self._side = side
        self._policy = policy or RetryPolicy()
        self._gate = gate
        self._listen = listen
        self._draw = draw
        self._reached = False

    async def send(self, request: Request, *, final: Callable[[Response], bool] | None = None) -> Response:
        """Return the last answer, be it good or bad.

        ``final`` names answers that the caller deals with itself, although their status asks for another try.

        Raises:
            NoAnswerError: there was no whole answer, not even at the last attempt.
        """
        began, attempts = self.clock.monotonic(), 0
        while True:
            outcome = await self._attempt(request)
            if isinstance(outcome, Response) and (outcome.status < 400 or (final is not None and final(outcome))):
                return outcome
            attempts += 1
            wait = self._wait_after(outcome, request, Effort(attempts, self.clock.monotonic() - began, self._reached))
            if wait is None:
                return _give_up(outcome)
            await self.wait(wait, _say(outcome), rate_limited=_is_rate_limit(outcome))

    async def wait(self, seconds: float, reason: str, *, rate_limited: bool = False) -> None:
        """Sleep, and tell why."""
        self._listen(Waiting(self._side, seconds, reason, rate_limited))
        await self.clock.sleep(seconds)

    def backoff(self, attempts: int) -> float:
        """Return the wait after so many attempts, for callers that retry what looks like an answer but is none."""
        policy = self._policy
        return min(policy.first_wait * 2.0 ** (attempts - 1), policy.longest_wait) * (0.9 + 0.2 * self._draw())

    def _wait_after(self, outcome: Outcome, request: Request, effort: Effort) -> float | None:
        return wait_before_retry(
            outcome,
            policy=self._policy,
            effort=effort,
            retryable=request.retryable,
            epoch=self.clock.epoch(),
            draw=self._draw(),
        )

    async def _attempt(self, request: Request) -> Outcome:
        if self._gate is None:
            return await self._send_once(request)
        async with self._gate.slot():
            pause = self._gate.pause_left()
            if pause:
                await self.wait(pause, "the rate limit is used up", rate_limited=True)
            began = self.clock.monotonic()
            outcome = await self._send_once(request)
            if isinstance(outcome, Response):
                self._gate.learn(outcome, began=began)
            return outcome

    async def _send_once(self, request: Request) -> Outcome:
        try:
            response = await self._transport.send(request)
        except NoAnswerError as error:
            return error
        self._reached = True
        return response


def _give_up(outcome: Outcome) -> Response:
    if isinstance(outcome, Response):
        return outcome
    raise outcome


def _is_rate_limit(outcome: Outcome) -> bool:
    return isinstance(outcome, Response) and outcome.status == 429


def _say(outcome: Outcome) -> str:
    return f"answered {outcome.status}" if isinstance(outcome, Response) else outcome.reason

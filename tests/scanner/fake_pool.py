"""A pool that calls a function in place of actors, and a clock that only sleeps and calls advance: no Ray, no waiting."""

from collections import deque
from dataclasses import dataclass

from infra.calls import CallFailure, CallResult
from infra.errors import ClusterError

MOST_CALLS = 500
"""Largest number of calls; a run with more is taken for an endless loop."""


class Clock:
    """Time that passes only while the run sleeps or waits for a call."""

    def __init__(self):
        self.now, self.sleeps = 100.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class Started:
    """A call given to the actor, and the number of other calls that the actor held."""

    method: str
    task: object
    deadline_s: float
    n_beside: int


class FakePool:
    """One actor that holds at most two calls; the call that is over first ends first, and a crash ends all calls it holds.

    `answer` returns the end of a call: an exception that the method raises, a `CallFailure`, or anything else as its result.
    `seconds` returns how long a call takes on `clock`; by default calls take no time, and the oldest ends first.
    """

    def __init__(self, answer, in_flight=2, clock=None, seconds=lambda _call: 0.0):
        self._answer, self._in_flight = answer, in_flight
        self._clock, self._seconds = clock or Clock(), seconds
        self._waiting, self._running, self._ended = deque(), deque(), deque()
        self._ends = deque()
        """Time at which each running call is over."""
        self.started = []
        self.rows_done = deque()
        self.n_lost = 0
        self.is_closed = False

    def submit(self, call):
        self._waiting.append(call)

    @property
    def n_open(self):
        return len(self._waiting) + self.n_busy

    @property
    def n_busy(self):
        return len(self._running) + len(self._ended)

    def next_result(self, *, at_most=None):
        if self.rows_done:
            self._on_answers(self.rows_done.popleft())
        if not self._ended:
            if not self.n_open:
                return None
            self._start_waiting(self._in_flight if at_most is None else min(at_most, self._in_flight))
            self._end_first()
        return self._ended.popleft()

    def watch(self, _method, on_answers):
        """Pass on what `rows_done` lists before each result: the answers of the workers at that time."""
        self._on_answers = on_answers

    def close(self):
        self.is_closed = True

    def _start_waiting(self, room):
        while self._waiting and len(self._running) < room:
            if self._running and (self._waiting[0].is_alone or self._running[0].is_alone):
                return
            call = self._waiting.popleft()
            self.started.append(Started(call.method, call.arguments[0], call.deadline_s, len(self._running)))
            assert len(self.started) <= MOST_CALLS, "the run is an endless loop"
            self._running.append(call)
            self._ends.append(self._clock.now + self._seconds(call))

    def _end_first(self):
        place = min(range(len(self._ends)), key=self._ends.__getitem__)
        call, over = self._running[place], self._ends[place]
        self._clock.now = max(self._clock.now, over)
        answer = self._answer(call)
        if isinstance(answer, BaseException):
            self._ended.append(CallResult(self._take(place), failure=CallFailure.RAISED, error=answer))
        elif isinstance(answer, CallFailure):
            self.n_lost += 1
            answer = CallFailure.KILLED_WITH_NEIGHBOUR if answer is CallFailure.OVERDUE and len(self._running) > 1 else answer
            error = ClusterError(f"its worker: {answer}")
            self._ended.extend(CallResult(call, failure=answer, error=error) for call in self._running)
            self._running.clear()
            self._ends.clear()
        else:
            self._ended.append(CallResult(self._take(place), answer))

    def _take(self, place):
        call = self._running[place]
        del self._running[place], self._ends[place]
        return call

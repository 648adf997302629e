"""Who is doing what: the memory that master, web workers and app workers share (docs/worker-protocol.md).

The TypeScript side is src/shm/scoreboard.ts. A store through a memoryview cast is one aligned machine store, so
that a reader in another process never sees half a number.
"""

from __future__ import annotations

import mmap
import time

VERSION = 3
QUEUES_AT = 128
QUEUE_BYTES = 32
HEADER_BYTES = QUEUES_AT + 16 * QUEUE_BYTES
SLOT_BYTES = 256

FREE, BOOTING, READY, DRAINING = 0, 1, 2, 3
BY_ITSELF, TIMEOUT = 0, 1

# int32 fields, counted in ints from the start of the slot
_STATE, _PID, _GENERATION, _THREADS, _LOAD, _DONE, _CAUSE, _RSS = range(8)
# … each the first of one int per web worker
_BEGUN, _TAKEN_BACK = 32, 48
# float64 fields, counted in doubles from the start of the slot
_STARTED, _HEARTBEAT, _SERVICE = 5, 6, 7
_WAITING = 16
# Of a web worker's queue: ints, and doubles
_LENGTH, _WAITED = 0, 1
_SECONDS = 1

# What a worker is assumed to need per request before it has served any, seconds.
INITIAL_SERVICE = 0.004


class Scoreboard:
    """The whole board. `ints`, `uints` and `doubles` are views of the same memory."""

    def __init__(self, fd: int) -> None:
        memory = memoryview(mmap.mmap(fd, 0))
        self.ints = memory.cast("i")
        self.uints = memory.cast("I")
        self.doubles = memory.cast("d")
        if self.ints[0] != VERSION:
            raise ValueError(f"scoreboard version {self.ints[0]}, not {VERSION}")
        self.slots = self.ints[1]
        self.web_workers = self.ints[2]

    def waiting(self, web_worker: int) -> bool:
        """Does this web worker have requests waiting for a free worker?"""
        return self.ints[_WAITING + web_worker] != 0

    def queues(self) -> tuple[int, int, float]:
        """How many requests wait for a free worker; how many have waited and got one; for how long together."""
        length, waited, seconds = 0, 0, 0.0
        for number in range(self.web_workers):
            at = QUEUES_AT + number * QUEUE_BYTES
            length += self.ints[at // 4 + _LENGTH]
            waited += self.uints[at // 4 + _WAITED]
            seconds += self.doubles[at // 8 + _SECONDS]
        return length, waited, seconds

    def slot(self, number: int) -> Slot:
        return Slot(self, number)


class Slot:
    """One worker's place on the board. The worker's own stores go through the index constants (`at_…`) and the
    views directly, because they happen per request."""

    def __init__(self, board: Scoreboard, number: int) -> None:
        at = HEADER_BYTES + number * SLOT_BYTES
        self.number = number
        self.ints = board.ints
        self.uints = board.uints
        self.doubles = board.doubles
        self.at_int = at // 4
        self.at_done = at // 4 + _DONE
        self.at_begun = at // 4 + _BEGUN
        self.at_taken_back = at // 4 + _TAKEN_BACK
        self.at_started = at // 8 + _STARTED
        self.at_heartbeat = at // 8 + _HEARTBEAT
        self.at_service = at // 8 + _SERVICE

    def begin(self, generation: int, threads: int) -> None:
        """A new tenant. What belongs to the web workers stays; they still read what the last tenant had begun."""
        base = self.at_int
        for field, value in ((_GENERATION, generation), (_THREADS, threads), (_CAUSE, BY_ITSELF), (_RSS, 0)):
            self.ints[base + field] = value
        self.uints[self.at_done] = 0
        self.doubles[self.at_started] = 0.0
        self.doubles[self.at_heartbeat] = time.monotonic()
        self.doubles[self.at_service] = INITIAL_SERVICE
        self.state = BOOTING

    @property
    def state(self) -> int:
        return self.ints[self.at_int + _STATE]

    @state.setter
    def state(self, value: int) -> None:
        self.ints[self.at_int + _STATE] = value

    @property
    def pid(self) -> int:
        return self.ints[self.at_int + _PID]

    @pid.setter
    def pid(self, value: int) -> None:
        self.ints[self.at_int + _PID] = value

    @property
    def cause(self) -> int:
        return self.ints[self.at_int + _CAUSE]

    @cause.setter
    def cause(self, value: int) -> None:
        self.ints[self.at_int + _CAUSE] = value

    @property
    def done(self) -> int:
        return self.uints[self.at_done]

    @property
    def started(self) -> float:
        """Seconds of CLOCK_MONOTONIC when the oldest running request began; 0: none runs."""
        return self.doubles[self.at_started]

    @property
    def heartbeat(self) -> float:
        return self.doubles[self.at_heartbeat]

    @property
    def rss(self) -> int:
        """Resident bytes, as last noted; 0: not yet."""
        return self.ints[self.at_int + _RSS] * 1024

    def note_rss(self) -> None:
        """Reads the resident size of the tenant; kept as it was when the process is gone."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as statm:
                pages = int(statm.read().split()[1])
        except (OSError, IndexError, ValueError):
            return
        self.ints[self.at_int + _RSS] = pages * mmap.PAGESIZE // 1024

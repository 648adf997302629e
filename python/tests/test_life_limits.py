"""When a worker has lived long enough, or has grown too large."""

from __future__ import annotations

import math
import unittest
from time import monotonic

from alicorn.life_limits import GROWTH, JITTER, LifeLimits
from alicorn.spec import Settings

MEGABYTE = 2**20


def limits(memory: int = 0, age: float = 0) -> LifeLimits:
    settings = Settings("app:app", 1, (0, 1), [], "", max_worker_memory=memory, max_worker_age=age)
    return LifeLimits(settings)


class LifeLimitsCase(unittest.TestCase):
    def test_none_unless_they_are_wanted(self) -> None:
        free = limits()
        self.assertEqual(free.ends_at, math.inf)
        self.assertIsNone(free.begin(10**12))
        self.assertIsNone(free.reached(monotonic() + 10**9, 10**12))

    def test_each_worker_draws_its_own(self) -> None:
        drawn = [limits(memory=100 * MEGABYTE, age=1000) for _ in range(200)]
        sizes = {each.bytes / (100 * MEGABYTE) for each in drawn}
        ages = {(each.ends_at - monotonic()) / 1000 for each in drawn}
        for shares in (sizes, ages):
            self.assertGreater(len(shares), 190)
            self.assertTrue(all(1 - JITTER - 0.001 <= share <= 1 for share in shares), shares)
            self.assertGreater(max(shares) - min(shares), JITTER / 2)

    def test_memory(self) -> None:
        bounded = limits(memory=100 * MEGABYTE)
        self.assertIsNone(bounded.begin(50 * MEGABYTE))
        self.assertIsNone(bounded.reached(monotonic(), 89 * MEGABYTE))
        self.assertEqual(bounded.reached(monotonic(), 120 * MEGABYTE), "has 120 MB (max_worker_memory)")

    def test_an_application_that_is_larger_from_the_start_may_grow_a_little(self) -> None:
        bounded = limits(memory=100 * MEGABYTE)
        self.assertIn(
            "has 200 MB as soon as it is loaded; it is replaced at 220 MB", bounded.begin(200 * MEGABYTE) or ""
        )
        self.assertIsNone(bounded.reached(monotonic(), 210 * MEGABYTE))
        self.assertIsNotNone(bounded.reached(monotonic(), int(200 * (1 + GROWTH)) * MEGABYTE + 1))

    def test_age(self) -> None:
        bounded = limits(age=100)
        now = monotonic()
        self.assertIsNone(bounded.reached(now + 89, 0))
        self.assertEqual(bounded.reached(now + 101, 0), "has reached its age (max_worker_age)")

"""Tests by tier: ``unit``, ``integration``, ``browser``, ``system``; ``support`` is what they share."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

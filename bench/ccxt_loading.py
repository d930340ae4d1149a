"""What loading CCXT costs: all of it the usual way, and our eight exchanges.

python -m bench.ccxt_loading
"""

import subprocess
import sys

from backend.app.exchanges.registry import SUPPORTED

_ROUNDS = 5
_MEASURED = """
import resource, time
import aiohttp
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
{what}
print(time.perf_counter() - started,
      (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
_USUAL = "import ccxt.async_support"
_OURS = f"""
from backend.app.exchanges.ccxt_loader import load_exchange_class
for name in {SUPPORTED!r}: load_exchange_class(name)
"""
_RATIO_GOAL = 0.5


def _best(what: str) -> tuple[float, float]:
    runs = [
        subprocess.run(
            [sys.executable, "-c", _MEASURED.format(what=what)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(_ROUNDS)
    ]
    return min(float(seconds) for seconds, _ in runs), min(float(mib) for _, mib in runs)


def _main() -> None:
    (ours, ours_mib), (usual, usual_mib) = _best(_OURS), _best(_USUAL)
    print(f"{'loading ccxt':<14} {'eight of ours':>13} {'the usual way':>13} {'ratio':>6}")
    for name, mine, theirs, unit in (
        ("time", ours, usual, "s"),
        ("memory", ours_mib, usual_mib, "MiB"),
    ):
        ratio = mine / theirs
        met = "met" if ratio <= _RATIO_GOAL else "MISSED"
        print(
            f"{name:<14} {mine:>9.2f} {unit:<3} {theirs:>9.2f} {unit:<3} {ratio:>6.2f}x"
            f"  goal <= {_RATIO_GOAL}x {met}"
        )


if __name__ == "__main__":
    _main()

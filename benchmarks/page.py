"""Run the benchmarks against peers, and write what they found: `docs/benchmarks.md` and its JSON.

    python benchmarks/page.py
    python benchmarks/page.py --only materialize --only training_join

Under 30 minutes on two idle cores. Each benchmark is a process of its own; where one fails, hangs
or disagrees, the others go on, the page says so, and the exit status is 1. JSON and page are
written after each, and what does not run keeps its figures: a run that was stopped can be gone on
with by ``--only``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from _chosen import CHOSEN, Chosen
from _page import write_page

HERE = Path(__file__).resolve().parent
LIMIT = 15.0  # minutes of one benchmark


def main(
    words: Sequence[str] | None = None,
    chosen: Sequence[Chosen] = CHOSEN,
    folder: Path = HERE,
    docs: Path = HERE.parent / "docs",
) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [one.name for one in chosen]
    parser.add_argument("--only", action="append", choices=names, help="run this one; repeatable")
    parser.add_argument("--limit", type=float, default=LIMIT, help="minutes of one benchmark")
    parser.add_argument("--no-run", action="store_true", help="write the page from the JSON")
    arguments = parser.parse_args(words)
    path = docs / "benchmarks.json"
    kept = json.loads(path.read_text()) if path.is_file() else {"benchmarks": {}}
    kept["benchmarks"] = {n: one for n, one in kept["benchmarks"].items() if n in names}
    asked = [one for one in chosen if not arguments.only or one.name in arguments.only]
    asked = [] if arguments.no_run else asked
    if asked:
        kept["machine"] = machine()
    about = [kept["benchmarks"].get(one.name, {}).get("seconds", one.seconds) for one in asked]
    for number, one in enumerate(asked):
        left = sum(about[number:]) / 60
        print(f"[{number + 1}/{len(asked)}] {one.name}; about {left:.0f} min left", flush=True)
        kept["benchmarks"][one.name] = run(folder, one, arguments.limit * 60)
        write(path, json.dumps(kept, indent=1) + "\n")
        write_page(kept, chosen, docs / "benchmarks.md")
    if not asked:
        write_page(kept, chosen, docs / "benchmarks.md")
    bad = [one.name for one in asked if not well(kept["benchmarks"][one.name])]
    for name in bad:
        print(f"{name}: {kept['benchmarks'][name].get('failed', 'the results disagree')}")
    return 1 if bad else 0


def run(folder: Path, chosen: Chosen, limit: float) -> dict[str, Any]:
    """Run one benchmark, its lines on the terminal; return what the page needs of it."""
    command = [sys.executable, str(folder / f"{chosen.name}.py"), *chosen.words]
    started, before = time.perf_counter(), processor()
    lines, late = [], threading.Event()
    errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - open to the end
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        errors="replace",
        start_new_session=True,  # so that its servers and workers can be ended with it
    )

    def end() -> None:
        late.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit, end)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("RESULT "):
                lines.append(line)
            else:
                print("   ", line.rstrip(), flush=True)
        process.wait()
    except BaseException:
        end()
        raise
    finally:
        timer.cancel()
    entry: dict[str, Any] = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "command": " ".join(["python", f"benchmarks/{chosen.name}.py", *chosen.words]),
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(processor() - before, 1),
    }
    if late.is_set():
        return entry | {"failed": f"it took more than {limit / 60:.2g} minutes and was stopped"}
    if not lines:
        errors.seek(0)
        last = next((line for line in reversed(errors.readlines()) if line.strip()), "no word")
        last = last.strip().replace(f"{HERE.parent}{os.sep}", "")[:200]
        return entry | {"failed": f"it ended with status {process.returncode}: {last}"}
    return entry | {"result": json.loads(lines[-1].removeprefix("RESULT "))}


def well(entry: dict[str, Any]) -> bool:
    """Tell whether a benchmark ended with results that agree."""
    return bool(entry.get("result", {}).get("agree"))


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def processor() -> float:
    """Return the processor seconds of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def machine() -> dict[str, Any]:
    """Tell the machine in general words."""
    info = Path("/proc/cpuinfo")
    models = [
        line.partition(":")[2].strip()
        for line in (info.read_text() if info.is_file() else "").splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())

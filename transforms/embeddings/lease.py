"""Who works on a table in a bucket: a lease that must be renewed, since no kernel lets go of it.

The lock is one object, written on conditions alone: that nothing is there, or that it is still what
was read. Of all who try, one succeeds. Its owner renews it from a thread; whoever finds that it was
not renewed for as long as it says, by the clock of the store, takes it over. Machines' clocks are
never compared, so that they may be hours apart.

An owner that was paused for longer than that is no owner any more, and finds out before it commits:
it has to renew, on the condition that nobody else has. Where it was paused between that and the
commit, the commit fails, since who took over has put one of its own in the same place.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deepfeast.transforms.errors import BucketError, RunInProgress
from deepfeast.transforms.files.bucket import BucketPath, Tag

log = logging.getLogger(__name__)
# A run that was killed keeps others waiting for this long.
SECONDS = 60.0
# Stores tell times in whole seconds.
GRAIN = 2.0


@dataclass
class Lease:
    """A table that this process holds.

    Parameters
    ----------
    path : BucketPath
        Of the lock.
    view, run : str
        What is held, and for what; told to others.
    seconds : float
        How long it lasts after it was renewed.
    tag : dict of str to str
        Of the object as this process wrote it last.
    """

    path: BucketPath
    view: str
    run: str
    seconds: float
    tag: Tag = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner = uuid.uuid4().hex
        self.number = 0
        # One write after another, each on the condition of the one before it.
        self._writing = threading.RLock()
        self._stop = threading.Event()
        self._lost = ""

    def write(self, over: Tag | None, free: bool = False) -> None:
        """Write the lock on the condition that it is still what it was; None: not there.

        Raises
        ------
        FileExistsError
            If somebody else has written it.
        """
        with self._writing:
            self.number += 1
            said = {
                "owner": self.owner,
                "number": self.number,
                "run": self.run,
                "process": os.getpid(),
                "host": socket.gethostname(),
                "seconds": self.seconds,
                "free": free,
            }
            # Before it is sent: the time that an answer takes is time of the lease.
            sent = time.monotonic()
            try:
                self.tag = self.path.put(json.dumps(said).encode(), over)
            except FileExistsError:
                # A request whose answer got lost is sent again, and meets itself.
                if not self._is_mine():
                    raise
                self.tag = self.path.stat().tag
            self.until = sent + self.seconds

    def _is_mine(self) -> bool:
        found = _read(self.path)
        return bool(found) and (found["owner"], found["number"]) == (self.owner, self.number)

    def renew(self) -> None:
        """Renew it now.

        Raises
        ------
        RunInProgress
            If somebody else has it.
        """
        try:
            with self._writing:
                self.write(self.tag)
        except FileExistsError as error:
            who = _read(self.path)
            self._lost = f"{_told(who)} took it over" if who else "its lock was removed"
            raise self._gone() from error

    def check(self) -> None:
        """Look, without asking the store, whether it has been renewed in time.

        Raises
        ------
        RunInProgress
            If it has not.
        """
        if self._lost or time.monotonic() > self.until:
            raise self._gone()

    def _gone(self) -> RunInProgress:
        why = self._lost or f"it was not renewed for {self.seconds:.0f} seconds"
        return RunInProgress(
            f"run {self.run} no longer holds view {self.view!r}: {why}. Nothing of it was "
            f"published; run it again."
        )

    def keep(self) -> None:
        """Renew it again and again, until it is freed or somebody else has it."""
        while not self._stop.wait(self.seconds / 4):
            try:
                self.renew()
            except RunInProgress as error:
                log.warning(str(error))
                return
            except BucketError as error:
                log.warning(f"the lease of view {self.view!r} could not be renewed yet: {error}")

    def free(self) -> None:
        """Let others have it at once."""
        self._stop.set()
        try:
            with self._writing:
                self.write(self.tag, free=True)
        except (FileExistsError, BucketError) as error:
            log.debug(f"the lock {self.path} was not freed: {error}")


@contextmanager
def leased(path: BucketPath, view: str, run: str) -> Iterator[tuple[Lease, bool]]:
    """Hold a table in a bucket while a run works.

    Parameters
    ----------
    path : BucketPath
        Of the lock.
    view, run : str
        For those who find it held.

    Yields
    ------
    lease : Lease
    taken_over : bool
        Whether somebody had it who may yet wake up.

    Raises
    ------
    RunInProgress
        If another process holds it; it says which, and how long its lease still lasts.
    BucketError
        If the store does not honour conditions, so that it could not keep two runs apart.
    """
    lease = Lease(path, view, run, SECONDS)
    taken_over = _acquire(lease)
    keeper = threading.Thread(target=lease.keep, daemon=True, name=f"lease of {view}")
    keeper.start()
    try:
        yield lease, taken_over
    finally:
        lease.free()


def _acquire(lease: Lease) -> bool:
    """Get hold of a table; tell whether it was taken over from one who did not free it."""
    path = lease.path
    tag: Tag | None
    try:
        tag, found = path.stat().tag, _read(path)
    except FileNotFoundError:
        tag, found = None, {}
    if tag is None:
        # The first that is ever written there.
        check_conditions(path.parent)
    held = bool(found) and not found["free"]
    if held:
        left = found["seconds"] + GRAIN - _age(path)
        if left > 0:
            raise RunInProgress(
                f"view {lease.view!r} is held by {_told(found)}. Wait until it ends, then run "
                f"again; if it was killed, in {left:.0f} seconds."
            )
    try:
        lease.write(tag)
    except FileExistsError as error:
        who = _read(path)
        raise RunInProgress(
            f"view {lease.view!r} is held by {_told(who) if who else 'another run'}, which began "
            f"at the same moment. Wait until it ends, then run again."
        ) from error
    return held


def _read(path: BucketPath) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _told(found: dict[str, Any]) -> str:
    return f"run {found['run']}, process {found['process']} on {found['host']}"


def _age(path: BucketPath) -> float:
    """Return how long ago a file was written, in seconds, by the clock that wrote its time."""
    probe = path.parent / f"clock-{uuid.uuid4().hex}"
    probe.write_bytes(b"")
    try:
        return (probe.stat().modified - path.stat().modified).total_seconds()
    finally:
        _tidy(probe)


def check_conditions(folder: BucketPath) -> bool:
    """Refuse a store that writes although its condition does not hold.

    Parameters
    ----------
    folder : BucketPath
        A file is put there, and removed.

    Returns
    -------
    bool
        Whether the file is still there, since this process may not delete.

    Raises
    ------
    BucketError
        If two runs there would overwrite each other's commits without a word.
    """
    probe = folder / f"probe-{uuid.uuid4().hex}"
    try:
        first = probe.put(b"1", None)
        other = {name: f'"{uuid.uuid4().hex}"' if name == "e_tag" else "1" for name in first}
        for over, asked in ((None, "If-None-Match"), (other, "If-Match")):
            try:
                probe.put(b"2", over)
            except FileExistsError:
                continue
            raise BucketError(
                f"the store of {folder.root} ignores {asked}: of two runs at once both would "
                f"publish, and one commit would be lost. Use a store that honours it (Amazon S3, "
                f"Google Cloud Storage, Azure, MinIO since 2024), or keep the table on a disk."
            )
        probe.put(b"3", first)
    except FileExistsError as error:
        raise BucketError(
            f"the store of {folder.root} refuses a write whose condition (If-Match) holds, so that "
            f"a lease there could not be renewed. Use another store, or keep the table on a disk."
        ) from error
    finally:
        left = _tidy(probe)
    return left


def _tidy(probe: BucketPath) -> bool:
    """Delete a file; tell whether it is still there."""
    try:
        probe.unlink()
    except BucketError as error:
        log.debug(f"{probe} was left there: {error}")
        return True
    return False

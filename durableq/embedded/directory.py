"""Where the embedded server lives: its data, its socket, its log, and the lock that makes it the only one."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from durableq.embedded.errors import EmbeddedServerError

_SOCKET_PATH_MAX = 100  # sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing zero included
_LOG_LINES = 12


class DataDirectory:
    """One data directory. Its `lock` is inherited by the server, so it is held for exactly as long as one lives."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.log = self.path / "server.log"
        self.socket = self.path / "redis.sock"
        self._lock = self.path / "lock"

    def make(self) -> None:
        """Make it, for this user only, out of git's sight, with a place for the socket. Raises EmbeddedServerError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            (self.path / ".gitignore").write_text("*\n")
            if len(os.fsencode(self.socket)) > _SOCKET_PATH_MAX:
                self.socket = _short_socket(self.path)
        except OSError as error:
            raise EmbeddedServerError(f"{self.path} cannot hold the embedded server's data: {error}") from error

    def take_lock(self) -> int | None:
        """The locked file, for the server to inherit and the caller to close; None while a server lives."""
        lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def is_free(self) -> bool:
        """Whether no server lives here."""
        lock = self.take_lock()
        if lock is None:
            return False
        os.close(lock)
        return True

    def note_pid(self, lock: int, pid: int) -> None:
        """Write into the locked file who holds it: for people, never relied on."""
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{pid}\n".encode(), 0)

    def noted_pid(self) -> str:
        """What the file says of its holder, for messages."""
        return self._lock.read_text().strip() or "unknown"

    def turn_log(self) -> None:
        """Begin a new log, keeping the one before, which may hold the reason of a death."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))

    def end_of_log(self) -> str:
        """The last lines that the server wrote, indented for a message."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines if line.strip())


def _short_socket(directory: Path) -> Path:
    """A path short enough for a socket, in a folder of this user's in the temporary directory."""
    folder = Path(tempfile.gettempdir()) / f"durableq-{os.getuid()}"
    name = hashlib.sha1(os.fsencode(directory), usedforsecurity=False).hexdigest()[:16] + ".sock"
    if len(os.fsencode(folder / name)) > _SOCKET_PATH_MAX:
        folder = Path("/tmp") / folder.name
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    # The name can be guessed and the place is everybody's: take nobody else's folder, nor one that others may write to.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{directory} is too long a path for a socket, and {folder} is not a folder that only this user can enter. "
            "Choose a shorter directory, or remove that folder."
        )
    return folder / name

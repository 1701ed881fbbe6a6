"""A throw-away PostgreSQL server for tests and benchmarks, reachable through a socket in its own folder.

It must not run as root; then it runs as an unprivileged account of this machine. It lives as long as the
process that started it: its end of a pipe closes when that process dies, however it dies, and then its folder
goes, too.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

ACCOUNTS: Final = ("postgres", "nobody")
START_SECONDS: Final = 60.0
SETTINGS: Final = {
    "listen_addresses": "", "shared_buffers": "32MB", "max_connections": "200", "autovacuum": "off",
    "log_min_messages": "fatal", "wal_level": "minimal", "max_wal_senders": "0",
}  # fmt: skip
UNSAFE: Final = {"fsync": "off", "full_page_writes": "off"}
# $0 is the folder. A line says that the folder is still needed; the end of the pipe, that nobody is left.
_GUARDED: Final = """exec 3<&0; "$@" </dev/null & pid=$!; read -r line <&3; told=$?
kill -QUIT "$pid"; wait "$pid"; [ "$told" = 0 ] || rm -rf "$0\""""


@cache
def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, or None where there is no server."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").is_file() and (p / "postgres").is_file()), None)


class LocalServer:
    """A server and its databases; ``durable``: whether it waits for the disk, as a real one does."""

    def __init__(self, *, durable: bool = False) -> None:
        folder = programs()
        if folder is None:
            raise RuntimeError("PostgreSQL is not installed; install the package postgresql.")
        self.folder = Path(tempfile.mkdtemp(prefix="countermark-postgres-"))
        self._programs, self._identity = folder, _unprivileged(self.folder)
        try:
            self._process = self._start(SETTINGS | ({} if durable else UNSAFE))
            self._wait()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def url(self, database: str = "postgres", **options: str) -> str:
        """Return the URL of a database."""
        given = {"host": str(self.folder)} | options
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in given.items())
        return f"postgresql://countermark@/{database}?{query}"

    def create(self, database: str, template: str = "template0", options: str = "") -> str:
        """Make a database, as a copy of another one to which nobody is connected; return its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}" {options}')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Delete a database, and end who is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of any transaction and return its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as conn:
            done = conn.execute(statement.encode())
            return list(done.fetchall()) if done.description else []

    def stop(self) -> None:
        """End the server at once; what was committed is in its folder."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it ended by itself, or was stopped before
            pipe.write(b"stop\n")
            pipe.close()
        self._process.wait(timeout=START_SECONDS)

    def start(self) -> None:
        """Start it again on the same data."""
        self._process = self._run()
        self._wait()

    def restart(self) -> None:
        """Stop it as a crash would, and start it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def _start(self, settings: dict[str, str]) -> subprocess.Popen[Any]:
        command = [f"{self._programs}/initdb", f"-D{self.folder}/data", "--no-sync", "--auth=trust"]
        command += ["--username=countermark", "--encoding=UTF8", "--locale=C"]
        subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=self.folder, **self._identity)
        settings = settings | {"unix_socket_directories": str(self.folder)}
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        return self._run()

    def _run(self) -> subprocess.Popen[Any]:
        server = [f"{self._programs}/postgres", f"-D{self.folder}/data"]
        with (self.folder / "log").open("ab") as told:
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, str(self.folder), *server],
                stdin=subprocess.PIPE, stdout=told, stderr=told, cwd=self.folder, **self._identity,
            )  # fmt: skip

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from error
            time.sleep(0.02)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return who runs the server, as `subprocess` takes it, and give that account the folder."""
    if os.geteuid() != 0:
        return {}
    for name in ACCOUNTS:
        try:
            told = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, told.pw_uid, told.pw_gid)
        return {"user": told.pw_uid, "group": told.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no unprivileged account here.")

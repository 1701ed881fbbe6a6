"""A throw-away SoftHSM token with keys that sign claims, for tests of PKCS#11."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SOFTHSM: Final = Path("/usr/lib/softhsm/libsofthsm2.so")
TOKEN: Final = "claims"
PIN: Final = "4711"
CONFIG: Final = "SOFTHSM2_CONF"
KINDS: Final[dict[str, Callable[[], Any]]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


class LocalModule:
    """SoftHSM with one token while the ``with`` block lasts; it reads its folder out of the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public: dict[str, Any] = {}
        self._before: str | None = None

    def __enter__(self) -> "LocalModule":
        (self.folder / "tokens").mkdir(parents=True)
        config = self.folder / "softhsm.conf"
        config.write_text(f"directories.tokendir = {self.folder / 'tokens'}\nlog.level = ERROR\n")
        self._before = os.environ.get(CONFIG)
        os.environ[CONFIG] = str(config)
        self._tool("--init-token", "--free", "--label", TOKEN, "--so-pin", "8152", "--pin", PIN)
        for number, (kind, make) in enumerate(KINDS.items(), 1):
            self.public[kind] = self._import(make(), kind, number)
        self.begin_anew()
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del os.environ[CONFIG]
        else:
            os.environ[CONFIG] = self._before
            self.begin_anew()

    def uri(self, key: str, more: str = "") -> str:
        """The setting ``signer`` for one of the keys."""
        return f"pkcs11:token={TOKEN};object={key};type=private?module-path={SOFTHSM}{more}"

    @contextlib.contextmanager
    def pulled_out(self) -> Iterator[None]:
        """The token is away until the end of the block."""
        [token] = [path for path in (self.folder / "tokens").iterdir() if path.is_dir()]
        token.rename(self.folder / "away")
        try:
            yield
        finally:
            (self.folder / "away").rename(token)

    def begin_anew(self) -> None:
        """The library forgets sessions, logins and where it looked for tokens."""
        import pkcs11

        pkcs11.lib(str(SOFTHSM)).reinitialize()

    def _import(self, key: Any, label: str, number: int) -> Any:
        path = self.folder / "key.pem"
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        place = ("--token", TOKEN, "--pin", PIN, "--label", label, "--id", f"{number:02x}")
        self._tool("--import", str(path), *place)
        path.unlink()
        return key.public_key()

    @staticmethod
    def _tool(*arguments: str) -> None:
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)

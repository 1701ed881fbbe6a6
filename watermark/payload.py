"""Payload v1: 64 bits = version 4 | id 40 | MAC 20 (docs/adr/0002-payload-v1.md).

The id is a keyed permutation of a counter, so ids never collide and tell nothing about how many there
are. The MAC makes a payload that was not issued here fail with probability 1 − 2⁻²⁰ per guess, and cuts
the number of messages a detector may accept from 2⁶⁴ to 2⁴⁰, which its false-positive bound uses.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from watermark.errors import PayloadError
from watermark.keys import MintingKey

VERSION = 1
ID_BITS, MAC_BITS = 40, 20
PAYLOAD_BITS = 64
ID_COUNT = 1 << ID_BITS
_HALF = ID_BITS // 2
_HALF_MASK = (1 << _HALF) - 1
_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A payload that this service issued: the format version and the opaque id (40 bits)."""

    version: int
    id: int


class PayloadCodec:
    """Issues payloads from a counter, and recognises the ones it issued."""

    def __init__(self, key: MintingKey) -> None:
        self._mac_key, self._permutation_key = key.mac, key.permutation

    def issue(self, counter: int) -> int:
        """The 64-bit payload of the `counter`-th release.

        Raises: PayloadError when the counter does not fit 40 bits.
        """
        if not 0 <= counter < ID_COUNT:
            raise PayloadError(
                f"the payload counter {counter} is outside 0 … 2^{ID_BITS} − 1: start a new key"
            )
        return self.encode(Payload(version=VERSION, id=self._permute(counter)))

    def encode(self, payload: Payload) -> int:
        """Pack version and id and authenticate them; 64 bits as an int."""
        head = payload.version << ID_BITS | payload.id
        return head << MAC_BITS | self._mac(head)

    def decode(self, bits: int) -> Payload:
        """Unpack 64 bits.

        Raises: PayloadError when the version is unknown or the MAC does not fit.
        """
        head, mac = bits >> MAC_BITS, bits & ((1 << MAC_BITS) - 1)
        if head >> ID_BITS != VERSION:
            raise PayloadError(
                f"payload version {head >> ID_BITS} is not known; this program reads version {VERSION}"
            )
        if not hmac.compare_digest(mac.to_bytes(3), self._mac(head).to_bytes(3)):
            raise PayloadError("the payload was not issued with this key")
        return Payload(version=VERSION, id=head & (ID_COUNT - 1))

    def accepts(self, bits: int) -> bool:
        """Whether `decode` would succeed."""
        try:
            self.decode(bits)
        except PayloadError:
            return False
        return True

    def counter(self, payload: Payload) -> int:
        """The counter that `issue` was given (the inverse permutation)."""
        left, right = payload.id >> _HALF, payload.id & _HALF_MASK
        for turn in reversed(range(_ROUNDS)):
            left, right = right ^ self._round(turn, left), left
        return left << _HALF | right

    def _permute(self, counter: int) -> int:
        # A balanced Feistel network is a bijection whatever its round function is; with a PRF and more
        # than 4 rounds it is a strong pseudo-random permutation (Luby and Rackoff 1988).
        left, right = counter >> _HALF, counter & _HALF_MASK
        for turn in range(_ROUNDS):
            left, right = right, left ^ self._round(turn, right)
        return left << _HALF | right

    def _round(self, turn: int, half: int) -> int:
        digest = hmac.digest(self._permutation_key, bytes([turn]) + half.to_bytes(3), "sha256")
        return int.from_bytes(digest[:3]) & _HALF_MASK

    def _mac(self, head: int) -> int:
        digest = hmac.digest(self._mac_key, head.to_bytes(6), "sha256")
        return int.from_bytes(digest[:3]) & ((1 << MAC_BITS) - 1)


class Mint:
    """The minting keys of a service, one after another: each issues from its ``first`` counter to the next's.

    A key issues and accepts in its own range only. The ranges do not overlap, so that all together accept as
    many payloads as one key would, 2⁴⁰, and the detector's bound stays what it is; and whoever holds a key
    that was replaced can make no payloads but those that it had issued.
    """

    def __init__(self, keys: Sequence[MintingKey]) -> None:
        ordered = sorted(keys, key=lambda key: key.first)
        ends = [*(key.first for key in ordered[1:]), ID_COUNT]
        self._codecs = [
            (PayloadCodec(key), range(key.first, end)) for key, end in zip(ordered, ends, strict=True)
        ]

    def issue(self, counter: int) -> int:
        """The 64-bit payload of the `counter`-th release.

        Raises: PayloadError when the counter does not fit 40 bits, or lies before the first key's range.
        """
        for codec, counters in self._codecs:
            if counter in counters:
                return codec.issue(counter)
        raise PayloadError(f"no key issues the payload of the counter {counter}: restore the keys")

    def accepts(self, bits: int) -> bool:
        """Whether one of the keys issued these 64 bits, or may yet."""
        return any(
            codec.accepts(bits) and codec.counter(codec.decode(bits)) in counters
            for codec, counters in self._codecs
        )


def as_hex(bits: int) -> str:
    """The 16 hexadecimal digits under which a payload is stored and shown."""
    return f"{bits:016x}"

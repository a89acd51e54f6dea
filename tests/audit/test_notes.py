"""Signatures: the verifier in plain Python against a compiled one, and notes against the format of C2SP."""

import base64
import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.audit import check_proof
from ledger.audit.check_proof import InvalidProof, L, P, key_id, open_note, signed_by
from ledger.audit.notes import SigningKey, opened, sign
from ledger.codes import Code, Refused

RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
"""Public key, message, and both halves of the signature."""

SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NO_POINT = {
    "y is not below p": (P + 1).to_bytes(32, "little"),
    "y is p": P.to_bytes(32, "little"),
    "zero x with a sign": (1 | 1 << 255).to_bytes(32, "little"),
    "no x for this y": (2).to_bytes(32, "little"),
    "short": bytes(31),
    "long": bytes(33),
    "empty": b"",
}
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of the Go package from which the format comes."""


@pytest.mark.parametrize(("public", "message", "r", "s"), RFC_8032)
def test_the_signatures_of_the_rfc_hold(public: str, message: str, r: str, s: str) -> None:
    key, text, signed = (bytes.fromhex(one) for one in (public, message, r + s))
    assert signed_by(key, text, signed)
    assert not signed_by(key, text + b"x", signed)


def test_it_agrees_with_a_compiled_verifier() -> None:
    rng = np.random.Generator(np.random.PCG64(5))
    for _ in range(12):
        private = Ed25519PrivateKey.from_private_bytes(rng.bytes(32))
        public, message = private.public_key().public_bytes_raw(), rng.bytes(int(rng.integers(0, 200)))
        signature = private.sign(message)
        assert signed_by(public, message, signature)
        at, bit = int(rng.integers(0, 64)), int(rng.integers(0, 8))
        changed = bytearray(signature)
        changed[at] ^= 1 << bit
        assert not signed_by(public, message, bytes(changed))
        assert not signed_by(public, message, signature[:-1])
        assert not signed_by(public, message, signature + b"\0")


def test_a_second_form_of_a_signature_is_refused() -> None:
    public, message, r, half = (bytes.fromhex(one) for one in RFC_8032[1])
    s = int.from_bytes(half, "little")
    assert signed_by(public, message, r + half)
    for other in (s + L, s + 2 * L, L - s):
        assert not signed_by(public, message, r + other.to_bytes(32, "little"))


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(public: str) -> None:
    key = bytes.fromhex(public)
    neutral = (1).to_bytes(32, "little")
    with pytest.raises(InvalidProof):
        signed_by(key, b"anything", neutral + bytes(32))  # holds for everything under the neutral point
    with pytest.raises(Refused) as caught:
        opened(GO_NOTE, encoded(key))
    assert caught.value.code == Code.KEY_INVALID


@pytest.mark.parametrize("raw", NO_POINT.values(), ids=NO_POINT)
def test_bytes_that_are_no_point_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidProof):
        signed_by(raw, b"anything", bytes(64))


def encoded(public: bytes, name: str = "name") -> str:
    """A verifier key as text."""
    packed = base64.b64encode(b"\x01" + public).decode()
    return f"{name}+{key_id(name, public).hex()}+{packed}"


def test_a_note_of_another_program_is_read() -> None:
    assert opened(GO_NOTE, GO_KEY) == open_note(GO_NOTE, GO_KEY) == GO_NOTE.partition("\n\n")[0] + "\n"


def test_our_notes_are_read_back_and_signed_by_what_the_format_says() -> None:
    key, other = SigningKey("shuiquan/a", bytes(range(32))), SigningKey("shuiquan/a", bytes(32))
    note = sign("shuiquan/a\n1\n\u6c34\n", key, other)
    assert opened(note, key.verifier) == opened(note, other.verifier) == open_note(note, key.verifier)
    assert SigningKey.parse(key.text).text == key.text
    name, identity, packed = key.verifier.split("+", 2)
    public = base64.b64decode(packed)[1:]
    assert identity == hashlib.sha256(name.encode() + b"\n\x01" + public).hexdigest()[:8]
    assert note.split("\n")[4].startswith("— shuiquan/a ")
    assert opened("old 0\n\nrecords 1\n\n" + note, key.verifier) == "shuiquan/a\n1\n\u6c34\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("1", "2", 1),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace("— ", "- "),
        lambda note: note.partition("\n\n")[0] + "\n\n",
        lambda note: note.replace("=", ""),
        lambda note: note.replace("shuiquan/a ", "shuiquan/b "),
        lambda note: note[:60],
        lambda note: note.replace("\n\n", "\n\n\n"),
        lambda _: "",
        lambda _: "\n\n",
    ],
)
def test_a_changed_note_is_refused(change: object) -> None:
    key = SigningKey("shuiquan/a", bytes(range(32)))
    changed = change(sign("shuiquan/a\n1\n", key))  # type: ignore[operator]
    for read in (lambda: opened(changed, key.verifier), lambda: open_note(changed, key.verifier)):
        with pytest.raises((Refused, InvalidProof)):
            read()


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", "a+b+c", GO_KEY[:-4], GO_KEY + "x", GO_KEY.replace("c74f20a3", "c74f20a4"), "x" + GO_KEY]
)
def test_a_text_that_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        opened(GO_NOTE, text)
    assert caught.value.code == Code.KEY_INVALID


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\tb", "a\nb", "a\u3000b"])
def test_a_name_that_a_signature_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        SigningKey(name, bytes(32))
    assert caught.value.code == Code.KEY_INVALID


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+", "PRIVATE+KEY+a+b+c", "PRIVATE+KEY+a+00000000+AQ=="])
def test_a_secret_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Refused) as caught:
        SigningKey.parse(text)
    assert caught.value.code == Code.KEY_INVALID
    assert not text or text not in str(caught.value)


def test_the_curve_is_that_of_the_rfc() -> None:
    assert check_proof.multiply(L, check_proof.BASE)[0] == 0
    assert check_proof.bytes_of(check_proof.BASE).hex() == "58" + "66" * 31

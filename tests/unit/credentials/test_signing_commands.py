"""The commands, one after another as docs/signing.md tells them: key in a module, own CA, responder."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.credentials.keyfiles import read_private

PIN = "4711"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a command in an empty folder with a home of its own; answers its JSON document or text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERMARK_HOME", str(tmp_path / "home"))

    def command(line: str, expected: int = 0) -> Any:
        done = CliRunner().invoke(app, line.split())
        assert done.exit_code == expected, done.output
        return json.loads(done.stdout) if "--json" in line else done.output

    return command


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_from_a_key_in_a_module_to_its_revocation(run, module, monkeypatch, tmp_path):
    run("keys init")
    monkeypatch.setenv("COUNTERMARK_SIGNER", module.uri("es384"))
    monkeypatch.setenv("COUNTERMARK_SIGNER_PIN", PIN)
    told = run("keys csr --organisation Studio --name signer-2026 -o request.pem --json")
    assert told == {"file": "request.pem", "signer": "pkcs11"}
    run("ca init --organisation Studio --ocsp http://127.0.0.1:2560/")
    made = run("ca issue --csr request.pem -o signer.pem --days 30 --json")
    assert "no claim root" in run("keys trust-signer signer.pem", expected=3)
    root = str(tmp_path / "home" / "ca" / "root-certificate.pem")
    assert run(f"keys trust-signer signer.pem --root {root} --json")["signers"] == 2
    listed = run("keys list --json")["signers"]
    assert [row["cert_sha256"] for row in listed][1:] == [made["cert_sha256"]]
    monkeypatch.setenv("COUNTERMARK_SIGNER_CHAIN", "signer.pem")
    used = {row["cert_sha256"]: row["use"] for row in run("keys signers --json")["signers"]}
    assert [used.pop(made["cert_sha256"]), *used.values()] == ["current", "retired"]
    assert "elsewhere" in run("keys rotate signer", expected=2)
    question = ("ocsp", "-issuer", root, "-cert", "signer.pem", "-no_nonce")
    openssl(*question, "-reqout", "question.der")
    said = []
    for step in (None, f"ca revoke {made['cert_sha256']} --reason superseded --json"):
        if step:
            run(step)
        run("ca ocsp --request question.der -o answer.der")
        said.append(openssl(*question, "-respin", "answer.der", "-CAfile", root))
    assert ["signer.pem: good" in said[0], "signer.pem: revoked" in said[1]] == [True, True]
    assert all("Response verify OK" in one for one in said)
    run("ca crl -o list.crl")
    assert len(x509.load_der_x509_crl(Path("list.crl").read_bytes())) == 1
    [row] = run("ca list --json")
    assert (row["cert_sha256"], row["reason"]) == (made["cert_sha256"], "superseded")
    assert PIN not in run("keys csr --organisation x --name x -o request.pem", expected=2)


def test_what_commands_refuse(run, monkeypatch, tmp_path):
    run("keys init")
    run("ca init --organisation Studio")
    for line, why in {
        "ca init --organisation Studio": "new folder", "ca list --ca nowhere": "no CA",
        "ca issue --csr nothing.pem -o x.pem": "cannot read", "ca ocsp": "--port",
        f"ca revoke {'0' * 64}": "no such certificate", "ca revoke 0 --at tomorrow": "--at",
        "ca revoke 0 --at 2026-01-01T00:00:00": "zone", "ca revoke 0 --at 2999-01-01T00:00:00Z": "future",
        "ca revoke 0 --at 0001-01-01T00:00:00+23:00": "--at is no time",
        "ca address ftp://x": "http://",
        "ca init --ca other --organisation Studio --ocsp x": "http://",
    }.items():  # fmt: skip
        output = run(line, expected=3 if why in ("new folder", "no CA") else 2)
        assert why in output, line
    Path("two.pem").write_text((tmp_path / "home/ca/root-certificate.pem").read_text() * 2)
    Path("root.pem").write_text((tmp_path / "home/ca/root-certificate.pem").read_text())
    monkeypatch.setenv("COUNTERMARK_TSA_ROOTS", "root.pem")
    run("keys csr --organisation Studio --name s -o request.pem")
    run("ca issue --csr request.pem -o signer.pem")
    assert "vouches for time-stamps" in run("keys trust-signer signer.pem --root root.pem", expected=3)
    monkeypatch.delenv("COUNTERMARK_TSA_ROOTS")
    assert "does not hold one certificate" in run("keys trust-signer root.pem --root two.pem", expected=2)
    assert "profile" in run("keys trust-signer root.pem --root root.pem", expected=3)


def test_the_homes_own_responder(run, tmp_path):
    run("keys init")
    run("ca address http://127.0.0.1:2560/")
    folder = tmp_path / "home" / "keys" / "pki"
    for name in ("claim_root.pem", "claim_leaf.pem"):
        pem = re.search(b"-----BEGIN CERTIFICATE.*", read_private(folder / name), re.DOTALL)
        assert pem
        Path(name).write_bytes(pem.group())
    command = [sys.executable, "-m", "pipeline.cli.main", "ca", "ocsp", "--development", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stderr
        found = re.search(r"http://127\.0\.0\.1:\d+/", child.stderr.readline())
        assert found
        told = openssl(
            "ocsp", "-issuer", "claim_root.pem", "-cert", "claim_leaf.pem", "-CAfile", "claim_root.pem",
            "-url", found.group(),
        )  # fmt: skip
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 0
    assert "claim_leaf.pem: good" in told
    assert "Response verify OK" in told

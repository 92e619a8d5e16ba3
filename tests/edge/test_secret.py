"""An address is a password: read from a file of its user's own, and in no text."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from edge.secret import HIDDEN, Secret, SecretError, read_secret


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_first_line_is_the_address_and_the_second_a_token(tmp_path: Path) -> None:
    write(tmp_path / "anna", "# Anna's phone\n\n https://ntfy.sh/topic42 \ntk_abcdef\n")
    secret = read_secret("anna", tmp_path)
    assert (secret.url, secret.token) == ("https://ntfy.sh/topic42", "tk_abcdef")
    write(tmp_path / "bob", "https://ntfy.sh/topic42")
    assert read_secret("bob", tmp_path).token == ""


def test_a_credential_of_systemd_stands_before_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").mkdir()
    write(tmp_path / "credentials/anna", "https://a/credential", 0o440)
    write(tmp_path / "anna", "https://a/file")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert read_secret("anna", tmp_path).url == "https://a/credential"
    assert read_secret(str(tmp_path / "anna"), tmp_path).url == "https://a/file"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_others_can_read_is_refused_with_the_mend(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "anna", "https://a/b", mode)
    with pytest.raises(SecretError, match=f"chmod 600 {path}"):
        read_secret("anna", tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n# only a comment\n", b"\xff\xfe", b"x" * 20_000])
def test_a_file_that_holds_no_address_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "anna"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SecretError, match="address"):
        read_secret("anna", tmp_path)
    with pytest.raises(SecretError, match="cannot be read"):
        read_secret("bob", tmp_path)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://ntfy.sh/q7tTopic", ["q7tTopic"]),
        ("https://hc-ping.com/0123-4567-uuid", ["0123-4567-uuid"]),
        ("tgram://987654:AAtokenAA/chat77", ["987654", "AAtokenAA", "chat77"]),
        (
            "mailtos://me:pass%20word@host.example?to=you@there.example",
            ["pass word", "pass%20word"],
        ),
        ("json://user:geheim@h/p?key=k3yk3y", ["geheim", "k3yk3y"]),
    ],
)
def test_no_part_of_an_address_is_in_a_scrubbed_text(url: str, parts: list[str]) -> None:
    secret = Secret((url, "tk_AgentOfNobody"))
    told = " ".join(
        f"error at {part} {part.upper()} {quote(part)} {url} tk_agentofnobody" for part in parts
    )
    scrubbed = secret.scrub(told)
    for part in (*parts, "tk_AgentOfNobody"):
        assert part.lower() not in scrubbed.lower()
    assert HIDDEN in scrubbed
    assert scrubbed.startswith("error at")
    assert url not in f"{secret}{secret!r}"


def test_the_host_of_a_web_address_may_be_told() -> None:
    secret = Secret(("https://ntfy.example/q7tTopic",))
    assert secret.scrub("ntfy.example did not answer") == "ntfy.example did not answer"

"""What a broker's URL may say."""

import ssl
from pathlib import Path

import pytest

from shared.broker_url import check_url, tls_options, without_query
from shared.errors import UsageError


@pytest.mark.parametrize(
    "url",
    ["redis://lab", "redis://lab:6379/0", "redis://u:p%2F@[::1]:1/3", "rediss://u:p@lab/0?ssl_cert_reqs=CERT_NONE"],
)
def test_a_url_that_may_be_tried(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("redis://", "names no host"),
        ("redis:///0", "names no host"),
        ("redis://u:hunter2@lab:0/0", "names no host or no port"),
        ("redis://u:hunter2@lab:http/0", "cannot be read"),
        ("redis://u:hunter2/x@lab:1/0", "%2F"),
        ("redis://u:hunter2@lab:99999/0", "cannot be read"),
        ("redis://u:hunter2@[::1/0", "cannot be read"),
        ("redis://u:hunter2@lab/jobs", "'/jobs' is no number of a database"),
        ("redis://u:hunter2@lab/0?ssl_cert_reqs=none", "'ssl_cert_reqs' means nothing"),
        ("rediss://u:hunter2@lab/0?timeout=3", "'timeout' means nothing"),
        ("rediss://u:hunter2@lab/0?ssl_cert_reqs=maybe", "required"),
        ("redis://u:12/hunter2@lab:6379/0", "cannot be read"),
        ("redis://u:99?hunter2@lab:6379/0", "%3F"),
        ("redis://u:99?hunter2&x@lab:6379/0", "cannot be read"),
        ("redis://u:99#hunter2@lab:6379/0", "%23"),
        ("redis://u:hunter2@lab:6379/0#1", "what follows # means nothing"),
        ("rediss://u:hunter2@lab/0?ssl_ca_certs=/nonexistent/ca.crt", "/nonexistent/ca.crt, which does not exist"),
    ],
)
def test_a_url_that_cannot_be_one(url: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_tls_is_checked_unless_the_url_asks_for_less(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.touch()
    assert tls_options("redis://lab/0", ca) is None
    asked = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    assert tls_options("rediss://lab/0", None) == asked
    assert tls_options("rediss://lab/0", ca) == {**asked, "ssl_ca_certs": str(ca)}
    other = tls_options("rediss://lab/0?ssl_ca_certs=/x&ssl_cert_reqs=none&ssl_check_hostname=false", ca)
    assert other == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False, "ssl_ca_certs": "/x"}
    assert without_query("rediss://u:p%2F@lab:1/0?ssl_ca_certs=/x") == "rediss://u:p%2F@lab:1/0"


def test_an_authority_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"SCAFFOLDRY_BROKER_CA names .*nobody\.crt"):
        tls_options("rediss://lab/0", tmp_path / "nobody.crt")

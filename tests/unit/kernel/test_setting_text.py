"""Lines of a `.env` file and loopback URLs: read exactly, or refused without showing them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.kernel.errors import UsageFault
from quantlab.kernel.setting_text import loopback_url, parse_env

NAMES = ("A", "B_2")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("  export A=x  ", "x"),
        ("export\tA=x", "x"),
        ("A=", ""),
        ("A=x # a comment", "x"),
        ("A= # a comment", ""),
        ("A=a/b+c==", "a/b+c=="),
        ("A='x y # $z \"q\"'", 'x y # $z "q"'),
        ("A='' # c", ""),
        ('A="x y"', "x y"),
        ('A="a \\"b\\" \\\\ \\$c \\`d"', 'a "b" \\ $c `d'),
        ("A=x\r", "x"),
    ],
)
def test_a_line_is_read(line, value):
    """Bare words, both quotes, `export`, comments and CRLF are understood; nothing is expanded."""
    assert {"A": value} == parse_env(line, NAMES)


def test_a_whole_file():
    """Comments, empty lines, a byte order mark and the values of other names are left alone."""
    text = "\ufeff# head\n\nA=1\r\nOTHER=$(anything) `at` all\n\tB_2='2'\n"
    assert {"A": "1", "B_2": "2"} == parse_env(text, NAMES)
    assert {} == parse_env("", NAMES)


@pytest.mark.parametrize(
    "line",
    [
        "sesame",
        "=sesame",
        "2A=sesame",
        "A =sesame",
        "A= sesame",
        "A=ses ame",
        "A=ses#ame",
        "A=$sesame",
        "A=`sesame`",
        "A='sesame",
        'A="sesame',
        'A="$sesame"',
        'A="ses\\name"',
        "A='ses'ame",
        "A=sesame\\",
        "A=1\nA=sesame",
    ],
)
def test_a_bad_line_is_named_by_its_number(line):
    """A bad line is refused by number; its content, which may be a key, is not shown."""
    with pytest.raises(UsageFault) as caught:
        parse_env("# one\n" + line, NAMES)
    fault = caught.value
    number = 2 + line.count("\n")
    assert ("env_file_line", f"line {number}") == (fault.code, fault.refusals[0].measured)
    assert f"Line {number} of .env" in fault.message
    assert "ses" not in fault.message


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """No text raises anything but the usage fault."""
    try:
        found = parse_env(text, NAMES)
    except UsageFault:
        return
    assert set(found) <= set(NAMES)


@given(st.text(st.characters(exclude_characters="'\n", exclude_categories=["Cs"])))
def test_single_quotes_keep_everything(value):
    """What stands in single quotes comes back as it is."""
    assert {"A": value} == parse_env(f"A='{value}'", NAMES)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://127.9.8.7", "https://127.9.8.7"),
        ("http://localhost:1/", "http://localhost:1"),
        ("HTTP://LOCALHOST:1", "http://localhost:1"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("https://[::1]", "https://[::1]"),
    ],
)
def test_loopback(text, url):
    """A loopback address comes back rebuilt from its parts."""
    assert url == loopback_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:80",
        "ftp://127.0.0.1",
        "http://api.kraken.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::ffff:127.0.0.1]",
        "http://[::1%25lo]",
        "http://[::1",
        "http://127.1",
        "http://localhost.evil.example",
        "http://localhost.",
        "http://127.0.0.1@evil.example",
        "http://evil.example#@127.0.0.1",
        "http://127.0.0.1\\@evil.example",
        "http://127.0.0.1/path",
        "http://127.0.0.1?x",
        "http://127.0.0.1#x",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://127.0.0.1\n",
        "http:// 127.0.0.1",
        "http:///x",
        "http://\uff11\uff12\uff17.0.0.1",
    ],
)
def test_anything_else_is_none(text):
    """Whatever could reach another host, or be read in two ways, is refused."""
    assert loopback_url(text) is None


@given(st.text())
def test_any_text_is_a_loopback_url_or_none(text):
    """No text raises; a URL that passes passes again as it is."""
    url = loopback_url(text)
    assert url is None or url == loopback_url(url)

"""Frames of the control interface, and what is read out of them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import ConfigError
from espf.handlers.contract.failures import NotNow
from espf.handlers.options import read_options
from espf.handlers.osmo_hlr.frames import LONGEST_TEXT, Frames, frame
from espf.handlers.osmo_hlr.plan import steps
from espf.handlers.osmo_hlr.replies import NotCtrl, Reply, parse
from espf.handlers.osmo_hlr.settings import OsmoHlrSettings
from espf.handlers.osmo_hlr.state import Aud2g, Aud3g, HlrEntry, entry
from espf.subscribers.secret import Secret

IMSI = "001010000000001"
INFO = {"id": "1", "imsi": IMSI, "msisdn": "300", "nam_cs": "1", "nam_ps": "0"}
KEYS = {
    "aud2g.algo": "COMP128v3",
    "aud2g.ki": "0" * 32,
    "aud3g.algo": "MILENAGE",
    "aud3g.k": "1" * 32,
    "aud3g.opc": "2" * 32,
}


def info(**changed: str | None) -> str:
    values = INFO | KEYS | {name.replace("__", "."): value for name, value in changed.items()}
    return "\n" + "\n".join(
        f"{name}\t{value}" for name, value in values.items() if value is not None
    )


@given(
    texts=st.lists(st.text(st.characters(max_codepoint=126), max_size=60), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_texts_come_out_however_the_stream_is_cut(texts, cuts):
    ping = b"\x00\x01\xfe\x00"  # IPA's own protocol
    stream = ping.join(frame(text) for text in texts) + ping
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    frames = Frames()

    found = [
        text for begin, end in itertools.pairwise(edges) for text in frames.feed(stream[begin:end])
    ]

    assert found == texts


def test_the_longest_text_fits_and_a_longer_one_is_refused():
    assert Frames().feed(frame("x" * LONGEST_TEXT)) == ["x" * LONGEST_TEXT]
    with pytest.raises(ValueError, match="more than"):
        frame("x" * (LONGEST_TEXT + 1))


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("SET_REPLY 7 subscriber.create 1", Reply(7, "SET", "subscriber.create", "1")),
        ("GET_REPLY 8 x.info \nid\t1\n", Reply(8, "GET", "x.info", "\nid\t1\n")),
        ("GET_REPLY 8 x.info-aud ", Reply(8, "GET", "x.info-aud", "")),
        ("ERROR 9 No such subscriber.", Reply(9, None, "", "No such subscriber.")),
        ("TRAP 0 net.0.location 1", None),
    ],
)
def test_replies_are_taken_apart(text, reply):
    assert parse(text) == reply


@pytest.mark.parametrize(
    "text", ["", "HTTP/1.1 400 Bad", "ERROR err x", "GET_REPLY 9999999999999 x"]
)
def test_what_is_no_reply_is_refused(text):
    with pytest.raises(NotCtrl):
        parse(text)


def test_an_entry_is_read_out_of_info_all():
    assert entry(IMSI, info()) == HlrEntry(
        "300",
        cs=True,
        ps=False,
        aud2g=Aud2g("comp128v3", Secret("0" * 32)),
        aud3g=Aud3g(Secret("1" * 32), Secret("2" * 32)),
    )
    bare = info(msisdn="none", aud2g__algo=None, aud3g__algo=None)
    assert entry(IMSI, bare) == HlrEntry(None, cs=True, ps=False, aud2g=None, aud3g=None)


@pytest.mark.parametrize(
    "changed",
    [
        {"nam_cs": "yes"},
        {"nam_ps": None},
        {"imsi": "001010000000002"},
        {"msisdn": "12x"},
        {"aud2g__ki": "none"},
        {"aud3g__k": None},
        {"aud3g__opc": "s" * 32},
    ],
)
def test_an_answer_of_wrong_type_is_told_of_without_its_value(changed):
    with pytest.raises(NotNow, match=f"shows subscriber {IMSI} with no") as raised:
        entry(IMSI, info(**changed))
    assert not [value for value in changed.values() if value and value in f"{raised.value}"[50:]]


KEY = st.sampled_from([Secret("a" * 32), Secret("b" * 32)])
ENTRIES = st.none() | st.builds(
    HlrEntry,
    msisdn=st.sampled_from([None, "1", "2"]),
    cs=st.booleans(),
    ps=st.booleans(),
    aud2g=st.none() | st.builds(Aud2g, st.just("comp128v3"), KEY),
    aud3g=st.none() | st.builds(Aud3g, KEY, KEY),
)


@given(have=ENTRIES, want=ENTRIES)
def test_steps_are_planned_only_where_there_is_a_difference_and_in_the_order_of_their_phases(
    have, want
):
    found = list(steps(IMSI, have, want))
    managed = want is None or want.aud2g is not None or have is None or have.aud2g is None

    if managed:
        assert bool(found) == (have != want)
    assert [step.phase for step in found] == sorted(step.phase for step in found)
    assert len(set(found)) == len(found)
    assert not [step for step in found if "a" * 32 in f"{step!r}{step}"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"OsmoHLR.Host": ""}, "OsmoHLR.Host must be a host's name or address"),
        ({"OsmoHLR.Host": "hlr:4259/x"}, "OsmoHLR.Host must be a host's name or address"),
        ({"OsmoHLR.Host": "169.254.1.1"}, "OsmoHLR.Host must be another host: 169.254.1.1 is link"),
        ({"OsmoHLR.Services": "cs,lte"}, "OsmoHLR.Services must be cs, ps or both, not lte."),
        ({"OsmoHLR.IMSIPattern": "001*,x"}, "OsmoHLR.IMSIPattern must be digits and *"),
        ({"OsmoHLR.Aud2G": "xor"}, "OsmoHLR.Aud2G must be one of comp128v1, comp128v2"),
    ],
)
def test_a_wrong_option_is_told_of(options, problem):
    with pytest.raises(ConfigError) as raised:
        read_options(
            OsmoHlrSettings, {"OsmoHLR.Host": "hlr"} | options if options else {}, "OsmoHLR"
        )
    assert problem in f"{raised.value}"

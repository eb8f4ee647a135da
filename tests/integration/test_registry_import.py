"""Imports: rows in order, one bad row stops nothing else."""

import json
import threading

import pytest
from django.db import connections

import registry_rig
from espf.errors import RegistryError
from espf.registry.importing import KEPT_FAILURES, import_file
from espf.registry.services import add, list_, show, update


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        add("customer", {"name": "Ann"})
        add("sim_card", {"imsi": "001010000000001"})
        rig.events()
        yield rig


@pytest.fixture
def write(tmp_path):
    def write(content, name="rows"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_rows_with_the_key_update_and_rows_without_add_in_order(rig, write):
    path = write(
        "i_account,id,i_customer,imsi,blocked\n"
        ",100,1,001010000000001,\n"
        "1,,,,Y\n"
        ",200,1,,N\n"
    )  # fmt: skip
    report = import_file("account", path)
    assert (report.added, report.updated, report.failed) == (2, 1, [])
    assert show("account", 1)["imsi"] == "001010000000001"  # an empty cell says nothing
    assert show("account", 1)["blocked"] == "Y"
    assert rig.types() == [
        "Account/New",
        "Account/SIMCardAssignment",
        "SIM/Status/Changed",
        "Account/Blocked",
        "Account/New",
    ]


def test_json_lines_say_null_to_clear_a_field(rig, write):
    rows = [
        {"id": "100", "i_customer": 1, "imsi": "001010000000001", "credit_limit": 5},
        {"i_account": 1, "imsi": None, "credit_limit": None},
    ]
    report = import_file("account", write("\n".join(map(json.dumps, rows)) + "\n\n"))
    assert (report.added, report.updated) == (1, 1)
    assert (show("account", 1)["imsi"], show("account", 1)["credit_limit"]) == (None, None)


def test_a_bad_row_names_its_line_and_stops_nothing_else(rig, write):
    path = write(
        b'imsi,iccid,hlr_name\n12345,,\n"123456",,"two\nlines"\n234567,,ok\n234567,,again\n'
        b'345678,,a,b\n456789,"x"y,\n567890,,nul\0\n'
        b'678901,,\xff\xfe\n789012,,fine\n890123,,"never closed\n901234,,\n'
    )
    report = import_file("sim_card", path)
    assert report.added == 3
    assert [line for line, _ in report.failed] == [2, 3, 6, 7, 8, 9, 10, 12]
    why = dict(report.failed)
    assert "6 to 15 digits" in why[2]
    assert "control character" in why[3]
    assert "has this IMSI" in why[6]
    assert "4 cells where the header has 3" in why[7]
    assert "not CSV" in why[8]
    assert "control character" in why[9]
    assert "not valid UTF-8" in why[10]
    assert "not CSV" in why[12]


@pytest.mark.parametrize("rows", [1, 10, 1000])
def test_an_open_quote_swallows_none_of_the_rows_behind_it(rig, write, rows):
    good = "".join(f"{number:06},,\n" for number in range(200, 200 + rows))
    path = write(f'imsi,iccid,hlr_name\n100000,,"open\n{good}100001,,"open\n100002,,x')
    report = import_file("sim_card", path)
    assert report.added == rows + 1
    why = "not CSV: a quote is opened and not closed"
    assert report.failed == [(2, why), (rows + 3, why)]


def test_bad_json_lines_are_named(rig, write):
    path = write(
        b'\xef\xbb\xbf{"name": "a"}\n{"name": \n[1]\n{"name": "a"}\n{"nam": "x"}\n'
        b'{"name": {"x": 1}}\n{"i_customer": true, "name": "b"}\n{"i_customer": 99}\n'
        b'{"name": "\xff"}\n{"name": "' + b"x" * 1_100_000 + b'"}\n{"name": "last"}'
    )
    report = import_file("customer", path)
    assert report.added == 2
    assert [line for line, _ in report.failed] == list(range(2, 11))
    assert "longer than" in report.failed[-1][1]
    assert "did you mean name" in report.failed[3][1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("\nname\nx\n", "header is missing"),
        ("[{}]", "one JSON object a line"),
        ("naem\nx\n", "did you mean name"),
        ("name,name\n1,2\n", "there twice"),
        ("status\nactive\n", "cannot be written"),
        ("name\nx\n".encode("utf-16"), "not UTF-8"),
        (b"\0\0\0\0", "not UTF-8"),
        ('"name\n', "header is not CSV"),
        ("name;email\nx;y\n", "use commas"),
        (b"n" * 1_100_000, "header is not CSV"),
    ],
)
def test_a_file_that_is_no_import_file_stores_nothing(rig, write, content, why):
    with pytest.raises(RegistryError, match=why):
        import_file("customer", write(content))
    assert len(list_("customer")) == 1


def test_a_missing_file_and_a_folder_are_named(rig, tmp_path):
    with pytest.raises(RegistryError, match="No such file"):
        import_file("customer", tmp_path / "none.csv")
    with pytest.raises(RegistryError, match="directory"):
        import_file("customer", tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_header(rig, write):
    assert import_file("customer", write("name\r\nBob\r\n".encode("utf-8-sig"))).added == 1


def test_progress_is_told_and_failures_are_bounded(rig, write):
    seen = []
    path = write("imsi\n" + "1\n" * (KEPT_FAILURES + 500))
    report = import_file("sim_card", path, lambda report, share: seen.append((report.rows, share)))
    assert report.failed_count == KEPT_FAILURES + 500
    assert len(report.failed) == KEPT_FAILURES
    assert seen == sorted(seen)
    assert seen[-1] == (KEPT_FAILURES + 500, 1.0)


def test_others_write_while_an_import_runs(rig, write):
    path = write("name\n" + "".join(f"c{number}\n" for number in range(3000)))
    written = []

    def edit():
        for number in range(20):
            update("customer", 1, {"firstname": str(number)})
            written.append(number)
        connections.close_all()

    thread = threading.Thread(target=edit)
    thread.start()
    report = import_file("customer", path)
    thread.join()
    assert (report.added, len(written)) == (3000, 20)

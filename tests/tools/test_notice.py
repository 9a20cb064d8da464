from __future__ import annotations

import json
from pathlib import Path

from reactor.tools.notice import noticed_url, remove_notice, write_notice

URL = "http://127.0.0.1:3210"


def test_a_notice_tells_the_url(tmp_path: Path) -> None:
    write_notice(tmp_path / "n.json", URL)
    assert noticed_url(tmp_path / "n.json") == URL


def test_no_notice_no_url(tmp_path: Path) -> None:
    assert noticed_url(tmp_path / "n.json") is None
    assert noticed_url(None) is None


def test_a_notice_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    for content in ("", "{", "[]", '{"url": 5}', "\x00"):
        (tmp_path / "n.json").write_text(content)
        assert noticed_url(tmp_path / "n.json") is None


def test_a_process_removes_its_own_notice(tmp_path: Path) -> None:
    write_notice(tmp_path / "n.json", URL)
    remove_notice(tmp_path / "n.json")
    assert list(tmp_path.iterdir()) == []


def test_a_process_leaves_the_notice_of_another_alone(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps({"url": URL, "pid": 1}))
    remove_notice(tmp_path / "n.json")
    assert noticed_url(tmp_path / "n.json") == URL


def test_a_new_notice_replaces_a_stale_one(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": 1}))
    write_notice(tmp_path / "n.json", URL)
    assert noticed_url(tmp_path / "n.json") == URL

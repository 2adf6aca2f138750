from __future__ import annotations

from regscope.file_rows import FileRows
from regscope.schema import make_table


def test_a_table_without_rows_has_no_layers_and_no_rows_of_any() -> None:
    rows = FileRows(make_table("files", ()), ["path", "size"])
    assert rows.layers == []
    assert rows.of("sha256:a").empty
    assert list(rows.of("sha256:a").columns) == ["path", "size"]

"""The file tree of an image shows every byte once, however much of it there is."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from regscope import text
from regscope.analysis.final_tree import final_files
from regscope.analysis.waste import wasted_files
from regscope.errors import InvalidInput
from regscope.tables import Snapshot
from regscope.views.file_map import file_map
from regscope.views.file_tree import FilePage, file_tree
from regscope.views.folded_tree import folded_tree
from regscope.views.image_files import DIRECTORIES, FILES, SIZE, WASTED, WASTED_FILES, FileTree, image_entries, tree_of
from tests.lab.file_snapshots import Entry, directory, file, whiteout
from tests.lab.row_snapshots import RegistryRows, layer
from tests.views.reading import ReadPage
from tests.views.test_in_browser import OUTSIDE, Show

IMAGE = "team/api:1.0"
EXACT = re.compile(r"([\d,]+) bytes?")


@pytest.fixture(scope="module")
def made(inside: Snapshot) -> FilePage:
    return file_tree(inside, IMAGE)


@pytest.fixture(scope="module")
def tree(inside: Snapshot) -> FileTree:
    return tree_of(image_entries(inside, IMAGE))


@pytest.fixture(scope="module")
def vast() -> Snapshot:
    """One image of 100,000 files in 20 layers."""
    rows, chance = RegistryRows(), random.Random(5)
    folders = [f"usr/lib/mod{n % 40}/package{n % 700}/sub{n % 2000}" for n in range(6000)]
    layers = []
    for number in range(20):
        entries: list[Entry] = [
            file(f"{chance.choice(folders)}/file_{n}.py", f"{number} {n}", size=int(chance.lognormvariate(8, 2)))
            for n in range(5000)
        ]
        made = layer(str(number), 1_000_000, f"RUN make step {number}")
        rows.contents(made, *entries, whiteout(chance.choice(folders)))
        layers.append(made)
    rows.image("vast", ["1"], layers)
    return rows.snapshot()


def one(*entries: Entry) -> Snapshot:
    rows, only = RegistryRows(), layer("only", 100)
    rows.contents(only, *entries)
    rows.image("a", ["1"], [only])
    return rows.snapshot()


def total(snap: Snapshot, image: str) -> tuple[int, int]:
    """The bytes that an image's layers carry, and those of them that are wasted, by the analysis."""
    final = final_files(snap, image)
    visible = final[final["kind"] == "file"].drop_duplicates("inode")["size"].sum()
    wasted = wasted_files(snap, image)["bytes"].sum()
    return int(visible + wasted), int(wasted)


def bytes_of_lines(html: str) -> int:
    """The sizes of all lines but those of directories, whose bytes are in the lines within."""
    lines = re.findall(r'<li(?: class="rest")?><b title="([^"]*)"', html)
    return sum(int(EXACT.match(line)[1].replace(",", "")) for line in lines)  # type: ignore[index]


def counted_files(html: str) -> int:
    shown = len(re.findall(r"<li><b", html))
    rest = re.findall(r'<li class="rest">.*?</li>', html)
    return shown + sum(
        int(n.replace(",", "")) for line in rest for n in re.findall(r"([\d,]+) (?:smaller |wasted )?files?", line)
    )


def test_the_totals_are_those_of_the_final_files_and_the_wasted_ones(inside: Snapshot, made: FilePage) -> None:
    carried, wasted = total(inside, IMAGE)
    read = ReadPage(made.html)
    assert (carried, wasted) == (3_851_740, 1_001_700)
    assert read.figures["In the layers"] == (text.size(carried), f"{carried:,} bytes")
    assert read.figures["Wasted"] == (text.size(wasted), f"{wasted:,} bytes")


def test_the_layers_of_the_legend_add_up_to_the_totals(inside: Snapshot, made: FilePage) -> None:
    legend = ReadPage(made.html).sections["layers"]
    assert (sum(filter(None, legend.numbers("Content"))), sum(filter(None, legend.numbers("Wasted")))) == total(
        inside, IMAGE
    )
    assert [cell.text for cell in legend.column("Build line")] == ["ADD rootfs.tar /", "COPY app /app", "RUN make"]


def test_a_directory_has_the_bytes_and_the_files_of_all_below_it(tree: FileTree) -> None:
    app = tree.sums[tree.paths.tolist().index("app")]
    assert app[[SIZE, WASTED, FILES, WASTED_FILES, DIRECTORIES]].tolist() == [2_501_700, 701_700, 3, 2, 0]
    root = tree.sums[tree.root]
    assert root[[FILES, WASTED_FILES, DIRECTORIES]].tolist() == [6, 3, 5]


def test_wasted_files_are_struck_through_where_they_were_with_the_layer_that_hides_them(made: FilePage) -> None:
    assert re.search(r'<i class="c0">0</i><s><bdi>old.so</bdi></s> <small>deleted by layer 1</small>', made.html)
    assert re.search(r'<i class="c1">1</i><s><bdi>run</bdi></s> <small>overwritten by layer 2</small>', made.html)
    assert re.search(r'<i class="c2">2</i><bdi>run</bdi></li>', made.html)


def test_a_symlink_says_where_it_leads_and_a_second_name_weighs_nothing() -> None:
    rows, only = RegistryRows(), layer("only", 100)
    rows.contents(
        only,
        file("b", "x", size=500),
        Entry("a", "hardlink", link_target="b"),
        Entry("l", "symlink", 0, link_target="b"),
    )
    rows.image("a", ["1"], [only])
    html = file_tree(rows.snapshot(), "a:1").html
    assert "<small>→ <bdi>b</bdi></small>" in html
    assert "<small>the same file as <bdi>a</bdi></small>" in html
    assert bytes_of_lines(html) == 500


def test_the_largest_come_first(tree: FileTree) -> None:
    names = re.findall(r"<bdi>([^<]*)</bdi>", folded_tree(tree))
    assert names == [
        "/", "app/", "libc.so", "run", "run", "key.pem", "lib.so", "../usr/lib/libc.so",
        "usr/", "lib/", "libc.so", "old.so", "bin/", "su", "etc/", "passwd",
    ]  # fmt: skip


@pytest.mark.parametrize("most_lines", [1, 2, 5, 8, 100])
def test_what_has_no_line_of_its_own_is_counted_where_it_is(inside: Snapshot, tree: FileTree, most_lines: int) -> None:
    html = folded_tree(tree, most_lines=most_lines)
    assert bytes_of_lines(html) == total(inside, IMAGE)[0]
    assert counted_files(html) == 9
    assert len(re.findall(r"<li><(?:b|details)", html)) <= most_lines


def test_a_hundred_thousand_files_stay_under_three_megabytes_and_add_up(vast: Snapshot) -> None:
    made, tree = file_tree(vast, "vast:1"), tree_of(image_entries(vast, "vast:1"))
    html = made.html
    assert len(html.encode()) < 3_000_000
    assert bytes_of_lines(html[html.index('class="tree"') :]) == total(vast, "vast:1")[0]
    assert counted_files(html[html.index('class="tree"') :]) == tree.sums[tree.root][[FILES, WASTED_FILES]].sum()
    assert len(tree.entries) > 100_000 * 0.99


def test_names_that_are_long_and_all_to_be_escaped_stay_within_the_limit() -> None:
    snap = one(*(file(f"{n:05}{'<' * 250}", str(n), size=10) for n in range(12_000)))
    html = file_tree(snap, "a:1").html
    assert len(html.encode()) < 3_000_000
    assert bytes_of_lines(html[html.index('class="tree"') :]) == 120_000


def test_a_path_of_a_thousand_directories_is_folded_before_a_browser_would_flatten_it() -> None:
    html = file_tree(one(file("/".join("d" * 1000), "deep", size=77), file("x", "x", size=1)), "a:1").html
    assert html.count("<details") < 80
    assert bytes_of_lines(html) == 78
    assert "and 1 file and 939 directories" in html


def test_directories_with_nothing_else_in_them_share_a_line() -> None:
    html = file_tree(one(file("usr/local/lib/a", "a", size=9), file("usr/local/lib/b", "b", size=8)), "a:1").html
    assert "<bdi>usr/local/lib/</bdi> <small>2 files</small>" in html


def test_an_image_without_files_says_so() -> None:
    html = file_tree(one(), "a:1").html
    assert "All files are empty." in html
    assert file_tree(one(directory("")), "a:1").html.count("<li>") == 1


def test_layers_that_were_not_read_are_an_error_that_says_what_to_do(small: Snapshot) -> None:
    with pytest.raises(InvalidInput) as caught:
        file_tree(small, "debian:12.0")
    assert "scan_files" in str(caught.value.next_step)


def test_the_map_draws_every_byte_once(inside: Snapshot, vast: Snapshot) -> None:
    for snap, image in ((inside, IMAGE), (vast, "vast:1")):
        tree = tree_of(image_entries(snap, image))
        for most in (3, 30):
            found = file_map(tree, 1120, 480, most_files=10 * most, most_boxes=most)
            assert found.size == total(snap, image)[0]
            assert sum(box.size for box in found.boxes) == found.size
            assert all(sum(tile.size for tile in box.tiles) == box.size for box in found.boxes)
            assert len(found.boxes) <= most


def test_the_map_marks_the_wasted_files_and_no_others(tree: FileTree) -> None:
    tiles = [tile for box in file_map(tree, 1120, 480, most_files=99, most_boxes=9).boxes for tile in box.tiles]
    wasted = {tile.title for tile in tiles if "wasted" in tile.style}
    assert wasted == {
        "/usr/lib/old.so: 300.0 kB from layer 0, deleted",
        "/app/run: 700.0 kB from layer 1, overwritten",
        "/app/key.pem: 1.7 kB from layer 1, deleted",
    } & {tile.title for tile in tiles}
    assert len(wasted) >= 2


def test_it_saves_itself_and_says_what_it_is(made: FilePage, tmp_path: Path) -> None:
    assert repr(made).startswith("Files of team/api:1.0: a file tree, ")
    assert made.save(tmp_path / "files.html").read_text(encoding="utf-8") == made.html


def test_the_keyboard_alone_opens_and_closes_a_directory(show: Show, made: FilePage) -> None:
    page = show(made.html)
    run = page.locator("s", has_text="run")
    expect(run).to_be_hidden()
    page.locator(".tree summary").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(run).to_be_visible()
    page.keyboard.press("Space")
    expect(run).to_be_hidden()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_no_wider_than_its_window_and_labels_stay_in_their_rectangles(
    show: Show, made: FilePage, width: int, scheme: str
) -> None:
    page = show(made.html)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.evaluate("for (const folder of document.querySelectorAll('details')) folder.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OUTSIDE) == []
    assert contrasts(page) > 4.4


def test_in_a_notebook_a_directory_opens_too(show: Show, made: FilePage) -> None:
    page = show("<!DOCTYPE html><meta charset=utf-8><title>notebook</title>" + made._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("summary", has_text="app/").click()
    expect(frame.locator("s", has_text="run")).to_be_visible()


def contrasts(page: Page) -> float:
    """The least contrast between the number of a layer and its colour (WCAG 2.1)."""
    found: float = page.evaluate("""() => {
      const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
      const mark = document.querySelector(".tree i[class]");
      return Math.min(...Array.from({ length: 10 }, (_, n) => {
        mark.className = `c${n}`;
        const style = getComputedStyle(mark);
        const [a, b] = [light(style.color), light(style.backgroundColor)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      }));
    }""")
    return found

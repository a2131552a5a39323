"""What counts as the same output of a notebook, and what does not."""

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

import nbformat
from nbformat import v4

import notebooks


def notebook(*outputs, tags=()):
    cell = v4.new_code_cell("1", outputs=list(outputs), metadata={"tags": list(tags)})
    return v4.new_notebook(cells=[v4.new_markdown_cell("text"), cell])


def text(content, name="stdout"):
    return v4.new_output("stream", name=name, text=content)


def picture(kind="image/png", content="AAAA"):
    return v4.new_output("display_data", data={kind: content, "text/plain": "<Figure>"})


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("12 sites, 0.81", "12 sites, 0.82", True),
        ("-0.10 to 9.99", "-0.11 to 10.00", True),
        ("0.81", "0.83", False),
        ("12 sites", "13 sites", False),
        ("0.8", "0.80", False),
        ("0.81 0.5", "0.81", False),
        ("north 0.81", "south 0.81", False),
    ],
)
def test_numbers_with_decimals_may_differ_in_the_last_digit(one, other, is_same):
    assert notebooks.same(one, other) == is_same


def test_another_line_is_told_with_its_cell():
    told = notebooks.differences(notebook(text("a\nb\n")), notebook(text("a\nc\n")))
    assert "code cell 1" in told
    assert "-b" in told
    assert "+c" in told


def test_a_line_more_or_less_is_a_difference():
    assert notebooks.differences(notebook(text("a\n")), notebook(text("a\na\n")))
    assert notebooks.differences(notebook(text("a\n")), notebook())


def test_pictures_are_compared_by_kind():
    assert not notebooks.differences(notebook(picture()), notebook(picture(content="BBBB")))
    assert notebooks.differences(notebook(picture()), notebook(picture("image/jpeg")))
    assert notebooks.differences(notebook(picture()), notebook())


def test_standard_error_and_cells_that_vary_are_not_compared():
    assert not notebooks.differences(notebook(), notebook(text("slow\n", "stderr")))
    varies = notebook(text("torch\n"), tags=[notebooks.VARIES])
    assert not notebooks.differences(notebook(text("none\n"), tags=[notebooks.VARIES]), varies)


def test_large_pictures_are_found():
    size = notebooks.LARGEST_PICTURE
    assert notebooks.too_large(notebook(picture(content="A" * (size * 4 // 3)))) == []
    assert len(notebooks.too_large(notebook(picture(content="A" * (size * 4 // 3 + 8))))) == 1


def test_a_notebook_runs_and_is_the_same_the_next_time(tmp_path):
    path = tmp_path / "book.ipynb"
    cells = [
        v4.new_code_cell(
            "import sys, time; print(3 * 37, file=sys.stderr); print(2 + 2, flush=True)"
        ),
        v4.new_code_cell("for i in 'xy': print(i, flush=True); time.sleep(0.5)"),
        v4.new_code_cell("'a'"),
    ]
    nbformat.write(v4.new_notebook(cells=cells), path)
    assert "+4" in notebooks.check(path, write=False)
    assert notebooks.check(path, write=True) == ""
    stored = path.read_bytes()
    assert b"111" not in stored
    assert [len(cell.outputs) for cell in nbformat.read(path, 4).cells] == [1, 1, 1]
    assert notebooks.check(path, write=True) == ""
    assert path.read_bytes() == stored
    assert notebooks.check(path, write=False) == ""


def test_a_notebook_that_fails_says_where(tmp_path):
    path = tmp_path / "book.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("1 / 0")]), path)
    assert "ZeroDivisionError" in notebooks.check(path, write=True)
